"""The one figure by which epochs, recipes and published sets are chosen, on validation and left-out sources only."""

from collections.abc import Sequence

import numpy as np

from train.data.samples import Sample
from train.measure.metrics import Interval, auc_draws, bootstrapped, enough_groups, group_draws, source_balanced_weights

MIN_PER_CLASS = 10
"""Slices with fewer faces of a class are pooled, not averaged: their AUC is noise."""
ROUNDS = 400
"""Bootstrap draws that decide whether one choice is better than another."""


def selection_figures(samples: Sequence[Sample], logits: np.ndarray, unseen: set[str]) -> dict[str, float]:
    """Figures on validation; "score" is the mean of the others named here.

    - "auc_slices": mean AUC of the slices that hold both classes: one source, so only the manipulation differs.
    - "auc_unseen": all fakes against genuine faces of sources that no training sample comes from, sources weighed.
    - "tpr_at_2": share of fakes (sources weighed) above the edge that 2 % of the unseen genuine faces pass, which is
      what the user's "strong" band will catch.

    Where there are no unseen genuine sources (a plain folder of data), the score is the AUC on all samples.
    """
    once = np.ones((1, len(samples)), np.int64)
    return {name: float(values[0]) for name, values in _figures(samples, logits, unseen, once).items()}


def selection_intervals(
    samples: Sequence[Sample],
    runs: Sequence[np.ndarray],
    unseen: set[str],
    rng: np.random.Generator,
    rounds: int = ROUNDS,
) -> dict[str, Interval]:
    """`selection_figures` of one network with 95 % intervals over groups, the mean of its runs where it has several.

    The intervals say what other faces would have given, not what other seeds would have: for that, compare the runs.

    Args:
        samples: N of them.
        runs: (N,) logits each, of equal training but for the seed.
        unseen: as in `selection_figures`.
    """
    points = [selection_figures(samples, logits, unseen) for logits in runs]
    labels = np.array([s.label for s in samples])
    groups = [s.group for s in samples]
    if not enough_groups(labels, groups):
        return {k: Interval(float(np.mean([p[k] for p in points])), None, None, len(samples)) for k in points[0]}
    draws = group_draws(groups, _strata(samples), rng, rounds)
    drawn = [_figures(samples, logits, unseen, draws) for logits in runs]
    return {
        k: bootstrapped(float(np.mean([p[k] for p in points])), np.mean([d[k] for d in drawn], axis=0), len(samples))
        for k in points[0]
    }


def paired_gain(
    samples: Sequence[Sample],
    new: np.ndarray,
    old: np.ndarray,
    unseen: set[str],
    rng: np.random.Generator,
    rounds: int = ROUNDS,
) -> Interval:
    """How much better `new` scores than `old` on the same samples, with a paired bootstrap over groups.

    Both are judged on the same draws, so that what is hard about a draw cancels. Groups are drawn among those with the
    same sources and labels, so that every slice keeps its size.

    Args:
        samples: N of them.
        new, old: (N,) logits of two choices.
        unseen: as in `selection_figures`.
    """
    return paired_gain_of_runs(samples, [new], [old], unseen, rng, rounds)


def paired_gain_of_runs(
    samples: Sequence[Sample],
    new: Sequence[np.ndarray],
    old: Sequence[np.ndarray],
    unseen: set[str],
    rng: np.random.Generator,
    rounds: int = ROUNDS,
) -> Interval:
    """`paired_gain` of two choices that were trained several times: the mean over the runs of each."""
    draws = group_draws([s.group for s in samples], _strata(samples), rng, rounds)
    once = np.ones((1, len(samples)), np.int64)

    def mean_score(runs: Sequence[np.ndarray], counts: np.ndarray) -> np.ndarray:
        return np.asarray(np.mean([_figures(samples, logits, unseen, counts)["score"] for logits in runs], axis=0))

    point = float((mean_score(new, once) - mean_score(old, once))[0])
    return bootstrapped(point, mean_score(new, draws) - mean_score(old, draws), len(samples))


def _strata(samples: Sequence[Sample]) -> np.ndarray:
    return np.array([f"{s.source}/{s.label}" for s in samples])


def _figures(
    samples: Sequence[Sample], logits: np.ndarray, unseen: set[str], draws: np.ndarray
) -> dict[str, np.ndarray]:
    """`selection_figures` of every bootstrap draw: name -> (rounds,)."""
    labels = np.array([s.label for s in samples])
    sources = np.array([s.source for s in samples])
    slices = {}
    for source in np.unique(sources):
        rows = sources == source
        if min(np.bincount(labels[rows], minlength=2)) >= MIN_PER_CLASS:
            slices[f"auc/{source}"] = auc_draws(labels[rows], logits[rows], draws[:, rows])
    # a fake that a training source made is judged too, but only against genuine faces from elsewhere
    rows = (labels == 1) | np.isin(sources, sorted(unseen))
    if not unseen or len(np.unique(labels[rows])) < 2:
        return {"score": auc_draws(labels, logits, draws), **slices}
    weights = source_balanced_weights(labels[rows], sources[rows]) * draws[:, rows]
    genuine = labels[rows] == 0
    parts = {
        "auc_unseen": auc_draws(labels[rows], logits[rows], weights),
        "tpr_at_2": _caught(logits[rows][genuine], weights[:, genuine], logits[rows][~genuine], weights[:, ~genuine]),
    }
    if slices:
        parts["auc_slices"] = np.mean(list(slices.values()), axis=0)
    return {"score": np.mean(list(parts.values()), axis=0), **parts, **slices}


def _caught(genuine: np.ndarray, passing: np.ndarray, fakes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted share of fakes above the edge that 2 % of the weight of genuine faces pass, of each draw.

    Args:
        genuine, fakes: (G,) and (F,) logits.
        passing, weights: (rounds, G) and (rounds, F), how much each counts in each draw.
    """
    edges = np.array([weighted_quantile(genuine, row, 0.98) for row in passing])
    return np.asarray(((fakes > edges[:, None]) * weights).sum(axis=1) / weights.sum(axis=1))


def weighted_quantile(values: np.ndarray, weights: np.ndarray, share: float) -> float:
    """Smallest value with at least `share` of the weight at or below it."""
    order = np.argsort(values)
    mass = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][min(len(values) - 1, int(np.searchsorted(mass, share)))])
