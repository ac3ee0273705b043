"""One file that is checked: its bytes or its path, how far the check is, and its verdict.

Everything made of a user's file lives here and goes with it. Nothing is written to disk but a large upload, in a folder
of its own, until its checks are forgotten; no log line carries a file name.
"""

import re
import secrets
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from app.album import Album
from app.bugs import BUSY_MESSAGE, failure
from app.calm import Calm, left_in_words
from app.copies import MarkedCopy
from app.look import Look
from app.networks import Worker
from app.stills import Stills
from detector import Cancelled, DetectorError, FileVerdict, VideoVerdict
from detector.uploads import Upload

if TYPE_CHECKING:
    from detector import Detector
    from detector.report import HasFalseAlarms
    from detector.video import VideoInfo

State = Literal["waiting", "running", "done", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a check is.

    Attributes:
        done: share from 0 to 1.
        what: what is being done.
        left: the time left in words; empty while nobody can tell.
        steps: what is done already, in order.
    """

    done: float
    what: str
    left: str = ""
    steps: tuple[str, ...] = ()


class Case:
    """One file, checked by the worker from the moment that this is made. Nobody can guess `id`, its address."""

    def __init__(
        self,
        name: str,
        source: Path | bytes | Upload,
        models: str,
        line: Worker,
        look: Look | None = None,
        *,
        owner: str | None = None,
    ) -> None:
        # hexadecimal: Streamlit refuses a component's key that holds two underscores
        self.id = secrets.token_hex(16)
        self.name = name
        self._upload = source.hold() if isinstance(source, Upload) else None
        self.source = source.path if isinstance(source, Upload) else source
        self.size_bytes = self.source.stat().st_size if isinstance(self.source, Path) else len(self.source)
        self.models = models
        self.look = look or Look()
        self.state: State = "waiting"
        self.verdict: FileVerdict | None = None
        self.error: str | None = None
        self.playable: str | None = None
        self.entry: HasFalseAlarms | None = None
        self.album: Album | None = None
        self.copy: MarkedCopy | None = None
        self._line = line
        self._detector: Detector | None = None
        self._stop = threading.Event()
        self._calm = Calm()
        self._progress = Progress(0.0, "Waiting for its turn")
        self._started = time.monotonic()
        self._place = line.submit(self._analyse, owner)
        if self._place is None:
            self.state, self.error = "failed", BUSY_MESSAGE

    @property
    def brought(self) -> "Path | bytes | Upload":
        """The file that this checks, for another check of it."""
        return self._upload or self.source

    @property
    def kept_bytes(self) -> int:
        """Memory, or disk for uploads, that the file itself takes."""
        return self.size_bytes if self._upload is not None or isinstance(self.source, bytes) else 0

    @property
    def busy(self) -> bool:
        """Whether the verdict is still to come."""
        return self.state in ("waiting", "running")

    @property
    def progress(self) -> Progress:
        """The present step and share of the check."""
        if self.state == "waiting" and self._place is not None and (ahead := self._place.ahead):
            return replace(self._progress, what=f"{self._progress.what}, {ahead} before it")
        return self._progress

    def stop(self) -> None:
        """Stop the check, if it still runs. The worker notices at its next step; nobody need wait for it."""
        if self.busy:
            self._stop.set()
            self.state = "stopped"

    def close(self) -> None:
        """Stop whatever is going on, pictures as well: nobody will look at this case any more."""
        self.stop()
        self._stop.set()
        if self.album is not None:
            self.album.close()
        self.drop_copy()
        upload, self._upload = self._upload, None
        if upload is not None:
            upload.close()

    def make_copy(self, heat: bool) -> None:
        """Have a marked copy of the file made in place of the one before, with heatmaps or without."""
        self.drop_copy()
        if self.verdict is not None:
            self.copy = MarkedCopy(self.source, self.verdict, heat=heat, detector=self._judge, line=self._line)

    @property
    def judge(self) -> "Detector | None":
        """The detector that judged; None where the check failed."""
        return self._detector

    def drop_copy(self) -> None:
        """Stop making the marked copy and forget it."""
        if self.copy is not None:
            self.copy.stop()
            self.copy = None

    def _judge(self) -> "Detector":
        """The detector that judged, for heatmaps of the networks that the verdict names, even if others are out now."""
        assert self._detector is not None
        return self._detector

    def _analyse(self) -> None:
        if self._stop.is_set():
            return
        self.state, self._progress = "running", Progress(0.0, "Loading the networks")
        try:
            detector, stills = self._line.detector(self.models), Stills()
            # how long the networks took tells nothing about the file
            self._started = time.monotonic()
            verdict = detector.file(
                self.source,
                name=self.name,
                observer=stills,
                on_progress=self._on_progress,
                should_stop=self._stop.is_set,
                **self.look.options(),
            )
        except Cancelled:
            self.state = "stopped"
        except Exception as error:
            self.state, self.error = "failed", failure("an analysis", error)
        else:
            if not self._stop.is_set():
                self.verdict = verdict
                self.entry = detector.entry
                self._detector = detector
                self.album = Album(self.source, verdict, detector, self._line, stills)
                self.playable = playable_type(stills.info, self.source) if isinstance(verdict, VideoVerdict) else None
                self.state = "done"

    def _on_progress(self, done: float, what: str) -> None:
        done = min(max(done, 0.0), 1.0)
        steps, before = self._progress.steps, _step(self._progress.what)
        if _step(what) != before and before not in steps:
            steps = (*steps, before)
        left = left_in_words(self._calm.left_s(time.monotonic() - self._started, done))
        self._progress = Progress(done, what, left, steps)


def _step(what: str) -> str:
    """ "Reading frames" of "Reading frames, 3 of 32": what a step is called without its count."""
    return re.sub(r"(,| face) \d+ of \d+$", "", what)


def playable_type(info: "VideoInfo | None", source: Path | bytes) -> str | None:
    """The MIME type under which browsers play a video; None for a kind that they do not play."""
    if info is None or info.codec not in ("h264", "vp8", "vp9", "av1"):
        return None
    from detector.media import read_head

    try:
        head = read_head(source)
    except DetectorError:
        return None
    return "video/mp4" if head[4:8] == b"ftyp" else "video/webm" if head[:4] == b"\x1aE\xdf\xa3" else None
