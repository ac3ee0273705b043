"""Frames to persons to a video: pure functions on arrays of calibrated logits in order of time.

A person's score is the mean of the confident part, the worst run of windows, and the video's that of its most
suspicious person. A maximum over many is high by chance: the edges rise with the number of persons and of windows.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from detector.calibration import VIDEO_BAND_RATES, Calibration, FalseAlarmCurve, band_of
from detector.types import BANDS, Band, BandCap

WINDOW_FRAMES = 2
"""Sampled frames of one person that make one window of time."""
RUN_WINDOWS = 4
"""A person is judged by the worst run of so many windows in a row: manipulation may fill only part of a video, and a
single frame may be a chance alarm."""
RUN_S = 2.2
"""Most seconds from the first to the last frame of a run of more than two windows. At low or uneven rates a fixed
number of frames would take in seconds of another kind. In clips of up to 8.7 s the 32 frames lie so close together that
this changes nothing, and the edges were measured on none longer."""
LEAST_WINDOWS = 2
"""Windows of a run at least, however far apart they are: one alone may be a chance alarm."""
MIN_FRAMES = 4
"""Fewer usable frames than this give no verdict."""
AWAY_STEPS = 2.5
"""Usual steps between two looks at a person after which it was away meanwhile: no line and no box goes across."""
STANDS_OUT = 2.0
"""Calibrated logits, a factor of 7.4 in the odds, by which a part of a video must lie above the rest to be named.

Measured on the clips of the data with the weights of 2026-11-22: none of 100 genuine persons has such a part (the
largest step is 1.3; 95 % interval of the rate 0 to 3.6 %), 3.7 % of made cuts between two genuine recordings have, and
32 % of genuine clips whose middle third was exchanged for a manipulated version of the same clip."""
_MOST_ENDS = 64  # places where a run is tried to begin or end
UNMEASURED_CAP: Band = "weak"
"""The strongest band of a video where nothing was measured on genuine clips: what "weak" promises was shown on faces
alone, and stronger words need more than that."""


@dataclass(frozen=True, slots=True)
class PersonScore:
    """The worst run of one person.

    Attributes:
        logit: mean calibrated logit of the run.
        low, high: 95 % bootstrap interval of that mean over the run's windows.
        first, last: indices of the run's first and last frame.
        chances: independent runs that a chance alarm could have come from, at least 1.
    """

    logit: float
    low: float
    high: float
    first: int
    last: int
    chances: int


@dataclass(frozen=True, slots=True)
class ClipRule:
    """How persons of a video are judged, as measured on clips (`train.measure.clips`).

    Attributes:
        calibration: from a person's mean logit to the one whose sigmoid is the probability.
        curve: logit, after that calibration, that a share of genuine persons exceeds.
        runs: independent runs (`PersonScore.chances`) that those persons had: their worst is what the curve holds.
        cap: the strongest band that can be given; None where every band was shown to keep its promise.
    """

    calibration: Calibration
    curve: FalseAlarmCurve
    runs: float
    cap: BandCap | None

    def __post_init__(self) -> None:
        if self.runs < 1 or self.calibration.scale <= 0:
            raise ValueError("a rule for clips needs at least one run and a rising calibration")

    @classmethod
    def unmeasured(cls, curve: FalseAlarmCurve) -> "ClipRule":
        """The rule for weights that say nothing of clips: faces' edges, every independent run a chance, and a cap."""
        return cls(Calibration(1.0, 0.0), curve, 1.0, BandCap(UNMEASURED_CAP, "not_measured", 0, None))

    def chances(self, scores: Iterable[PersonScore]) -> float:
        """How many persons of the curve these persons weigh as: one each, more for those seen longer; at least 1."""
        return max(1.0, sum(max(1.0, score.chances / self.runs) for score in scores))

    def calibrated(self, score: PersonScore) -> PersonScore:
        """The score on the scale of the curve and of the probability."""
        logit, low, high = self.calibration(np.array([score.logit, score.low, score.high])).tolist()
        return replace(score, logit=logit, low=low, high=high)

    def band(self, logit: float, chances: float) -> Band:
        """Band of a calibrated score in a video with so many chances to alarm, not above the cap."""
        uncapped = band_of(logit, self.curve, chances, VIDEO_BAND_RATES)
        return uncapped if self.cap is None else min(uncapped, self.cap.band, key=BANDS.index)

    def cap_of(self, logit: float, chances: float) -> BandCap | None:
        """The cap, and whether it lowered the band of this score."""
        if self.cap is None:
            return None
        return replace(
            self.cap, applied=band_of(logit, self.curve, chances, VIDEO_BAND_RATES) != self.band(logit, chances)
        )


