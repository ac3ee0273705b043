"""Test slices to figures: every slice alone, good or bad, with n and 95 % intervals over groups."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import roc_curve

from detector.calibration import BAND_RATES, FalseAlarmCurve, band_of, edges, sigmoid
from detector.types import BANDS, Band
from train.data.samples import Sample
from train.measure.metrics import (
    Interval,
    auc,
    auc_draws,
    auc_interval,
    bootstrapped,
    brier,
    class_balanced_weights,
    ece,
    eer,
    eer_draws,
    enough_groups,
    f1,
    f1_draws,
    group_draws,
    rate_interval,
    reliability,
)

POOLED_GENUINE = "unseen sources, genuine"
POOLED_METHODS = "unseen methods"
POOLED = (POOLED_GENUINE, POOLED_METHODS)
"""Slices that are other slices together."""

_ROC_AT = np.unique(np.concatenate([[0.0], np.geomspace(1e-3, 1, 40), np.linspace(0, 1, 41)]))


def slice_rows(samples: Sequence[Sample], unseen_genuine: set[str], small: set[str]) -> dict[str, np.ndarray]:
    """Every slice of a test split and the pooled ones: name -> (N,) bool.

    Args:
        samples: of the test split.
        unseen_genuine: sources of genuine faces that trained nothing and set no edge.
        small: slices to pool as unseen sources and methods, beside standing alone.
    """
    labels = np.array([s.label for s in samples])
    sources = np.array([s.source for s in samples])
    rows = {str(s): sources == s for s in sorted(set(sources))}
    unseen_rows = (labels == 0) & np.isin(sources, sorted(unseen_genuine))
    if unseen_rows.any():
        rows[POOLED_GENUINE] = unseen_rows
    method_rows = np.isin(sources, sorted(small))
    if method_rows.any() and len(set(labels[method_rows])) == 2:
        rows[POOLED_METHODS] = method_rows
    return rows


def opponents(labels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The rows that a slice is ranked in: itself, with all genuine faces where it holds none."""
    return np.asarray(rows if (labels[rows] == 0).any() else rows | (labels == 0))


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
        unseen_genuine, small: as in `slice_rows`.
    """
    labels = np.array([s.label for s in samples])
    rows = slice_rows(samples, unseen_genuine, small)
    weights = class_balanced_weights(labels)
    probs = sigmoid(calibrated)
    whole = np.ones(len(samples), bool)
    return {
        "slices": {name: figures(samples, calibrated, curve, picked) for name, picked in rows.items()},
        "pooled": {
            "n": len(labels),
            "ece": round(ece(labels, probs, weights), 4),
            "brier": round(brier(labels, probs, weights), 4),
            **{k: v for k, v in figures(samples, calibrated, curve, whole).items() if k in ("auc", "confusion")},
            "roc": roc_points(labels, calibrated),
            "reliability": [[round(v, 4) for v in row] for row in reliability(labels, probs, weights)],
        },
    }


def roc_points(labels: np.ndarray, scores: np.ndarray) -> list[list[float]]:
    """[false-positive rate, true-positive rate] at rates that are dense where few false alarms are; empty for one
    class."""
    if len(np.unique(labels)) < 2:
        return []
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    at = np.searchsorted(fpr, _ROC_AT, side="right") - 1
    return [[round(float(x), 4), round(float(tpr[i]), 4)] for x, i in zip(_ROC_AT, at, strict=True)]


def figures(
    samples: Sequence[Sample], calibrated: np.ndarray, curve: FalseAlarmCurve, rows: np.ndarray
) -> dict[str, Any]:
    """Figures of one choice on the samples that `rows` (N,) picks.

    Manipulated faces alone are ranked against all genuine ones, for AUC, EER, precision and F1; genuine faces alone
    give only a rate of false alarms. Recall is "tpr". Precision and F1 depend on how many of each class there are.
    """
    labels = np.array([s.label for s in samples])
    groups = np.array([s.group for s in samples])
    flagged = calibrated > edges(curve)["strong"]
    genuine, manipulated = rows & (labels == 0), rows & (labels == 1)
    row: dict[str, Any] = {"genuine": int(genuine.sum()), "manipulated": int(manipulated.sum())}
    if manipulated.any():
        against = opponents(labels, rows)
        own = bool(genuine.any())
        y, x, alarm = labels[against], calibrated[against], flagged[against]
        names = groups[against].tolist()
        # the same draws for every choice: what two of them differ by is not the draw
        draws = group_draws(names, y, np.random.default_rng(0)) if enough_groups(y, names) else None

        def interval(point: float, values: np.ndarray | None) -> dict[str, Any]:
            known = Interval(point, None, None, len(y)) if values is None else bootstrapped(point, values, len(y))
            return known.to_dict()

        row["auc"] = interval(auc(y, x), None if draws is None else auc_draws(y, x, draws))
        row["against"] = "own" if own else "all genuine test faces"
        row["eer"] = interval(eer(y, x), None if draws is None else eer_draws(y, x, draws))
        row["f1"] = interval(f1(y, alarm), None if draws is None else f1_draws(y, alarm, draws))
        if alarm.any():
            row["precision"] = rate_interval(y[alarm] == 1, groups[against][alarm].tolist()).to_dict()
        row["tpr"] = rate_interval(flagged[manipulated], groups[manipulated].tolist()).to_dict()
    if genuine.any():
        row["fpr"] = rate_interval(flagged[genuine], groups[genuine].tolist()).to_dict()
    row["accuracy"] = rate_interval(flagged[rows] == (labels[rows] == 1), groups[rows].tolist()).to_dict()
    # rows: genuine, manipulated; columns: not flagged, flagged
    row["confusion"] = [
        [int((picked & (flagged == f)).sum()) for f in (False, True)] for picked in (genuine, manipulated)
    ]
    return row


def false_alarms(
    samples: Sequence[Sample], calibrated: np.ndarray, curve: FalseAlarmCurve, unseen_genuine: set[str]
) -> dict[str, dict[str, Any]]:
    """Of each band: k of n genuine faces of unseen test sources that reach it or a stronger one; empty without any."""
    rows = [i for i, s in enumerate(samples) if s.label == 0 and s.source in unseen_genuine]
    if not rows:
        return {}
    groups = [samples[i].group for i in rows]
    by_band = {}
    for band, edge in edges(curve).items():
        hits = calibrated[rows] > edge
        interval = rate_interval(hits, groups)
        by_band[str(band)] = {
            "n": len(rows),
            "k": int(hits.sum()),
            "rate": round(interval.value, 4),
            "low": interval.low,
            "high": interval.high,
        }
    return by_band


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
    by_count: dict[str, dict[str, Any]] = {}
    for name, low, high in (("1", 1, 1), ("2-4", 2, 4), ("5+", 5, 9)):
        bands = []
        for _ in range(files):
            n = int(rng.integers(low, high + 1))
            faces = rng.choice(pools[int(rng.integers(len(pools)))], n, replace=False)
            bands.append(band_of(float(calibrated[faces].max()), curve, n))
        order = list(BAND_RATES)
        by_count[name] = {
            "files": files,
            **{str(b): round(float(np.mean([x in order[k:] for x in bands])), 4) for k, b in enumerate(order)},
        }
    return by_count


def clip_figures(
    labels: np.ndarray, persons: Sequence[str], probs: np.ndarray, bands: Sequence[Band]
) -> dict[str, Any]:
    """Figures of the verdicts on N whole clips: AUC, and of each band false alarms and share caught.

    Intervals are over persons: several clips of one count by his share.

    Args:
        labels: (N,) 1 = manipulated.
        persons: who each clip shows.
        probs: (N,) of the most suspicious person.
        bands: that were given, a cap included.
    """
    names = np.asarray(persons)
    row: dict[str, Any] = {
        "genuine": int((labels == 0).sum()),
        "manipulated": int((labels == 1).sum()),
        "genuine_persons": len(set(names[labels == 0].tolist())),
    }
    if len(np.unique(labels)) == 2:
        row["auc"] = auc_interval(labels, probs, persons, np.random.default_rng(0)).to_dict()
    reached = np.array([BANDS.index(band) for band in bands])
    for title, label in (("false_alarms", 0), ("caught", 1)):
        rows = labels == label
        if rows.any():
            row[title] = {
                band: {
                    "k": int((reached[rows] >= BANDS.index(band)).sum()),
                    **rate_interval(reached[rows] >= BANDS.index(band), names[rows].tolist()).to_dict(),
                }
                for band in BAND_RATES
            }
    return row


AGE_BANDS = {"18-29": (18, 29), "30-44": (30, 44), "45-59": (45, 59), "60 and over": (60, 200)}
ETHNICITIES = {"0": "White", "1": "Black", "2": "Asian", "3": "Indian", "4": "other"}
"""UTKFace's own codes. Age and ethnicity were guessed by an algorithm and checked by one person (the data set's page):
nobody was asked, the classes are coarse, and a face says little about either. They can show that a detector errs more
often on one group of pictures than on another; they describe no person."""


LABELS_WORTH = (
    "Age and ethnicity were estimated by an algorithm and checked by one person; nobody was asked, and "
    f"the classes ({', '.join(ETHNICITIES.values())}) are coarse. They describe pictures, not persons."
)
"""What stands beside every table of these labels."""


def false_alarms_by_labels(
    samples: Sequence[Sample], calibrated: np.ndarray, curve: FalseAlarmCurve
) -> dict[str, dict[str, dict[str, Any]]]:
    """False alarms at the threshold on genuine UTKFace pictures: "age" and "ethnicity" -> label -> rate with n.

    Labels come from the file names that `group` keeps, `utk_<age>_<gender>_<ethnicity>_...`; pictures without are left
    out.
    """
    ages: dict[str, list[int]] = {band: [] for band in AGE_BANDS}
    ethnicities: dict[str, list[int]] = {name: [] for name in ETHNICITIES.values()}
    for i, s in enumerate(samples):
        parts = s.group.split("_")
        if s.label or len(parts) < 4 or parts[0] != "utk" or not parts[1].isdigit() or parts[3] not in ETHNICITIES:
            continue
        for band, (low, high) in AGE_BANDS.items():
            if low <= int(parts[1]) <= high:
                ages[band].append(i)
        ethnicities[ETHNICITIES[parts[3]]].append(i)
    flagged = calibrated > edges(curve)["strong"]
    return {
        title: {
            label: rate_interval(flagged[rows], [samples[i].group for i in rows]).to_dict()
            for label, rows in members.items()
            if rows
        }
        for title, members in (("age", ages), ("ethnicity", ethnicities))
    }
