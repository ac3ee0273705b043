"""The one figure by which epochs, recipes and published sets are chosen, on validation and left-out sources only."""

from collections.abc import Sequence

import numpy as np

from train.data.samples import Sample
from train.metrics import auc, source_balanced_weights

MIN_PER_CLASS = 10
"""Slices with fewer faces of a class are pooled, not averaged: their AUC is noise."""


def selection_figures(samples: Sequence[Sample], logits: np.ndarray, unseen: set[str]) -> dict[str, float]:
    """Figures on validation; "score" is the mean of the others named here.

    - "auc_slices": mean AUC of the slices that hold both classes: one source, so only the manipulation differs.
    - "auc_unseen": all fakes against genuine faces of sources that no training sample comes from, sources weighed.
    - "tpr_at_2": share of fakes (sources weighed) above the edge that 2 % of the unseen genuine faces pass, which is
      what the user's "strong" band will catch.

    Where there are no unseen genuine sources (a plain folder of data), the score is the AUC on all samples.
    """
    labels = np.array([s.label for s in samples])
    sources = np.array([s.source for s in samples])
    slices = {}
    for source in np.unique(sources):
        rows = sources == source
        if min(np.bincount(labels[rows], minlength=2)) >= MIN_PER_CLASS:
            slices[str(source)] = auc(labels[rows], logits[rows])
    # a fake that a training source made is judged too, but only against genuine faces from elsewhere
    rows = (labels == 1) | np.isin(sources, sorted(unseen))
    if not unseen or len(np.unique(labels[rows])) < 2:
        return {"score": auc(labels, logits), **{f"auc/{k}": v for k, v in slices.items()}}
    weights = source_balanced_weights(labels[rows], sources[rows])
    auc_unseen = auc(labels[rows], logits[rows], weights)
    genuine = labels[rows] == 0
    edge = weighted_quantile(logits[rows][genuine], weights[genuine], 0.98)
    caught = logits[rows][~genuine] > edge
    tpr = float(np.average(caught, weights=weights[~genuine]))
    parts = {"auc_unseen": auc_unseen, "tpr_at_2": tpr}
    if slices:
        parts["auc_slices"] = float(np.mean(list(slices.values())))
    score = float(np.mean(list(parts.values())))
    return {"score": score, **parts, **{f"auc/{k}": v for k, v in slices.items()}}


def weighted_quantile(values: np.ndarray, weights: np.ndarray, share: float) -> float:
    """Smallest value with at least `share` of the weight at or below it."""
    order = np.argsort(values)
    mass = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][min(len(values) - 1, int(np.searchsorted(mass, share)))])