def windows(logits: np.ndarray) -> np.ndarray:
    """Means of consecutive pairs of frames: (N,) -> (max(1, N // 2),); an odd frame joins the first window."""
    count = max(1, len(logits) // WINDOW_FRAMES)
    return np.array([part.mean() for part in np.array_split(logits, count)])


def person_score(
    logits: np.ndarray, rng: np.random.Generator, rounds: int = 1000, *, times_s: Sequence[float] | None = None
) -> PersonScore:
    """The worst run of a person's frames with its bootstrap interval.

    A run has `RUN_WINDOWS` windows, or as many as fit into `RUN_S` seconds where that is fewer.

    The interval is widened by the root of n / (n - 1), since a bootstrap of few values is too narrow by as much
    (Hesterberg, 2015, "narrowness bias").

    Args:
        logits: (N,) calibrated, in order of time, N >= 1.
        rng: of the bootstrap.
        times_s: (N,) when each frame is shown; None where they lie close together.
    """
    means = windows(logits)
    parts = np.array_split(np.arange(len(logits)), len(means))
    spans = _runs(parts, times_s)
    runs = np.array([means[first:end].mean() for first, end in spans])
    at = int(runs.argmax())
    begin, end = spans[at]
    picked = means[begin:end]
    length = len(picked)
    drawn = rng.choice(picked, (rounds, length)).mean(axis=1)
    wider = math.sqrt(length / (length - 1)) if length > 1 else 1.0
    low, high = runs[at] + wider * (np.quantile(drawn, [0.025, 0.975]) - runs[at])
    return PersonScore(
        logit=float(runs[at]),
        low=float(low),
        high=float(high),
        first=int(parts[begin][0]),
        last=int(parts[end - 1][-1]),
        chances=_apart(spans),
    )


def _runs(parts: Sequence[np.ndarray], times_s: Sequence[float] | None) -> list[tuple[int, int]]:
    """All runs of windows, (first, end), none of them within another; at least one.

    Args:
        parts: indices of the frames of each window.
        times_s: of all frames, or None.
    """
    count = len(parts)
    runs: list[tuple[int, int]] = []
    for first in range(count):
        end = min(first + RUN_WINDOWS, count)
        while times_s is not None and end - first > LEAST_WINDOWS:
            if times_s[parts[end - 1][-1]] - times_s[parts[first][0]] <= RUN_S:
                break
            end -= 1
        if not runs or end > runs[-1][1]:
            runs.append((first, end))
    return runs


def _apart(runs: Sequence[tuple[int, int]]) -> int:
    """How many of the runs, which are in order, share no window."""
    count, free = 0, 0
    for first, end in runs:
        if first >= free:
            count, free = count + 1, end
    return count


def stands_out(logits: np.ndarray) -> tuple[int, int] | None:
    """The run of frames that lies clearly above a person's other frames, as the indices of its first and last frame.

    Nine tenths of the run must lie `STANDS_OUT` above nine tenths of the others, its mean above even odds, and both
    must have at least `MIN_FRAMES`. Of several such runs the one with the largest contrast of means for its length,
    as a change point is found (Page, 1955). None where there is none.

    Args:
        logits: (N,) calibrated, in order of time.
    """
    n = len(logits)
    step = max(1, -(-n // _MOST_ENDS))
    best: tuple[float, int, int] | None = None
    for first in range(0, n - MIN_FRAMES + 1, step):
        for end in [*range(first + MIN_FRAMES, n, step), n]:
            inside, outside = logits[first:end], np.concatenate([logits[:first], logits[end:]])
            if len(outside) < MIN_FRAMES or inside.mean() <= 0:
                continue
            contrast = (inside.mean() - outside.mean()) * math.sqrt(len(inside) * len(outside) / n)
            if best is not None and contrast <= best[0]:
                continue
            if np.quantile(inside, 0.1) - np.quantile(outside, 0.9) >= STANDS_OUT:
                best = (contrast, first, end - 1)
    return None if best is None else best[1:]


def smooth(logits: np.ndarray, width: int = 3) -> np.ndarray:
    """Centred moving average over `width` frames, shorter at the ends."""
    half = width // 2
    return np.array([logits[max(0, i - half) : i + half + 1].mean() for i in range(len(logits))])
