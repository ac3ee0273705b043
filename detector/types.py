"""Results as frozen values. `to_dict()` of a verdict is the JSON schema that CLI, app and API share.

Boxes are (x0, y0, x1, y1) in float pixels of the full, upright image; times are float seconds from the start of the
stream's presentation; probabilities are calibrated (`detector.calibration`). A value that could not be computed is
`None` with a reason, never a neutral number.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from detector.evidence import Provenance, Step

SCHEMA_VERSION = "2.4"

Kind = Literal["image", "video", "unknown"]
Status = Literal["ok", "no_verdict", "unreadable"]
Band = Literal["little", "weak", "strong", "very_strong"]
BANDS: tuple[Band, ...] = ("little", "weak", "strong", "very_strong")

REASONS: dict[str, str] = {
    "no_face": "No face was found.",
    "face_too_small": "Every face is too small to judge.",
    "face_too_blurred": "Every face is too blurred to judge.",
    "too_few_frames": "Too few frames show a face clearly enough to judge.",
    "empty": "The file is empty.",
    "unreadable": "The file could not be read.",
    "unsupported": "This kind of file is not supported.",
    "raw": "A camera's raw file holds no finished picture.",
    "too_large": "The picture or video is too large.",
    "truncated": "The file is incomplete.",
    "no_video": "The file has no video that can be read.",
    "too_slow": "Reading the file took too long.",
    "outside": "The file has no picture in the part that was asked for.",
}
"""Why a file, face or person has no verdict: code -> sentence."""

CAP_REASONS: dict[str, str] = {
    "not_measured": "How often these weights raise a false alarm on genuine videos was not measured.",
    "too_few_clips": "Too few genuine videos were at hand to show that a stronger band keeps its promise.",
    "too_many_alarms": "On genuine videos a stronger band alarmed more often than it promises.",
}
"""Why a video cannot get a stronger band: code -> sentence."""

CHANGES: dict[str, str] = {
    "jpeg_95": "saved as JPEG 95",
    "jpeg_75": "saved as JPEG 75",
    "jpeg_50": "saved as JPEG 50",
    "size_75": "at three quarters of its size",
    "size_50": "at half its size",
    "crop": "slightly cropped",
}
"""Harmless changes of a photo that the range is taken over, each saved anew: code -> phrase."""

TRIED: dict[str, str] = {
    "turned": "turned sideways and upside down",
    "closer": "at a larger scale, for tiny faces",
}
"""What is tried where no face is found: code -> phrase."""

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
            "threshold": _rounded(self.threshold),
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
            "prob_fake": _rounded(self.prob_fake),
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
            "prob_fake": _rounded(self.prob_fake),
            "smoothed": _rounded(self.smoothed),
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


@dataclass(frozen=True, slots=True)
class BandCap:
    """The strongest band that a video can get with these weights, because of what genuine clips could show.

    Attributes:
        band: the strongest there is.
        reason: a key of `CAP_REASONS`.
        persons: genuine persons of clips that were measured; 0 where none was.
        needed: persons that would have to be measured for the next band; None where numbers are not what is missing.
        applied: whether this video's score alone would have given a stronger band.
    """

    band: Band
    reason: str
    persons: int
    needed: int | None
    applied: bool = False

    def __post_init__(self) -> None:
        if self.band not in BANDS[:-1] or self.reason not in CAP_REASONS:
            raise ValueError(f"no video can be capped at {self.band!r} for the reason {self.reason!r}")

    @property
    def message(self) -> str:
        """The reason for a person, with numbers where there are any."""
        text = CAP_REASONS[self.reason]
        if self.needed is None:
            return text
        return f"{text} That takes at least {self.needed} genuine persons; {self.persons} were at hand."

    def to_dict(self) -> dict[str, Any]:
        return {
            "band": self.band,
            "reason": self.reason,
            "message": self.message,
            "persons": self.persons,
            "needed": self.needed,
            "applied": self.applied,
        }


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the file was looked at. For a photo: one frame, no duration, share 1.

    Attributes:
        frames: that were looked at closely.
        duration_s: when the last picture ends, on a player's clock; of a file that breaks off, by what it says itself.
        analysed_s: seconds that those frames stand for.
        share: analysed seconds of all seconds with a picture, also of those that are missing in the file.
        start_s: when the first picture is shown; later than 0 where the sound begins before it.
        part_s: (start, end) of the part to which the analysis was confined by the caller's wish.
        scouted: frames in which nothing but faces was looked for, to choose those that are looked at closely.
        incomplete: the file breaks off.
        available_s: when the last picture that is there ends, where the file breaks off.
        second_file: behind the video another one follows in the same file, which was not looked at.
        stopped: reading took too much work and was ended before all frames were read that should have been looked at.
    """

    frames: int
    duration_s: float | None
    analysed_s: float | None
    share: float
    start_s: float = 0.0
    part_s: tuple[float, float] | None = None
    scouted: int = 0
    incomplete: bool = False
    available_s: float | None = None
    second_file: bool = False
    stopped: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {
            "frames": self.frames,
            "duration_s": _rounded(self.duration_s, 2),
            "analysed_s": _rounded(self.analysed_s, 2),
            "share": round(self.share, 4),
            "start_s": round(self.start_s, 2),
            "part_s": None if self.part_s is None else [round(t, 2) for t in self.part_s],
            "scouted": self.scouted,
            "incomplete": self.incomplete,
            "available_s": _rounded(self.available_s, 2),
            "second_file": self.second_file,
            "stopped": self.stopped,
        }


