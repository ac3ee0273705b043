"""A marked copy of a session's file, made by the worker when the user asks for it."""

import io
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from app.bugs import BUSY_MESSAGE, failure
from detector import Cancelled, FileVerdict

if TYPE_CHECKING:
    from detector import Detector

State = Literal["making", "done", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the copy is: `done` from 0 to 1, and what is being done."""

    done: float
    what: str


class Line(Protocol):
    """Where work waits for its turn."""

    def submit(self, task: Callable[[], None]) -> object | None:
        """None when there is no room."""
        ...


class MarkedCopy:
    """One copy: in line or being made, then its bytes, an error, or nothing because it was stopped.

    Args:
        source: the file.
        verdict: on that file, with a face or a person.
        heat: lay heatmaps over the judged faces.
        detector: gives the detector for the heatmaps; called by the worker.
        line: the worker.
    """

    def __init__(
        self,
        source: Path | bytes,
        verdict: FileVerdict,
        *,
        heat: bool,
        detector: Callable[[], "Detector"],
        line: Line,
    ) -> None:
        self.heat = heat
        self.state: State = "making"
        self.error: str | None = None
        self.data = b""
        self.progress = Progress(0.0, "Waiting for its turn")
        self._source, self._verdict, self._detector = source, verdict, detector
        self._stop = threading.Event()
        if not line.submit(self._make):
            self.state, self.error = "failed", BUSY_MESSAGE

    def stop(self) -> None:
        """Stops the work; the worker notices at its next frame."""
        self._stop.set()
        if self.state == "making":
            self.state = "stopped"

    def _make(self) -> None:
        if self._stop.is_set():
            return
        from detector.annotate import annotate

        out = io.BytesIO()
        try:
            annotate(
                self._source,
                self._verdict,
                out,
                detector=self._detector() if self.heat else None,
                on_progress=self._on_progress,
                should_stop=self._stop.is_set,
            )
        except Cancelled:
            self.state = "stopped"
        except Exception as error:
            self.state, self.error = "failed", failure("a marked copy", error)
        else:
            self.data = out.getvalue()
            self.state = "stopped" if self._stop.is_set() else "done"

    def _on_progress(self, done: float, what: str) -> None:
        self.progress = Progress(min(max(done, 0.0), 1.0), what)
