"""What one browser session holds, the thread that works for it, and the only caches of the app.

Networks are shared by all sessions and live in `worker()`; everything that comes from a user's file lives in that
session's `Case` and goes with it. Nothing is written to disk and no log line carries a file name.
"""

import io
import os
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import streamlit as st
from PIL import Image
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.bugs import BUG_MESSAGE, BUSY_MESSAGE, log_bug, logger
from app.copies import MarkedCopy
from detector import Cancelled, DetectorError, Face, FileVerdict, ImageVerdict, Person, VideoVerdict, WeightsError

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

    from detector import Detector
    from detector.explain.gradcam import Heatmap
    from detector.report import HasFalseAlarms
    from detector.weights import Manifest

_Key = tuple[str, tuple[int, ...] | None]
"""A detector's name and `published()` when it was loaded."""

State = Literal["waiting", "running", "done", "failed", "stopped"]

_MAX_WAITING = 64
"""Tasks that may wait for the worker. Each holds a reference to a file in memory, so the line must be short."""

_PLAYABLE_BYTES = 100_000_000
"""Up to this size a video is given to the browser to play: Streamlit copies what it has not sent yet."""

_MAX_DETECTORS = 4
_MAX_PICTURES = 160
_FRAME_PX = 1280
_THUMB_PX = 160
_CLOSEUP_PX = 360
_CLOSEUP_STRENGTH = 0.6


def build_detector(name: str) -> "Detector":
    """A detector by the name of an ensemble or a network; tests put a fake here."""
    from detector import Detector
    from detector.engine import leave_cores_free

    leave_cores_free()
    return Detector(name)


def published() -> tuple[int, ...] | None:
    """What tells one published set from the next, for a glance at every file: None when there is none."""
    from detector.weights import MANIFEST, default_folder

    try:
        found = (default_folder() / MANIFEST).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


@st.cache_resource(show_spinner=False, max_entries=1)
def _manifest_of(stamp: tuple[int, ...] | None) -> "Manifest":
    from detector.weights import read_manifest

    return read_manifest()


def manifest() -> "Manifest":
    """What is known of the published networks; read again when others have been published.

    Raises:
        WeightsError: there are none, or they are damaged.
    """
    return _manifest_of(published())


def model_names() -> tuple[str, ...]:
    """Names of the ensembles and networks that can be chosen, default first."""
    return manifest().names()


def members(name: str) -> tuple[str, ...]:
    """The networks of an ensemble; empty for a single network."""
    found = manifest().entry(name).members
    return found if len(found) > 1 else ()


class Worker:
    """The one thread that decodes and runs networks, for all sessions in turn.

    One thread, since two analyses at once on the same cores take longer each and twice the memory; not a
    `ThreadPoolExecutor`, since Python waits for its threads at exit and Ctrl+C would hang until a video is done.
    """

    def __init__(self) -> None:
        self._tasks: queue.Queue[Callable[[], None]] = queue.Queue(_MAX_WAITING)
        self._detectors: OrderedDict[_Key, Detector] = OrderedDict()
        self._loads: dict[_Key, Exception | None] = {}
        threading.Thread(target=self._work, name="unmask-worker", daemon=True).start()

    def submit(self, task: Callable[[], None]) -> bool:
        """Put a task in line. It must not raise. False when the line is full."""
        try:
            self._tasks.put_nowait(task)
        except queue.Full:
            return False
        return True

    def detector(self, name: str) -> "Detector":
        """The detector of that name with the networks published now, loaded on first use. Only tasks may call this."""
        key = (name, published())
        if key not in self._detectors:
            # what other sets left goes first: two sets at once would take twice the memory
            for old in [k for k in self._detectors if k[1] != key[1]]:
                del self._detectors[old]
            self._loads = {k: error for k, error in self._loads.items() if k[1] == key[1]}
            key, built = self._build(name)
            self._detectors[key] = built
            self._loads.pop(key, None)
        self._detectors.move_to_end(key)
        while len(self._detectors) > _MAX_DETECTORS:
            self._detectors.popitem(last=False)
        return self._detectors[key]

    def _build(self, name: str) -> tuple["_Key", "Detector"]:
        """A detector, whose networks are all of one set, and the key under which it may be kept.

        A set that is replaced while it is loaded looks damaged, since its files no longer match its manifest: then the
        new one is loaded.
        """
        while True:
            stamp = published()
            try:
                return (name, stamp), build_detector(name)
            except WeightsError:
                if published() == stamp:
                    raise

    def ready(self, name: str) -> "Detector | None":
        """The detector of that name if it is loaded; else it is put in line for that, and this is to be asked again.

        Raises:
            Exception: what went wrong when it was loaded last.
        """
        key = (name, published())
        found = self._detectors.get(key)
        if found is not None:
            return found
        if key not in self._loads:
            self._loads[key] = None
            if not self.submit(lambda: self._load(key)):
                self._loads.pop(key, None)
        elif (error := self._loads[key]) is not None:
            raise error
        return None

    def _load(self, key: "_Key") -> None:
        try:
            self.detector(key[0])
        except Exception as error:
            self._loads[key] = error
        else:
            # it may have been published again meanwhile: then this is asked for once more, under the new key
            self._loads.pop(key, None)

    def _work(self) -> None:
        while True:
            task = self._tasks.get()
            try:
                task()
            except BaseException as error:
                log_bug("worker", error)
            # or the last user's file would stay in memory until somebody else brings one
            del task


