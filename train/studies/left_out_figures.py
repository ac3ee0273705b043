"""Left-out faces as each variant scored them, to figures, paired differences and tables. Pure.

A cell is one variant trained without one fold. Its figures are of the fold's faces only; a fold of one class borrows
the other class from validation, from sources that never train, for its AUC alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from train.data.samples import Sample
from train.errors import DataError
from train.measure.metrics import (
    Interval,
    auc,
    auc_draws,
    auc_interval,
    bootstrapped,
    enough_groups,
    group_draws,
    rate_interval,
)
from train.measure.selection import MIN_PER_CLASS
from train.measure.tables import spanned, table

BASELINE = "baseline"
ROUNDS = 1000


@dataclass(frozen=True, slots=True)
class Cell:
    """Left-out faces of one fold as one variant scored them: arrays of N, and the threshold set without them.

    Attributes:
        names: of the samples.
        labels: 1 = manipulated.
        sources, groups: of the samples.
        own: whether the sample is of the fold, not borrowed from validation.
        logits: raw, of the variant's network.
        edge: the threshold on the same scale.
        hours: of training.
    """

    names: tuple[str, ...]
    labels: np.ndarray
    sources: np.ndarray
    groups: np.ndarray
    own: np.ndarray
    logits: np.ndarray
    edge: float
    hours: float

    @classmethod
    def of(cls, samples: Sequence[Sample], own: int, logits: np.ndarray, edge: float, hours: float) -> "Cell":
        """Of samples of which the first `own` are the fold's."""
        return cls(
            names=tuple(s.name for s in samples),
            labels=np.array([s.label for s in samples]),
            sources=np.array([s.source for s in samples]),
            groups=np.array([s.group for s in samples]),
            own=np.arange(len(samples)) < own,
            logits=logits,
            edge=edge,
            hours=hours,
        )

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> "Cell":
        """Of what `to_dict` gave."""
        arrays = {key: np.array(row[key]) for key in ("labels", "sources", "groups", "own", "logits")}
        return cls(names=tuple(row["names"]), edge=row["edge"], hours=row["hours"], **arrays)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "edge": self.edge,
            "hours": self.hours,
            "names": list(self.names),
            "labels": self.labels.tolist(),
            "sources": self.sources.tolist(),
            "groups": self.groups.tolist(),
            "own": self.own.tolist(),
            "logits": [round(float(v), 5) for v in self.logits],
        }

    def rows(self, label: int) -> np.ndarray:
        """Where the fold's own samples of a class are, (N,) bool."""
        return np.asarray(self.own & (self.labels == label))

    @property
    def flagged(self) -> np.ndarray:
        """(N,) bool: above the threshold."""
        return np.asarray(self.logits > self.edge)


def cell_figures(cell: Cell) -> dict[str, Any]:
    """Figures of one cell, with 95 % intervals over groups.

    - "auc": all left-out faces (and borrowed ones) pooled.
    - "auc_slices": mean AUC of the left-out slices that hold both classes; absent where none does.
    - "false_alarms", "caught": shares of the fold's genuine and manipulated faces above the threshold; absent where
      the fold has none.
    - "by_source": [faces, of them above the threshold] of each class of each source.
    """
    rng = np.random.default_rng(0)
    figures: dict[str, Any] = {
        "genuine": int(cell.rows(0).sum()),
        "manipulated": int(cell.rows(1).sum()),
        "borrowed": int((~cell.own).sum()),
        "auc": auc_interval(cell.labels, cell.logits, cell.groups.tolist(), rng).to_dict(),
    }
    slices = []
    for source in np.unique(cell.sources[cell.own]):
        rows = cell.own & (cell.sources == source)
        if np.bincount(cell.labels[rows], minlength=2).min() >= MIN_PER_CLASS:
            slices.append(auc(cell.labels[rows], cell.logits[rows]))
    if slices:
        figures["auc_slices"] = round(float(np.mean(slices)), 4)
    for name, label in (("false_alarms", 0), ("caught", 1)):
        rows = cell.rows(label)
        if rows.any():
            figures[name] = rate_interval(cell.flagged[rows], cell.groups[rows].tolist()).to_dict()
    figures["by_source"] = {
        str(source): {
            word: [int(rows.sum()), int(cell.flagged[rows].sum())]
            for word, label in (("genuine", 0), ("manipulated", 1))
            if (rows := cell.rows(label) & (cell.sources == source)).any()
        }
        for source in np.unique(cell.sources[cell.own])
    }
    return figures


