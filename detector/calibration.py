"""From a network's logit to a probability, and from a probability to an evidence band.

A band edge is a false-alarm rate on genuine faces of sources that trained nothing: what a user feels is how often a
genuine photo is called suspicious, so that, and not a round probability, is what a band promises.
"""

import math
from dataclasses import dataclass

import numpy as np

from detector.types import Band, Thresholds

BAND_RATES: dict[Band, float] = {"weak": 0.10, "strong": 0.02, "very_strong": 0.005}
"""Share of genuine faces, sources weighed equally, that reach a band or a stronger one."""


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


def edges(curve: FalseAlarmCurve, n: float = 1) -> dict[Band, float]:
    """Band edges as calibrated logits for a file with n chances to alarm."""
    return {band: curve.edge(corrected_rate(rate, n)) for band, rate in BAND_RATES.items()}


def thresholds(curve: FalseAlarmCurve, n: float = 1) -> Thresholds:
    """Band edges as probabilities for a file with n chances to alarm."""
    found = {band: float(sigmoid(edge)) for band, edge in edges(curve, n).items()}
    return Thresholds(weak=found["weak"], strong=found["strong"], very_strong=found["very_strong"])


def band_of(logit: float, curve: FalseAlarmCurve, n: float = 1) -> Band:
    """Band of a calibrated logit in a file with n chances to alarm. "The threshold" means the edge of "strong"."""
    band: Band = "little"
    for name, edge in edges(curve, n).items():
        if logit > edge:
            band = name
    return band


def sigmoid(logits: np.ndarray | float) -> np.ndarray:
    """Calibrated logits to probabilities, without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(np.asarray(logits, np.float64) / 2)))
