"""Pictures, frames and sound of untrusted files, decoded in a child process: a hostile file harms that process alone.

    image = read_image(Path("photo.jpg"))
    for frame in iter_frames(Path("clip.mp4")): ...

The functions are those of `media` and `video`, and so are pixels, errors and reasons. Several files at once have a
child each; children that are free are kept for the next file. One that dies or overruns its limits takes its own file
along, which is "unreadable", "too_large" or "too_slow", and is replaced.
"""

import atexit
import itertools
import logging
import os
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any, cast

import numpy as np

from detector.child import Child, ChildLost, missing_limits
from detector.errors import MediaError
from detector.media import MAX_PICTURES, RGB, Picture, Source, too_slow
from detector.video import MAX_SCOUTS, Sound, VideoFrame, VideoInfo, Window
from detector.video.container import BUDGET_S

__all__ = [
    "iter_frames",
    "iter_pictures",
    "iter_scouts",
    "iter_sound",
    "iter_span",
    "picture_count",
    "probe",
    "read_frame",
    "read_image",
    "start",
]

logger = logging.getLogger(__name__)

MEMORY_BYTES = 4 << 30
"""Address space of a child; what is decoded takes a quarter of that at most."""

_CPU_PER_BUDGET = 8.0  # the clock within the child stops at six, of all its threads together
_WALL_PER_BUDGET = 30.0  # for what hangs: a busy machine takes longer, and gets the same answer
_LEAST_BUDGET_S = 12.0
_MAX_FREE = 2
_SOUNDS_AT_ONCE = 64  # each is some 20 ms long


