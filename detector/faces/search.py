"""Faces in the pictures of one file, looked for harder while none is found: turned, and at a larger scale.

search = FaceSearch(finder)
for frame in frames:
    faces = search.detect([frame])[0]
search.tried            # what was done where no face was found
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from detector.errors import MediaError
from detector.faces.align import roll_of, turned, turned_back
from detector.faces.detect import FaceDetector
from detector.types import Box, Face

TURNS = (180, 90, 270)
CLOSER = 3.0
"""How many times larger the picture is when tiny faces are looked for."""

_MIN_CONFIDENCE = 0.97  # more looks find more that is no face
_MAX_ROLL_DEG = 45.0  # a face that tilts further stands upright in another turn
_SPORADIC = 0.25  # faces in fewer of the pictures than this may be false ones
_LEAST_PART = 16


class FaceSearch:
    """Looks for the faces of one file: use one for each file.

    A picture in which no face is found is turned by 180, 90 and 270 degrees, and then looked at more closely. What
    finds faces is kept for the pictures after it. Of a video without faces the pictures 1, 2, 4, 8, ... are treated so.

    Args:
        finder: finds faces in one picture.
        region: the part of every picture in which faces are looked for: (x0, y0, x1, y1) in pixels, or, where no value
            is above 1, as shares of width and height.
    """

    def __init__(self, finder: FaceDetector, region: Box | None = None) -> None:
        self._finder, self._region = finder, region
        self._turn, self._closer = 0, 1.0
        self._looked, self._with_faces = 0, 0
        self._tried: dict[str, None] = {}

    @property
    def tried(self) -> tuple[str, ...]:
        """Keys of `detector.schema.TRIED`, in the order in which they were done."""
        return tuple(self._tried)

    def detect(self, images: Sequence[np.ndarray]) -> list[tuple[Face, ...]]:
        """Faces of each image, as `FaceDetector.detect`; those that were found turned say so."""
        return [self._in_part(image, self._faces, first=True) for image in images]

    def again(self, image: np.ndarray) -> tuple[Face, ...]:
        """Faces of a changed copy of the picture before, looked for where and as they were found there."""
        return self._in_part(image, lambda part: self._found(part, self._turn, self._closer))

    def _in_part(
        self, image: np.ndarray, faces_of: Callable[[np.ndarray], tuple[Face, ...]], *, first: bool = False
    ) -> tuple[Face, ...]:
        if self._region is None:
            return faces_of(image)
        height, width = image.shape[:2]
        x0, y0, x1, y1 = (round(v) for v in region_px(self._region, width, height))
        if first:  # a copy may have another size
            self._region = (x0 / width, y0 / height, x1 / width, y1 / height)
        return tuple(_moved(face, x0, y0) for face in faces_of(np.ascontiguousarray(image[y0:y1, x0:x1])))

    def _faces(self, image: np.ndarray) -> tuple[Face, ...]:
        faces = self._found(image, self._turn, self._closer)
        self._looked += 1
        self._with_faces += bool(faces)
        if faces or (self._turn, self._closer) != (0, 1.0):
            return faces
        first_of_its_kind = self._looked & (self._looked - 1) == 0
        if not first_of_its_kind or self._with_faces > _SPORADIC * self._looked:
            return ()
        return self._harder(image)

    def _harder(self, image: np.ndarray) -> tuple[Face, ...]:
        self._tried["turned"] = None
        by_turn = {turn: self._found(image, turn, 1.0) for turn in TURNS}
        best = max(TURNS, key=lambda turn: sum(face.confidence for face in by_turn[turn]))
        if by_turn[best]:
            self._turn = best
            return by_turn[best]
        if max(image.shape[:2]) <= self._finder.working_px:
            return ()
        self._tried["closer"] = None
        faces = tuple(f for f in self._found(image, 0, CLOSER) if f.confidence >= _MIN_CONFIDENCE)
        if faces:
            self._closer = CLOSER
        return faces

    def _found(self, image: np.ndarray, turn: int, closer: float) -> tuple[Face, ...]:
        if turn == 0:
            return self._finder.detect([image], closer=closer)[0] if closer != 1.0 else self._finder.detect([image])[0]
        height, width = image.shape[:2]
        return tuple(
            turned_back(face, turn, width, height)
            for face in self._finder.detect([turned(image, turn)])[0]
            if face.confidence >= _MIN_CONFIDENCE and abs(roll_of(face)) <= _MAX_ROLL_DEG
        )


def region_px(region: Box, width: int, height: int) -> Box:
    """A region, given in pixels or in shares, in whole pixels of an image of this size.

    Raises:
        MediaError: "outside": it holds less than 16 x 16 pixels of the image.
    """
    shares = max(region) <= 1
    x0, y0, x1, y1 = (v * (s if shares else 1) for v, s in zip(region, (width, height) * 2, strict=True))
    x0, y0, x1, y1 = max(0, round(x0)), max(0, round(y0)), min(width, round(x1)), min(height, round(y1))
    if x1 - x0 < _LEAST_PART or y1 - y0 < _LEAST_PART:
        raise MediaError(
            f"The chosen region holds less than {_LEAST_PART} x {_LEAST_PART} pixels of the picture, which is "
            f"{width} x {height}. Choose a larger part of it.",
            "outside",
        )
    return (float(x0), float(y0), float(x1), float(y1))


def _moved(face: Face, dx: float, dy: float) -> Face:
    x0, y0, x1, y1 = face.box
    return replace(
        face,
        box=(x0 + dx, y0 + dy, x1 + dx, y1 + dy),
        landmarks=tuple((x + dx, y + dy) for x, y in face.landmarks),
    )