@st.cache_resource(show_spinner=False)
def worker() -> Worker:
    """The worker of this server, with the loaded networks."""
    return Worker()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an analysis is: `done` from 0 to 1, `what` it is doing, seconds left when that can be told."""

    done: float
    what: str
    left_s: float | None


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG for the page; `data` is empty where it could not be made. `note` says what it shows, when that matters."""

    data: bytes
    width: int = 0
    height: int = 0
    note: str = ""


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
        return self._still(("portrait", number, time_s), lambda: jpeg(_square(self._full(time_s), face), _THUMB_PX))

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
            mixed = _square(overlay(image, heatmap.heat, heatmap.box, _CLOSEUP_STRENGTH), face)
            return replace(jpeg(mixed, _CLOSEUP_PX), note=note)
        small = _shrink(image, _FRAME_PX)
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
        """Every frame that was looked at, large and small, and the persons' portraits, decoding the video once."""
        from detector.pipeline import MAX_FRAMES
        from detector.video import iter_frames

        assert isinstance(self.verdict, VideoVerdict)
        portraits = {best_time(person): person.number for person in reversed(self.verdict.persons)}
        with closing(iter_frames(self.source, max_frames=MAX_FRAMES)) as frames:
            for frame in frames:
                if self._stop.is_set():
                    break
                time_s, image = frame.time_s, frame.image
                self._keep(("frame", time_s), jpeg(image, _FRAME_PX))
                self._keep(("thumb", time_s), jpeg(image, _THUMB_PX))
                face = self.face_at(portraits[time_s], time_s) if time_s in portraits else None
                if face is not None:
                    self._keep(("portrait", portraits[time_s], time_s), jpeg(_square(image, face), _THUMB_PX))
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
                self.playable = _playable(verdict, self.source) if self.size_bytes <= _PLAYABLE_BYTES else None
                self.state = "done"

    def _on_progress(self, done: float, what: str) -> None:
        self._progress = Progress(min(max(done, 0.0), 1.0), what, None)


