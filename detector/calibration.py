"""From a network's logit to a probability, and from a probability to an evidence band.

A band edge is a false-alarm rate on genuine faces of sources that trained nothing: what a user feels is how often a
genuine photo is called suspicious, so that, and not a round probability, is what a band promises.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from detector.types import Band, Crowd, Thresholds

BAND_RATES: dict[Band, float] = {"weak": 0.10, "strong": 0.02, "very_strong": 0.005}
"""Share of genuine faces, sources weighed equally, that reach a band or a stronger one."""
VIDEO_BAND_RATES: dict[Band, float] = {"weak": 0.10, "strong": 0.03, "very_strong": 0.005}
"""Share of genuine persons in videos: what so many persons as there are in clips can show with 95 % confidence."""

MIN_CROWD = 8
"""Judged faces in one picture from which they are counted."""
CROWD_SHARE = 0.2
"""Part of a band's promised rate that the count may use."""
RESEMBLANCE = 0.25
"""Correlation of genuine faces of one picture, as one normal factor behind their scores.

Measured between sources, since no genuine pictures with many faces are at hand: over the genuine validation faces of 26
sources, with the weights of 2026-11-22, the counts above the edge of "weak" fit a correlation of 0.16 (95 % interval
0.06 to 0.35); faces of one photo share more than faces of one source, so the value is taken above that."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Platt scaling (Platt, 1999; temperature scaling with an offset): calibrated logit = scale * logit + offset.

    Fitted for as many manipulated as genuine faces; `prob_fake` is no chance for one particular file.
    """

    scale: float
    offset: float

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """Raw logits of any shape to calibrated logits."""
        return logits * self.scale + self.offset

    def raw(self, calibrated: np.ndarray) -> np.ndarray:
        """Back to raw logits."""
        return (calibrated - self.offset) / self.scale


@dataclass(frozen=True, slots=True)
class FalseAlarmCurve:
    """Calibrated logit that a given share of genuine faces from unseen sources exceeds.

    Attributes:
        rates: falling shares, for instance 0.5 to 0.005.
        logits: the edges at those shares, rising.
    """

    rates: tuple[float, ...]
    logits: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.rates) != len(self.logits) or len(self.rates) < 2:
            raise ValueError("a false-alarm curve needs at least two rates, each with its logit")
        if any(a <= b for a, b in zip(self.rates, self.rates[1:], strict=False)):
            raise ValueError("the rates of a false-alarm curve must fall")
        if any(a > b for a, b in zip(self.logits, self.logits[1:], strict=False)):
            raise ValueError("the logits of a false-alarm curve must not fall")

    def edge(self, rate: float) -> float:
        """The logit that a share `rate` of genuine faces exceeds.

        Between the measured rates it is linear in the logarithm of the rate; beyond the smallest it goes on with the
        slope of the last stretch, an exponential tail (the usual model of peaks over a threshold), never flatter than
        one unit per e-fold, which is what a calibrated log-likelihood ratio cannot beat.
        """
        x = -math.log(rate)
        xs = [-math.log(r) for r in self.rates]
        if x <= xs[-1]:
            return float(np.interp(x, xs, self.logits))
        slope = max(1.0, (self.logits[-1] - self.logits[-2]) / (xs[-1] - xs[-2]))
        return float(self.logits[-1] + slope * (x - xs[-1]))


def corrected_rate(rate: float, n: float) -> float:
    """The rate each of n faces may have so that any of them alarms with `rate` (Šidák, 1967); n need not be whole.

    A file is judged by its most suspicious face: without this, a group photo would alarm far more often than a
    portrait.
    """
    return float(1 - (1 - rate) ** (1 / max(1, n)))


def edges(curve: FalseAlarmCurve, n: float = 1, rates: Mapping[Band, float] = BAND_RATES) -> dict[Band, float]:
    """Band edges as calibrated logits for a file with n chances to alarm."""
    return {band: curve.edge(corrected_rate(rate, n)) for band, rate in rates.items()}


def thresholds(curve: FalseAlarmCurve, n: float = 1, rates: Mapping[Band, float] = BAND_RATES) -> Thresholds:
    """Band edges as probabilities for a file with n chances to alarm."""
    probs = {band: float(sigmoid(edge)) for band, edge in edges(curve, n, rates).items()}
    return Thresholds(weak=probs["weak"], strong=probs["strong"], very_strong=probs["very_strong"])


def band_of(logit: float, curve: FalseAlarmCurve, n: float = 1, rates: Mapping[Band, float] = BAND_RATES) -> Band:
    """Band of a calibrated logit in a file with n chances to alarm. "The threshold" means the edge of "strong"."""
    band: Band = "little"
    for name, edge in edges(curve, n, rates).items():
        if logit > edge:
            band = name
    return band


def crowd_of(logits: np.ndarray, curve: FalseAlarmCurve, pictures: int = 1) -> Crowd | None:
    """Whether so many faces of one picture are suspicious that chance does not explain it; None for few faces.

    The edge for the most suspicious face rises with the number of faces, so that many faces that are each suspicious
    could all stay below it. Therefore the faces above each edge for one face are counted, too, and the count that
    chance explains least is taken. `CROWD_SHARE` of every promised rate is spent on the counts, the rest on the most
    suspicious face (`face_chances`): together they alarm on genuine pictures no more often than a band promises,
    however they depend on each other (Bonferroni). That the genuine faces of one picture resemble each other counts
    as a common normal factor (`RESEMBLANCE`).

    Args:
        logits: (N,) calibrated, of the faces of one picture that were judged.
        curve: of single genuine faces.
        pictures: that were looked at; each has its chance.
    """
    of = len(logits)
    if of < MIN_CROWD:
        return None
    counts = []
    for rate in BAND_RATES.values():
        above = int((np.asarray(logits) > curve.edge(rate)).sum())
        chance = min(1.0, pictures * len(BAND_RATES) * _chance_of_so_many(above, of, rate))
        counts.append((chance, above, rate))
    chance, above, rate = min(counts, key=lambda count: count[0])
    band: Band = "little"
    for name, promised in BAND_RATES.items():
        if chance <= CROWD_SHARE * promised:
            band = name
    return Crowd(above, of, chance, band, rate)


def face_chances(judged: int, counted: bool) -> float:
    """The number of chances to alarm that the edges of a photo's faces go by.

    Args:
        judged: faces of all pictures that were looked at.
        counted: whether `crowd_of` counted, which takes its share of the promised rate.
    """
    return judged / (1 - CROWD_SHARE) if counted else float(judged)


@lru_cache(maxsize=256)
def _chance_of_so_many(above: int, of: int, rate: float) -> float:
    """P(at least `above` of `of` faces pass an edge that each passes with `rate`), their common factor summed out."""
    normal = NormalDist()
    factor = np.linspace(-6, 6, 601)
    weights = np.exp(-(factor**2) / 2)
    root, rest = math.sqrt(RESEMBLANCE), math.sqrt(1 - RESEMBLANCE)
    p = np.array([normal.cdf((normal.inv_cdf(rate) + root * z) / rest) for z in factor]).clip(1e-12, 1 - 1e-12)
    counts = np.arange(above, of + 1)
    ways = np.array([math.log(math.comb(of, k)) for k in counts.tolist()])
    terms = np.exp(ways[:, None] + counts[:, None] * np.log(p) + (of - counts[:, None]) * np.log1p(-p))
    return float(min(1.0, (terms.sum(axis=0) * weights).sum() / weights.sum()))


def sigmoid(logits: np.ndarray | float) -> np.ndarray:
    """Calibrated logits to probabilities, without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(np.asarray(logits, np.float64) / 2)))
