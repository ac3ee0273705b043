"""Frames to persons: pure functions on arrays of calibrated logits in order of time."""

from dataclasses import dataclass

import numpy as np

WINDOW_FRAMES = 2
"""Sampled frames of one person that make one window of time."""
RUN_WINDOWS = 4
"""A person is judged by the worst run of so many windows in a row: manipulation may fill only part of a video, and a
single frame may be a chance alarm."""
MIN_FRAMES = 4
"""Fewer usable frames than this give no verdict."""


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


def windows(logits: np.ndarray) -> np.ndarray:
    """Means of consecutive pairs of frames: (N,) -> (max(1, N // 2),); an odd frame joins the first window."""
    count = max(1, len(logits) // WINDOW_FRAMES)
    return np.array([part.mean() for part in np.array_split(logits, count)])


def person_score(logits: np.ndarray, rng: np.random.Generator, rounds: int = 1000) -> PersonScore:
    """The worst run of a person's frames with its bootstrap interval.

    Args:
        logits: (N,) calibrated, in order of time, N >= 1.
        rng: of the bootstrap.
    """
    means = windows(logits)
    parts = np.array_split(np.arange(len(logits)), len(means))
    length = min(RUN_WINDOWS, len(means))
    runs = np.array([means[i : i + length].mean() for i in range(len(means) - length + 1)])
    at = int(runs.argmax())
    picked = means[at : at + length]
    drawn = rng.choice(picked, (rounds, length)).mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return PersonScore(
        logit=float(runs[at]),
        low=float(low),
        high=float(high),
        first=int(parts[at][0]),
        last=int(parts[at + length - 1][-1]),
        chances=max(1, len(means) // length),
    )


def smooth(logits: np.ndarray, width: int = 3) -> np.ndarray:
    """Centred moving average over `width` frames, shorter at the ends."""
    half = width // 2
    return np.array([logits[max(0, i - half) : i + half + 1].mean() for i in range(len(logits))])
