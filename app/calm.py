"""How long a work will still take, said calmly: late enough to be worth something, rounded, and not up and down."""

import math

_FROM = 0.2
"""Share that must be done before anything is said."""
_WEIGHT = 0.25
"""Of the newest estimate against the ones before."""
_RISE = 1.25
"""A longer time is said only when it is longer by this factor."""


class Calm:
    """The time left of one work, from what it has spent and what share is done."""

    def __init__(self) -> None:
        self._total_s: float | None = None
        self._said_s: int | None = None

    def left_s(self, spent_s: float, done: float) -> int | None:
        """Seconds left, in steps of 10 up to a minute and of a minute from there; None while nobody can tell."""
        if done < _FROM or spent_s <= 0:
            return None
        estimate = spent_s / done
        self._total_s = estimate if self._total_s is None else (1 - _WEIGHT) * self._total_s + _WEIGHT * estimate
        left = self._total_s * (1 - done)
        step = 10 if left <= 60 else 60
        rounded = max(step, step * math.ceil(left / step))
        if self._said_s is None or rounded < self._said_s or left > _RISE * self._said_s:
            self._said_s = rounded
        return self._said_s


def left_in_words(left_s: int | None) -> str:
    """ "About 40 s left", "About 2 minutes left", "A few seconds left"; empty while nobody can tell."""
    if left_s is None:
        return ""
    if left_s <= 10:
        return "A few seconds left"
    if left_s <= 60:
        return f"About {left_s} s left"
    minutes = math.ceil(left_s / 60)
    return f"About {minutes} minutes left"