FIGURES = ("auc", "false_alarms", "caught")


def mean_figures(cells: Mapping[str, Cell]) -> dict[str, float]:
    """Mean over folds of each figure that the folds have."""
    by_name: dict[str, list[float]] = {name: [] for name in FIGURES}
    for cell in cells.values():
        for name in FIGURES:
            if _has(cell, name):
                by_name[name].append(float(_figure(cell, name, np.ones((1, len(cell.labels)), np.int64))[0]))
    return {name: round(float(np.mean(values)), 4) for name, values in by_name.items() if values}


def paired_differences(
    new: Mapping[str, Cell], old: Mapping[str, Cell], rng: np.random.Generator, rounds: int = ROUNDS
) -> dict[str, Interval]:
    """Mean over the folds that both have of new minus old, with a bootstrap over folds and over groups within them.

    Both are judged on the same draws. Folds are drawn too, since what is asked is how the choice does on sources that
    nobody listed; so few folds can say little, and one fold speaks for itself alone. How much another seed of training
    would move a figure is not in these intervals.

    Raises:
        DataError: the cells of a fold are not of the same faces.
    """
    values: dict[str, list[np.ndarray]] = {name: [] for name in FIGURES}
    points: dict[str, list[float]] = {name: [] for name in FIGURES}
    for fold in sorted(set(new) & set(old)):
        one, two = new[fold], old[fold]
        if one.names != two.names:
            raise DataError(f"fold {fold!r} was scored on different faces: run its cells again")
        strata = np.array([f"{source}/{label}" for source, label in zip(one.sources, one.labels, strict=True)])
        draws = group_draws(one.groups.tolist(), strata, rng, rounds)
        once = np.ones((1, len(strata)), np.int64)
        for name in FIGURES:
            if _has(one, name):
                values[name].append(_figure(one, name, draws) - _figure(two, name, draws))
                points[name].append(float((_figure(one, name, once) - _figure(two, name, once))[0]))
    differences = {}
    for name in FIGURES:
        if values[name]:
            per_fold = np.stack(values[name], axis=1)
            folds = per_fold.shape[1]
            drawn = np.take_along_axis(per_fold, rng.integers(folds, size=(rounds, folds)), axis=1)
            differences[name] = bootstrapped(float(np.mean(points[name])), drawn.mean(axis=1), folds)
    return differences


def _has(cell: Cell, name: str) -> bool:
    if name == "auc":
        return enough_groups(cell.labels, cell.groups.tolist())
    return bool(cell.rows(int(name == "caught")).any())


def _figure(cell: Cell, name: str, draws: np.ndarray) -> np.ndarray:
    """A figure in each draw, (rounds,); NaN where a draw has nothing to count."""
    if name == "auc":
        return auc_draws(cell.labels, cell.logits, draws)
    rows = cell.rows(int(name == "caught"))
    hits, of = draws[:, rows] @ cell.flagged[rows], draws[:, rows].sum(axis=1)
    return np.asarray(np.divide(hits, of, out=np.full(len(draws), np.nan), where=of > 0))


