"""From what recipes measured, as plain values, to the dataclasses of a published set."""

from collections.abc import Mapping
from typing import Any

from detector.calibration import Calibration, FalseAlarmCurve
from detector.manifest import Limits, Videos
from detector.results import (
    ClipFit,
    ClipPersons,
    Figure,
    Gain,
    LabelledSource,
    LimitCurves,
    Measured,
    Moved,
    Pooled,
    Shrunk,
)
from detector.types import Band, BandCap, FalseAlarms, Share

_COUNTS = ("genuine", "manipulated", "against", "confusion")


def figure(plain: Mapping[str, Any]) -> Figure:
    """From `train.measure.metrics.Interval.to_dict`."""
    return Figure(plain["value"], plain["low"], plain["high"], plain.get("n"))


def figures(plain: Mapping[str, Mapping[str, Any]]) -> dict[str, Figure]:
    """As `figure`, of each name."""
    return {name: figure(row) for name, row in plain.items()}


def measured(plain: Mapping[str, Any]) -> Measured:
    """From `train.measure.slices.figures`."""
    return Measured(
        plain["genuine"],
        plain["manipulated"],
        figures({name: row for name, row in plain.items() if name not in _COUNTS}),
        confusion(plain["confusion"]) if "confusion" in plain else None,
    )


def pooled(plain: Mapping[str, Any]) -> Pooled:
    """From the pooled figures of `train.measure.slices.slice_figures`."""
    auc = figure(plain["auc"]) if "auc" in plain else None
    return Pooled(plain["n"], plain["ece"], plain["brier"], auc, confusion(plain["confusion"]))


def confusion(plain: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """A confusion matrix as tuples."""
    (a, b), (c, d) = plain
    return (a, b), (c, d)


def shares(plain: Mapping[Any, Mapping[str, Any]]) -> FalseAlarms:
    """From `false_alarms` of faces or of clips."""
    keys = ("n", "k", "low", "high")
    return {band: Share(**{k: round(row[k], 6) if k != "n" else row[k] for k in keys}) for band, row in plain.items()}


def in_made_files(plain: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[Band, Figure]]:
    """From `false_alarms_by_faces` and its like: share of made files that reach a band, with how many files."""
    return {
        title: {b: Figure(v, n=row["files"]) for b, v in row.items() if b != "files"}  # type: ignore[misc]
        for title, row in plain.items()
    }


def limits(plain: Mapping[str, Any]) -> tuple[Limits, LimitCurves]:
    """From `train.measure.limits.measure_limits`: the limits, and what they were read from."""
    return Limits(plain["min_face_px"], plain["min_sharpness"]), LimitCurves(
        faces=plain["faces"],
        as_they_came=Shrunk(**plain["as_they_came"]),
        by_size=tuple(Shrunk(**row) for row in plain["by_size"]),
        by_blur=tuple(Shrunk(**row) for row in plain["by_blur"]),
    )


def videos(plain: Mapping[str, Any]) -> tuple[Videos, ClipFit]:
    """From `train.measure.clips.fit_clips`, with the frames of a clip: the rule, and what it was read from."""
    calibration, curve, cap = plain["calibration"], plain["curve"], plain["cap"]
    rule = Videos(
        calibration=Calibration(calibration["scale"], calibration["offset"]),
        curve=FalseAlarmCurve(tuple(curve["rates"]), tuple(curve["logits"])),
        runs=plain["runs"],
        cap=None if cap is None else BandCap(**cap),
        frames=plain["frames"],
        false_alarms=shares(plain["false_alarms"]),
    )
    persons = plain["persons"]
    fit = ClipFit(
        persons=ClipPersons(**{**persons, "sources": tuple(persons["sources"])}),
        known_moved={kind: Moved(**moved) for kind, moved in plain["known_bias"].items()},
        calibrated_on=calibration["chosen"],
        gain=None if calibration["gain"] is None else figure(calibration["gain"]),
        folds=calibration["folds"],
        face_edges=tuple(curve["faces"]),
    )
    return rule, fit


def gains(plain: list[dict[str, Any]]) -> tuple[Gain, ...]:
    """From `train.measure.ensembles.choose_default`."""
    return tuple(Gain(row["choice"], row["against"], figure(row["gain"]), row["better"]) for row in plain)


def labelled(plain: Mapping[str, Any]) -> LabelledSource | None:
    """From what `train.store.leaderboard` says of the source with labels."""
    return LabelledSource(**plain) if plain else None
