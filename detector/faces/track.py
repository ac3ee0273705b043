"""Faces over frames joined into persons, by place and colour."""

from dataclasses import dataclass, field

import cv2
import numpy as np

from detector.types import Box, Face

_MIN_IOU = 0.2
_MAX_DRIFT = 0.8
"""Sampled frames lie up to seconds apart: a head may have moved by this share of its size and be the same."""
_MIN_LIKENESS = 0.35
"""Correlation of colour histograms below which two faces at one place are two persons: a cut."""
_MIN_SIGHTINGS = 2
"""A face seen in one frame alone, among many frames, is mostly a false detection."""
_FEW_FRAMES = 6


@dataclass(slots=True)
class Track:
    """One person: frame numbers and faces in order of time."""

    frames: list[int] = field(default_factory=list)
    faces: list[Face] = field(default_factory=list)
    look: np.ndarray | None = None


class Tracker:
    """Joins the faces of each next frame to the persons seen so far."""

    def __init__(self) -> None:
        self.tracks: list[Track] = []

    def add(self, frame: int, faces: tuple[Face, ...], image: np.ndarray) -> list[int]:
        """Assigns every face of a frame to a person, a new one where none fits; returns indices into `tracks`."""
        looks = [_look(image, face.box) for face in faces]
        pairs = []
        for t, track in enumerate(self.tracks):
            for f, face in enumerate(faces):
                closeness = _closeness(track.faces[-1].box, face.box)
                likeness = _likeness(track.look, looks[f])
                if closeness > 0 and likeness >= _MIN_LIKENESS:
                    pairs.append((closeness + likeness, t, f))
        found: dict[int, int] = {}
        taken: set[int] = set()
        for _, t, f in sorted(pairs, reverse=True):
            if f not in found and t not in taken:
                found[f] = t
                taken.add(t)
        for f in range(len(faces)):
            if f not in found:
                self.tracks.append(Track())
                found[f] = len(self.tracks) - 1
        for f, t in found.items():
            track = self.tracks[t]
            track.frames.append(frame)
            track.faces.append(faces[f])
            look = looks[f]
            # a slow average follows light and pose without forgetting the person
            track.look = look if track.look is None else 0.7 * track.look + 0.3 * look
        return [found[f] for f in range(len(faces))]

    def persons(self, frames_in_all: int) -> list[int]:
        """Indices of tracks that are persons, not sporadic false faces."""
        least = _MIN_SIGHTINGS if frames_in_all >= _FEW_FRAMES else 1
        return [i for i, track in enumerate(self.tracks) if len(track.frames) >= least]


def _closeness(a: Box, b: Box) -> float:
    """Overlap, or for faces that drifted apart a small positive number; 0 = another place or size."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    area_a, area_b = ((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    overlap = max(0.0, width) * max(0.0, height)
    iou = overlap / (area_a + area_b - overlap)
    if iou >= _MIN_IOU:
        return iou
    size_a, size_b = max(a[2] - a[0], a[3] - a[1]), max(b[2] - b[0], b[3] - b[1])
    if not 0.6 < size_a / size_b < 1 / 0.6:
        return 0.0
    drift = np.hypot((a[0] + a[2] - b[0] - b[2]) / 2, (a[1] + a[3] - b[1] - b[3]) / 2) / max(size_a, size_b)
    return 0.1 * (1 - drift / _MAX_DRIFT) if drift < _MAX_DRIFT else 0.0


def _look(image: np.ndarray, box: Box) -> np.ndarray:
    """Colour histogram of a face and its surroundings, (8 * 8 * 4,) float32."""
    height, width = image.shape[:2]
    margin = 0.25 * max(box[2] - box[0], box[3] - box[1])
    x0, y0 = max(0, int(box[0] - margin)), max(0, int(box[1] - margin))
    x1, y1 = min(width, int(box[2] + margin) + 1), min(height, int(box[3] + margin) + 1)
    patch = cv2.resize(image[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)], (48, 48), interpolation=cv2.INTER_AREA)
    hsv = cv2.cvtColor(patch, cv2.COLOR_RGB2HSV)
    counts = cv2.calcHist([hsv], [0, 1, 2], None, [8, 8, 4], [0, 180, 0, 256, 0, 256])
    # the root tempers large flat areas, as in the Bhattacharyya distance
    return np.asarray(np.sqrt(counts.flatten() / counts.sum()))


def _likeness(a: np.ndarray | None, b: np.ndarray) -> float:
    return 0.0 if a is None else float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-9))
