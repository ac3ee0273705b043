"""Measurements of a published set, as frozen dataclasses: `weights/results.csv` and `weights/curves.json`.

Nothing here decides a verdict. The Models page, the model cards and `weights/README.md` are made from it.

    results.csv    choice, table, row, figure, value, low, high, n: a figure a line, with its 95 % interval
    curves.json    what is no single figure: curves, learning, limits, and of which networks all of it is
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from detector.manifest import Manifest, from_plain, to_plain
from detector.types import Band

RESULTS = "results.csv"
CURVES = "curves.json"
RESULT_FILES = (RESULTS, CURVES)

_COLUMNS = ("choice", "table", "row", "figure", "value", "low", "high", "n")
_CONFUSION = ("genuine_passed", "genuine_flagged", "manipulated_passed", "manipulated_flagged")


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value with its 95 % interval; `low` and `high` are None where none can be given."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """A choice on some test faces.

    Attributes:
        genuine, manipulated: how many of each. Manipulated faces alone are ranked against all genuine test faces.
        figures: "auc", "eer", "f1", "precision", "tpr", "fpr", "accuracy" at the strong edge, as far as they exist.
        confusion: rows genuine, manipulated; columns passed, flagged.
    """

    genuine: int
    manipulated: int
    figures: Mapping[str, Figure]
    confusion: tuple[tuple[int, int], tuple[int, int]] | None = None


@dataclass(frozen=True, slots=True)
class Pooled:
    """A choice on all test faces together.

    Attributes:
        n: how many.
        ece, brier: both classes weighed alike.
        auc: with its interval.
        confusion: as in `Measured`.
    """

    n: int
    ece: float
    brier: float
    auc: Figure | None
    confusion: tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Choice:
    """Everything that was measured of one network or ensemble.

    Attributes:
        parameters, megabytes, cpu_ms_a_face: what it costs; processor time in torch, float32, in batches.
        validation_score: what it is chosen by.
        slices: of the test split, and slices pooled.
        pooled: all test faces; None without a test split.
        even_odds: slice -> accuracy at a probability of one half.
        against_default: slice, or "all" -> AUC minus the default's, paired bootstrap over groups.
        changed: change of the pictures -> figures, with "auc_lost" against the same faces as they came.
        labels: "age" or "ethnicity" -> label -> false alarms.
        by_faces: genuine faces in a made file -> band -> share of files that reach it.
        by_persons: genuine persons in a made video file -> the same.
        resaved: faces -> "fell", "lost", "rose": how many change their band in copies that are saved anew. Faces:
            "genuine" or "manipulated", alone, or with what `train.measure.resaved` adds after a comma.
    """

    parameters: int
    megabytes: float
    cpu_ms_a_face: float
    validation_score: float | None = None
    slices: Mapping[str, Measured] = field(default_factory=dict)
    pooled: Pooled | None = None
    even_odds: Mapping[str, Figure] = field(default_factory=dict)
    against_default: Mapping[str, Figure] = field(default_factory=dict)
    changed: Mapping[str, Measured] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, Figure]] = field(default_factory=dict)
    by_faces: Mapping[str, Mapping[Band, Figure]] = field(default_factory=dict)
    by_persons: Mapping[str, Mapping[Band, Figure]] = field(default_factory=dict)
    resaved: Mapping[str, Mapping[str, Figure]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LabelledSource:
    """The source whose names say age and ethnicity.

    Attributes:
        source: its name.
        faces: that were judged.
        trained_on: whether a network was trained on other faces of it.
        set_edges: whether it helped to set the band edges.
        worth: what such labels are worth, in words.
    """

    source: str
    faces: int
    trained_on: bool
    set_edges: bool
    worth: str


@dataclass(frozen=True, slots=True)
class Epoch:
    """One line of a network's learning curve."""

    epoch: int
    loss: float
    accuracy: float
    score: float


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The default on validation faces made smaller or blurred: `face_px` or `blur_px` says how."""

    auc: float
    false_alarms: float
    median_sharpness: float
    low_sharpness: float
    face_px: float | None = None
    blur_px: float | None = None


@dataclass(frozen=True, slots=True)
class LimitCurves:
    """The curves that the limits of size and blur were read from.

    Attributes:
        faces: of validation.
        as_they_came: unchanged.
        by_size, by_blur: changed.
    """

    faces: int
    as_they_came: Shrunk
    by_size: tuple[Shrunk, ...]
    by_blur: tuple[Shrunk, ...]


@dataclass(frozen=True, slots=True)
class Gain:
    """A choice against another on the validation score."""

    choice: str
    against: str
    gain: Figure
    better: bool


@dataclass(frozen=True, slots=True)
class Moved:
    """How scores of persons that were in training are moved to where those of others are."""

    known: float
    unknown: float
    spread: float


@dataclass(frozen=True, slots=True)
class ClipPersons:
    """Persons in the training and validation clips that calibrate videos."""

    genuine: int
    genuine_unknown: int
    manipulated: int
    followed: int
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClipFit:
    """The clips that the calibration of one choice was read from.

    Attributes:
        persons: how many there were.
        known_moved: "genuine" or "manipulated" -> how scores of persons in training pictures are moved.
        calibrated_on: "clips", or "faces" where clips did not do better beyond chance.
        gain: of clips over faces, in nats.
        folds: of that comparison.
        face_edges: edges of single faces at the rates of the rule for videos, on its scale.
    """

    persons: ClipPersons
    known_moved: Mapping[str, Moved]
    calibrated_on: str
    gain: Figure | None
    folds: int
    face_edges: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SourceAlarms:
    """Genuine validation faces above an edge that was set without their source.

    Attributes:
        rate: the promise.
        mean: share of faces, over all sources.
        high: nine of ten sources with enough faces have at most this share.
        worst, worst_source: the highest share, and whose it is.
        kept: share of the sources that keep the promise: at most twice its rate.
        sources: name -> (faces, of them above the edge), of those with enough faces.
    """

    rate: float
    mean: float
    high: float
    worst: float
    worst_source: str
    kept: float
    sources: Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """Everything that is no single figure.

    Attributes:
        networks: name -> SHA-256 of the weights that all of this was measured with.
        roc: choice -> (false-positive rate, true-positive rate).
        reliability: choice -> (mean probability, share manipulated, weight) of bins.
        learning: network -> epochs.
        limits: of size and blur.
        comparisons: that chose the default, on validation.
        validation: figures of the default on validation.
        labelled: the source with labels; None where there is none.
        clips: choice -> what its rule for videos was read from.
        by_source: choice -> band -> what each left-out source of validation showed.
        resaved_faces: which faces `Choice.resaved` is of; None where it was not measured.
    """

    networks: Mapping[str, str]
    roc: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    reliability: Mapping[str, tuple[tuple[float, float, float], ...]] = field(default_factory=dict)
    learning: Mapping[str, tuple[Epoch, ...]] = field(default_factory=dict)
    limits: LimitCurves | None = None
    comparisons: tuple[Gain, ...] = ()
    validation: Mapping[str, float] = field(default_factory=dict)
    labelled: LabelledSource | None = None
    clips: Mapping[str, ClipFit] = field(default_factory=dict)
    by_source: Mapping[str, Mapping[Band, SourceAlarms]] = field(default_factory=dict)
    resaved_faces: Literal["test", "validation"] | None = None


@dataclass(frozen=True, slots=True)
class Results:
    """Both files together: choices in the order of the manifest."""

    choices: Mapping[str, Choice]
    curves: Curves


def read_results(manifest: Manifest) -> Results | None:
    """The measurements of this very set; None where there is nothing, or it belongs to another set."""
    try:
        curves = from_plain(Curves, json.loads((manifest.folder / CURVES).read_text(encoding="utf-8")))
        if dict(curves.networks) != {name: network.sha256 for name, network in manifest.models.items()}:
            return None
        choices = _choices(csv.DictReader(io.StringIO((manifest.folder / RESULTS).read_text(encoding="utf-8"))))
    except (OSError, ValueError, KeyError):
        return None  # a page without its long tables is better than no page
    return Results({name: choices[name] for name in manifest.names() if name in choices}, curves)


def write_results(folder: Path, results: Results) -> None:
    """Writes both files, each whole or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for name, choice in results.choices.items():
        for table, row, figure, value in _rows(choice):
            numbers = (value.value, value.low, value.high, value.n)
            writer.writerow([name, table, row, figure, *map(_cell, numbers)])
    for file, said in ((RESULTS, text.getvalue()), (CURVES, json.dumps(to_plain(results.curves)) + "\n")):
        partial = folder / f"{file}.partial"
        partial.write_text(said, encoding="utf-8")
        partial.replace(folder / file)


