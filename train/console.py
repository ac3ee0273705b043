"""Output of recipes on the screen: lines, and one progress bar with time left."""

import sys
import time
from types import TracebackType

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from train.processes import is_main

_EVERY_S = 60.0


def say(text: str) -> None:
    """One line on standard output, at once; of several processes, the main one says it."""
    if is_main():
        print(text, flush=True)


class Bar:
    """A progress bar on a terminal; a line a minute where output goes to a file."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._rich = (
            Progress(
                TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}/{task.total:.0f}"),
                TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
            )
            if sys.stderr.isatty() and is_main()
            else None
        )  # fmt: skip
        self._task = self._rich.add_task(title, total=1, note="") if self._rich else None
        self._said = time.monotonic()
        self._began = time.monotonic()

    def at(self, done: int, total: int, note: str = "") -> None:
        """So many of so many are done."""
        if self._rich is not None and self._task is not None:
            self._rich.update(self._task, description=self.title, completed=done, total=total, note=note)
            return
        if done == 1:
            self._began = time.monotonic()
        now = time.monotonic()
        if now - self._said >= _EVERY_S:
            self._said = now
            left = (now - self._began) / max(1, done) * (total - done)
            say(f"{self.title}: {done}/{total}, {left / 60:.0f} min left {note}".rstrip())

    def __enter__(self) -> "Bar":
        if self._rich:
            self._rich.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._rich:
            self._rich.stop()
