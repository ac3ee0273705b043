"""Faces to the logits of every network, or to the reason why a face cannot be judged."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from detector.engine import Engine
from detector.faces.align import crop_face, sharpness
from detector.manifest import Manifest
from detector.persons import FrameFaces
from detector.types import Face

_SHARPNESS_PX = 128


@dataclass(frozen=True, slots=True)
class Judged:
    """A face with the calibrated logits of each network, (M,), or the reason why there are none."""

    face: Face
    sharpness: float
    reason: str | None
    logits: np.ndarray | None


class Judge:
    """The networks of one choice at work.

    Args:
        manifest: of the published set.
        members: names of networks in it.
        engine: what computes them, as `Detector` takes it.

    Attributes:
        engines: of the members, in their order.
    """

    def __init__(self, manifest: Manifest, members: Sequence[str], engine: str | None = None) -> None:
        self.engines = tuple(Engine(manifest, member, engine) for member in members)
        self._limits = manifest.limits

    def image(self, image: np.ndarray, faces: Sequence[Face]) -> list[Judged]:
        """Logits of all faces of one image, with the faces too small or blurred left out."""
        return self.frames([(image, tuple(faces))])[0]

    def frames(self, frames: Sequence[FrameFaces]) -> list[list[Judged]]:
        """As `image` for several frames, their faces in common batches."""
        pairs = [(image, face) for image, faces in frames for face in faces]
        sharp = [sharpness(crop_face(image, face, _SHARPNESS_PX)) for image, face in pairs]
        reasons = [self._unfit(face, value) for (_, face), value in zip(pairs, sharp, strict=True)]
        fit = [i for i, reason in enumerate(reasons) if reason is None]
        crops = [[crop_face(*pairs[i], e.size_px) for i in fit] for e in self.engines]
        rows = dict(zip(fit, self._logits(crops), strict=True))
        judged = iter([Judged(face, sharp[i], reasons[i], rows.get(i)) for i, (_, face) in enumerate(pairs)])
        return [list(islice(judged, len(faces))) for _, faces in frames]

    def _unfit(self, face: Face, sharp: float) -> str | None:
        if face.size_px < self._limits.min_face_px:
            return "face_too_small"
        return "face_too_blurred" if sharp < self._limits.min_sharpness else None

    def _logits(self, crops: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
        """Crops of each network, M lists of N, to calibrated logits (N, M)."""
        return np.stack([e.calibration(e.logits(c)) for e, c in zip(self.engines, crops, strict=True)], axis=1)