def _rows(choice: Choice) -> Iterator[tuple[str, str, str, Figure]]:
    """(table, row, figure, its value) of everything that is one figure."""
    for name in ("parameters", "megabytes", "cpu_ms_a_face"):
        yield "cost", "", name, Figure(getattr(choice, name))
    if choice.validation_score is not None:
        yield "validation", "", "score", Figure(choice.validation_score)
    for table, measured in (("slices", choice.slices), ("changed", choice.changed)):
        for row, measured_row in measured.items():
            yield table, row, "genuine", Figure(measured_row.genuine)
            yield table, row, "manipulated", Figure(measured_row.manipulated)
            yield from ((table, row, figure, value) for figure, value in measured_row.figures.items())
            yield from _counted(table, row, measured_row.confusion)
    pooled = choice.pooled
    if pooled is not None:
        for name in ("n", "ece", "brier"):
            yield "pooled", "", name, Figure(getattr(pooled, name))
        if pooled.auc is not None:
            yield "pooled", "", "auc", pooled.auc
        yield from _counted("pooled", "", pooled.confusion)
    yield from (("even_odds", row, "accuracy", value) for row, value in choice.even_odds.items())
    yield from (("against_default", row, "auc", value) for row, value in choice.against_default.items())
    for table in ("labels", "by_faces", "by_persons", "resaved"):
        nested: Mapping[str, Mapping[Any, Figure]] = getattr(choice, table)
        yield from ((table, row, figure, value) for row, inside in nested.items() for figure, value in inside.items())


