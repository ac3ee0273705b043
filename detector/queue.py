"""The one line of work of a server, for page and API: loaded networks shared by all, users served in turn.

    worker = Worker(build, on_bug)
    place = worker.submit(task, owner="a session")     # None where there is no room
    place.ahead                                        # tasks that come first

Nothing of a user's file stays here: loaded networks are all that users share.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from detector import manifest
from detector.errors import WeightsError

if TYPE_CHECKING:
    from detector.pipeline import Detector

MAX_WAITING = 64
"""Tasks that may wait. Each holds a file, so the line must be short."""
MAX_OF_ONE = 24
"""Tasks of one user that may wait: the rest of the line is for others."""

_Key = tuple[str, tuple[int, ...] | None]
"""A detector's name and `published()` when it was loaded."""
_MAX_DETECTORS = 4


def published() -> tuple[int, ...] | None:
    """A stamp that tells one published set from the next, for a glance at every file: None when there is none."""
    try:
        stat = (manifest.default_folder() / manifest.MANIFEST).stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


class Place:
    """A task's place in the line."""

    def __init__(self, line: "Worker", task: Callable[[], None], owner: str | None, turn: int) -> None:
        self._line, self.task, self.owner, self.turn = line, task, owner, turn

    @property
    def ahead(self) -> int:
        """How many tasks come first, the one at work among them; 0 when it is its turn, or it is done."""
        return self._line.ahead_of(self)


class Worker:
    """The one thread that decodes and runs networks, for all users in turn: the first task of each, then the second.

    One thread, since two analyses at once on the same cores take longer each and twice the memory; not a
    `ThreadPoolExecutor`, since Python waits for its threads at exit and Ctrl+C would hang until a video is done.

    Args:
        build: makes a detector by the name of an ensemble or a network.
        on_bug: told of an error that a task let out.
        max_waiting, max_of_one: tasks that may wait, of all users and of one.
    """

    def __init__(
        self,
        build: Callable[[str], "Detector"],
        on_bug: Callable[[BaseException], None],
        *,
        max_waiting: int = MAX_WAITING,
        max_of_one: int = MAX_OF_ONE,
    ) -> None:
        self._build_one, self._on_bug = build, on_bug
        self._max_waiting, self._max_of_one = max_waiting, max_of_one
        self._changed = threading.Condition()
        self._waiting: list[Place] = []
        self._working = False
        self._round = 0
        self._served: dict[str, int] = {}
        self._detectors: OrderedDict[_Key, Detector] = OrderedDict()
        self._loads: dict[_Key, Exception | None] = {}
        threading.Thread(target=self._work, name="unmask-worker", daemon=True).start()

    def submit(self, task: Callable[[], None], owner: str | None = None) -> Place | None:
        """Puts a task in line. It must not raise.

        Args:
            task: the work; dropped as soon as it is done.
            owner: whose it is; tasks without an owner are small and take turns as users of their own.

        Returns:
            Its place, or None where the line or the owner's part of it is full.
        """
        with self._changed:
            mine = owner is not None and sum(place.owner == owner for place in self._waiting)
            if len(self._waiting) >= self._max_waiting or mine >= self._max_of_one:
                return None
            place = Place(self, task, owner, self._turn_of(owner))
            self._waiting.append(place)
            self._changed.notify()
        return place

    def ahead_of(self, place: Place) -> int:
        """How many tasks come before this one."""
        with self._changed:
            order = self._order()
            return order.index(place) + self._working if place in order else 0

    def _order(self) -> list[Place]:
        """The waiting tasks as they will be taken if nobody else comes."""
        return sorted(self._waiting, key=lambda place: place.turn)

    def _turn_of(self, owner: str | None) -> int:
        """The round in which a new task of that user is taken: one a user and round."""
        if owner is None:
            return self._round
        turn = max([self._round, *(place.turn + 1 for place in self._waiting if place.owner == owner)])
        if self._served.get(owner) == turn:  # one of this user was taken in this round already
            turn += 1
        return turn

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
                return (name, stamp), self._build_one(name)
            except WeightsError:
                if published() == stamp:
                    raise

    def ready(self, name: str) -> "Detector | None":
        """The detector of that name if it is loaded; else it is put in line for that, and this is to be asked again.

        Raises:
            Exception: what went wrong when it was loaded last.
        """
        key = (name, published())
        detector = self._detectors.get(key)
        if detector is not None:
            return detector
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
            task = self._next()
            try:
                task()
            except BaseException as error:
                self._on_bug(error)
            # or the last user's file would stay in memory until somebody else brings one
            del task

    def _next(self) -> Callable[[], None]:
        with self._changed:
            self._working = False
            while not self._waiting:
                self._changed.wait()
            place = self._order()[0]
            self._waiting.remove(place)
            self._working = True
            if place.turn > self._round:
                self._round, self._served = place.turn, {}
            if place.owner is not None:
                self._served[place.owner] = place.turn
            # its place is kept by whoever looks at it, and must not keep the file
            task, place.task = place.task, _done
            return task


def _done() -> None:
    """In place of a task that was taken."""
