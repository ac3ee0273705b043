"""The one face crop that training, app, CLI and API share: margin, roll, resize.

A network that is fed with crops other than its training crops falls to chance, so nothing else in the project cuts
faces out of images.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import cv2
import numpy as np

from detector.types import Box, Face

MARGIN = 1.3
"""Side of the square crop over the longer side of the face box. 1.3 keeps chin, hairline and some cheek, and stays
inside the 1.35 to 1.5 boxes that the training faces were stored with."""

MIN_ROLL_DEG = 8.0
"""Heads tilted less than this are cut out upright: turning resamples every pixel and wears away the traces that the
networks look for; training turns faces by as much at random."""


@dataclass(frozen=True, slots=True)
class CropFrame:
    """Where a square crop lies in an image: centre and side in pixels, roll in degrees (clockwise positive).

    The image is turned clockwise by `turned_deg`, a multiple of 90, before the roll counts.
    """

    center_x: float
    center_y: float
    side: float
    roll_deg: float
    turned_deg: int = 0

    def bounds(self) -> Box:
        """Axis-aligned box around the (possibly turned) square."""
        angle = math.radians(self.roll_deg)
        half = self.side / 2 * (abs(math.cos(angle)) + abs(math.sin(angle)))
        return (self.center_x - half, self.center_y - half, self.center_x + half, self.center_y + half)


def roll_of(face: Face) -> float:
    """Tilt of the line through the eyes in degrees, clockwise positive; 0 when the face has no landmarks.

    Of a face that was found in the turned image, the tilt that is left there.
    """
    if len(face.landmarks) < 2:
        return 0.0
    (lx, ly), (rx, ry) = face.landmarks[0], face.landmarks[1]
    roll = math.degrees(math.atan2(ry - ly, rx - lx))
    return (roll + face.turned_deg + 180) % 360 - 180 if face.turned_deg else roll


def crop_frame(face: Face, margin: float = MARGIN) -> CropFrame:
    """The square that `crop_face` cuts out for this face."""
    x0, y0, x1, y1 = face.box
    roll = roll_of(face)
    return CropFrame(
        center_x=(x0 + x1) / 2,
        center_y=(y0 + y1) / 2,
        side=face.size_px * margin,
        roll_deg=roll if MIN_ROLL_DEG <= abs(roll) <= 120 else 0.0,
        turned_deg=face.turned_deg,
    )


def cut(image: np.ndarray, frame: CropFrame, size_px: int) -> np.ndarray:
    """The frame's square as (size_px, size_px, 3) uint8 RGB; the image's border is repeated where it reaches outside.

    Shrinks by area averaging, enlarges by bicubic interpolation.
    """
    x0, y0, x1, y1 = frame.bounds()
    left, top = math.floor(x0), math.floor(y0)
    patch = _window(image, left, top, math.ceil(x1), math.ceil(y1))
    center_x, center_y = frame.center_x - left, frame.center_y - top
    if frame.turned_deg:
        height, width = patch.shape[:2]
        patch = turned(patch, frame.turned_deg)
        center_x, center_y = _turned_point(center_x, center_y, width, height, frame.turned_deg)
    if frame.roll_deg == 0.0:
        return resize(patch, size_px, size_px)
    # shrink first by area averaging (a warp would alias), then turn at the final scale
    scale = min(1.0, size_px / frame.side)
    if scale < 1.0:
        patch = resize(patch, max(1, round(patch.shape[1] * scale)), max(1, round(patch.shape[0] * scale)))
    matrix = cv2.getRotationMatrix2D(
        (center_x * scale, center_y * scale),
        frame.roll_deg,
        size_px / (frame.side * scale),
    )
    matrix[0, 2] += size_px / 2 - center_x * scale
    matrix[1, 2] += size_px / 2 - center_y * scale
    return cv2.warpAffine(patch, matrix, (size_px, size_px), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def crop_face(image: np.ndarray, face: Face, size_px: int) -> np.ndarray:
    """The crop of one face as the networks see it.

    Args:
        image: (H, W, 3) uint8 RGB.
        face: in pixels of that image.
        size_px: side of the result.

    Returns:
        (size_px, size_px, 3) uint8 RGB.
    """
    return cut(image, crop_frame(face), size_px)


def paste_heat(heat: np.ndarray, frame: CropFrame) -> tuple[np.ndarray, Box]:
    """A map over a crop, laid back on the image: values over the crop's axis-aligned bounds, zero outside the square.

    Args:
        heat: (S, S) float32.

    Returns:
        (h, w) float32 and the box (x0, y0, x1, y1) in image pixels that it covers.
    """
    x0, y0, x1, y1 = frame.bounds()
    box = (float(math.floor(x0)), float(math.floor(y0)), float(math.ceil(x1)), float(math.ceil(y1)))
    width, height = max(1, int(box[2] - box[0])), max(1, int(box[3] - box[1]))
    heat = turned(heat, -frame.turned_deg)
    size = heat.shape[0]
    matrix = cv2.getRotationMatrix2D((size / 2, size / 2), -frame.roll_deg, frame.side / size)
    matrix[0, 2] += frame.center_x - box[0] - size / 2
    matrix[1, 2] += frame.center_y - box[1] - size / 2
    return cv2.warpAffine(heat, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=0), box


def turned(image: np.ndarray, degrees: int) -> np.ndarray:
    """(H, W, ...) turned clockwise by a multiple of 90 degrees, without loss."""
    return np.ascontiguousarray(np.rot90(image, -degrees // 90))


def turned_back(face: Face, degrees: int, width: int, height: int) -> Face:
    """A face found in an image of this size that was turned clockwise, where it lies in the image as it is."""
    turns = -degrees % 360
    size = (width, height) if degrees % 180 == 0 else (height, width)
    x0, y0 = _turned_point(face.box[0], face.box[1], *size, turns)
    x1, y1 = _turned_point(face.box[2], face.box[3], *size, turns)
    return replace(
        face,
        box=(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)),
        landmarks=tuple(_turned_point(x, y, *size, turns) for x, y in face.landmarks),
        turned_deg=degrees % 360,
    )


def _turned_point(x: float, y: float, width: float, height: float, degrees: int) -> tuple[float, float]:
    """Where a point of an image of this size goes when the image is turned clockwise."""
    return {0: (x, y), 90: (height - y, x), 180: (width - x, height - y), 270: (y, width - x)}[degrees % 360]


def sharpness(crop: np.ndarray) -> float:
    """Variance of the Laplacian of the grey crop, brought to 128 px: low means blurred (Pech-Pacheco et al., 2000).

    Brought to one size first, or a large soft face would count as sharp.
    """
    grey = cv2.cvtColor(resize(crop, 128, 128), cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_64F).var())


def _window(image: np.ndarray, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    height, width = image.shape[:2]
    inner = image[max(0, y0) : max(0, min(height, y1)), max(0, x0) : max(0, min(width, x1))]
    if inner.size == 0:
        return np.zeros((max(1, y1 - y0), max(1, x1 - x0), 3), np.uint8)
    pads = (max(0, -y0), max(0, y1 - height), max(0, -x0), max(0, x1 - width))
    return cv2.copyMakeBorder(inner, *pads, cv2.BORDER_REPLICATE) if any(pads) else inner


def resize(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Shrinks by area averaging, enlarges by bicubic interpolation; the same pixels on every processor."""
    if image.shape[1] == width and image.shape[0] == height:
        return image
    if width * height < image.shape[0] * image.shape[1]:
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    with _without_ipp():
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)


@contextmanager
def _without_ipp() -> Iterator[None]:
    """Intel's library rounds bicubic pixels otherwise than OpenCV's own code, which other processors run.

    A probability was seen to move by 0.007. The switch is the calling thread's alone.
    """
    before = cv2.ipp.useIPP()
    cv2.ipp.setUseIPP(False)
    try:
        yield
    finally:
        cv2.ipp.setUseIPP(before)


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return width * height / (areas - width * height)
