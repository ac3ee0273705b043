"""One file in one session: its analysis, and the pictures that the page asks for.

Everything made of a user's file lives here and goes with it. Nothing is written to disk and no log line carries a file
name.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from app.bugs import BUG_MESSAGE, BUSY_MESSAGE, log_bug, logger
from app.copies import MarkedCopy
from app.networks import Worker
from app.pictures import Picture, jpeg, shrink, square
from detector import Cancelled, DetectorError, Face, FileVerdict, ImageVerdict, Person, VideoVerdict

if TYPE_CHECKING:
    from detector import Detector
    from detector.explain.gradcam import Heatmap
    from detector.report import HasFalseAlarms

State = Literal["waiting", "running", "done", "failed", "stopped"]
_PLAYABLE_BYTES = 100_000_000
"""Up to this size a video is given to the browser to play: Streamlit copies what it has not sent yet."""
_MAX_PICTURES = 160
_FRAME_PX = 1280
_THUMB_PX = 160
_CLOSEUP_PX = 360
_CLOSEUP_STRENGTH = 0.6


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an analysis is: `done` from 0 to 1, `what` it is doing, seconds left when that can be told."""

    done: float
    what: str
    left_s: float | None


class Case:
    """One file in one session: its bytes or its path, its verdict, and the pictures made of it so far.

    The verdict comes first; pictures are asked for when the page shows them, are made by the worker, and are `None`
    until then.
    """

    def __init__(self, name: str, source: Path | bytes, models: str, line: Worker) -> None:
        self.name = name
        self.source = source
        self.size_bytes = source.stat().st_size if isinstance(source, Path) else len(source)
        self.models = models
        self.state: State = "waiting"
        self.verdict: FileVerdict | None = None
        self.error: str | None = None
        self.playable: str | None = None
        self.entry: HasFalseAlarms | None = None
        self.copy: MarkedCopy | None = None
        self._line = line
        self._detector: Detector | None = None
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._pictures: OrderedDict[tuple[Any, ...], Picture] = OrderedDict()
        self._asked: set[tuple[Any, ...]] = set()
        self.drawn = 0
        self._last_full: tuple[float | None, np.ndarray] | None = None
        self._last_heat: tuple[tuple[Any, ...], Heatmap] | None = None
        self._progress = Progress(0.0, "Waiting for its turn", None)
        self._started = 0.0
        if not line.submit(self._analyse):
            self.state, self.error = "failed", BUSY_MESSAGE

    @property
    def busy(self) -> bool:
        """Whether the verdict is still to come."""
        return self.state in ("waiting", "running")

    @property
    def drawing(self) -> bool:
        """Whether pictures are still to come."""
        return bool(self._asked)

    @property
    def progress(self) -> Progress:
        """What the analysis is doing now."""
        now, spent = self._progress, time.monotonic() - self._started
        # the first steps load networks and tell nothing about the rest
        if self.state == "running" and now.done >= 0.08 and spent > 1.5:
            return replace(now, left_s=spent * (1 - now.done) / now.done)
        return now

    def stop(self) -> None:
        """Stop the analysis, if it still runs. The worker notices at its next step; the page need not wait for it."""
        if self.busy:
            self._stop.set()
            self.state = "stopped"

    def close(self) -> None:
        """Stop whatever is going on, pictures as well: nobody will look at this case any more."""
        self.stop()
        self._stop.set()
        self.drop_copy()

    def make_copy(self, heat: bool) -> None:
        """Have a marked copy of the file made in place of the one before, with heatmaps or without."""
        self.drop_copy()
        if self.verdict is not None:
            self.copy = MarkedCopy(
                self.source,
                self.verdict,
                heat=heat,
                detector=self._judge,
                line=self._line,
            )

    def _judge(self) -> "Detector":
        """The detector that judged, for heatmaps of the networks that the verdict names, even if others are out now."""
        assert self._detector is not None
        return self._detector

    def drop_copy(self) -> None:
        """Stop making the marked copy and forget it."""
        if self.copy is not None:
            self.copy.stop()
            self.copy = None

    def face_at(self, number: int, time_s: float | None) -> Face | None:
        """The face of a person at a time (of the nearest frame that shows the person), or a photo's face."""
        verdict = self.verdict
        if isinstance(verdict, ImageVerdict):
            return next((f.face for f in verdict.faces if f.number == number), None)
        if isinstance(verdict, VideoVerdict):
            person = next((p for p in verdict.persons if p.number == number), None)
            if person is None or not person.timeline:
                return None
            return min(person.timeline, key=lambda point: abs(point.time_s - (time_s or 0.0))).face
        return None

    def frame(self, time_s: float | None = None) -> Picture | None:
        """The photo or the frame at a time, at most 1280 px wide or high."""
        return self._ask(("frame", time_s), lambda: jpeg(self._full(time_s), _FRAME_PX))

    def has_frame(self, time_s: float | None) -> bool:
        """Whether the photo or the frame at a time is there already."""
        return ("frame", time_s) in self._pictures

    def thumb(self, time_s: float) -> Picture | None:
        """A small picture of the frame at a time."""
        return self._still(("thumb", time_s), lambda: jpeg(self._full(time_s), _THUMB_PX))

    def portrait(self, number: int, time_s: float | None = None) -> Picture | None:
        """A small square picture of one face."""
        face = self.face_at(number, time_s)
        if face is None:
            return Picture(b"")
        return self._still(("portrait", number, time_s), lambda: jpeg(square(self._full(time_s), face), _THUMB_PX))

    def heat(self, number: int, network: str, time_s: float | None = None) -> Picture | None:
        """The same picture as `frame`, with the heatmap of one face by one network over it at full strength."""
        face = self.face_at(number, time_s)
        if face is None:
            return Picture(b"")
        return self._ask(("heat", number, network, time_s), lambda: self._draw_heat(face, network, time_s, False))

    def closeup(self, number: int, network: str, time_s: float | None = None) -> Picture | None:
        """One face, large, with the heatmap by one network over it."""
        face = self.face_at(number, time_s)
        if face is None:
            return Picture(b"")
        return self._ask(("closeup", number, network, time_s), lambda: self._draw_heat(face, network, time_s, True))

    def _draw_heat(self, face: Face, network: str, time_s: float | None, close: bool) -> Picture:
        from detector.explain.gradcam import overlay

        image = self._full(time_s)
        key = (network, time_s, face.box)
        if self._last_heat is None or self._last_heat[0] != key:
            self._last_heat = (key, self._judge().explain(image, face, model=network))
        heatmap = self._last_heat[1]
        # which places speak for manipulation may be none at all; the page says so instead of showing a plain picture
        note = heatmap.method if np.any(heatmap.heat > 0) else "flat"
        if close:
            mixed = square(overlay(image, heatmap.heat, heatmap.box, _CLOSEUP_STRENGTH), face)
            return replace(jpeg(mixed, _CLOSEUP_PX), note=note)
        small = shrink(image, _FRAME_PX)
        factor = small.shape[1] / image.shape[1]
        x0, y0, x1, y1 = heatmap.box
        box = (x0 * factor, y0 * factor, x1 * factor, y1 * factor)
        return replace(jpeg(overlay(small, heatmap.heat, box, 1.0), _FRAME_PX), note=note)

    def _still(self, key: tuple[Any, ...], make: Callable[[], Picture]) -> Picture | None:
        """A picture that one pass through the video gives along with all others; alone only where that pass failed."""
        in_the_pass = key not in self._pictures and isinstance(self.verdict, VideoVerdict)
        if in_the_pass and self._ask(("stills",), self._draw_stills) is None:
            return None
        return self._ask(key, make)

    def _draw_stills(self) -> Picture:
        """Every frame that shows a person, large and small, and the persons' portraits, decoding the video once."""
        from detector.video import iter_at

        assert isinstance(self.verdict, VideoVerdict)
        portraits = {best_time(person): person.number for person in reversed(self.verdict.persons)}
        times = sorted({point.time_s for person in self.verdict.persons for point in person.timeline})
        if not times:
            return Picture(b"")
        with closing(iter_at(self.source, times)) as frames:
            for frame in frames:
                if self._stop.is_set():
                    break
                time_s, image = min(times, key=lambda t: abs(t - frame.time_s)), frame.image
                self._keep(("frame", time_s), jpeg(image, _FRAME_PX))
                self._keep(("thumb", time_s), jpeg(image, _THUMB_PX))
                face = self.face_at(portraits[time_s], time_s) if time_s in portraits else None
                if face is not None:
                    self._keep(("portrait", portraits[time_s], time_s), jpeg(square(image, face), _THUMB_PX))
        return Picture(b"")

    def _full(self, time_s: float | None) -> np.ndarray:
        """(H, W, 3) uint8 RGB in full size; the last one is kept, since a frame is asked for several times in a row."""
        if self._last_full is None or self._last_full[0] != time_s:
            from detector.media import read_image
            from detector.video import read_frame

            image = read_image(self.source) if time_s is None else read_frame(self.source, time_s)
            self._last_full = (time_s, image)
        return self._last_full[1]

    def _ask(self, key: tuple[Any, ...], make: Callable[[], Picture]) -> Picture | None:
        with self._lock:
            if key in self._pictures:
                self._pictures.move_to_end(key)
                return self._pictures[key]
            if key in self._asked or self._stop.is_set():
                return None
            self._asked.add(key)
        if not self._line.submit(lambda: self._make(key, make)):
            self._asked.discard(key)
        return None

    def _make(self, key: tuple[Any, ...], make: Callable[[], Picture]) -> None:
        picture = self._pictures.get(key, Picture(b""))
        try:
            if key not in self._pictures and not self._stop.is_set():
                picture = make()
        except DetectorError:
            logger.warning("a picture of kind %s could not be made", key[0])
        except Exception as error:
            log_bug("a picture", error)
        finally:
            self._keep(key, picture)
            self._asked.discard(key)
            if not self._asked:
                # a large photo takes hundreds of megabytes as an array
                self._last_full = self._last_heat = None

    def _keep(self, key: tuple[Any, ...], picture: Picture) -> None:
        with self._lock:
            self._pictures[key] = picture
            self.drawn += 1
            while len(self._pictures) > _MAX_PICTURES:
                self._pictures.popitem(last=False)

    def _analyse(self) -> None:
        if self._stop.is_set():
            return
        self._started = time.monotonic()
        self.state = "running"
        self._on_progress(0.0, "Loading the networks")
        try:
            detector = self._line.detector(self.models)
            verdict = detector.file(
                self.source, name=self.name, on_progress=self._on_progress, should_stop=self._stop.is_set
            )
        except Cancelled:
            self.state = "stopped"
        except DetectorError as error:
            self.state, self.error = "failed", str(error)
        except Exception as error:
            log_bug("an analysis", error)
            self.state, self.error = "failed", BUG_MESSAGE
        else:
            if not self._stop.is_set():
                self.verdict = verdict
                self.entry = detector.entry
                self._detector = detector
                self.playable = playable_type(verdict, self.source) if self.size_bytes <= _PLAYABLE_BYTES else None
                self.state = "done"

    def _on_progress(self, done: float, what: str) -> None:
        self._progress = Progress(min(max(done, 0.0), 1.0), what, None)


def best_time(person: Person) -> float | None:
    """The frame to look at first: the most suspicious one, else the middle of those that show the person."""
    if person.worst_time_s is not None:
        return person.worst_time_s
    return person.timeline[len(person.timeline) // 2].time_s if person.timeline else None


def playable_type(verdict: FileVerdict, source: Path | bytes) -> str | None:
    """The MIME type under which browsers play this video; None for a kind that they do not play."""
    if not isinstance(verdict, VideoVerdict):
        return None
    from detector.media import read_head
    from detector.video import probe

    try:
        head = read_head(source)
        mime = "video/mp4" if head[4:8] == b"ftyp" else "video/webm" if head[:4] == b"\x1aE\xdf\xa3" else None
        codec = probe(source).codec
    except DetectorError:
        return None
    return mime if codec in ("h264", "vp8", "vp9", "av1") else None
