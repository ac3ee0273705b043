"""Faces over frames joined into persons: by place and motion within a shot, by look alone across cuts.

Every frame's faces are assigned one to one (Kuhn's Hungarian method), so that two faces that cross stay two persons.
A look is a colour histogram of the head and what is around it, and a small picture of the face. It tells the persons of
one video apart, most of whom wear and stand before something else; it is no face recognition, and is kept strict: a
person taken for two is judged twice, but two taken for one would hide one behind the other.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from detector.faces.align import crop_face
from detector.types import Box, Face

_MAX_DRIFT = 0.8
"""Sampled frames lie up to seconds apart: a head may be this share of its size off where it was expected."""
_MAX_GROWTH = 1.67
_MIN_LIKENESS = 0.35
"""Likeness of colours below which two faces at one place are two persons: a cut."""
_SHOT_S = 1.5
"""A face that was not seen for longer is looked for by its look, not by its place."""
_SAME_COLOURS, _SAME_FACE = 0.85, 0.6
"""Both likenesses that a face elsewhere must have to be the same person's (see `likenesses`). Over 40 clips of as many
groups they joined 88 % of the pairs of frames of one clip and none of 5,211 pairs of two clips of different sources.
They were chosen on the same pairs of frames, from clips of all splits, so both figures flatter. Of pairs of two clips
of one source, recordings that look alike, they join 3.2 %: there, two persons may be taken for one."""
_KEPT_LOOKS = 8
_MIN_SIGHTINGS = 2
"""A face seen in one frame alone, among many frames, is mostly a false detection."""
_FEW_FRAMES = 6
_FACE_PX = 24


@dataclass(frozen=True, slots=True)
class Look:
    """How a face looks: (256,) colours of length 1, and (576,) grey values, of length 1 and mean 0."""

    colours: np.ndarray
    face: np.ndarray


@dataclass(slots=True)
class Track:
    """One person: times and faces in order, and some of the looks."""

    times_s: list[float] = field(default_factory=list)
    faces: list[Face] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)

    def expected(self, time_s: float) -> Box:
        """The box at a later time if the face keeps moving as it did; where it was if that is long ago."""
        box = self.faces[-1].box
        if len(self.faces) < 2 or self.times_s[-1] - self.times_s[-2] > _SHOT_S:
            return box
        before = self.faces[-2].box
        ahead = min(1.0, (time_s - self.times_s[-1]) / max(self.times_s[-1] - self.times_s[-2], 1e-6))
        size = max(box[2] - box[0], box[3] - box[1])
        dx, dy = ((box[i] + box[i + 2] - before[i] - before[i + 2]) / 2 * ahead for i in (0, 1))
        if np.hypot(dx, dy) > _MAX_DRIFT * size:
            return box
        return (box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy)


class Tracker:
    """Joins the faces of each next frame to the persons seen so far."""

    def __init__(self) -> None:
        self.tracks: list[Track] = []

    def add(self, time_s: float, faces: tuple[Face, ...], image: np.ndarray) -> list[int]:
        """Assigns every face of a frame to a person, a new one where none fits; returns indices into `tracks`.

        Args:
            time_s: later than that of the frame before.
            faces: in pixels of the frame.
            image: (H, W, 3) uint8 RGB.
        """
        looks = [look_of(image, face) for face in faces]
        track_of: dict[int, int] = {}
        for score in (self._at_place, self._by_look):
            rows = [t for t in range(len(self.tracks)) if t not in track_of.values()]
            columns = [f for f in range(len(faces)) if f not in track_of]
            scores = np.zeros((len(rows), len(columns)))
            for i, t in enumerate(rows):
                for j, f in enumerate(columns):
                    scores[i, j] = score(self.tracks[t], time_s, faces[f], looks[f])
            for i, j in zip(*linear_sum_assignment(scores, maximize=True), strict=True):
                if scores[i, j] > 0:
                    track_of[columns[j]] = rows[i]
        for f, face in enumerate(faces):
            if f not in track_of:
                self.tracks.append(Track())
                track_of[f] = len(self.tracks) - 1
            track = self.tracks[track_of[f]]
            track.times_s.append(time_s)
            track.faces.append(face)
            track.looks = [*track.looks, looks[f]][-_KEPT_LOOKS:]
        return [track_of[f] for f in range(len(faces))]

    def forget(self, before_s: float) -> list[int]:
        """For a stream without end: drops persons not seen since, and of the others what no next frame needs.

        Returns:
            the indices that the persons who stay had, in their new order.
        """
        stay = [i for i, track in enumerate(self.tracks) if track.times_s[-1] >= before_s]
        self.tracks = [self.tracks[i] for i in stay]
        for track in self.tracks:
            del track.times_s[:-2], track.faces[:-2]
        return stay

    def persons(self, frames_in_all: int) -> list[int]:
        """Indices of tracks that are persons, not sporadic false faces."""
        least = _MIN_SIGHTINGS if frames_in_all >= _FEW_FRAMES else 1
        return [i for i, track in enumerate(self.tracks) if len(track.faces) >= least]

    @staticmethod
    def _at_place(track: Track, time_s: float, face: Face, look: Look) -> float:
        """How well a face continues a track by place, motion and look; 0 = not at all."""
        if time_s - track.times_s[-1] > _SHOT_S:
            return 0.0
        near = max(_nearness(box, face.box) for box in (track.faces[-1].box, track.expected(time_s)))
        colours, same_face = likenesses(track.looks[-1], look)
        if near <= 0 or colours < _MIN_LIKENESS:
            return 0.0
        return _nearness(track.expected(time_s), face.box) + colours + max(0.0, same_face) + 1.0

    @staticmethod
    def _by_look(track: Track, time_s: float, face: Face, look: Look) -> float:
        """How much a face looks like one of a track, wherever it is; 0 = not surely the same."""
        best = 0.0
        for known in track.looks:
            colours, same_face = likenesses(known, look)
            if colours >= _SAME_COLOURS and same_face >= _SAME_FACE:
                best = max(best, colours + same_face)
        return best


def likenesses(a: Look, b: Look) -> tuple[float, float]:
    """Of the colours, 0 to 1, and of the faces, -1 to 1."""
    return float(a.colours @ b.colours), float(a.face @ b.face)


def look_of(image: np.ndarray, face: Face) -> Look:
    """The look of a face in an image, (H, W, 3) uint8 RGB."""
    height, width = image.shape[:2]
    box = face.box
    margin = 0.25 * face.size_px
    x0, y0 = (int(np.clip(v - margin, 0, side - 1)) for v, side in ((box[0], width), (box[1], height)))
    x1, y1 = int(np.clip(box[2] + margin, x0, width - 1)) + 1, int(np.clip(box[3] + margin, y0, height - 1)) + 1
    patch = cv2.resize(image[y0:y1, x0:x1], (48, 48), interpolation=cv2.INTER_AREA)
    counts = cv2.calcHist(
        [cv2.cvtColor(patch, cv2.COLOR_RGB2HSV)], [0, 1, 2], None, [8, 8, 4], [0, 180, 0, 256, 0, 256]
    )
    # the root tempers large flat areas, as in the Bhattacharyya distance
    colours = np.sqrt(counts.flatten() / counts.sum())
    grey = cv2.GaussianBlur(cv2.cvtColor(crop_face(image, face, 4 * _FACE_PX), cv2.COLOR_RGB2GRAY), (0, 0), 2)
    small = cv2.resize(grey, (_FACE_PX, _FACE_PX), interpolation=cv2.INTER_AREA).astype(np.float32).flatten()
    small -= small.mean()
    return Look(colours / np.linalg.norm(colours), small / (np.linalg.norm(small) + 1e-6))


def _nearness(a: Box, b: Box) -> float:
    """1 at the same place, falling to 0 at the largest drift; below 0 further away, or of another size."""
    size_a, size_b = (max(box[2] - box[0], box[3] - box[1]) for box in (a, b))
    if not 1 / _MAX_GROWTH < size_a / size_b < _MAX_GROWTH:
        return -1.0
    drift = np.hypot((a[0] + a[2] - b[0] - b[2]) / 2, (a[1] + a[3] - b[1] - b[3]) / 2) / max(size_a, size_b)
    return float(1 - drift / _MAX_DRIFT)