def _counted(table: str, row: str, confusion: Any) -> Iterator[tuple[str, str, str, Figure]]:
    if confusion is not None:
        counts = (*confusion[0], *confusion[1])
        yield from ((table, row, name, Figure(n)) for name, n in zip(_CONFUSION, counts, strict=True))


def _cell(value: float | None) -> str:
    """Whole numbers without a point, so that a count reads as one."""
    return "" if value is None else str(int(value)) if float(value).is_integer() else repr(value)


def _choices(rows: Iterator[Mapping[str, str]]) -> dict[str, Choice]:
    tables: dict[str, dict[str, dict[str, dict[str, Figure]]]] = {}
    for r in rows:
        low, high, n = (float(r[k]) if r[k] else None for k in ("low", "high", "n"))
        value = Figure(float(r["value"]), low, high, None if n is None else int(n))
        rows_of = tables.setdefault(r["choice"], {}).setdefault(r["table"], {})
        rows_of.setdefault(r["row"], {})[r["figure"]] = value
    return {name: _choice(value) for name, value in tables.items()}


def _choice(tables: Mapping[str, Mapping[str, Mapping[str, Figure]]]) -> Choice:
    cost, validation = tables["cost"][""], tables.get("validation", {}).get("", {})
    pooled = tables.get("pooled", {}).get("")
    by_faces: Any = tables.get("by_faces", {})
    by_persons: Any = tables.get("by_persons", {})
    return Choice(
        parameters=int(cost["parameters"].value),
        megabytes=cost["megabytes"].value,
        cpu_ms_a_face=cost["cpu_ms_a_face"].value,
        validation_score=validation["score"].value if validation else None,
        slices={row: _measured(figures) for row, figures in tables.get("slices", {}).items()},
        pooled=None
        if pooled is None
        else Pooled(
            int(pooled["n"].value), pooled["ece"].value, pooled["brier"].value, pooled.get("auc"), _confusion(pooled)
        ),
        even_odds={row: figures["accuracy"] for row, figures in tables.get("even_odds", {}).items()},
        against_default={row: figures["auc"] for row, figures in tables.get("against_default", {}).items()},
        changed={row: _measured(figures) for row, figures in tables.get("changed", {}).items()},
        labels=tables.get("labels", {}),
        by_faces=by_faces,
        by_persons=by_persons,
        resaved=tables.get("resaved", {}),
    )


def _measured(figures: Mapping[str, Figure]) -> Measured:
    counts = ("genuine", "manipulated", *_CONFUSION)
    return Measured(
        int(figures["genuine"].value),
        int(figures["manipulated"].value),
        {name: figure for name, figure in figures.items() if name not in counts},
        _confusion(figures) if _CONFUSION[0] in figures else None,
    )


def _confusion(figures: Mapping[str, Figure]) -> tuple[tuple[int, int], tuple[int, int]]:
    a, b, c, d = (int(figures[name].value) for name in _CONFUSION)
    return (a, b), (c, d)
