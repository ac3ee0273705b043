"""Views of a JPEG's compression, on request: aids for a person's eye. None of them is evidence, and each can mislead.

Error level: N. Krawetz, "A Picture's Worth", 2007. Ghosts: H. Farid, "Exposing Digital Forgeries From JPEG Ghosts",
2009.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from detector.apart import read_image
from detector.errors import MediaError
from detector.media import HEAD_BYTES, RGB, Source, jpeg, open_source, sniff_format

MAX_SIDE = 4096
"""Pixels of a larger picture that are looked at, from its upper left corner: a smaller copy would lose the traces."""
QUALITIES = tuple(range(40, 100, 5))
_BLOCK = 16


class ForensicView(NamedTuple):
    """One view. `image`: (H, W, 3) uint8 RGB. `caution`: how it misleads."""

    code: str
    title: str
    image: RGB
    text: str
    caution: str


def forensic_views(source: Source) -> tuple[ForensicView, ...]:
    """Error level, noise and ghosts of a JPEG.

    Raises:
        MediaError: the picture cannot be read; "unsupported" for anything but a JPEG.
    """
    with open_source(source) as file:
        if sniff_format(file.read(HEAD_BYTES)) != "JPEG":
            raise MediaError("These views read traces of JPEG compression: bring the original JPEG.", "unsupported")
    image = np.ascontiguousarray(read_image(source)[:MAX_SIDE, :MAX_SIDE])
    return tuple(_views(image))


def views_text(views: Sequence[ForensicView], name: str, sha256: str) -> str:
    """A text that says what the views show and how each misleads, to lie beside them."""
    words = (f"{v.title} ({v.code}.png)\n{v.text}\nHow it misleads: {v.caution}\n" for v in views)
    return f"Derived from {name}, SHA-256 {sha256}. Aids for the eye, no evidence.\n\n" + "\n".join(words)


def _views(image: RGB) -> Iterator[ForensicView]:
    yield ForensicView(
        "error_level",
        "Error level",
        _error_level(image),
        "How much each place changes when the picture is saved once more at quality 90. Brighter is more.",
        "Edges, texture and saturated colours are bright in every untouched picture, and a picture that was saved anew "
        "as a whole looks even. Bright is not edited, and dark is not original.",
    )
    yield ForensicView(
        "noise",
        "Noise",
        _noise(image),
        "What is left when the picture's smooth part is taken away, made stronger.",
        "Sharpening, portrait modes, lenses and shadows change the noise within one untouched picture; a clean "
        "generator or one more save evens it out.",
    )
    yield ForensicView(
        "ghosts",
        "JPEG ghosts",
        _ghosts(image),
        "For each place the quality at which one more save changes it least: brighter is higher. A part with another "
        "past can stand out as an even patch.",
        "Flat and dark areas fit any quality, so they stand out without any reason. It only works where the last save "
        "was finer than the one before, and the part kept the grid of blocks.",
    )


def _error_level(image: RGB) -> RGB:
    apart = cv2.absdiff(image, jpeg(image, 90)).astype(np.float32)
    top = max(float(np.percentile(apart, 99.5)), 1.0)
    return np.asarray(np.clip(apart * (255 / top), 0, 255), np.uint8)


def _noise(image: RGB) -> RGB:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    rest = grey.astype(np.float32) - cv2.medianBlur(grey, 3).astype(np.float32)
    strength = max(float(np.percentile(np.abs(rest), 99.5)), 1.0)
    return _grey(128 + rest * (127 / strength))


def _ghosts(image: RGB) -> RGB:
    height, width = (side // _BLOCK * _BLOCK for side in image.shape[:2])
    if not height or not width:
        raise MediaError("The picture is too small for these views.", "unsupported")
    whole_blocks = image[:height, :width]
    apart = []
    for quality in QUALITIES:
        squared = (whole_blocks.astype(np.float32) - jpeg(whole_blocks, quality).astype(np.float32)) ** 2
        blocks = squared.mean(axis=2).reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK).mean(axis=(1, 3))
        apart.append(cv2.blur(blocks, (3, 3)))
    # each quality against what it does to the whole, or the finest would win everywhere
    stack = np.stack([a / max(float(np.median(a)), 1e-3) for a in apart])
    best = stack.argmin(axis=0).astype(np.float32) * (255 / (len(QUALITIES) - 1))
    return _grey(cv2.resize(best, (width, height), interpolation=cv2.INTER_NEAREST))


def _grey(values: npt.NDArray[np.float32]) -> RGB:
    return np.repeat(np.clip(values, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
