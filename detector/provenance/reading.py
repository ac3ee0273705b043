"""A file → all that it says about itself. Runs in the child process of `detector.provenance`, on hostile bytes."""

import io
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from detector.clock import Clock
from detector.errors import MediaError
from detector.evidence import Credentials, Line, Provenance, SoundTrack, plain
from detector.media import IMAGE_FORMATS, Source, open_source
from detector.provenance.credentials import read_credentials
from detector.provenance.exif import read_exif
from detector.provenance.history import of_picture, of_video
from detector.provenance.marks import find_marks
from detector.provenance.packets import Packets, collect_packets
from detector.provenance.xmp import BadXmp, Property, read_xmp

TAIL_BYTES = 256 << 10
MAX_TAGS = 200
_VIDEO_S = 5.0


def answer(question: dict[str, Any], blobs: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
    """The handler of the child: {"path" or one blob, "name"} to {"provenance"}, or {"problem"} in a sentence."""
    source = Path(question["path"]) if "path" in question else blobs[0]
    try:
        return {"provenance": read_file(source, question["name"]).to_dict()}, []
    except MediaError as error:
        return {"problem": str(error)}, []


def read_file(source: Source, name: str) -> Provenance:
    """All that a file says about itself, but for the perceptual hash, which needs its pixels.

    Raises:
        MediaError: the file cannot be opened, or it is empty.
    """
    with open_source(source) as file:
        packets = collect_packets(file)
        properties, broken = _properties(packets)
        exif = read_exif(packets.exif)
        credentials = read_credentials(file, packets)
        video = packets.format is not None and packets.format not in IMAGE_FORMATS
        tags, sound = _container(source) if video else ({}, None)
        marks = find_marks(packets, properties, exif, tags, _tail(file, packets.size))
        if packets.format is None:
            history: tuple[Line, ...] = ()
        elif video:
            history = of_video(file, packets, tags, name)
        else:
            history = of_picture(file, packets, exif, properties, name)
    if credentials.state == "present" or marks:
        # generators name no camera either: their untouched files would be called "probably not the original"
        history = tuple(line for line in history if line.code != "history.bare")
    return Provenance(
        summary=summary(credentials, marks, history),
        credentials=credentials,
        marks=marks,
        history=history,
        sound=sound,
        problem="Some of the file's own data are damaged or too large and were passed over."
        if broken or packets.passed_over
        else None,
    )


def summary(credentials: Credentials, marks: tuple[Line, ...], history: tuple[Line, ...]) -> str:
    """The strongest of it in one or two sentences."""
    binding, signer = credentials.fact("binding"), credentials.fact("signer")
    if binding is not None and binding.code == "binding.mismatch":
        return f"{binding.text} That can be tampering or a careless save."
    signature = credentials.fact("signature")
    if signature is not None and signature.code != "signature.whole":
        return f"{signature.text} So what its Content Credentials say counts for nothing."
    listed = signer is not None and signer.code == "signer.on_list"
    for wanted in ("generated", "partly_generated", "camera", "may_be_generated"):
        claim = next((line for line in credentials.claims if line.says == wanted), None)
        if claim is not None:
            whose = "whose signer is on the trust list" if listed else "whose signer is not on the trust list"
            return f"{claim.text[:-1]}: Content Credentials {whose}."
        mark = next((line for line in marks if line.says == wanted), None)
        if mark is not None and wanted != "camera":
            return mark.text
    if credentials.state == "present":
        edits = "They name edits, but do" if any(line.says == "edited" for line in credentials.claims) else "They do"
        return f"The file carries Content Credentials. {edits} not say how it was made."
    if credentials.state in ("elsewhere", "unreadable"):
        return credentials.text
    nothing = {
        "none": "No Content Credentials and no label of a generator.",
        "not_defined": "Content Credentials are not defined for this kind of file. It has no label of a generator.",
    }.get(credentials.state, f"{credentials.text} No label of a generator was found.")
    camera = next((line for line in history if line.code == "history.camera"), None)
    if camera is not None:
        return f"{nothing} {camera.text}"
    lost = "both are" if credentials.state == "none" else "labels are"
    return f"{nothing} That means nothing: {lost} easily lost or removed."


def _properties(packets: Packets) -> tuple[list[Property], int]:
    properties: list[Property] = []
    broken = 0
    for packet, where in packets.xmp:
        try:
            properties += read_xmp(packet, where)
        except BadXmp:
            broken += 1
    return properties, broken


def _tail(file: BinaryIO, size: int) -> bytes:
    file.seek(max(0, size - TAIL_BYTES), io.SEEK_SET)
    return file.read(TAIL_BYTES)


def _container(source: Source) -> tuple[Mapping[str, str], SoundTrack | None]:
    """The tags of a video's container, in lower case, and its sound track; nothing of what cannot be opened."""
    from detector.video.container import fps_of, opened

    tags: dict[str, str] = {}
    sound = None
    with suppress(MediaError), opened(source, Clock(_VIDEO_S)) as media:
        stream, container = media.stream, media.container
        for metadata in (stream.metadata, container.metadata):
            tags |= {plain(k, 80).casefold(): str(v)[: 64 << 10] for k, v in list(metadata.items())[:MAX_TAGS]}
        rate = fps_of(stream)
        length = (container.duration or 0) / 1e6  # FFmpeg counts it in microseconds
        context = stream.codec_context
        tags["coding"] = ", ".join(
            filter(
                None,
                (
                    f"{media.codec}, {context.width} x {context.height} pixels",
                    f"{rate:.4g} frames a second" if rate else "",
                    f"{length:.1f} s by its header" if 0 < length < 1e6 else "",
                ),
            )
        )
        heard = container.streams.best("audio")
        if heard is not None:
            inner: Any = heard.codec_context
            seconds = float(heard.duration * heard.time_base) if heard.duration and heard.time_base else None
            sound = SoundTrack(
                codec=plain(inner.codec.canonical_name if inner is not None else "unknown", 40),
                rate=int(inner.sample_rate) if inner is not None and inner.sample_rate else None,
                channels=int(inner.layout.nb_channels) if inner is not None else None,
                duration_s=seconds if seconds is not None and 0 < seconds < 1e6 else None,
                language=plain(heard.metadata.get("language", "").replace("und", ""), 20) or None,
            )
    return tags, sound
