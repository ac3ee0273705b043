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
    names = np.asarray(groups)
    per_class = [len(np.unique(names[labels == c])) for c in (0, 1)]
    if min(per_class) < MIN_GROUPS:
        return Interval(point, None, None, len(labels))
    members = {g: np.flatnonzero(names == g) for g in np.unique(names)}
    strata: dict[tuple[int, ...], list[str]] = {}
    for group, rows in members.items():
        strata.setdefault(tuple(sorted(set(labels[rows].tolist()))), []).append(group)
    values = []
    for _ in range(rounds):
        drawn = [g for stratum in strata.values() for g in rng.choice(stratum, len(stratum))]
        rows = np.concatenate([members[g] for g in drawn])
        values.append(auc(labels[rows], scores[rows]))
    low, high = np.nanquantile(values, [0.025, 0.975])
    return Interval(point, float(low), float(high), len(labels))


def wilson(k: float, n: float) -> tuple[float, float]:
    """Wilson's score interval for k of n (Wilson, 1927); zero of n is not [0, 0]."""
    if n <= 0:
        return 0.0, 1.0
    share = k / n
    centre = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def rate_interval(hits: np.ndarray, groups: Sequence[str]) -> Interval:
    """Share of True with Wilson's interval over groups.

    Pictures of one group say little more than one of them: the sample size is the number of groups, and a group counts
    by its share of hits.
    """
    if len(hits) == 0:
        return Interval(math.nan, None, None, 0)
    names = np.asarray(groups)
    shares = np.array([hits[names == g].mean() for g in np.unique(names)])
    low, high = wilson(float(shares.sum()), len(shares))
    return Interval(float(hits.mean()), low, high, len(hits))


def eer(labels: np.ndarray, scores: np.ndarray) -> float:
    """Equal error rate: where the false-positive rate equals the false-negative rate."""
    order = np.argsort(-scores, kind="stable")
    hit = labels[order] == 1
    tpr = np.concatenate([[0.0], np.cumsum(hit) / max(1, hit.sum())])
    fpr = np.concatenate([[0.0], np.cumsum(~hit) / max(1, (~hit).sum())])
    at = int(np.argmin(np.abs(fpr - (1 - tpr))))
    return float((fpr[at] + 1 - tpr[at]) / 2)


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
