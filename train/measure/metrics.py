"""Figures of merit as pure functions: NumPy in, plain values out.

Intervals are 95 % and over groups, not pictures: a bootstrap over groups for AUC where each class has at least five
groups, else none; Wilson's for rates, with the number of groups as the sample size's upper bound where it is smaller.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score

MIN_GROUPS = 5
_Z = 1.959964


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its 95 % interval; `low` and `high` are None when none can be given."""

    value: float
    low: float | None
    high: float | None
    n: int

    def to_dict(self) -> dict[str, float | int | None]:
        return {
            "value": round(self.value, 4),
            "low": None if self.low is None else round(self.low, 4),
            "high": None if self.high is None else round(self.high, 4),
            "n": self.n,
        }


def auc(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Area under the ROC curve; NaN when a class is missing."""
    if len(np.unique(labels)) < 2:
        return math.nan
    return float(roc_auc_score(labels, scores, sample_weight=weights))


def auc_interval(
    labels: np.ndarray, scores: np.ndarray, groups: Sequence[str], rng: np.random.Generator, rounds: int = 1000
) -> Interval:
    """AUC with a bootstrap over groups, drawn within each class.

    Groups that hold both classes (a frame and its swap) are drawn whole, so pairs stay together.
    """
    point = auc(labels, scores)
    if not enough_groups(labels, groups):
        return Interval(point, None, None, len(labels))
    return bootstrapped(point, auc_draws(labels, scores, group_draws(groups, labels, rng, rounds)), len(labels))


def enough_groups(labels: np.ndarray, groups: Sequence[str]) -> bool:
    """Whether each class has the groups that a bootstrap over them needs."""
    names = np.asarray(groups)
    return min(len(np.unique(names[labels == c])) for c in (0, 1)) >= MIN_GROUPS


def group_draws(groups: Sequence[str], strata: np.ndarray, rng: np.random.Generator, rounds: int = 1000) -> np.ndarray:
    """How often each sample is in each bootstrap draw of whole groups: (rounds, N) counts.

    Args:
        groups: of each sample.
        strata: (N,) any values; groups that hold the same set of values are drawn among themselves, in their number.
    """
    names, which = np.unique(np.asarray(groups), return_inverse=True)
    values = np.unique(np.asarray(strata), return_inverse=True)[1]
    held: list[set[int]] = [set() for _ in names]
    for group, value in zip(which, values, strict=True):
        held[group].add(int(value))
    kinds = [tuple(sorted(h)) for h in held]
    counts = np.zeros((rounds, len(names)), np.int64)
    for kind in sorted(set(kinds)):
        columns = np.flatnonzero([k == kind for k in kinds])
        counts[:, columns] = rng.multinomial(len(columns), np.full(len(columns), 1 / len(columns)), rounds)
    return np.asarray(counts[:, which])


def auc_draws(labels: np.ndarray, scores: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """AUC of each bootstrap draw, (rounds,), all at once: pairs counted with their multiplicity, ties as a half.

    Args:
        draws: (rounds, N) how often each sample is in each draw (`group_draws`); NaN where a draw lacks a class.
    """
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf) > 0)
    drawn = draws[:, order].astype(np.float64)
    positive = labels[order] == 1
    fakes = np.add.reduceat(drawn * positive, starts, axis=1)
    reals = np.add.reduceat(drawn * ~positive, starts, axis=1)
    pairs = (fakes * (np.cumsum(reals, axis=1) - reals / 2)).sum(axis=1)
    total = fakes.sum(axis=1) * reals.sum(axis=1)
    return np.asarray(np.divide(pairs, total, out=np.full(len(draws), np.nan), where=total > 0))


def eer_draws(labels: np.ndarray, scores: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Equal error rate of each bootstrap draw, (rounds,), as `eer` gives it."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=-np.inf) < 0)
    drawn = draws[:, order].astype(np.float64)
    positive = labels[order] == 1
    tpr, fpr = (np.cumsum(drawn * rows, axis=1)[:, ends] for rows in (positive, ~positive))
    start = np.zeros((len(draws), 1))
    tpr, fpr = (np.hstack([start, rates / np.maximum(rates[:, -1:], 1)]) for rates in (tpr, fpr))
    at = np.abs(fpr - (1 - tpr)).argmin(axis=1)[:, None]
    return np.asarray((np.take_along_axis(fpr, at, 1) + 1 - np.take_along_axis(tpr, at, 1))[:, 0] / 2)


def f1_draws(labels: np.ndarray, flagged: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """F1 of the flagged samples in each bootstrap draw, (rounds,)."""
    hits = draws @ ((labels == 1) & flagged)
    wrong = draws @ ((labels == 1) != flagged)
    return np.asarray(2 * hits / np.maximum(1, 2 * hits + wrong))


def f1(labels: np.ndarray, flagged: np.ndarray) -> float:
    """Harmonic mean of precision and recall; 0 when nothing was flagged rightly."""
    return float(f1_draws(labels, flagged, np.ones((1, len(labels)), np.int64))[0])


def balanced_accuracy_draws(labels: np.ndarray, flagged: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Mean over both classes of the share that was judged rightly, in each bootstrap draw, (rounds,)."""
    shares = []
    for label in (0, 1):
        rows = labels == label
        of = draws[:, rows].sum(axis=1)
        right = draws[:, rows] @ (flagged[rows] == bool(label))
        shares.append(np.divide(right, of, out=np.full(len(draws), np.nan), where=of > 0))
    return np.asarray(np.mean(shares, axis=0))


def bootstrapped(point: float, values: np.ndarray, n: int) -> Interval:
    """A figure with the middle 95 % of its bootstrap values; no interval where no draw gave one."""
    if not np.isfinite(values).any():
        return Interval(point, None, None, n)
    low, high = np.nanquantile(values, [0.025, 0.975])
    return Interval(point, float(low), float(high), n)


def wilson(k: float, n: float) -> tuple[float, float]:
    """Wilson's score interval for k of n (Wilson, 1927); zero of n is not [0, 0]."""
    if n <= 0:
        return 0.0, 1.0
    share = k / n
    centre = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    # the share lies within, whatever the last bits of its floats say
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def rate_interval(hits: np.ndarray, groups: Sequence[str]) -> Interval:
    """Share of True with Wilson's interval over groups.

    Pictures of one group say little more than one of them, and a large group weighs more in the share than a small one.
    So the sample size is the effective one, at which drawing single pictures would vary as much as drawing groups does
    (Korn and Graubard, 1998), and at most the number of groups.
    """
    if len(hits) == 0:
        return Interval(math.nan, None, None, 0)
    names, of = np.unique(np.asarray(groups), return_inverse=True)
    share = float(hits.mean())
    deviations = np.bincount(of, weights=hits - share)
    variance = float((deviations**2).sum()) / len(hits) ** 2
    # without any variance: groups that all agree say as much as there are of them
    effective = min(len(names), share * (1 - share) / variance) if variance > 1e-12 else len(names)
    low, high = wilson(share * effective, effective)
    return Interval(share, low, high, len(hits))


def eer(labels: np.ndarray, scores: np.ndarray) -> float:
    """Equal error rate: where the false-positive rate equals the false-negative rate."""
    return float(eer_draws(labels, scores, np.ones((1, len(labels)), np.int64))[0])


def brier(labels: np.ndarray, probs: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Mean squared difference of probability and label (Brier, 1950)."""
    return float(np.average((probs - labels) ** 2, weights=weights))


def ece(labels: np.ndarray, probs: np.ndarray, weights: np.ndarray | None = None, bins: int = 15) -> float:
    """Expected calibration error with equal-mass bins (Nixon et al., 2019)."""
    weights = np.ones(len(labels)) if weights is None else weights
    return float(sum(abs(m - o) * w for m, o, w in reliability(labels, probs, weights, bins)))


def reliability(
    labels: np.ndarray, probs: np.ndarray, weights: np.ndarray, bins: int = 15
) -> list[tuple[float, float, float]]:
    """(mean probability, observed share, weight) of each equal-mass bin."""
    order = np.argsort(probs, kind="stable")
    mass = np.cumsum(weights[order]) / weights.sum()
    which = np.minimum((mass * bins - 1e-9).astype(int), bins - 1)
    rows = []
    for b in np.unique(which):
        picked = order[which == b]
        w = weights[picked]
        rows.append(
            (
                float(np.average(probs[picked], weights=w)),
                float(np.average(labels[picked], weights=w)),
                float(w.sum() / weights.sum()),
            )
        )
    return rows


def class_balanced_weights(labels: np.ndarray) -> np.ndarray:
    """Weights that make both classes count the same."""
    positive = labels == 1
    return np.asarray(np.where(positive, 0.5 / max(1, positive.sum()), 0.5 / max(1, (~positive).sum())))


def source_balanced_weights(labels: np.ndarray, sources: Sequence[str]) -> np.ndarray:
    """Weights that make both classes, and each source within a class by the root of its size, count the same."""
    names = np.asarray(sources)
    weights = np.zeros(len(labels))
    for label in (0, 1):
        rows = labels == label
        for source in np.unique(names[rows]):
            picked = rows & (names == source)
            weights[picked] = picked.sum() ** -0.5
        if rows.any():
            weights[rows] *= 0.5 / weights[rows].sum()
    return weights
