"""The files that are measured with: a photo, a clip of two moving heads, and a long video of a short piece."""

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

RGB = npt.NDArray[np.uint8]

PORTRAIT = Path(__file__).resolve().parents[2] / "app" / "samples" / "astronaut.jpg"
HEAD = (112, 12, 336, 292)
"""The astronaut's head and hair in the portrait (x0, y0, x1, y1)."""
SEED = 720
WIDTH, HEIGHT = 1280, 720
FPS = 30
SECONDS = 10.0
BIT_RATE = 4_000_000
LOOP_S, LOOP_BIT_RATE = 20.0, 1_000_000
"""The hour is a shorter piece over and over: nothing that is measured with it depends on what the pictures show."""
GRAIN = 5.0
"""Standard deviation of the grain, in steps of 255: about a phone's noise in a lit room."""


def make_photo(path: Path) -> None:
    """Writes the portrait enlarged to 1024 x 1024 as a JPEG."""
    with Image.open(PORTRAIT) as image:
        image.convert("RGB").resize((1024, 1024), Image.Resampling.LANCZOS).save(path, quality=92)


def make_clip(
    path: Path, seconds: float = SECONDS, size: tuple[int, int] = (WIDTH, HEIGHT), bit_rate: int = BIT_RATE
) -> None:
    """Writes the clip, the same bytes for the same versions of NumPy, OpenCV, Pillow and PyAV.

    `bit_rate` is that of 720p; a smaller picture gets a smaller one.
    """
    import av  # needed by nothing else in train: a machine that only trains has no PyAV

    width, height = size
    with av.open(str(path), "w") as container:
        # one thread: how x264 spends its bits depends on their number
        stream = container.add_stream(
            "libx264", rate=FPS, options={"preset": "veryfast", "bf": "2", "b-adapt": "0", "threads": "1", "g": "60"}
        )
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = bit_rate * (width * height) // (WIDTH * HEIGHT)
        stream.time_base = Fraction(1, FPS)
        for picture in pictures(round(seconds * FPS), width, height):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def make_long(path: Path, seconds: float, piece_s: float = LOOP_S, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    """Writes a clip of that length: one piece, encoded once, whose packets come again and again with later times."""
    import av

    piece = path.with_name(f"{path.stem}.piece.mp4")
    make_clip(piece, piece_s, size, LOOP_BIT_RATE)
    with av.open(str(path), "w") as out:
        to = None
        for number in range(math.ceil(seconds / piece_s)):
            with av.open(str(piece)) as container:
                stream = container.streams.video[0]
                if to is None:
                    to = out.add_stream_from_template(stream)
                assert stream.time_base is not None
                later = round(number * piece_s / stream.time_base)
                for packet in container.demux(stream):
                    if packet.dts is None or packet.pts is None:
                        continue  # the end
                    packet.dts, packet.pts, packet.stream = packet.dts + later, packet.pts + later, to
                    out.mux(packet)
    piece.unlink()


def pictures(count: int, width: int, height: int) -> Iterator[RGB]:
    """Frames (height, width, 3): a camera that pans over a blurred room, two heads that sway, fresh grain on each."""
    rng = np.random.default_rng(SEED)
    room = _room(rng, round(width * 1.25), round(height * 1.25))
    heads = [_head(round(0.58 * height), mirrored=False), _head(round(0.46 * height), mirrored=True)]
    grain = rng.normal(0.0, GRAIN, (height + 64, width + 64, 1)).astype(np.float32)
    for index in range(count):
        t = index / FPS
        x = round((0.5 + 0.5 * np.sin(0.5 * t)) * (room.shape[1] - width))
        y = round((0.5 + 0.5 * np.cos(0.35 * t)) * (room.shape[0] - height))
        picture = room[y : y + height, x : x + width].copy()
        # the heads stand in the room: the pan moves them too, and each sways a little by itself
        pan = 0.25 * (room.shape[1] - width - 2 * x)
        for number, (pixels, alpha) in enumerate(heads):
            centre_x = (0.30, 0.72)[number] * width + pan + 0.03 * width * np.sin(1.3 * t + number)
            centre_y = (0.52, 0.48)[number] * height + 0.03 * height * np.sin(1.9 * t + 2 * number)
            _paste(picture, pixels, alpha, round(centre_x), round(centre_y))
        dx, dy = rng.integers(0, 64, 2)
        picture += grain[dy : dy + height, dx : dx + width]
        yield np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def _room(rng: np.random.Generator, width: int, height: int) -> npt.NDArray[np.float32]:
    """A background (height, width, 3) of soft shapes and some fine texture, in which no face is found."""
    coarse = (rng.uniform(60, 190, (7, 11, 1)) + rng.normal(0, 14, (7, 11, 3))).astype(np.float32)
    fine = rng.normal(0, 9, (height // 4, width // 4, 1)).astype(np.float32)
    room = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    texture = cv2.resize(fine, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(room + texture[..., None], np.float32)


def _head(height: int, *, mirrored: bool) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The astronaut's head (height, width, 3) and a soft oval (height, width, 1) to paste it by."""
    with Image.open(PORTRAIT) as image:
        head = np.asarray(image.convert("RGB").crop(HEAD), np.float32)
    if mirrored:
        head = head[:, ::-1]
    width = round(height * head.shape[1] / head.shape[0])
    pixels = cv2.resize(np.ascontiguousarray(head), (width, height), interpolation=cv2.INTER_AREA)
    ys, xs = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    alpha = np.clip((1.0 - np.hypot(xs, ys)) / 0.15, 0, 1).astype(np.float32)
    return np.asarray(pixels, np.float32), alpha[..., None]


def _paste(
    picture: npt.NDArray[np.float32], pixels: npt.NDArray[np.float32], alpha: npt.NDArray[np.float32], x: int, y: int
) -> None:
    """Blends `pixels` into `picture`, centred at (x, y), which lies far enough inside."""
    height, width = pixels.shape[:2]
    top, left = y - height // 2, x - width // 2
    part = picture[top : top + height, left : left + width]
    part += alpha * (pixels - part)
