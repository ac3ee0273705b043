"""From validation logits to calibration, false-alarm curve and the limits of size and blur. Pure functions."""

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from sklearn.linear_model import LogisticRegression

from detector.calibration import BAND_RATES, Calibration, FalseAlarmCurve
from detector.results import SourceAlarms
from detector.types import Band
from train.data.samples import Sample
from train.errors import DataError
from train.measure.by_source import edge_for_most, left_out_alarms
from train.measure.metrics import source_balanced_weights
from train.measure.selection import weighted_quantile

CURVE_RATES = (0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005)
MIN_GENUINE = 200
"""A rate of 0.5 % cannot be seen on fewer genuine faces."""
_ROUNDING = 1e-9
"""Of sums of weights."""
KEPT_SHARE = 0.8
"""A face gets a verdict while the AUC keeps this share of what it has above chance on faces as they came."""


class Labelled(Protocol):
    """A face or person that is known to be manipulated, 1, or not, and its source."""

    @property
    def label(self) -> int: ...

    @property
    def source(self) -> str: ...


def fit_calibration(samples: Sequence[Labelled], logits: np.ndarray) -> Calibration:
    """Platt scaling on validation, both classes and the sources within them weighed alike."""
    labels = np.array([s.label for s in samples])
    weights = source_balanced_weights(labels, [s.source for s in samples])
    # two parameters on thousands of faces need no regularisation
    fitted = LogisticRegression(C=1e6).fit(logits[:, None], labels, sample_weight=weights * len(labels))
    scale = float(fitted.coef_[0, 0])
    if scale <= 0:
        raise DataError("the network's logit does not rise with manipulation on validation: it learned nothing")
    return Calibration(scale=scale, offset=float(fitted.intercept_[0]))


def fit_curve(samples: Sequence[Sample], calibrated: np.ndarray, unseen: set[str]) -> FalseAlarmCurve:
    """False-alarm curve on genuine faces of unseen validation sources, sources weighed equally.

    The edge at a rate is set such that faces of a source exceed edges made from the other sources with that rate, in
    the mean over sources: a quantile of the very faces that it is to hold for lies too low, the more so the further
    sources lie apart and the rarer the alarm. (With eleven sources of 4 to 314 faces, normal, 0.6 standard deviations
    apart, plain quantiles for 2 % and 0.5 % let 2.6 % and 0.9 % of a new source pass, these 2.0 % and 0.6 %.)
    As in cross-conformal prediction (Vovk, 2015), but between sources. And it is set such that nine of ten further
    sources keep twice the rate (`train.measure.by_source`), where that asks for more.

    Without unseen sources (a plain folder of data) all genuine validation faces are taken, as one source, and with one
    source alone plain quantiles.

    Raises:
        DataError: too few genuine faces for the smallest rate.
    """
    labels = np.array([s.label for s in samples])
    sources = np.array([s.source for s in samples])
    rows = (labels == 0) & np.isin(sources, sorted(unseen)) if unseen else labels == 0
    if rows.sum() < MIN_GENUINE:
        raise DataError(
            f"{rows.sum()} genuine validation faces cannot show a false-alarm rate of 0.5 %: {MIN_GENUINE} needed"
        )
    logits = edges_for_sources(calibrated[rows], sources[rows] if unseen else np.full(rows.sum(), ""), CURVE_RATES)
    return FalseAlarmCurve(CURVE_RATES, tuple(rounded_up(v) for v in logits))


def alarms_by_source(samples: Sequence[Sample], calibrated: np.ndarray, unseen: set[str]) -> dict[Band, SourceAlarms]:
    """Of each band, what every unseen validation source shows at an edge that the others set; empty for one source."""
    sources = np.array([s.source for s in samples])
    rows = np.array([s.label == 0 and s.source in unseen for s in samples])
    by_band = {
        band: left_out_alarms(calibrated[rows], sources[rows], rate, edges_for_sources)
        for band, rate in BAND_RATES.items()
    }
    return {band: alarms for band, alarms in by_band.items() if alarms is not None}


def edges_for_sources(scores: np.ndarray, sources: np.ndarray, rates: Sequence[float]) -> list[float]:
    """The higher of two edges for each rate: that of `held_out_edges`, which keeps it in the mean over further sources,
    and that of `edge_for_most`, which nine of ten further sources keep. With one source alone a plain quantile.
    """
    means = held_out_edges(scores, sources, rates)
    if len(np.unique(sources)) == 1:
        return means
    most = [edge_for_most(scores, sources, rate) for rate in rates]
    return [mean if other is None else max(mean, other) for mean, other in zip(means, most, strict=True)]


def rounded_up(edge: float) -> float:
    """An edge as a manifest holds it, in four decimals and above what it was made of.

    Rounded to the nearest it may fall below, and where scores are few, as of votes, all genuine faces of the commonest
    score would pass it.
    """
    return math.ceil(edge * 1e4 + 1e-3) / 1e4


def held_out_edges(scores: np.ndarray, sources: np.ndarray, rates: Sequence[float]) -> list[float]:
    """The score that the given shares of faces of further sources are expected to exceed.

    Args:
        scores: of N genuine faces.
        sources: (N,) names; all weigh alike, whatever their size.
        rates: shares.
    """
    names, which, counts = np.unique(sources, return_inverse=True, return_counts=True)
    weights = 1 / counts[which] / len(names)
    if len(names) == 1:
        return [weighted_quantile(scores, weights, 1 - rate) for rate in rates]
    order = np.argsort(scores)
    # share of the other sources' weight at or above each face
    above = np.empty(len(scores))
    for source in range(len(names)):
        own = which == source
        others = order[~own[order]]
        mass = np.concatenate([np.cumsum(weights[others][::-1])[::-1], [0.0]])
        above[own] = mass[np.searchsorted(scores[others], scores[own])] / mass[0]
    ranked = np.argsort(above, kind="stable")
    mass = np.cumsum(weights[ranked])
    edges = []
    for rate in rates:
        # the largest nominal rate at which no more than `rate` of the faces alarm when their source is held out
        count = int(np.searchsorted(mass, rate + _ROUNDING, side="right"))
        nominal = above[ranked[count - 1]] if count else 0.0
        edge = weighted_quantile(scores, weights, 1 - nominal) if nominal > _ROUNDING else scores.max()
        edges.append(float(edge))
    return edges


def first_kept(levels: Sequence[float], aucs: Sequence[float], full: float) -> int:
    """Index of the first level, going from hard to easy, from which on every AUC keeps `KEPT_SHARE`.

    Args:
        levels: from hard (small, blurred) to easy.
        aucs: at those levels.
        full: AUC on faces as they came.
    """
    need = 0.5 + KEPT_SHARE * (full - 0.5)
    index = len(levels) - 1
    while index > 0 and aucs[index - 1] >= need:
        index -= 1
    return index
