"""How much work a file may take: hostile ones would take minutes."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident

_ALL_THREADS = 6.0
"""The process's threads together may work so many times the budget: decoders have threads of their own, and so have the
networks that work beside them."""


class Clock:
    """Counts down the seconds of work that a file may take, except while it is stopped.

    Work is processor time, never the clock on the wall: on a busy machine, after a halt or a sleep, and while a disk
    keeps it waiting, a file gives the same frames, later. What counts is the time of the thread that asks, which reads
    the file, so that it does not matter what the rest of the process does at the same time.

    Args:
        budget_s: seconds of work.
        should_stop: when it says True, the time counts as spent.
    """

    def __init__(self, budget_s: float, should_stop: Callable[[], bool] | None = None) -> None:
        self._budget_s, self._should_stop = budget_s, should_stop
        self._thread = get_ident()
        self._own_s, self._all_s = time.thread_time(), time.process_time()

    @property
    def expired(self) -> bool:
        """Whether the time is spent, or the caller wants an end."""
        return (self._should_stop is not None and self._should_stop()) or self.overdrawn

    @property
    def overdrawn(self) -> bool:
        """Whether the work took more than it may."""
        if get_ident() != self._thread:  # handed over: what the other thread did is forgotten
            self._thread, self._own_s = get_ident(), time.thread_time()
        if time.thread_time() - self._own_s > self._budget_s:
            return True
        return time.process_time() - self._all_s > _ALL_THREADS * self._budget_s

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """While something else is done, for instance with a frame that was read."""
        thread, own_s, all_s = get_ident(), time.thread_time(), time.process_time()
        yield
        if get_ident() == thread:
            self._own_s += time.thread_time() - own_s
        self._all_s += time.process_time() - all_s
