"""Faces of photos and persons of videos as they were judged: frozen values.

Boxes are (x0, y0, x1, y1) in float pixels of the full, upright image; times are float seconds from the start of the
stream's presentation; probabilities are calibrated (`detector.calibration`).
"""

from dataclasses import dataclass
from typing import Any, Literal

from detector.schema import Band, Status, rounded

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Face:
    """One detected face.

    Attributes:
        box: (x0, y0, x1, y1) in pixels of the full image; may reach past its border.
        landmarks: five (x, y) points: left eye, right eye, nose, left and right mouth corner (as seen in the image).
        confidence: the face detector's own, 0 to 1.
        turned_deg: 0, 90, 180 or 270: clockwise, how far the image had to be turned for the face to be found; box and
            landmarks are those of the image as it is.
    """

    box: Box
    landmarks: tuple[tuple[float, float], ...]
    confidence: float
    turned_deg: int = 0

    @property
    def size_px(self) -> float:
        """Longer side of the box in pixels."""
        x0, y0, x1, y1 = self.box
        return max(x1 - x0, y1 - y0)

    @property
    def side_px(self) -> int:
        """Longer side of the box as people read it: the same before and after JSON, whose boxes are rounded."""
        x0, y0, x1, y1 = (round(v, 1) for v in self.box)
        return round(max(x1 - x0, y1 - y0))

    def to_dict(self) -> dict[str, Any]:
        return {
            "box": [round(v, 1) for v in self.box],
            "landmarks": [[round(x, 1), round(y, 1)] for x, y in self.landmarks],
            "confidence": round(self.confidence, 4),
            "turned_deg": self.turned_deg,
        }


@dataclass(frozen=True, slots=True)
class ProbRange:
    """A range of probabilities and what it was taken over.

    `kind` is "re-encoding" for a photo (lowest and highest over a stated set of harmless variants, the original
    included) or "bootstrap" for a video (95 % interval over windows of time).
    """

    low: float
    high: float
    kind: Literal["re-encoding", "bootstrap"]

    def to_dict(self) -> dict[str, Any]:
        return {"low": round(self.low, 4), "high": round(self.high, 4), "kind": self.kind}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Band edges as probabilities for this file, already corrected for its number of faces or persons."""

    weak: float
    strong: float
    very_strong: float

    def to_dict(self) -> dict[str, Any]:
        return {"weak": round(self.weak, 4), "strong": round(self.strong, 4), "very_strong": round(self.very_strong, 4)}


@dataclass(frozen=True, slots=True)
class Score:
    """One network's score of a face or person: its own calibrated probability against edges of its own.

    Attributes:
        above_threshold: whether it is above `threshold`.
        threshold: its own edge of "strong" in this file; where networks vote, the edge of its vote.
        thresholds: all band edges that it would have by itself in this file; None where networks vote.
    """

    model: str
    prob_fake: float
    above_threshold: bool
    threshold: float | None = None
    thresholds: Thresholds | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "prob_fake": round(self.prob_fake, 4),
            "above_threshold": self.above_threshold,
            "threshold": rounded(self.threshold),
            "thresholds": self.thresholds.to_dict() if self.thresholds else None,
        }


@dataclass(frozen=True, slots=True)
class Resaved:
    """The result of a face when its picture is changed, saved anew and judged from the start.

    Attributes:
        change: a key of `CHANGES`.
        prob_fake, band: None where the face then has no verdict.
        reason: why not, a key of `REASONS`; None where it has one.
    """

    change: str
    prob_fake: float | None
    band: Band | None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "change": self.change,
            "prob_fake": rounded(self.prob_fake),
            "band": self.band,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class FaceVerdict:
    """One face of a photo. `number` counts from 1, most suspicious first; faces without a verdict come last.

    `votes` counts the networks of `scores` that are above their thresholds where a vote decides; else it is None.
    `resaved` holds every change of `CHANGES`; it is empty beyond the first faces.
    """

    number: int
    face: Face
    status: Status
    reason: str | None
    band: Band | None
    prob_fake: float | None
    range: ProbRange | None
    scores: tuple[Score, ...]
    sharpness: float
    votes: int | None = None
    resaved: tuple[Resaved, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "number": self.number,
            **self.face.to_dict(),
            "size_px": round(self.face.size_px, 1),
            "sharpness": round(self.sharpness, 1),
            **_said(self),
            "resaved": [r.to_dict() for r in self.resaved],
        }


@dataclass(frozen=True, slots=True)
class TimelinePoint:
    """One person in one frame. `prob_fake` is None where the face is too small or too blurred in that frame."""

    time_s: float
    face: Face
    prob_fake: float | None
    smoothed: float | None

    def to_dict(self) -> dict[str, Any]:
        return {
            "time_s": round(self.time_s, 3),
            "box": [round(v, 1) for v in self.face.box],
            "prob_fake": rounded(self.prob_fake),
            "smoothed": rounded(self.smoothed),
        }


@dataclass(frozen=True, slots=True)
class StandsOut:
    """A part of a video in which one person's frames lie far above that person's other frames.

    Attributes:
        start_s, end_s: from the first to the last frame of the part.
        frames: judged frames in it.
        prob_inside, prob_outside: of its mean logit, and of that of the other frames.
    """

    start_s: float
    end_s: float
    frames: int
    prob_inside: float
    prob_outside: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "start_s": round(self.start_s, 3),
            "end_s": round(self.end_s, 3),
            "frames": self.frames,
            "prob_inside": round(self.prob_inside, 4),
            "prob_outside": round(self.prob_outside, 4),
        }


@dataclass(frozen=True, slots=True)
class Person:
    """One person of a video, followed over time. `number` counts from 1, the worst first; `votes` as for a face.

    `photo_band` is the band that the worst run would have as a photo, whose edges are lower than a video's.
    """

    number: int
    status: Status
    reason: str | None
    band: Band | None
    prob_fake: float | None
    range: ProbRange | None
    scores: tuple[Score, ...]
    on_screen_s: float
    usable_frames: int
    worst_window_s: tuple[float, float] | None
    worst_time_s: float | None
    timeline: tuple[TimelinePoint, ...]
    votes: int | None = None
    stands_out: StandsOut | None = None
    photo_band: Band | None = None

    @property
    def best_point(self) -> TimelinePoint | None:
        """The frame to show: the most suspicious one, else the middle of those that show the person."""
        if not self.timeline:
            return None
        worst = self.worst_time_s
        if worst is None:
            return self.timeline[len(self.timeline) // 2]
        return min(self.timeline, key=lambda point: abs(point.time_s - worst))

    def to_dict(self) -> dict[str, Any]:
        return {
            "number": self.number,
            **_said(self),
            "on_screen_s": round(self.on_screen_s, 2),
            "usable_frames": self.usable_frames,
            "worst_window_s": [round(t, 2) for t in self.worst_window_s] if self.worst_window_s else None,
            "worst_time_s": None if self.worst_time_s is None else round(self.worst_time_s, 3),
            "stands_out": self.stands_out.to_dict() if self.stands_out else None,
            "photo_band": self.photo_band,
            "timeline": [p.to_dict() for p in self.timeline],
        }


def _said(judged: FaceVerdict | Person) -> dict[str, Any]:
    """The fields that a face and a person have in common, as plain values."""
    return {
        "status": judged.status,
        "reason": judged.reason,
        "band": judged.band,
        "prob_fake": rounded(judged.prob_fake),
        "range": judged.range.to_dict() if judged.range else None,
        "scores": [score.to_dict() for score in judged.scores],
        "votes": judged.votes,
    }
