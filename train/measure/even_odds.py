"""Figures of slices at even odds, as papers report them: the calibrated probability is 0.5."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from train.data.samples import Sample
from train.measure.metrics import auc, rate_interval
from train.measure.slices import opponents

EVEN_ODDS = "accuracy_at_even_odds"
"""Where the leaderboard keeps the accuracy of a choice by slice."""


def slices_at_even_odds(samples: Sequence[Sample], logits: np.ndarray) -> dict[str, dict[str, Any]]:
    """Figures of every slice that holds manipulated faces; those without genuine ones are scored against all.

    Args:
        samples: of one split.
        logits: (N,) calibrated.
    """
    labels = np.array([s.label for s in samples])
    sources = np.array([s.source for s in samples])
    groups = np.array([s.group for s in samples])
    slices: dict[str, dict[str, Any]] = {}
    for source in sorted(set(sources.tolist())):
        own = sources == source
        if not (labels[own] == 1).any():
            continue
        rows = opponents(labels, own)
        flagged = logits[rows] > 0
        precision, recall, f1, _ = precision_recall_fscore_support(
            labels[rows], flagged, average="binary", zero_division=0
        )
        right = flagged == (labels[rows] == 1)
        # a slice of fakes among many more genuine faces: both classes count the same
        balanced = float(np.mean([right[labels[rows] == c].mean() for c in (0, 1)]))
        slices[source] = {
            "genuine": int((labels[rows] == 0).sum()),
            "manipulated": int((labels[rows] == 1).sum()),
            "against": "own" if (labels[own] == 0).any() else "all genuine faces of the split",
            "auc": round(auc(labels[rows], logits[rows]), 4),
            "accuracy": rate_interval(right, groups[rows].tolist()).to_dict(),
            "balanced_accuracy": round(balanced, 4),
            "precision": round(float(precision), 4),
            "recall": round(float(recall), 4),
            "f1": round(float(f1), 4),
            "confusion": confusion_matrix(labels[rows], flagged.astype(int), labels=[0, 1]).tolist(),
        }
    return slices