def best_time(person: Person) -> float | None:
    """The frame to look at first: the most suspicious one, else the middle of those that show the person."""
    if person.worst_time_s is not None:
        return person.worst_time_s
    return person.timeline[len(person.timeline) // 2].time_s if person.timeline else None


class _Close:
    """Holds a session's case so that its work stops when the page is closed."""

    case: Case | None = None

    def stop(self) -> None:
        if self.case is not None:
            self.case.stop()


@st.cache_resource(scope="session", on_release=_Close.stop, show_spinner=False)
def _at_close() -> _Close:
    return _Close()


def current() -> Case | None:
    """The case of this session."""
    case = st.session_state.get("case")
    return case if isinstance(case, Case) else None


def open_file(name: str, source: Path | bytes) -> None:
    """Start the analysis of a file in place of the current one."""
    close()
    case = Case(name, source, models(), worker())
    st.session_state.case = case
    _at_close().case = case


def take_upload(upload: "UploadedFile") -> bytes:
    """The bytes of an upload, which Streamlit then forgets: it would keep them until the page is closed."""
    data = upload.getvalue()
    context = get_script_run_ctx()
    if context is not None:
        context.uploaded_file_mgr.remove_file(context.session_id, upload.file_id)
    return data


def open_path(text: str) -> str | None:
    """Start the analysis of a file of this computer, read where it lies; else why not, in a line with the next step.

    Args:
        text: a path as people paste it: with quotes around it, with ~, or as a file:// address.
    """
    if not is_local():
        return "Files of the computer that this page runs on can only be opened on that computer itself."
    text = text.strip().strip("\"'")
    if text.lower().startswith("file:"):
        text = url2pathname(urlsplit(text).path)
    if not text:
        return "Type or paste the path of a photo or a video."
    missing = "There is no such file on this computer. Copy its whole path, from the drive or the first slash on."
    try:
        path = Path(text).expanduser()
        if path.is_dir():
            return "That is a folder. Give the path of one file in it; `python -m detector FOLDER` checks them all."
        if not path.is_file():
            return missing
        with path.open("rb"):
            pass
    except (RuntimeError, ValueError):  # a user or a character that cannot be
        return missing
    except OSError:
        return "That file may not be opened. Copy it to a folder of your own, or allow this user to read it."
    open_file(path.name, path)
    return None


def close() -> None:
    """Forget the current file and everything made of it; stop its analysis if it still runs."""
    case = current()
    if case is not None:
        case.close()
        _at_close().case = None
    for key in ("case", "person", "time_s", "network"):
        st.session_state.pop(key, None)
    # a new key drops the upload that Streamlit keeps in memory
    st.session_state.upload_number = st.session_state.get("upload_number", 0) + 1


def again() -> None:
    """Analyse the current file once more, with the networks chosen now."""
    case = current()
    if case is not None:
        open_file(case.name, case.source)


def models() -> str:
    """Name of the ensemble or network to use: "default" until the user chose one that is still published."""
    chosen = str(st.session_state.get("models", "default"))
    return chosen if chosen in model_names() else "default"


def choose_models(name: str) -> None:
    """Use another ensemble or network, on the current file as well."""
    # by one name only, or its networks would be loaded twice
    name = "default" if name == model_names()[0] else name
    if name != models():
        st.session_state.models = name
        again()


def next_turn() -> int:
    """A number that is higher at every call of this session: the page's scripts tell by it which data are newer."""
    turn = int(st.session_state.get("turn", 0)) + 1
    st.session_state.turn = turn
    return turn


def is_local() -> bool:
    """Whether the app runs on the user's own computer, so that files never leave it."""
    if os.environ.get("UNMASK_DEPLOYMENT") == "server" or os.environ.get("SPACE_ID"):
        return False
    return st.get_option("server.address") in ("127.0.0.1", "localhost", "::1")


def upload_limit_mb() -> int:
    """Largest file that the server takes, in megabytes, as configured."""
    return int(st.get_option("server.maxUploadSize"))


def _playable(verdict: FileVerdict, source: Path | bytes) -> str | None:
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


def _shrink(image: np.ndarray, longest_px: int) -> np.ndarray:
    factor = longest_px / max(image.shape[:2])
    if factor >= 1:
        return image
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX if factor < 0.25 else None))


def jpeg(image: np.ndarray, longest_px: int) -> Picture:
    """A picture for the page, at most `longest_px` wide or high; its width and height are those of the full image."""
    height, width = image.shape[:2]
    out = io.BytesIO()
    Image.fromarray(_shrink(image, longest_px)).save(out, "JPEG", quality=88)
    return Picture(out.getvalue(), width, height)


def _square(image: np.ndarray, face: Face) -> np.ndarray:
    """The face with some room around it, cut at the image's border."""
    x0, y0, x1, y1 = face.box
    half = face.size_px * 0.65
    cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
    height, width = image.shape[:2]
    left, right = int(max(0, cx - half)), int(min(width, cx + half))
    top, bottom = int(max(0, cy - half)), int(min(height, cy + half))
    return image[top : max(bottom, top + 1), left : max(right, left + 1)]
