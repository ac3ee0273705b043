"""Hostile and odd files: every one gets a result or a clear message, in time, in memory, and leaves nothing behind.

The files are made here; a collection of others (`$UNMASK_BADINPUT`, by default shared/badinput beside the repository)
is read as well where it is there.
"""

import csv
import io
import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from detector import REASONS, Detector
from detector.errors import MediaError
from detector.media import read_image, sniff_kind
from detector.video import iter_frames, probe

_REPO_ROOT = Path(__file__).resolve().parents[2]
_BADINPUT = Path(os.environ.get("UNMASK_BADINPUT", _REPO_ROOT.parent / "shared" / "badinput"))

LIMIT_S = 20.0
LIMIT_MB = 1000


def picture(width: int = 160, height: int = 120) -> Image.Image:
    """Coloured noise: no face, and nothing that compresses to nothing."""
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8))


def encoded(image: Image.Image, image_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def huge_png() -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    body = b"IDAT" + zlib.compress(bytes(10_000))
    chunks = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, body, b"IEND")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def huge_jpeg() -> bytes:
    data = bytearray(encoded(picture(), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 50_000, 50_000)
    return bytes(data)


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(picture(), "JPEG", exif=exif)


def video(n_frames: int = 12, container: str = "mp4") -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        stream = out.add_stream("libx264", rate=Fraction(12), options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        out.start_encoding()
        for _ in range(n_frames):
            out.mux(stream.encode(av.VideoFrame.from_image(picture())))
        out.mux(stream.encode(None))
    return buffer.getvalue()


def sound() -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return buffer.getvalue()


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty.jpg": (lambda: b"", "empty"),
    "empty.mp4": (lambda: b"", "empty"),
    "text.jpg": (lambda: b"This is a note, not a picture. " * 20, "unsupported"),
    "text.mp4": (lambda: b"This is a note, not a video. " * 20, "unsupported"),
    "page.png": (lambda: b"<html><body>404 Not Found</body></html>", "unsupported"),
    "archive.png": (lambda: b"PK\x03\x04" + bytes(200), "unsupported"),
    "playlist.mp4": (lambda: b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n", "unsupported"),
    "cut.jpg": (lambda: encoded(picture(), "JPEG")[:4000], "truncated"),
    "cut.png": (lambda: encoded(picture(), "PNG")[:4000], "truncated"),
    "cut.webp": (lambda: encoded(picture(), "WEBP")[:4000], "truncated"),
    "cut.mp4": (lambda: video()[:4000], "truncated"),
    "header-only.jpg": (lambda: b"\xff\xd8\xff\xe0" + bytes(60), "unreadable"),
    "huge.png": (huge_png, "too_large"),
    "huge.jpg": (huge_jpeg, "too_large"),
    "sound.mp4": (sound, "no_video"),
    "no-frames.mp4": (lambda: video(0), "no_video"),
    "no-frames.mkv": (lambda: video(0, "matroska"), "unreadable"),
}
"""Files that must be refused: how they are made, and the reason."""

READ: dict[str, Callable[[], bytes]] = {
    "plain.jpg": lambda: encoded(picture(), "JPEG"),
    "cmyk.jpg": lambda: encoded(picture().convert("CMYK"), "JPEG"),
    "gray16.png": lambda: encoded(Image.fromarray(np.arange(19_200, dtype=np.uint16).reshape(120, 160)), "PNG"),
    "animated.gif": lambda: encoded(picture(), "GIF", save_all=True, append_images=[picture().rotate(90)]),
    "rotated.jpg": rotated,
    "alpha.png": lambda: encoded(picture().convert("RGBA"), "PNG"),
    "palette.png": lambda: encoded(picture().convert("P"), "PNG"),
    "one-pixel.png": lambda: encoded(picture(1, 1), "PNG"),
    "picture-named.mp4": lambda: encoded(picture(), "PNG"),
    "video-named.jpg": video,
    "one-frame.mp4": lambda: video(1),
    "clip.mkv": lambda: video(container="matroska"),
}
"""Odd but valid files, without a face: they must be read."""


def made(name: str) -> bytes:
    return READ[name]() if name in READ else REFUSED[name][0]()


@pytest.mark.parametrize("name", READ)
def test_odd_but_valid_files_are_read(name: str) -> None:
    data = READ[name]()
    if sniff_kind(data) == "image":
        assert read_image(data).shape == {"rotated.jpg": (160, 120, 3), "one-pixel.png": (1, 1, 3)}.get(
            name, (120, 160, 3)
        )
    else:
        assert sniff_kind(data) == "video"
        assert next(iter_frames(data)).image.shape == (probe(data).height, probe(data).width, 3) == (120, 160, 3)


@pytest.mark.parametrize("name", REFUSED)
def test_bad_files_are_refused_with_a_reason(name: str) -> None:
    data, (_, reason) = made(name), REFUSED[name]
    reads = {"image": [read_image], "video": [probe], "unknown": [read_image, probe]}[sniff_kind(data)]
    for read in reads:
        with pytest.raises(MediaError) as caught:
            read(data)
        assert caught.value.reason == reason and reason in REASONS


@pytest.fixture(scope="module")
def detector() -> Iterator[Detector]:
    yield Detector()


@pytest.mark.parametrize("as_path", [True, False], ids=["path", "bytes"])
@pytest.mark.parametrize("name", [*REFUSED, *READ])
def test_every_file_gets_a_verdict(
    name: str, as_path: bool, detector: Detector, clean_temp: Path, tmp_path: Path
) -> None:
    data = made(name)
    path = tmp_path / name
    path.write_bytes(data)
    verdict = detector.file(path) if as_path else detector.file(data, name=name)
    assert verdict.file == name
    assert verdict.status == ("unreadable" if name in REFUSED else "no_verdict")
    assert verdict.reason in ({REFUSED[name][1]} if name in REFUSED else {"no_face", "too_few_frames"})
    assert verdict.message and "\n" not in verdict.message and str(tmp_path) not in verdict.message
    assert verdict.band is None and verdict.prob_fake is None
    assert json.loads(json.dumps(verdict.to_dict()))["status"] == verdict.status
    assert [p.name for p in tmp_path.iterdir() if p != clean_temp] == [name]


_WALK = """
import json, sys, time
from pathlib import Path
from detector.errors import MediaError
from detector.media import read_head, sniff_kind
if sys.argv[1] == "child":
    from detector.apart import iter_frames, probe, read_image
else:
    from detector.media import read_image
    from detector.video import iter_frames, probe

def read(path):
    kind = sniff_kind(read_head(path))
    if kind != "video":
        return list(read_image(path).shape)
    info = probe(path)
    return [sum(1 for _ in iter_frames(path)), info.height, info.width]

status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")  # Linux; elsewhere memory is not measured

def mb(field):
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))

for name in sys.stdin.read().split("\\n"):
    if reset.exists():
        reset.write_text("5")  # the peak counts from here
    before, started = mb("VmRSS:"), time.monotonic()
    try:
        outcome = {"read": read(Path(name))}
    except MediaError as error:
        outcome = {"reason": error.reason, "message": str(error)}
    spent = {"s": time.monotonic() - started, "mb": mb("VmHWM:") - before}
    print(json.dumps({"file": name, **spent, **outcome}), flush=True)
"""
"""Runs in a process of its own: what a decoder does wrong in C would end the tests, and its memory can be measured."""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("where", ["here", "child"])
def test_the_collection_of_bad_files(where: str, clean_temp: Path) -> None:
    table = _BADINPUT / "files.csv"
    if not table.is_file():
        pytest.skip("skipped: no data")
    rows = list(csv.DictReader(table.read_text().splitlines()))
    paths = [str(_BADINPUT / row["file"]) for row in rows]
    child = subprocess.run(
        [sys.executable, "-c", _WALK, where],
        input="\n".join(paths),
        cwd=_REPO_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in child.stderr and child.returncode == 0, child.stderr[-2000:]
    outcomes = {outcome["file"]: outcome for outcome in map(json.loads, child.stdout.splitlines())}
    wrong = []
    for row, path in zip(rows, paths, strict=True):
        outcome = outcomes[path]
        if outcome["s"] > LIMIT_S or outcome["mb"] > LIMIT_MB:
            wrong.append((row["file"], "time or memory", outcome))
        if row["expect"].startswith("analyse") and "read" not in outcome:
            wrong.append((row["file"], "not read", outcome))
        if row["expect"].startswith("reject") and "-or-" not in row["expect"] and "read" in outcome:
            wrong.append((row["file"], "not refused", outcome))
        if "reason" in outcome and (outcome["reason"] not in REASONS or path in outcome["message"]):
            wrong.append((row["file"], "message", outcome))
    assert not wrong
