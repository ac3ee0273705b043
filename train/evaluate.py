"""Test slices to figures: every slice alone, good or bad, with n and 95 % intervals over groups."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from detector.calibration import BAND_RATES, FalseAlarmCurve, band_of, edges, sigmoid
from train.data.samples import Sample
from train.metrics import auc_interval, brier, class_balanced_weights, ece, eer, rate_interval

POOLED_GENUINE = "unseen sources, genuine"
POOLED_METHODS = "unseen methods"


def slice_figures(
    samples: Sequence[Sample],
    calibrated: np.ndarray,
    curve: FalseAlarmCurve,
    unseen_genuine: set[str],
    small: set[str],
) -> dict[str, Any]:
    """Figures of every slice, pooled ones, and calibration on the pooled, class-balanced set.

    Args:
        samples: of the test split.
        calibrated: their calibrated logits.
        curve: of the choice that made them; its strong edge is the threshold.
        unseen_genuine: sources of genuine faces that trained nothing and set no edge.
        small: slices to pool as unseen sources and methods, beside standing alone.
    """
    labels = np.array([s.label for s in samples])
    sources = np.array([s.source for s in samples])
    groups = np.array([s.group for s in samples])
    edge = edges(curve)["strong"]
    rng = np.random.default_rng(0)

    def figures(rows: np.ndarray) -> dict[str, Any]:
        row_labels, row_logits, row_groups = labels[rows], calibrated[rows], groups[rows]
        found: dict[str, Any] = {"genuine": int((row_labels == 0).sum()), "manipulated": int((row_labels == 1).sum())}
        flagged = row_logits > edge
        # fakes alone are scored against all genuine test faces, genuine faces alone give only a rate
        if found["manipulated"]:
            against = rows if found["genuine"] else rows | (labels == 0)
            found["auc"] = auc_interval(labels[against], calibrated[against], groups[against].tolist(), rng).to_dict()
            found["against"] = "own" if found["genuine"] else "all genuine test faces"
            found["eer"] = round(eer(labels[against], calibrated[against]), 4)
            hits = row_labels == 1
            found["tpr"] = rate_interval(flagged[hits], row_groups[hits].tolist()).to_dict()
        if found["genuine"]:
            misses = row_labels == 0
            found["fpr"] = rate_interval(flagged[misses], row_groups[misses].tolist()).to_dict()
        found["accuracy"] = rate_interval(flagged == (row_labels == 1), row_groups.tolist()).to_dict()
        return found

    slices = {str(s): figures(sources == s) for s in sorted(set(sources))}
    unseen_rows = (labels == 0) & np.isin(sources, sorted(unseen_genuine))
    if unseen_rows.any():
        slices[POOLED_GENUINE] = figures(unseen_rows)
    method_rows = np.isin(sources, sorted(small))
    if method_rows.any() and len(set(labels[method_rows])) == 2:
        slices[POOLED_METHODS] = figures(method_rows)
    weights = class_balanced_weights(labels)
    probs = sigmoid(calibrated)
    return {
        "slices": slices,
        "pooled": {
            "n": len(labels),
            "ece": round(ece(labels, probs, weights), 4),
            "brier": round(brier(labels, probs, weights), 4),
        },
    }


def false_alarms(
    samples: Sequence[Sample], calibrated: np.ndarray, curve: FalseAlarmCurve, unseen_genuine: set[str]
) -> dict[str, dict[str, Any]]:
    """Of each band: k of n genuine faces of unseen test sources that reach it or a stronger one; empty without any."""
    rows = [i for i, s in enumerate(samples) if s.label == 0 and s.source in unseen_genuine]
    if not rows:
        return {}
    groups = [samples[i].group for i in rows]
    found = {}
    for band, edge in edges(curve).items():
        hits = calibrated[rows] > edge
        interval = rate_interval(hits, groups)
        found[str(band)] = {
            "n": len(rows),
            "k": int(hits.sum()),
            "rate": round(interval.value, 4),
            "low": interval.low,
            "high": interval.high,
        }
    return found


def false_alarms_by_faces(
    samples: Sequence[Sample],
    calibrated: np.ndarray,
    curve: FalseAlarmCurve,
    unseen_genuine: set[str],
    files: int = 2000,
) -> dict[str, dict[str, Any]]:
    """Share of made files with 1, 2 to 4 and 5 to 9 genuine faces that reach each band.

    A file is a composite: so many faces drawn from one held-out source, since the faces of one photo share a camera.
    The interval is Wilson's over the sources' faces, not over the drawn files, which are no new evidence.
    """
    rng = np.random.default_rng(0)
    by_source: dict[str, list[int]] = {}
    for i, s in enumerate(samples):
        if s.label == 0 and s.source in unseen_genuine:
            by_source.setdefault(s.source, []).append(i)
    pools = [rows for _, rows in sorted(by_source.items()) if len(rows) >= 10]
    if not pools:
        return {}
    found: dict[str, dict[str, Any]] = {}
    for name, low, high in (("1", 1, 1), ("2-4", 2, 4), ("5+", 5, 9)):
        bands = []
        for _ in range(files):
            n = int(rng.integers(low, high + 1))
            faces = rng.choice(pools[int(rng.integers(len(pools)))], n, replace=False)
            bands.append(band_of(float(calibrated[faces].max()), curve, n))
        order = list(BAND_RATES)
        found[name] = {
            "files": files,
            **{str(b): round(float(np.mean([x in order[k:] for x in bands])), 4) for k, b in enumerate(order)},
        }
    return found
