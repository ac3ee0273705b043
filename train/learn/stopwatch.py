"""Hours of work for a run's record: a process that was halted, or a computer that slept, did not work meanwhile.

Neither the clock on the wall nor processor time tells: the first goes on during a halt, the second stands still while
a GPU or other processes work. So a thread looks at the clock every second; when it comes far later, there was a halt.
"""

import threading
import time
from functools import cache

_BEAT_S = 1.0
_LATE_S = 10.0
"""A busy machine may keep the thread waiting for so long; a longer gap counts as a halt of all but this."""


class Stopwatch:
    """Seconds of work, added up over resumed parts.

    Args:
        already_s: of the parts before.
    """

    def __init__(self, already_s: float = 0.0) -> None:
        self._start = _heart().seconds - already_s

    @property
    def seconds(self) -> float:
        return _heart().seconds - self._start


class _Heart:
    """Seconds that this process was awake, counted since it was made."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = time.monotonic()
        self._awake = 0.0
        threading.Thread(target=self._run, name="stopwatch", daemon=True).start()

    @property
    def seconds(self) -> float:
        with self._lock:
            now = time.monotonic()
            self._awake += min(now - self._last, _LATE_S)
            self._last = now
            return self._awake

    def _run(self) -> None:
        while True:
            time.sleep(_BEAT_S)
            _ = self.seconds


@cache
def _heart() -> _Heart:
    return _Heart()
