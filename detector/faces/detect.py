"""Every face of an image, by MTCNN (`detector.faces.mtcnn`), within limits of size and number."""

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np

from detector.faces.mtcnn import Mtcnn
from detector.types import Face

MIN_CONFIDENCE = 0.9
"""Boxes below this are mostly hands, patterns and ears; MTCNN's own last threshold (0.7) lets them pass."""

_SMALLEST_SIDE_PX = 16


class FindsFaces(Protocol):
    """Whatever finds the faces of pictures: a `FaceDetector`, or a `detector.faces.search.FaceSearch` around one."""

    def detect(self, images: Sequence[np.ndarray]) -> list[tuple[Face, ...]]:
        """Faces of each (H, W, 3) uint8 RGB image, largest first."""
        ...


class FaceDetector:
    """MTCNN behind one call.

    Args:
        min_face_px: faces smaller than this, in pixels of the working image, are not looked for.
        working_px: longer side that an image is reduced to before detection; boxes come back in full-size pixels.
        min_confidence: boxes with a lower score are dropped.
        max_faces: at most so many faces, the largest first.
        engine: "auto", "openvino" or "torch"; None asks the environment variable UNMASK_ENGINE.

    Attributes:
        backend: what computes, for a person.

    Raises:
        EngineError: no such engine, or OpenVINO was demanded and cannot run the networks.
    """

    def __init__(
        self,
        min_face_px: int = 32,
        working_px: int = 1600,
        min_confidence: float = MIN_CONFIDENCE,
        max_faces: int = 64,
        engine: str | None = None,
    ) -> None:
        self.working_px = working_px
        self.min_confidence = min_confidence
        self.max_faces = max_faces
        self._mtcnn = Mtcnn(min_face_px, engine)
        self.backend = self._mtcnn.backend

    def detect(self, images: Sequence[np.ndarray], *, closer: float = 1.0) -> list[tuple[Face, ...]]:
        """Faces of each image, largest first; no face is an empty tuple.

        Args:
            images: (H, W, 3) uint8 RGB each, sizes may differ.
            closer: so many times `working_px`, for faces that are small in a large image.
        """
        return [self._detect_one(image, closer * self.working_px) for image in images]

    def _detect_one(self, image: np.ndarray, working_px: float) -> tuple[Face, ...]:
        height, width = image.shape[:2]
        scale = min(1.0, working_px / max(height, width))
        small = image
        if scale < 1.0:
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        if min(small.shape[:2]) < _SMALLEST_SIDE_PX:
            return ()
        # the pyramid is empty when the shorter side is below the smallest face: a face may fill such a picture
        short_by = self._mtcnn.min_face_px + 1 - min(small.shape[:2])
        if short_by > 0:
            small = cv2.copyMakeBorder(small, 0, short_by, 0, short_by, cv2.BORDER_REPLICATE)
        boxes, scores, points = self._mtcnn.detect(small)
        scale_x, scale_y = (width / round(width * scale), height / round(height * scale)) if scale < 1 else (1.0, 1.0)
        faces = []
        for (x0, y0, x1, y1), score, marks in zip(boxes.tolist(), scores.tolist(), points.tolist(), strict=True):
            # a hostile picture can make box regression explode: such boxes are no faces
            if score < self.min_confidence or not np.isfinite([x0, y0, x1, y1]).all() or x1 <= x0 or y1 <= y0:
                continue
            faces.append(
                Face(
                    box=(x0 * scale_x, y0 * scale_y, x1 * scale_x, y1 * scale_y),
                    landmarks=tuple((x * scale_x, y * scale_y) for x, y in marks),
                    confidence=score,
                )
            )
        faces.sort(key=lambda face: face.size_px, reverse=True)
        return tuple(faces[: self.max_faces])
