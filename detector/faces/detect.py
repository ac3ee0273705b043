"""Every face of an image, by MTCNN.

Zhang et al., "Joint Face Detection and Alignment using Multitask Cascaded Convolutional Networks", 2016, in the
implementation and with the weights of facenet-pytorch (MIT), which carries them in its wheel.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from facenet_pytorch import MTCNN

from detector.types import Face

MIN_CONFIDENCE = 0.9
"""Boxes below this are mostly hands, patterns and ears; MTCNN's own last threshold (0.7) lets them pass."""

_SMALLEST_SIDE_PX = 16
# step of the image pyramid, facenet-pytorch's default
_PYRAMID_FACTOR = 0.709


class FaceDetector:
    """MTCNN behind one call.

    Args:
        min_face_px: faces smaller than this, in pixels of the working image, are not looked for.
        working_px: longer side that an image is reduced to before detection; boxes come back in full-size pixels.
        min_confidence: boxes with a lower score are dropped.
        max_faces: at most so many faces, the largest first.
    """

    def __init__(
        self,
        min_face_px: int = 32,
        working_px: int = 1600,
        min_confidence: float = MIN_CONFIDENCE,
        max_faces: int = 64,
    ) -> None:
        self.working_px = working_px
        self.min_confidence = min_confidence
        self.max_faces = max_faces
        self._mtcnn = MTCNN(
            keep_all=True, min_face_size=min_face_px, factor=_PYRAMID_FACTOR, device=torch.device("cpu")
        ).eval()

    def detect(self, images: Sequence[np.ndarray]) -> list[tuple[Face, ...]]:
        """Faces of each image, largest first; no face is an empty tuple.

        Args:
            images: (H, W, 3) uint8 RGB each, sizes may differ.
        """
        return [self._detect_one(image) for image in images]

    def _detect_one(self, image: np.ndarray) -> tuple[Face, ...]:
        height, width = image.shape[:2]
        scale = min(1.0, self.working_px / max(height, width))
        small = image
        if scale < 1.0:
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        if min(small.shape[:2]) < _SMALLEST_SIDE_PX:
            return ()
        # the pyramid of facenet-pytorch is empty (and it raises) when the shorter side is below min_face_size
        short_by = int(self._mtcnn.min_face_size) + 1 - min(small.shape[:2])
        if short_by > 0:
            small = cv2.copyMakeBorder(small, 0, short_by, 0, short_by, cv2.BORDER_REPLICATE)
        boxes, scores, points = self._mtcnn.detect(small, landmarks=True)
        if boxes is None:
            return ()
        scale_x, scale_y = (width / round(width * scale), height / round(height * scale)) if scale < 1 else (1.0, 1.0)
        faces = []
        # facenet-pytorch hands out object arrays
        rows = zip(
            boxes.astype(float).tolist(), scores.astype(float).tolist(), points.astype(float).tolist(), strict=True
        )
        for (x0, y0, x1, y1), score, marks in rows:
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
