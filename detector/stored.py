"""A verdict back from its JSON (schema version 2): a report needs nothing else.

What the schema leaves out stays out: a point of a timeline has a box, but no landmarks.
"""

from collections.abc import Mapping
from typing import Any

from detector.evidence import Provenance, Step
from detector.types import (
    SCHEMA_VERSION,
    Band,
    BandCap,
    BandFalls,
    Caught,
    Coverage,
    Crowd,
    Face,
    FaceVerdict,
    FalseAlarms,
    FileVerdict,
    ImageVerdict,
    Measured,
    ModelUsed,
    Person,
    PictureUsed,
    ProbRange,
    Resaved,
    Score,
    Share,
    StandsOut,
    Thresholds,
    TimelinePoint,
    VideoVerdict,
)


def verdict_of(values: Mapping[str, Any]) -> FileVerdict:
    """The verdict whose `to_dict` gave these values.

    Raises:
        ValueError: another major version of the schema, or not a verdict.
    """
    major = str(values.get("schema_version", "")).partition(".")[0]
    if major != SCHEMA_VERSION.partition(".")[0]:
        raise ValueError(f"this reads schema version {SCHEMA_VERSION}, not {values.get('schema_version')!r}")
    try:
        about = _about(values)
        if values["kind"] == "image" and "faces" in values:
            picture, crowd = values.get("picture"), values.get("crowd")  # new in 2.1
            caught = values.get("caught")  # new in 2.2
            return ImageVerdict(
                **about,
                faces=tuple(map(_face_verdict, values["faces"])),
                picture=PictureUsed(**{**picture, "looked_at": tuple(picture["looked_at"])}) if picture else None,
                crowd=Crowd(**crowd) if crowd else None,
                caught=Caught(**caught) if caught else None,
            )
        if values["kind"] == "video" and "persons" in values:
            cap = values["band_cap"]
            return VideoVerdict(
                **about,
                persons=tuple(map(_person, values["persons"])),
                band_cap=BandCap(**{k: v for k, v in cap.items() if k != "message"}) if cap else None,
            )
        return FileVerdict(**about)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is not a verdict in schema version {SCHEMA_VERSION}: {error}") from error


def _about(values: Mapping[str, Any]) -> dict[str, Any]:
    same: tuple[str, ...] = (
        "file",
        "size_bytes",
        "sha256",
        "kind",
        "status",
        "reason",
        "message",
        "band",
        "prob_fake",
        "width",
        "height",
    )
    same += ("ensemble", "version", "weights_date", "date", "engines", "max_frames")
    return {
        **{key: values[key] for key in same},
        "range": _range(values["range"]),
        "coverage": _coverage(values["coverage"]),
        "thresholds": Thresholds(**values["thresholds"]) if values["thresholds"] else None,
        "models": tuple(ModelUsed(**model) for model in values["models"]),
        "measured": _measured(values["measured"]),
        "provenance": Provenance.from_dict(values["provenance"]) if values["provenance"] else None,
        "next_steps": tuple(Step(**step) for step in values["next_steps"]),
        "region": tuple(values["region"]) if values.get("region") else None,
        "tried": tuple(values.get("tried", ())),
    }


def _coverage(values: Mapping[str, Any] | None) -> Coverage | None:
    if values is None:
        return None
    part = values["part_s"]
    return Coverage(**{**values, "part_s": tuple(part) if part else None})


def _measured(values: Mapping[str, Any] | None) -> Measured | None:
    if values is None:
        return None
    falls = values.get("band_falls")  # new in 2.4
    return Measured(
        _shares(values["false_alarms"]),
        _shares(values["clip_false_alarms"]),
        None if falls is None else BandFalls(_share(falls["genuine"]), _share(falls["manipulated"]), falls["faces"]),
    )


def _share(values: Mapping[str, Any] | None) -> Share | None:
    return Share(**values) if values else None


def _shares(values: Mapping[Band, Mapping[str, Any]]) -> FalseAlarms:
    return {band: Share(**share) for band, share in values.items()}


def _range(values: Mapping[str, Any] | None) -> ProbRange | None:
    return ProbRange(**values) if values else None


def _in_common(values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that a face and a person have in common."""
    return {
        **{key: values[key] for key in ("number", "status", "reason", "band", "prob_fake", "votes")},
        "range": _range(values["range"]),
        "scores": tuple(_score(score) for score in values["scores"]),
    }


def _score(values: Mapping[str, Any]) -> Score:
    # older files of this schema have no edges
    own = values.get("thresholds")
    return Score(**{**values, "thresholds": Thresholds(**own) if own else None})


def _face(values: Mapping[str, Any]) -> Face:
    return Face(
        box=tuple(values["box"]),
        landmarks=tuple(tuple(point) for point in values.get("landmarks", ())),
        confidence=values.get("confidence", 0.0),
        turned_deg=values.get("turned_deg", 0),
    )


def _face_verdict(values: Mapping[str, Any]) -> FaceVerdict:
    return FaceVerdict(
        **_in_common(values),
        face=_face(values),
        sharpness=values["sharpness"],
        resaved=tuple(Resaved(**change) for change in values.get("resaved", ())),
    )


def _person(values: Mapping[str, Any]) -> Person:
    points = (
        TimelinePoint(p["time_s"], _face({"box": p["box"]}), p["prob_fake"], p["smoothed"]) for p in values["timeline"]
    )
    window = values["worst_window_s"]
    return Person(
        **_in_common(values),
        on_screen_s=values["on_screen_s"],
        usable_frames=values["usable_frames"],
        worst_window_s=tuple(window) if window else None,
        worst_time_s=values["worst_time_s"],
        timeline=tuple(points),
        stands_out=StandsOut(**values["stands_out"]) if values.get("stands_out") else None,
        photo_band=values.get("photo_band"),
    )
