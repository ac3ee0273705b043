"""Boxes with words, and strips of text, drawn onto pictures; (H, W, 3) uint8 RGB throughout."""

import math
from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from detector.types import Box, Face

Colour = tuple[int, int, int]

PAPER: Colour = (17, 22, 31)
INK: Colour = (238, 241, 246)

_ROOM = 0.65  # half of a square around a face, in sides of its box


def mark(image: np.ndarray, box: Box, colour: Colour, lines: Sequence[str], size_px: int) -> None:
    """Draws a box and, above it, lines of text, in place.

    Args:
        image: the picture; C-contiguous.
        box: (x0, y0, x1, y1) in its pixels; may reach past its border.
        colour: of box and text.
        lines: where there is no room above the box they move into it.
        size_px: of the letters.
    """
    x0, y0, x1, y1 = (round(v) for v in box)
    thick = line_width(image)
    cv2.rectangle(image, (x0, y0), (x1, y1), colour, thick)
    words = _label(tuple(lines), size_px, colour)
    left = max(0, min(x0, image.shape[1] - words.shape[1]))
    _lay(image, words, left, max(0, y0 - words.shape[0] - thick // 2))


def around(image: np.ndarray, face: Face) -> np.ndarray:
    """The part of a picture that shows a face with some room around it, cut at the picture's border; a view."""
    x0, y0, x1, y1 = face.box
    half = face.size_px * _ROOM
    cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
    height, width = image.shape[:2]
    left, right = int(max(0, cx - half)), int(min(width, cx + half))
    top, bottom = int(max(0, cy - half)), int(min(height, cy + half))
    return image[top : max(bottom, top + 1), left : max(right, left + 1)]


def line_width(image: np.ndarray) -> int:
    """Width of a box's line in pixels."""
    return max(2, round(int(min(image.shape[0], image.shape[1])) / 240))


@lru_cache(maxsize=4)
def strip(width: int, height: int, colour: Colour, lines: tuple[str, ...], size_px: int) -> np.ndarray:
    """A strip of text with a bar of colour at its left, (height, width, 3); what does not fit is cut off.

    Kept for the next frame, so it cannot be written to.
    """
    canvas = np.full((height, width, 3), PAPER, np.uint8)
    bar = _pad(size_px)
    canvas[:, :bar] = colour
    _lay(canvas, _words(lines, size_px, INK), bar, bar // 2)
    canvas.flags.writeable = False
    return canvas


def strip_height(n_lines: int, size_px: int) -> int:
    """The height of a `strip` of so many lines, in pixels."""
    return n_lines * _step(size_px) + 2 * _pad(size_px)


@lru_cache(maxsize=64)
def wrapped(text: str, width: int, size_px: int) -> tuple[str, ...]:
    """The text in lines that fit a `strip` of that width; a word that is longer than a line stays whole."""
    room = width - 3 * _pad(size_px)
    font = _font(size_px)
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return tuple(lines)


@lru_cache(maxsize=128)
def _label(lines: tuple[str, ...], size_px: int, colour: Colour) -> np.ndarray:
    """`_words`, kept since a label mostly stays from frame to frame."""
    return _words(lines, size_px, colour)


def _words(lines: Sequence[str], size_px: int, colour: Colour) -> np.ndarray:
    """Lines of text on dark paper, just as large as they are."""
    font, pad, step = _font(size_px), _pad(size_px), _step(size_px)
    width = math.ceil(max(font.getlength(line) for line in lines)) + 2 * pad
    picture = Image.new("RGB", (width, step * len(lines) + pad), PAPER)
    pen = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        pen.text((pad, pad // 2 + number * step), line, fill=colour, font=font)
    return np.asarray(picture)


@lru_cache(maxsize=8)
def _font(size_px: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size_px)
    if not isinstance(font, ImageFont.FreeTypeFont):  # what Pillow without FreeType gives has one size only
        raise RuntimeError("Pillow was built without FreeType: install it from its wheel")
    return font


def _pad(size_px: int) -> int:
    return max(2, round(size_px * 0.4))


def _step(size_px: int) -> int:
    return round(size_px * 1.3)


def _lay(image: np.ndarray, patch: np.ndarray, left: int, top: int) -> None:
    """Copies a patch into a picture; left and top are not negative."""
    part = image[top : top + patch.shape[0], left : left + patch.shape[1]]
    part[:] = patch[: part.shape[0], : part.shape[1]]
