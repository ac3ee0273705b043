"""A decoded frame to RGB: upright, with square pixels, halved where it is very large."""

from collections.abc import Mapping
from typing import NamedTuple, cast

import av
import numpy as np
import numpy.typing as npt
from av.buffer import Buffer
from av.video.reformatter import Interpolation

from detector.colour import BT2020, HLG, P3, P3_DCI, PQ, to_srgb
from detector.errors import MediaError
from detector.media import RGB
from detector.video.container import MAX_PIXELS, MAX_PIXELS_AT_ONCE, Decoded

_BT709 = 1  # matrix coefficients by ITU-T H.273
_UNSTATED = (2, 3)
_HD_LINES = 720  # Chrome's rule for pictures that do not say: from here on BT.709
_WIDE = (P3_DCI, P3, BT2020)
_DISPLAY_GAMMA = 2.4  # what video is made for (ITU-R BT.1886)
_SAME_EVERYWHERE = (
    Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT | Interpolation.FULL_CHR_H_INT
)
"""FFmpeg's faster ways round colours as each processor likes: a clip's probability was seen to move by 0.014. Without
`FULL_CHR_H_INT` its exact way is too dark by up to two levels."""


class Turn(NamedTuple):
    """The turn that makes a stored frame upright: its axes swapped, then mirrored left to right, then top to bottom."""

    swap: bool = False
    mirror_x: bool = False
    mirror_y: bool = False


_BY_ANGLE = {0: Turn(), 90: Turn(True, True, False), 180: Turn(False, True, True), 270: Turn(True, False, True)}


def turn_of(frame: av.VideoFrame) -> Turn:
    """Reads the display matrix: (x, y) of the stored frame goes to (a x + c y, b x + d y).

    PyAV's side data and its frame hold each other until the garbage collector comes by, 50 MB for a frame of 8K: ask
    this of one frame of a stream.
    """
    try:
        side_data = cast(Mapping[str, Buffer], frame.side_data)
    except ValueError:  # PyAV does not know all kinds that FFmpeg gives; the angle it finds without them
        return _BY_ANGLE[rotation_of(frame)]
    if "DISPLAYMATRIX" not in side_data:
        return Turn()
    a, b, _, c, d, *_ = np.frombuffer(bytes(side_data["DISPLAYMATRIX"]), np.int32, 9).tolist()
    return Turn(True, c < 0, b < 0) if abs(b) > abs(a) else Turn(False, a < 0, d < 0)


def rotation_of(frame: av.VideoFrame) -> int:
    """Degrees that a stored frame is turned clockwise to stand upright: 0, 90, 180 or 270."""
    return round(-frame.rotation / 90) % 4 * 90


def upright(decoded: Decoded, turn: Turn, most_px: int | None = None) -> RGB:
    """(H, W, 3) uint8 RGB with square pixels, halved where very large, turned and mirrored as the file asks.

    `most_px`: make it smaller, so that no side is longer.
    """
    frame, ratio = decoded.frame, decoded.ratio
    width, height = frame.width, frame.height
    if 0.2 < ratio < 5 and abs(ratio - 1) > 0.01 and width * ratio * height <= MAX_PIXELS:
        width = round(width * ratio)  # recordings of 720 x 576 or 1440 x 1080 are squeezed, and so are their faces
    if width * height > MAX_PIXELS_AT_ONCE:
        width, height = width // 2, height // 2
    if most_px is not None and max(width, height) > most_px:
        scale = most_px / max(width, height)
        width, height = max(2, round(width * scale)), max(2, round(height * scale))
    try:
        pixels = _rgb(frame, width, height)
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(
            "The video's colour format is not supported. Save it again as MP4 (H.264).", "unsupported"
        ) from error
    if turn.swap:
        pixels = pixels.swapaxes(0, 1)
    return np.ascontiguousarray(pixels[:: -1 if turn.mirror_y else 1, :: -1 if turn.mirror_x else 1])


def _rgb(frame: av.VideoFrame, width: int, height: int) -> RGB:
    """The frame in that size, as SDR with the primaries of sRGB: matrix, range, primaries and transfer as it states."""
    if frame.colorspace in _UNSTATED and frame.height >= _HD_LINES and not frame.format.is_rgb:
        frame.colorspace = _BT709  # what players take for it, where FFmpeg takes BT.601
    primaries, transfer = frame.color_primaries, frame.color_trc
    if transfer not in (PQ, HLG) and primaries not in _WIDE:
        shown = frame.reformat(width=width, height=height, format="rgb24", interpolation=_SAME_EVERYWHERE)
        return cast(RGB, shown.to_ndarray())
    # the usual way, which is the same everywhere for 16 bits; in the exact one FFmpeg's 16 bits overflow
    codes = cast("npt.NDArray[np.uint16]", frame.reformat(width=width, height=height, format="rgb48le").to_ndarray())
    return to_srgb(codes, primaries, transfer, bits=16, gamma=_DISPLAY_GAMMA)