@dataclass(frozen=True, slots=True)
class PictureUsed:
    """Which picture of a file with several the verdict is about: the most suspicious one.

    Attributes:
        number: from 1, in the order of the file.
        of: pictures that the file holds.
        looked_at: numbers of those that were looked at.
    """

    number: int
    of: int
    looked_at: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"number": self.number, "of": self.of, "looked_at": list(self.looked_at)}


@dataclass(frozen=True, slots=True)
class Crowd:
    """Many suspicious faces in one picture, where chance makes few: what the band may rest on instead of one face.

    Attributes:
        above: judged faces above the edge that a share `rate` of genuine faces passes.
        of: judged faces.
        chance: how likely genuine faces of one picture are to be so many above, as they resemble each other.
        band: what that alone gives; "little" where it gives nothing.
        rate: of the edge: that of the band whose count chance explains least.
    """

    above: int
    of: int
    chance: float
    band: Band
    rate: float = 0.1

    def to_dict(self) -> dict[str, Any]:
        return {
            "above": self.above,
            "of": self.of,
            "chance": round(self.chance, 6),
            "band": self.band,
            "rate": self.rate,
        }


@dataclass(frozen=True, slots=True)
class ModelUsed:
    """A network that took part, with the hash of its weights file."""

    name: str
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Share:
    """Of how many media something is true: genuine ones that reached a band, faces whose band fell in a copy.

    Attributes:
        n: photos, or persons of videos; a person with several videos counts once.
        k: of them; not whole where a person's videos differ.
        low, high: 95 % interval by Wilson, as parts of one.
    """

    n: int
    k: float
    low: float
    high: float

    @property
    def rate(self) -> float:
        """Part of one."""
        return self.k / self.n


FalseAlarms = Mapping[Band, Share]
"""Band -> how many genuine media reached it or a stronger one."""


@dataclass(frozen=True, slots=True)
class BandFalls:
    """How often a face with weak evidence or more falls to a weaker band in a copy by `CHANGES`.

    Attributes:
        genuine, manipulated: faces with that evidence, and those of them that fall in at least one copy; None where
            there were no such faces.
        faces: "test", or "validation" where test faces were not measured.
    """

    genuine: Share | None
    manipulated: Share | None
    faces: Literal["test", "validation"]

    def to_dict(self) -> dict[str, Any]:
        return {
            "genuine": asdict(self.genuine) if self.genuine else None,
            "manipulated": asdict(self.manipulated) if self.manipulated else None,
            "faces": self.faces,
        }


@dataclass(frozen=True, slots=True)
class Measured:
    """How often the networks of a verdict err, and how often their bands hold.

    Attributes:
        false_alarms: how many genuine photos reached a band, as the manifest has it.
        clip_false_alarms: the same of persons in genuine videos; empty where it was not measured.
        band_falls: of photos that are saved again; None where it was not measured.
    """

    false_alarms: FalseAlarms
    clip_false_alarms: FalseAlarms
    band_falls: BandFalls | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "false_alarms": {band: asdict(share) for band, share in self.false_alarms.items()},
            "clip_false_alarms": {band: asdict(share) for band, share in self.clip_false_alarms.items()},
            "band_falls": self.band_falls.to_dict() if self.band_falls else None,
        }


@dataclass(frozen=True, slots=True)
class Caught:
    """How many manipulated test faces reach the strong band in pictures like this one.

    Attributes:
        change: what was done to the test faces to make their pictures like this one, or "as they came".
        share: of them that reach the band "strong"; `low` and `high`: its 95 % interval, None where none can be given.
        n: manipulated test faces.
    """

    change: str
    share: float
    low: float | None
    high: float | None
    n: int

    def to_dict(self) -> dict[str, Any]:
        return {
            "change": self.change,
            "share": round(self.share, 4),
            "low": _rounded(self.low),
            "high": _rounded(self.high),
            "n": self.n,
        }


