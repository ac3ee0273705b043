"""A picture as it comes out of harmless changes and is saved anew: smaller, cropped, recompressed."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from detector.faces.align import resize
from detector.media import RGB, jpeg
from detector.types import CHANGES, Face

_QUALITY = 95
_CUT = 0.02  # of width and height, at the left and at the top
_OFF_GRID = 3  # more pixels, so that the blocks of a JPEG lie elsewhere


def changed_copy(image: RGB, change: str, faces: Sequence[Face]) -> tuple[RGB, tuple[Face, ...]]:
    """The whole picture after a change, saved as JPEG and read again, and where its faces then are.

    Args:
        image: (H, W, 3) uint8 RGB.
        change: a key of `CHANGES`.
        faces: in pixels of that image.
    """
    if change not in CHANGES:
        raise ValueError(f"there is no change {change!r}; known: {', '.join(CHANGES)}")
    what, _, value = change.partition("_")
    height, width = image.shape[:2]
    if what == "jpeg":
        return jpeg(image, int(value)), tuple(faces)
    if what == "size":
        small = resize(image, *(max(1, round(side * int(value) / 100)) for side in (width, height)))
        scale_x, scale_y = small.shape[1] / width, small.shape[0] / height
        return jpeg(small, _QUALITY), tuple(_placed(face, 0, 0, scale_x, scale_y) for face in faces)
    left, top = (min(side - 1, round(side * _CUT) + _OFF_GRID) for side in (width, height))
    cut = np.ascontiguousarray(image[top:, left:])
    return jpeg(cut, _QUALITY), tuple(_placed(face, -left, -top, 1.0, 1.0) for face in faces)


def _placed(face: Face, dx: float, dy: float, scale_x: float, scale_y: float) -> Face:
    x0, y0, x1, y1 = face.box
    return replace(
        face,
        box=((x0 + dx) * scale_x, (y0 + dy) * scale_y, (x1 + dx) * scale_x, (y1 + dy) * scale_y),
        landmarks=tuple(((x + dx) * scale_x, (y + dy) * scale_y) for x, y in face.landmarks),
    )