class _Children:
    """The children that are free, and new ones where there are none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: list[Child] = []
        self._process = os.getpid()
        self._warned = False

    @contextmanager
    def one(self) -> Iterator[Child]:
        """A child for this caller alone."""
        with self._lock:
            if self._process != os.getpid():  # a copy of this process: the children belong to the other
                self._free, self._process = [], os.getpid()
            child = self._free.pop() if self._free else self._made()
        try:
            yield child
        finally:
            with self._lock:
                stays = len(self._free) < _MAX_FREE and self._process == os.getpid()
                if stays:
                    self._free.append(child)
            if not stays:
                child.close()

    def _made(self) -> Child:
        missing = missing_limits()
        if missing and not self._warned:
            self._warned = True
            logger.warning("this system sets no limit on %s of the process that decodes files", ", ".join(missing))
        wall_s = _WALL_PER_BUDGET * _LEAST_BUDGET_S
        return Child("detector.decoder:answer", wall_s=wall_s, memory_bytes=MEMORY_BYTES)

    def close(self) -> None:
        """Ends those that are free."""
        with self._lock:
            free, self._free = self._free, []
            mine = self._process == os.getpid()
        for child in free if mine else ():
            child.close()


_children = _Children()
_numbers = itertools.count()
atexit.register(_children.close)


def start() -> None:
    """Starts a child, so that the first file does not wait for its imports. Returns at once."""
    with _children.one() as child:
        child.start()


def read_image(source: Source, number: int | None = None) -> RGB:
    """As `media.read_image`."""
    return cast(RGB, _call("read_image", source, number=number))


def picture_count(source: Source) -> int:
    """As `media.picture_count`."""
    return int(_call("picture_count", source))


def iter_pictures(source: Source, limit: int = MAX_PICTURES) -> Generator[Picture, None, None]:
    """As `media.iter_pictures`."""
    for head, image in _series("iter_pictures", source, limit=limit):
        yield Picture(head["number"], head["of"], image)


def probe(source: Source) -> VideoInfo:
    """As `video.probe`."""
    return VideoInfo(**_call("probe", source))


def read_frame(source: Source, time_s: float) -> RGB:
    """As `video.read_frame`."""
    return cast(RGB, _call("read_frame", source, time_s=time_s))


def iter_frames(
    source: Source,
    *,
    max_frames: int = 32,
    window_limit_s: float = 60.0,
    windows: Sequence[Window] | None = None,
    budget_s: float | None = None,
    info: VideoInfo | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[VideoFrame, None, None]:
    """As `video.iter_frames`."""
    yield from _frames(
        "iter_frames",
        source,
        should_stop,
        budget_s or BUDGET_S * max(1.0, max_frames / 32),
        max_frames=max_frames,
        window_limit_s=window_limit_s,
        windows=None if windows is None else [(w.start_s, w.end_s, w.times_s) for w in windows],
        budget_s=budget_s,
        info=None if info is None else asdict(info),
    )


def iter_span(
    source: Source,
    start_s: float,
    end_s: float,
    *,
    should_stop: Callable[[], bool] | None = None,
    budget_s: float = BUDGET_S,
) -> Generator[VideoFrame, None, None]:
    """As `video.iter_span`."""
    yield from _frames("iter_span", source, should_stop, budget_s, start_s=start_s, end_s=end_s, budget_s=budget_s)


def iter_scouts(
    source: Source,
    info: VideoInfo,
    start_s: float,
    end_s: float,
    *,
    most: int = MAX_SCOUTS,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[VideoFrame, None, None]:
    """As `video.iter_scouts`."""
    yield from _frames(
        "iter_scouts",
        source,
        should_stop,
        2 * _LEAST_BUDGET_S,
        info=asdict(info),
        start_s=start_s,
        end_s=end_s,
        most=most,
    )


def iter_sound(
    source: Source,
    start_s: float,
    end_s: float,
    *,
    should_stop: Callable[[], bool] | None = None,
    budget_s: float = BUDGET_S,
) -> Generator[Sound, None, None]:
    """As `video.iter_sound`."""
    pieces = _series(
        "iter_sound",
        source,
        should_stop,
        budget_s,
        _SOUNDS_AT_ONCE,
        start_s=start_s,
        end_s=end_s,
        budget_s=budget_s,
    )
    for about, samples in pieces:
        yield Sound(about["time_s"], samples)


def _frames(
    do: str, source: Source, should_stop: Callable[[], bool] | None, cost_s: float, **arguments: Any
) -> Generator[VideoFrame, None, None]:
    for about, image in _series(do, source, should_stop, cost_s, **arguments):
        yield VideoFrame(about["time_s"], image)


def _call(do: str, source: Source, **arguments: Any) -> Any:
    question, blobs = _question(do, source, arguments)
    with _children.one() as child:
        head, arrays = _asked(child, question, blobs)
    _check(head)
    return _array(head, arrays[0]) if arrays else head["value"]


def _series(
    do: str,
    source: Source,
    should_stop: Callable[[], bool] | None = None,
    cost_s: float = _LEAST_BUDGET_S,
    at_once: int = 1,
    **arguments: Any,
) -> Generator[tuple[dict[str, Any], Any], None, None]:
    """The child's words on each piece, and its array, until the series or the caller's patience ends.

    Args:
        do: the function.
        source: the file.
        should_stop: the caller's; to end what the child is at, the child is ended.
        cost_s: work that a piece may take.
        at_once: pieces that are made together.
        arguments: of the function.
    """
    question, blobs = _question(do, source, arguments)
    number = next(_numbers)
    with _children.one() as child:
        _asked(child, {**question, "series": number}, blobs)
        del question, blobs
        ended = False
        try:
            while not ended and (should_stop is None or not should_stop()):
                ended = True  # where nothing comes, there is nothing to close
                head, arrays = _asked(child, {"next": number, "most": at_once}, (), cost_s, should_stop)
                ended = head.get("end", True)
                for about, data in zip(head["pieces"], arrays, strict=True):
                    yield about, _array(about, data)
                _check(head)
        except _Stopped:
            return
        finally:
            if not ended:
                with suppress(ChildLost):
                    child.ask({"close": number})


class _Stopped(Exception):
    """The caller wanted no more."""


def _question(do: str, source: Source, arguments: dict[str, Any]) -> tuple[dict[str, Any], Sequence[bytes]]:
    question = {"do": do, "args": arguments}
    if isinstance(source, bytes):
        return question, (source,)
    return {**question, "path": str(source.absolute())}, ()


def _asked(
    child: Child,
    question: dict[str, Any],
    blobs: Sequence[bytes] = (),
    cost_s: float = _LEAST_BUDGET_S,
    should_stop: Callable[[], bool] | None = None,
) -> tuple[dict[str, Any], list[bytes | memoryview]]:
    """The child's answer.

    Raises:
        MediaError: the file ended the child, or had to be ended with it.
        RuntimeError: a mistake in this program, with the place.
    """
    cost_s = max(cost_s, _LEAST_BUDGET_S)
    try:
        head, arrays = child.ask(
            question, blobs, wall_s=_WALL_PER_BUDGET * cost_s, cpu_s=_CPU_PER_BUDGET * cost_s, should_stop=should_stop
        )
    except ChildLost as lost:
        if lost.reason == "stopped":
            raise _Stopped from None
        if lost.reason == "failed":
            raise RuntimeError(f"decoding a file failed: {lost}") from None
        raise _end_of(lost.reason) from None
    if "gone" in head:
        raise _end_of("died")
    return head, arrays


def _end_of(reason: str) -> MediaError:
    """The error for a file that took its child along."""
    if reason == "too_slow":
        return too_slow()
    if reason == "too_large":
        return MediaError("Reading the file took too much memory. Save a smaller copy of it.", "too_large")
    return MediaError(
        "The file ended the process that read it: it is damaged, or made to do harm. Save it anew and try that copy."
    )


def _check(head: dict[str, Any]) -> None:
    """Raises what the file did wrong."""
    if "error" in head:
        raise MediaError(*head["error"])


def _array(about: dict[str, Any], data: bytes | memoryview) -> np.ndarray:
    """Of its own, and writable."""
    own = bytearray(data) if isinstance(data, bytes) else data
    return np.frombuffer(own, np.dtype(about["dtype"])).reshape(about["shape"])
