"""The published networks, and the one thread of a server that runs them for all sessions.

Nothing of a user's file stays here: loaded networks and what is known of them are all that sessions share.
"""

import queue
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from app.bugs import log_bug
from detector import WeightsError

if TYPE_CHECKING:
    from detector import Detector
    from detector.manifest import Manifest

_Key = tuple[str, tuple[int, ...] | None]
"""A detector's name and `published()` when it was loaded."""
_MAX_WAITING = 64
"""Tasks that may wait for the worker. Each holds a reference to a file in memory, so the line must be short."""
_MAX_DETECTORS = 4


def build_detector(name: str) -> "Detector":
    """A detector by the name of an ensemble or a network; tests put a fake here."""
    from detector import Detector
    from detector.engine import leave_cores_free

    leave_cores_free()
    return Detector(name)


def published() -> tuple[int, ...] | None:
    """What tells one published set from the next, for a glance at every file: None when there is none."""
    from detector.manifest import MANIFEST, default_folder

    try:
        found = (default_folder() / MANIFEST).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


@st.cache_resource(show_spinner=False, max_entries=1)
def _manifest_of(stamp: tuple[int, ...] | None) -> "Manifest":
    from detector.manifest import read_manifest

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


def preload() -> None:
    """Have the default networks loaded before anybody asks for them; without weights nothing happens."""
    if published() is not None:
        worker().submit(_load_default)


def _load_default() -> None:
    try:
        worker().detector("default")
    except WeightsError:
        # the page says so to whoever opens it
        return


@st.cache_resource(show_spinner=False)
def worker() -> Worker:
    """The worker of this server, with the loaded networks."""
    return Worker()