@dataclass(frozen=True, slots=True)
class FileVerdict:
    """The verdict of one file. Use `ImageVerdict` and `VideoVerdict`; this one alone means "could not be read".

    Attributes:
        file: name of the file, without its folder.
        sha256: hash of the file's bytes; empty if they cannot be read at all.
        status: "ok", "no_verdict" (read, but nothing that can be judged) or "unreadable".
        reason: a key of `REASONS`, None when status is "ok".
        message: the reason for a person, with what to try; None when status is "ok".
        band, prob_fake, range: of the most suspicious face or person; None without a verdict.
        ensemble: what combined the networks ("average"), or the name of the single network.
        weights_date: ISO date of the published set of weights.
        date: ISO 8601 time of the analysis, UTC.
        size_bytes: of the file; None if it cannot be opened.
        engines: what computed each network and found the faces ("faces").
        max_frames: of a video that were to be looked at; None for a photo.
        measured: how often genuine media alarm; None where no networks took part.
        provenance: what the file says about itself; beside the networks' verdict, never mixed into it.
        next_steps: what to do now.
        region: the part of the picture in which faces were looked for, in pixels; None for all of it.
        tried: what was done when no face was found, keys of `TRIED`.
    """

    file: str
    sha256: str
    kind: Kind
    status: Status
    reason: str | None
    message: str | None
    band: Band | None
    prob_fake: float | None
    range: ProbRange | None
    width: int | None
    height: int | None
    coverage: Coverage | None
    ensemble: str
    models: tuple[ModelUsed, ...]
    thresholds: Thresholds | None
    version: str
    weights_date: str
    date: str
    size_bytes: int | None = None
    engines: Mapping[str, str] | None = None
    max_frames: int | None = None
    measured: Measured | None = None
    provenance: Provenance | None = None
    next_steps: tuple[Step, ...] = ()
    region: Box | None = None
    tried: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The versioned JSON schema: plain values, stable keys (see tests/detector/test_schema.py)."""
        return {
            "schema_version": SCHEMA_VERSION,
            "file": self.file,
            "size_bytes": self.size_bytes,
            "sha256": self.sha256,
            "provenance": self.provenance.to_dict() if self.provenance else None,
            "kind": self.kind,
            "status": self.status,
            "reason": self.reason,
            "message": self.message,
            "band": self.band,
            "prob_fake": _rounded(self.prob_fake),
            "range": self.range.to_dict() if self.range else None,
            "width": self.width,
            "height": self.height,
            "coverage": self.coverage.to_dict() if self.coverage else None,
            "ensemble": self.ensemble,
            "models": [m.to_dict() for m in self.models],
            "thresholds": self.thresholds.to_dict() if self.thresholds else None,
            "version": self.version,
            "weights_date": self.weights_date,
            "date": self.date,
            "engines": dict(self.engines) if self.engines is not None else None,
            "max_frames": self.max_frames,
            "measured": self.measured.to_dict() if self.measured else None,
            "next_steps": [step.to_dict() for step in self.next_steps],
            "region": [round(v, 1) for v in self.region] if self.region else None,
            "tried": list(self.tried),
        }


@dataclass(frozen=True, slots=True)
class ImageVerdict(FileVerdict):
    """A photo: its faces, most suspicious first.

    `picture` says which one of a file that holds several; the faces, width and height are those of that picture.
    `crowd` is None where too few faces were judged to count them. `caught` tells how often a manipulation would have
    been seen in a picture like this; None without a verdict, or where it was not measured.
    """

    faces: tuple[FaceVerdict, ...] = ()
    picture: PictureUsed | None = None
    crowd: Crowd | None = None
    caught: Caught | None = None

    @property
    def picture_number(self) -> int | None:
        """For `detector.media.read_image`: which picture of the file the faces are in."""
        return None if self.picture is None else self.picture.number

    def to_dict(self) -> dict[str, Any]:
        return {
            **FileVerdict.to_dict(self),
            "picture": self.picture.to_dict() if self.picture else None,
            "crowd": self.crowd.to_dict() if self.crowd else None,
            "caught": self.caught.to_dict() if self.caught else None,
            "faces": [f.to_dict() for f in self.faces],
        }


@dataclass(frozen=True, slots=True)
class VideoVerdict(FileVerdict):
    """A video: its persons, most suspicious first.

    `band_cap` is the strongest band that any video can get with these weights; None where every band was shown to keep
    its promise on genuine clips, or where there is no verdict.
    """

    persons: tuple[Person, ...] = ()
    band_cap: BandCap | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            **FileVerdict.to_dict(self),
            "band_cap": self.band_cap.to_dict() if self.band_cap else None,
            "persons": [p.to_dict() for p in self.persons],
        }


def _said(found: FaceVerdict | Person) -> dict[str, Any]:
    """The fields that a face and a person have in common, as plain values."""
    return {
        "status": found.status,
        "reason": found.reason,
        "band": found.band,
        "prob_fake": _rounded(found.prob_fake),
        "range": found.range.to_dict() if found.range else None,
        "scores": [score.to_dict() for score in found.scores],
        "votes": found.votes,
    }


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits)
