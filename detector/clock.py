"""How long a file may be worked on: hostile ones would take minutes, and on a busy machine so would good ones."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_PATIENCE = 6.0
"""By the clock on the wall, work may take so many times its budget."""


class Clock:
    """Counts down the seconds that work may take, except while it is stopped.

    What counts is the processor time of this process where that is less than the time that passed: the same file gives
    the same frames while other programs keep the machine busy. A disk that does not answer takes no processor time,
    so a multiple of the budget ends the work in any case.

    Args:
        budget_s: seconds of work.
        should_stop: when it says True, the time counts as spent.
        may_wait: False where there is no disk to wait for. Then a computer that slept, or a process that was halted,
            goes on where it was.
    """

    def __init__(
        self, budget_s: float, should_stop: Callable[[], bool] | None = None, *, may_wait: bool = True
    ) -> None:
        self._budget_s, self._should_stop, self._may_wait = budget_s, should_stop, may_wait
        self._wall_s, self._worked_s = time.monotonic(), time.process_time()

    @property
    def expired(self) -> bool:
        """Whether the time is spent."""
        if self._should_stop is not None and self._should_stop():
            return True
        wall_s = time.monotonic() - self._wall_s
        if wall_s <= self._budget_s:
            return False
        waited = self._may_wait and wall_s > _PATIENCE * self._budget_s
        return waited or time.process_time() - self._worked_s > self._budget_s

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """While something else is done, for instance with a frame that was read."""
        wall_s, worked_s = time.monotonic(), time.process_time()
        yield
        self._wall_s += time.monotonic() - wall_s
        self._worked_s += time.process_time() - worked_s
