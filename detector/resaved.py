"""A picture as it comes out of harmless changes and is saved anew: smaller, cropped, recompressed."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from detector.faces.align import overlap, resize
from detector.media import RGB, jpeg
from detector.results import Choice, Figure, Results
from detector.types import CHANGES, BandFalls, Face, Share

CLASSES = ("genuine", "manipulated")
WITH_EVIDENCE = "weak or more"
"""In `Choice.resaved`: faces that reach the band "weak" before anything is saved again."""
_QUALITY = 95
_CUT = 0.02  # of width and height, at the left and at the top
_OFF_GRID = 3  # more pixels, so that the blocks of a JPEG lie elsewhere
_SAME_FACE = 0.3  # overlap


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


def same_faces(faces: Sequence[Face], places: Sequence[Face]) -> tuple[Face | None, ...]:
    """Which of the faces found in a copy each face is; None where it was not found again.

    Args:
        faces: in the copy.
        places: where `changed_copy` says that the faces are.
    """
    best = (max(faces, key=lambda f: overlap(f.box, place.box), default=None) for place in places)
    return tuple(
        face if face is not None and overlap(face.box, place.box) >= _SAME_FACE else None
        for face, place in zip(best, places, strict=True)
    )


def band_falls(results: Results | None, choice: str) -> BandFalls | None:
    """How often bands of a network or ensemble fall in such copies; None where it was not measured."""
    measured = results.choices.get(choice) if results is not None else None
    faces = results.curves.resaved_faces if results is not None else None
    if measured is None or faces is None or not measured.resaved:
        return None
    genuine, manipulated = (_falls(measured, f"{name}, {WITH_EVIDENCE}") for name in CLASSES)
    return BandFalls(genuine, manipulated, faces)


def _falls(measured: Choice, row: str) -> Share | None:
    figure: Figure | None = measured.resaved.get(row, {}).get("fell")
    if figure is None or figure.n is None or figure.low is None or figure.high is None:
        return None
    return Share(figure.n, round(figure.value * figure.n), round(figure.low, 4), round(figure.high, 4))


def _placed(face: Face, dx: float, dy: float, scale_x: float, scale_y: float) -> Face:
    x0, y0, x1, y1 = face.box
    return replace(
        face,
        box=((x0 + dx) * scale_x, (y0 + dy) * scale_y, (x1 + dx) * scale_x, (y1 + dy) * scale_y),
        landmarks=tuple(((x + dx) * scale_x, (y + dy) * scale_y) for x, y in face.landmarks),
    )