def summary(cells: Mapping[str, Mapping[str, Cell]]) -> dict[str, Any]:
    """Of every variant: folds, hours, mean figures, and differences to the baseline where that was run.

    Means are over the folds that every variant has, so that they can be compared; a variant that has more folds gets
    its mean over all of them as well. While there is no fold that every variant has, each mean is over its own.

    Args:
        cells: variant -> fold -> cell.
    """
    by_variant: dict[str, Any] = {}
    common = set.intersection(*(set(by_fold) for by_fold in cells.values())) if cells else set()
    for variant, by_fold in cells.items():
        shared = {fold: cell for fold, cell in by_fold.items() if not common or fold in common}
        by_variant[variant] = {
            "folds": sorted(by_fold),
            "mean_over": sorted(shared),
            "hours": round(sum(c.hours for c in by_fold.values()), 3),
            "mean": mean_figures(shared),
        }
        if len(shared) < len(by_fold):
            by_variant[variant]["mean_of_all"] = mean_figures(by_fold)
        if variant != BASELINE and BASELINE in cells and set(by_fold) & set(cells[BASELINE]):
            gains = paired_differences(by_fold, cells[BASELINE], np.random.default_rng(0))
            by_variant[variant]["difference"] = {name: gain.to_dict() for name, gain in gains.items()}
    return by_variant


def page(
    summed: Mapping[str, Any],
    figures: Mapping[str, Mapping[str, Mapping[str, Any]]],
    changes: Mapping[str, Mapping[str, Any]],
    title: str,
) -> str:
    """The page of a study in Markdown: variants, then folds.

    Args:
        summed: of `summary`.
        figures: variant -> fold -> `cell_figures`.
        changes: variant -> options that differ from the baseline.
        title: what was trained, and how.
    """
    rows = []
    for variant, row in summed.items():
        what = ", ".join(f"{k} {v}" for k, v in changes[variant].items()) or "-"
        shown = [variant, what, str(len(row["mean_over"]))]
        for name in FIGURES:
            shown += [_number(row["mean"].get(name), name), _difference(row.get("difference", {}).get(name), name)]
        rows.append([*shown, f"{row['hours']:.2f}"])
        if "mean_of_all" in row:
            of_all = [part for name in FIGURES for part in (_number(row["mean_of_all"].get(name), name), "")]
            rows.append([f"{variant}, all its folds", what, str(len(row["folds"])), *of_all, ""])
    by_fold = []
    for fold in dict.fromkeys(fold for by_fold in figures.values() for fold in by_fold):
        some = next(cells[fold] for cells in figures.values() if fold in cells)
        shown = [f"{fold} *" if some["borrowed"] else fold, str(some["genuine"]), str(some["manipulated"])]
        by_fold.append([*shown, *(_short(cells[fold]) if fold in cells else "" for cells in figures.values())])
    changes_of = [part for title in ("AUC", "false alarms", "caught") for part in (title, "change")]
    lines = [
        "# Variants on sources left out",
        "",
        title,
        "",
        "Means over folds; changes against the baseline on the same folds and faces, with 95 % intervals over folds "
        "and groups. Threshold: passed by 2 % of validation's genuine faces of unseen sources, as in use. Test "
        "slices were not read.",
        "",
        *table(["variant", "what differs", "folds", *changes_of, "hours"], rows),
        "",
        "Each fold: faces left out, AUC, false alarms at the threshold and share caught, of each variant. A star: the "
        "fold has one class only, the other is borrowed from validation, from sources that never train.",
        "",
        *table(["fold", "genuine", "manipulated", *figures], by_fold),
    ]
    return "\n".join(lines) + "\n"


def _number(value: float | None, name: str) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if name == "auc" else f"{value:.1%}"


def _difference(row: Mapping[str, Any] | None, name: str) -> str:
    return spanned(row, "+.3f") if name == "auc" else spanned(row, "+.1f", scale=100, unit=" pp")


def _short(figures: Mapping[str, Any]) -> str:
    parts = []
    for name in FIGURES:
        if name in figures:
            form = ".3f" if name == "auc" else ".1%"
            parts.append(f"{name.replace('_', ' ')} {spanned(figures[name], form, ' (no interval)')}")
    return "; ".join(parts)
