"""How a file came to be as it is: camera, software, times, compression, what hangs behind it, and what it looks like.

Nothing here tells a manipulation from an innocent save. Likeness of a name or a size is said as likeness.
"""

import io
import re
import struct
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.JpegPresets import presets

from detector.evidence import Line, plain
from detector.provenance.exif import Exif
from detector.provenance.marks import iptc_records
from detector.provenance.packets import Box, Packets, boxes, content
from detector.provenance.xmp import Property

_EDITORS = re.compile(
    r"photoshop|lightroom|gimp|affinity|snapseed|picsart|facetune|faceapp|canva|luminar|capture one|pixelmator|"
    r"darktable|imagemagick|paint\.net|photoroom|remini|meitu|vsco|capcut|premiere|after effects|davinci|final cut|"
    r"imovie|handbrake|inshot|kinemaster",
    re.I,
)
_MESSENGERS = (
    (re.compile(r"^(IMG|VID)-\d{8}-WA\d+|^WhatsApp (Image|Video)", re.I), "WhatsApp"),
    (re.compile(r"^(photo|video)_\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", re.I), "Telegram"),
    (re.compile(r"^signal-\d{4}-\d\d-\d\d", re.I), "Signal"),
    (re.compile(r"^FB_IMG_\d+", re.I), "Facebook"),
    (re.compile(r"^received_\d{8,}", re.I), "Messenger"),
    (re.compile(r"^Snapchat-\d+", re.I), "Snapchat"),
    (re.compile(r"^ssstik|^snaptik|^tiktok", re.I), "a download from TikTok"),
)
_SCREENSHOT = re.compile(
    r"screen ?shot|screen[_ -]?recording|bildschirmfoto|captura de pantalla|capture d.?[ée]cran", re.I
)
_MESSENGER_SIDES = {1280: "Telegram or Signal", 1600: "WhatsApp", 2048: "Facebook or WhatsApp in high quality"}
_SCREENS = {
    (750, 1334), (828, 1792), (1080, 1920), (1080, 2340), (1080, 2400), (1125, 2436), (1170, 2532), (1179, 2556),
    (1206, 2622), (1242, 2688), (1284, 2778), (1290, 2796), (1320, 2868), (1440, 3120), (1536, 2048), (1668, 2388),
    (2048, 2732), (1366, 768), (1440, 900), (1920, 1080), (2560, 1440), (2560, 1600), (2880, 1800), (3840, 2160),
}  # fmt: skip
_STANDARD = (
    (16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
     87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
     72, 92, 95, 98, 112, 100, 103, 99),
    (17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99,
     99, 99, 99, *(99,) * 32),
)  # fmt: skip
"""Luminance and chrominance tables of ITU-T T.81, Annex K.1, row by row."""
_ZIGZAG = sorted(range(64), key=lambda i: (i // 8 + i % 8, i % 8 if (i // 8 + i % 8) % 2 == 0 else i // 8))
_THUMB_PX = 48


def of_picture(
    file: BinaryIO, packets: Packets, exif: Exif, properties: Sequence[Property], name: str
) -> tuple[Line, ...]:
    """Lines on the past of a picture file. `name` is the file's name as received; only its shape is looked at."""
    size = packets.size_px or _header_size(file)
    return (
        *_origin(exif, properties),
        *_xmp_times(properties, exif.taken),
        *_edits(properties),
        *_platforms(packets),
        *_compression(packets),
        *_thumbnail(file, packets, exif),
        *_behind(packets),
        *_likeness(name, packets, exif, size),
    )


def of_video(file: BinaryIO, packets: Packets, tags: Mapping[str, str], name: str) -> tuple[Line, ...]:
    """Lines on the past of a video, by its container. `tags`: what the container names, in lower case."""
    return (*_video_origin(tags), *_turned(file, packets), *_cuts(file, packets), *_behind(packets), *_named_like(name))


def _derived(code: str, text: str, where: str, value: str | None = None) -> Line:
    return Line(f"history.{code}", "derived", text, where, value=value)


def _origin(exif: Exif, properties: Sequence[Property]) -> Iterator[Line]:
    # many a model begins with its maker's name
    make = "" if exif.model.casefold().startswith(exif.make.casefold()) else exif.make
    camera = " ".join(filter(None, (make, exif.model)))
    tool = exif.software or next((p.value for p in properties if p.name == "CreatorTool"), "")
    if camera:
        text = f"The file names a camera: {camera}. Anybody can write that."
        yield Line("history.camera", "observed", text, "EXIF, Make and Model", "camera", camera)
    if tool:
        kind = ", a program for editing" if _EDITORS.search(tool) else ""
        text = f"The file was last written by: {plain(tool, 120)}{kind}."
        yield Line("history.software", "observed", text, "EXIF, Software", "edited" if kind else "nothing", plain(tool))
    if exif.taken:
        text = f"Taken, by the camera's clock: {exif.taken:%Y-%m-%d %H:%M:%S}."
        yield Line("history.taken", "observed", text, "EXIF, DateTimeOriginal", value=exif.taken.isoformat())
    if exif.taken and exif.written and abs(exif.written - exif.taken) > timedelta(minutes=2):
        later = exif.written > exif.taken
        when = f"{exif.written:%Y-%m-%d %H:%M:%S}"
        text = f"The file was written anew {'after' if later else 'before'} it was taken: {when}."
        text += "" if later else " Both cannot be right, so a clock was wrong or a time was written by hand."
        yield _derived("times", text, "EXIF, DateTime", exif.written.isoformat())
    if exif.has_place:
        yield Line("history.place", "observed", "The file holds the place where it was taken.", "EXIF, GPS")
    if not (camera or tool or exif.taken):
        text = (
            "The file names neither camera nor software nor time. Messengers, platforms and screenshots leave files "
            "like this, so it is probably not the original."
        )
        yield Line("history.bare", "inferred", text, "EXIF and XMP")


def _xmp_times(properties: Sequence[Property], taken: datetime | None) -> Iterator[Line]:
    """The times of XMP against each other, and against the camera's."""
    times: dict[str, datetime] = {}
    for item in properties:
        if item.name in ("CreateDate", "ModifyDate", "DateCreated") and item.name not in times:
            with suppress(ValueError):
                # a zone is left out: the camera's own time has none
                times[item.name] = datetime.fromisoformat(item.value[:19])
    created, changed = times.get("CreateDate") or times.get("DateCreated"), times.get("ModifyDate")
    if created and changed and changed - created > timedelta(minutes=2):
        text = f"By its own record it was made {created:%Y-%m-%d %H:%M} and changed {changed:%Y-%m-%d %H:%M}."
        yield _derived("xmp_times", text, "XMP, CreateDate and ModifyDate", changed.isoformat())
    if created and taken and abs(created - taken) > timedelta(days=1):
        text = (
            f"Two parts of the file disagree on when it was made: {taken:%Y-%m-%d %H:%M} by the camera's clock, "
            f"{created:%Y-%m-%d %H:%M} by its own record. A clock was wrong, or one of them was written by hand."
        )
        yield _derived("times_disagree", text, "EXIF and XMP", created.isoformat())


def _edits(properties: Sequence[Property]) -> Iterator[Line]:
    agents = [p.value for p in properties if p.name == "softwareAgent"]
    actions = [p.value for p in properties if p.name == "action"]
    if agents:
        names = plain(", ".join(dict.fromkeys(agents)), 160)
        text = f"The file's own record names {_count(len(actions) or len(agents), 'step')} of editing, with: {names}."
        yield Line("history.edits", "observed", text, "XMP, History", "edited", plain(", ".join(actions), 160) or None)


def _platforms(packets: Packets) -> Iterator[Line]:
    if any(number == 40 and value.startswith("FBMD") for number, value in iptc_records(packets.iptc)):
        text = "The file went through Facebook or Instagram, which leave this mark and save pictures anew."
        yield Line("history.meta", "observed", text, "IPTC, Special instructions")


def _compression(packets: Packets) -> Iterator[Line]:
    if not packets.tables:
        return
    quality, family = quantisation(packets.tables)
    about = ["progressive"] if packets.progressive else []
    if len(packets.sampling) == 3:
        luma, chroma = packets.sampling[0], packets.sampling[1]
        ratio = {(1, 1): "colour in full", (2, 1): "colour halved", (2, 2): "colour quartered"}
        name = ratio.get((luma[0] // max(chroma[0], 1), luma[1] // max(chroma[1], 1)))
        about += [name] if name else []
    known = {
        "standard": f"Its compression uses the standard tables at quality {quality}, as most software, messengers and "
        "platforms do.",
        "photoshop": "Its compression uses tables of Adobe Photoshop.",
        "own": f"Its compression uses tables of the encoder's own, near quality {quality}. Cameras bring their own; so "
        "do some programs and platforms.",
    }
    details = f" ({', '.join(about)})" if about else ""
    text = known[family].replace(".", f"{details}.", 1) if details else known[family]
    yield _derived(f"tables_{family}", text, "quantisation tables", str(quality))


def quantisation(tables: Mapping[int, Sequence[int]]) -> tuple[int, str]:
    """(estimated quality from 1 to 100, family of the tables: "standard", "photoshop" or "own").

    The quality is that of the Independent JPEG Group's scale whose luminance table is nearest.
    """
    luma = tables[min(tables)]
    chroma = tables[max(tables)] if len(tables) > 1 else None
    scaled = {quality: _scaled(_STANDARD[0], quality) for quality in range(1, 101)}
    # encoders differ most in the high frequencies: the low ones tell what a person chose
    quality = min(scaled, key=lambda q: (scaled[q] != tuple(luma), _apart(scaled[q][:10], luma[:10])))
    if scaled[quality] == tuple(luma) and chroma in (None, luma, _scaled(_STANDARD[1], quality)):
        return quality, "standard"
    for preset in presets.values():
        tables_of: Any = preset["quantization"]
        if list(tables_of[0]) == _rows(luma):
            return quality, "photoshop"
    return quality, "own"


def _apart(one: Sequence[int], other: Sequence[int]) -> int:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))


def _scaled(table: Sequence[int], quality: int) -> tuple[int, ...]:
    """A standard table at a quality, in zigzag order: jcparam.c of the Independent JPEG Group."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return tuple(min(max((table[i] * scale + 50) // 100, 1), 255) for i in _ZIGZAG)


def _rows(zigzag: Sequence[int]) -> list[int]:
    rows = [0] * 64
    for value, place in zip(zigzag, _ZIGZAG, strict=True):
        rows[place] = value
    return rows


def _thumbnail(file: BinaryIO, packets: Packets, exif: Exif) -> Iterator[Line]:
    if packets.format != "JPEG" or not exif.thumbnail:
        return
    file.seek(0)
    small, picture = _grey(io.BytesIO(exif.thumbnail)), _grey(file)
    if small is None or picture is None:
        return
    where = "EXIF thumbnail"
    shape = picture.shape[1] / picture.shape[0]
    # a dark border may be the camera's or the picture's own: whichever fits
    fitting = [c for c in (small, _without_bars(small)) if abs(np.log(c.shape[1] / c.shape[0] / shape)) <= 0.06]
    if not fitting:
        text = "The small preview inside the file has another shape than the picture, as after a crop."
        yield _derived("thumbnail_shape", text, where)
        return
    alike = max((r for c in fitting if np.isfinite(r := _alike(c, picture))), default=None)
    if alike is None:
        return
    if alike < 0.8:
        text = (
            "The small preview inside the file shows something else than the picture, as after an edit by a program "
            "that does not renew it."
        )
        yield _derived("thumbnail_differs", text, where, f"{alike:.2f}")
    else:
        text = "The small preview inside the file shows the same as the picture. Most programs renew it when they save."
        yield _derived("thumbnail_same", text, where, f"{alike:.2f}")


def _alike(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    """Correlation of two pictures at `_THUMB_PX`; not a number where one has no shape at all."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.corrcoef(_shrunk(one).ravel(), _shrunk(other).ravel())[0, 1])


def _grey(file: BinaryIO) -> npt.NDArray[np.float32] | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(file, formats=("JPEG",)) as image:
                if image.width * image.height > 120_000_000:
                    return None
                image.draft("L", (2 * _THUMB_PX, 2 * _THUMB_PX))
                return np.asarray(image.convert("L"), np.float32)
        except Exception:  # Pillow raises nearly anything on hostile bytes
            return None


def _without_bars(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Cameras fill a preview of 4:3 with black where the picture is wider."""
    rows, columns = image.max(axis=1) > 24, image.max(axis=0) > 24
    if not rows.any() or not columns.any():
        return image
    top, bottom = np.flatnonzero(rows)[[0, -1]]
    left, right = np.flatnonzero(columns)[[0, -1]]
    inner = image[top : bottom + 1, left : right + 1]
    return inner if inner.shape[0] >= 16 and inner.shape[1] >= 16 else image


def _shrunk(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    small = Image.fromarray(image).resize((_THUMB_PX, _THUMB_PX), Image.Resampling.BOX)
    return np.asarray(small, np.float32)


def _behind(packets: Packets) -> Iterator[Line]:
    count, head = packets.trailing
    if count < 2:
        return
    if head.startswith(b"\xff\xd8"):
        what = "a second picture, as telephones keep for depth or a preview"
    elif head[4:8] == b"ftyp" or b"ftyp" in head:
        what = "a short video, as telephones keep with a picture"
    elif head.startswith(b"\0\0\x91") or b"PEg_" in head or b"SEF" in head:
        what = "notes of a Samsung telephone"
    elif not head.strip(b"\0"):
        what = "padding"
    else:
        what = "data that is no part of the picture; programs and people can put anything there"
    text = f"Behind the end of the picture lie {count:,} further bytes: {what}."
    yield _derived("trailing", text, "end of the file", str(count))


def _likeness(name: str, packets: Packets, exif: Exif, size: tuple[int, int] | None) -> Iterator[Line]:
    yield from _named_like(name)
    if size is None or exif.make:
        return
    if packets.format == "PNG" and (size in _SCREENS or size[::-1] in _SCREENS):
        text = f"Its size, {size[0]} x {size[1]} pixels, is that of a common screen: it may be a screenshot."
        yield Line("history.like_screenshot", "inferred", f"{text} That is likeness, not proof.", "size of the picture")
    side = _MESSENGER_SIDES.get(max(size))
    if packets.format == "JPEG" and side:
        text = (
            f"Its longer side, {max(size)} pixels, is that of pictures sent with {side}. That is likeness, not proof."
        )
        yield Line("history.like_messenger", "inferred", text, "size of the picture")


def _named_like(name: str) -> Iterator[Line]:
    messenger = next((who for pattern, who in _MESSENGERS if pattern.search(name)), None)
    if messenger:
        text = (
            f"Its name is of the kind that {messenger} gives. Anybody can name a file. If so, it was saved anew there."
        )
        yield Line("history.named_messenger", "inferred", text, "name of the file")
    elif _SCREENSHOT.search(name):
        text = "Its name is of the kind that screenshots and screen recordings get. Anybody can name a file."
        yield Line("history.named_screenshot", "inferred", text, "name of the file")


def _header_size(file: BinaryIO) -> tuple[int, int] | None:
    file.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(file, formats=("PNG", "WEBP", "GIF", "BMP", "TIFF")) as image:
                return image.size
        except Exception:  # as above
            return None


def _video_origin(tags: Mapping[str, str]) -> Iterator[Line]:
    def first(*names: str) -> str:
        return next((plain(tags[n], 120) for n in names if tags.get(n)), "")

    camera = " ".join(
        filter(None, (first("com.apple.quicktime.make", "make"), first("com.apple.quicktime.model", "model")))
    ) or (f"a telephone with Android {first('com.android.version')}" if tags.get("com.android.version") else "")
    if camera:
        text = f"The file names a camera: {camera}. Anybody can write that."
        yield Line("history.camera", "observed", text, "container", "camera", camera)
    writer = first("com.apple.quicktime.software", "encoder", "writing_application", "software", "handler_name")
    if writer:
        known = "FFmpeg, which most sites and many programs use to save a video anew" if "Lavf" in writer else ""
        kind = ", a program for editing" if _EDITORS.search(writer) else ""
        text = f"The file was written by: {writer}{kind}{f' ({known})' if known else ''}."
        says = "edited" if kind else "nothing"
        yield Line("history.software", "observed", text, "container, encoder", says, writer)  # type: ignore[arg-type]
    created = first("com.apple.quicktime.creationdate", "creation_time", "date")
    if created:
        text = f"Made, by the file: {created}."
        yield Line("history.taken", "observed", text, "container, creation time", value=created)
    coded = first("coding")
    if coded:
        yield _derived("coding", f"Coded as {coded}.", "container", coded)
    if not (camera or writer or created):
        text = "The container names neither camera nor software nor time, as after most platforms and messengers."
        yield Line("history.bare", "inferred", text, "container")


def _turned(file: BinaryIO, packets: Packets) -> Iterator[Line]:
    """The matrix by which a player turns the picture (ISO/IEC 14496-12, 8.3.2)."""
    for head in _track_boxes(file, packets, b"tkhd"):
        body = content(file, head, 256)
        at = 52 if body[:1] == b"\1" else 40
        if len(body) < at + 44:
            continue
        a, b = struct.unpack_from(">ii", body, at)
        (width,) = struct.unpack_from(">I", body, at + 36)
        degrees = 0 if abs(a) > abs(b) and a > 0 else 180 if abs(a) > abs(b) else 90 if b > 0 else 270
        if width and degrees:
            text = f"The player turns the picture by {degrees} degrees, as a telephone held upright asks for."
            yield Line("history.rotation", "observed", text, "container, track header", value=str(degrees))
            return


def _track_boxes(file: BinaryIO, packets: Packets, kind: bytes) -> Iterator[Box]:
    if packets.format != "mov":
        return
    for moov in boxes(file, 0, packets.size):
        if moov.kind == b"moov":
            for track in boxes(file, moov.start, moov.end):
                if track.kind == b"trak":
                    yield from (box for box in boxes(file, track.start, track.end) if box.kind == kind)


def _cuts(file: BinaryIO, packets: Packets) -> Iterator[Line]:
    """Edit lists: a player leaves parts out, or puts them in another order, without anything being coded anew."""
    most = 0
    for edits in _track_boxes(file, packets, b"edts"):
        for table in boxes(file, edits.start, edits.end):
            if table.kind == b"elst":
                most = max(most, int.from_bytes(content(file, table)[4:8], "big"))
    if most > 2:
        text = f"The container puts the video together from {most} pieces, as programs and telephones do after a cut."
        yield _derived("cuts", text, "edit list", str(most))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


MAX_HASHES = 5
"""Frames of a video that are hashed: each costs some milliseconds."""


def frames_to_hash(max_frames: int) -> frozenset[int]:
    """Which of the frames that are looked at are hashed, counted from 0 and spread evenly.

    A copy of a video that is looked at in the same way has its hashes at the same times.
    """
    return frozenset(round(i * (max_frames - 1) / (MAX_HASHES - 1)) for i in range(MAX_HASHES))


def perceptual_hash(image: npt.NDArray[np.uint8]) -> str:
    """16 hexadecimal digits that are alike for pictures that look alike: a likeness, not an identity.

    The signs of the 8 x 8 lowest frequencies of the picture at 32 x 32, against their median ("pHash": C. Zauner,
    "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010).

    Args:
        image: (H, W, 3) uint8 RGB.
    """
    import cv2

    small = cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    grey = small @ np.array([0.299, 0.587, 0.114], np.float32)
    low = cv2.dct(grey)[:8, :8].ravel()
    # the first is the mean brightness, which says nothing of the shape
    bits = low > np.median(low[1:])
    return f"{int(''.join('1' if bit else '0' for bit in bits), 2):016x}"
