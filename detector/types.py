"""Results as frozen values. `to_dict()` of a verdict is the JSON schema that CLI, app and API share.

The verdict of a file stands here; its faces and persons in `detector.subjects`, the rates beside it in
`detector.rates`, its codes in `detector.schema`. All those names can be imported from here. A value that could not be
computed is `None` with a reason, never a neutral number.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from detector.evidence import Provenance, Step
from detector.rates import BandFalls, Caught, FalseAlarms, Measured, Share
from detector.schema import BANDS, CAP_REASONS, CHANGES, REASONS, SCHEMA_VERSION, TRIED, Band, Kind, Status, rounded
from detector.subjects import (
    Box,
    Face,
    FaceVerdict,
    Person,
    ProbRange,
    Resaved,
    Score,
    StandsOut,
    Thresholds,
    TimelinePoint,
)

__all__ = [
    "BANDS",
    "CAP_REASONS",
    "CHANGES",
    "REASONS",
    "SCHEMA_VERSION",
    "TRIED",
    "Band",
    "BandCap",
    "BandFalls",
    "Box",
    "Caught",
    "Coverage",
    "Crowd",
    "Face",
    "FaceVerdict",
    "FalseAlarms",
    "FileVerdict",
    "ImageVerdict",
    "Kind",
    "Measured",
    "ModelUsed",
    "Person",
    "PictureUsed",
    "ProbRange",
    "Resaved",
    "Score",
    "Share",
    "StandsOut",
    "Status",
    "Thresholds",
    "TimelinePoint",
    "VideoVerdict",
]


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
            "duration_s": rounded(self.duration_s, 2),
            "analysed_s": rounded(self.analysed_s, 2),
            "share": round(self.share, 4),
            "start_s": round(self.start_s, 2),
            "part_s": None if self.part_s is None else [round(t, 2) for t in self.part_s],
            "scouted": self.scouted,
            "incomplete": self.incomplete,
            "available_s": rounded(self.available_s, 2),
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
            "prob_fake": rounded(self.prob_fake),
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
