"""Progress out, cancel in: what a caller hands to long work, and how that work uses it."""

from collections.abc import Callable

from detector.errors import Cancelled

OnProgress = Callable[[float, str], None]
"""Told a share from 0 to 1 and what is being done."""
ShouldStop = Callable[[], bool]
"""Asked often; when it says True, `Cancelled` is raised."""


class Steps:
    """Called at every step of a work with the share that is done, which may pass 1 by rounding, and what comes next.

    Args:
        on_progress, should_stop: the caller's; None where it has none.
        cancelled: the message of `Cancelled`.
    """

    def __init__(
        self,
        on_progress: OnProgress | None,
        should_stop: ShouldStop | None,
        cancelled: str = "The analysis was cancelled.",
    ) -> None:
        self._on_progress, self._should_stop, self._cancelled = on_progress, should_stop, cancelled

    def stopped(self) -> bool:
        """Whether the caller wants it to end."""
        return self._should_stop is not None and self._should_stop()

    def __call__(self, share: float, what: str) -> None:
        if self.stopped():
            raise Cancelled(self._cancelled)
        if self._on_progress:
            self._on_progress(min(1.0, share), what)
