"""A video → the persons in it: frames read in order, faces found and joined over time, each judged on the way.

    tracked = follow_persons(source, finder, judge, max_frames=32)
    for person in tracked.persons:
        [(sighting.time_s, sighting.judged) for sighting in person.sightings]

What is said of a face is the caller's: `judge` gets frames with their faces and returns one value a face, of any type.
Frames are let go once they are judged, so that memory does not grow with the video.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Generic, Protocol, TypeVar

import cv2
import numpy as np

from detector.apart import iter_frames, iter_scouts, probe
from detector.errors import MediaError
from detector.faces.detect import FindsFaces
from detector.faces.track import Tracker
from detector.media import RGB, Source, too_slow
from detector.types import Face
from detector.video import (
    MAX_SCOUTS,
    NEARLY_ALL,
    VideoFrame,
    VideoInfo,
    Window,
    part_of,
    plan_where_seen,
    window_limit,
    windows_of,
)

_FRAMES_AHEAD = 2  # at the least; else as many as are judged together
_WAIT_S = 0.2
_FACES_AT_ONCE = 16  # what a network takes at once; between two parts it can be cancelled
_FRAMES_AT_ONCE = 8
_PIXELS_AT_ONCE = 8_294_400  # eight of 720p, four of 1080p, one of 4K
_SCOUTING = 0.3  # of the progress
_FEW_SCOUTS = 32  # enough to see that there are faces nearly everywhere
_GLIMPSE, _SAME_PICTURE = (32, 18), 6  # pictures that differ by less in every part are one: a slide, a pause

J = TypeVar("J")

FrameFaces = tuple[RGB, tuple[Face, ...]]
"""A frame, (H, W, 3) uint8 RGB, and the faces in it."""

OnStep = Callable[[float, str], None]
"""Told a share from 0 to 1 and what is being done; may raise to end it all."""


class Observer(Protocol):
    """Who is shown a video while it is judged, so that its pictures need no second pass through the file."""

    def opened(self, info: VideoInfo) -> None:
        """Called once, before any frame."""

    def frame_judged(self, time_s: float, image: RGB, faces: tuple[Face, ...]) -> None:
        """Called with each frame in order of time, (H, W, 3) uint8 RGB, and its faces; must not keep the frame."""


@dataclass(frozen=True, slots=True)
class Sighting(Generic[J]):
    """One person in one frame: seconds from the start, the face, and what `judge` said of it."""

    time_s: float
    face: Face
    judged: J


@dataclass(frozen=True, slots=True)
class Followed(Generic[J]):
    """One person.

    Attributes:
        sightings: every frame in which the face was found, in order of time; at least one.
    """

    sightings: tuple[Sighting[J], ...]


@dataclass(frozen=True, slots=True)
class Tracked(Generic[J]):
    """A video as it was followed: the frames that were judged, and who was in them.

    Attributes:
        info: of the file.
        part_s: (start, end) in seconds of the only part that was looked at; None if it was the whole video.
        times_s: of all frames that were looked at, with a face or without, in order.
        scouted: keyframes in which faces were looked for in advance, to choose those frames.
        stopped: reading took too much work and was ended: these are not all the frames that were wanted.
        persons: in order of their first sighting; sporadic false faces are left out.
    """

    info: VideoInfo
    part_s: tuple[float, float] | None
    scouted: int
    times_s: tuple[float, ...]
    persons: tuple[Followed[J], ...]
    stopped: bool = False


def follow_persons(
    source: Source,
    finder: FindsFaces,
    judge: Callable[[Sequence[FrameFaces]], Sequence[Sequence[J]]],
    *,
    max_frames: int,
    on_step: OnStep,
    start_s: float | None = None,
    end_s: float | None = None,
    observer: Observer | None = None,
) -> Tracked[J]:
    """The persons of a video, over up to `max_frames` frames.

    A video that is too long to be read from start to end is looked over first, for faces alone: then the frames come
    from where there are faces.

    Args:
        source: the video.
        finder: finds the faces of a frame.
        judge: gets some frames with their faces and returns, for each frame, one value for each face, in order.
        max_frames: that are looked at.
        on_step: told the progress; what it raises ends the work and is passed on.
        start_s, end_s: look at this part alone, in seconds.
        observer: shown the frames.

    Raises:
        MediaError: the video cannot be read, or has no picture in that part ("outside").
    """
    on_step(0.0, "Opening the video")
    info = probe(source)
    if observer is not None:
        observer.opened(info)
    part_s = part_of(info, start_s, end_s)
    windows = windows_of(info, max_frames, part_s=part_s)
    scouted = 0
    if len(windows) > 1:
        windows, scouted = _where_faces_are(source, info, finder, windows, part_s, max_frames, on_step)
    tracker = Tracker()
    times: list[float] = []
    seen: dict[int, list[Sighting[J]]] = {}

    def tell() -> None:
        number = min(len(times) + 1, max_frames)
        begun = _SCOUTING if scouted else 0.0
        on_step(begun + (1 - begun) * (number - 1) / max_frames, f"Reading frames, {number} of {max_frames}")

    size, stop = _batch_size(info), Event()
    read = iter_frames(source, max_frames=max_frames, windows=windows, info=info, should_stop=stop.is_set)
    with closing(_ahead(read, max(size, _FRAMES_AHEAD), stop, tell)) as ahead:
        frames = _Read(ahead)
        while batch := list(islice(frames, size)):
            looked = []
            for frame in batch:
                tell()
                looked.append((frame.image, finder.detect([frame.image])[0]))
                times.append(frame.time_s)
            judged: list[Sequence[J]] = []
            for part in _parts(looked):
                tell()
                judged += judge(part)
            for frame, (image, faces), said in zip(batch, looked, judged, strict=True):
                if observer is not None:
                    observer.frame_judged(frame.time_s, image, faces)
                for track, face, j in zip(tracker.add(frame.time_s, faces, image), faces, said, strict=True):
                    seen.setdefault(track, []).append(Sighting(frame.time_s, face, j))
    persons = tuple(Followed(tuple(seen[track])) for track in tracker.persons(len(times)))
    if frames.stopped and not times:
        raise too_slow()
    return Tracked(info, part_s, scouted, tuple(times), persons, frames.stopped)


class _Read:
    """Frames as far as they could be read; `stopped` says whether the work it took ended them."""

    def __init__(self, frames: Iterator[VideoFrame]) -> None:
        self._frames, self.stopped = frames, False

    def __iter__(self) -> Iterator[VideoFrame]:
        return self

    def __next__(self) -> VideoFrame:
        try:
            return next(self._frames)
        except MediaError as error:
            if error.reason != "too_slow":
                raise
            self.stopped = True
            raise StopIteration from error


def _where_faces_are(
    source: Source,
    info: VideoInfo,
    finder: FindsFaces,
    windows: tuple[Window, ...],
    part_s: tuple[float, float] | None,
    max_frames: int,
    on_step: OnStep,
) -> tuple[tuple[Window, ...], int]:
    """The windows where a quick look finds faces, else those given, and how many pictures that look took."""
    start_s, end_s = part_s or (info.start_s, info.duration_s or 0.0)
    scouted: list[tuple[float, bool]] = []
    pictures = 0
    for most, begun, until in ((_FEW_SCOUTS, 0.0, _SCOUTING / 3), (MAX_SCOUTS, _SCOUTING / 3, _SCOUTING)):

        def tell(at_s: float, begun: float = begun, until: float = until) -> None:
            share = (at_s - start_s) / (end_s - start_s)
            on_step(begun + (until - begun) * share, "Looking for faces over the whole video")

        with closing(_scouted(source, info, finder, (start_s, end_s), most, tell)) as looks:
            try:
                scouted = list(looks)
            except MediaError as error:
                if error.reason != "too_slow":
                    raise
                return windows, pictures  # a look that was ended early knows nothing of the rest
        pictures = max(pictures, len(scouted))
        # with faces everywhere, or no more keyframes, a closer look tells nothing new
        if sum(seen for _, seen in scouted) >= NEARLY_ALL * len(scouted) or len(scouted) < most:
            break
    better = plan_where_seen(scouted, start_s, end_s, max_frames=max_frames, window_limit_s=window_limit(info))
    return better or windows, pictures


def _scouted(
    source: Source,
    info: VideoInfo,
    finder: FindsFaces,
    part_s: tuple[float, float],
    most: int,
    tell: Callable[[float], None],
) -> Generator[tuple[float, bool], None, None]:
    """Times of keyframes, and whether there is a face in them; `tell` is called with the time that was reached."""
    stop = Event()
    at_s = part_s[0]
    before: tuple[RGB, bool] | None = None
    read = iter_scouts(source, info, *part_s, most=most, should_stop=stop.is_set)
    with closing(_ahead(read, _FRAMES_AHEAD, stop, lambda: tell(at_s))) as frames:
        for frame in frames:
            at_s = frame.time_s
            tell(at_s)
            small = np.asarray(cv2.resize(frame.image, _GLIMPSE, interpolation=cv2.INTER_AREA), np.uint8)
            if before is not None and cv2.absdiff(small, before[0]).max() < _SAME_PICTURE:
                seen = before[1]
            else:
                seen = bool(finder.detect([frame.image])[0])
            before = (small, seen)
            yield frame.time_s, seen


def _batch_size(info: VideoInfo) -> int:
    """Frames that are judged together: a face in a batch costs less than one alone, but frames take memory."""
    return max(1, min(_FRAMES_AT_ONCE, int(_PIXELS_AT_ONCE // max(1, info.width * info.height))))


def _parts(looked: Sequence[FrameFaces]) -> Iterator[Sequence[FrameFaces]]:
    """The frames in parts with few faces each: between two parts the work can be ended."""
    first, faces = 0, 0
    for i, (_, of_frame) in enumerate(looked):
        if i > first and faces + len(of_frame) > _FACES_AT_ONCE:
            yield looked[first:i]
            first, faces = i, 0
        faces += len(of_frame)
    yield looked[first:]


def _ahead(
    frames: Generator[VideoFrame, None, None], ahead: int, stop: Event, on_wait: Callable[[], None]
) -> Generator[VideoFrame, None, None]:
    """The same frames, read by a thread of its own while the caller works on those before; ends with its caller.

    Args:
        frames: ends soon after `stop` is set.
        ahead: at most so many frames wait for the caller.
        stop: set when the caller has ended.
        on_wait: called again and again while the caller waits for a frame; what it raises is passed on.
    """
    ready: Queue[VideoFrame | BaseException | None] = Queue(maxsize=ahead)

    def give(item: VideoFrame | BaseException | None) -> None:
        while not stop.is_set():
            try:
                return ready.put(item, timeout=0.1)
            except Full:
                continue

    def read() -> None:
        try:
            with closing(frames):
                for frame in frames:
                    give(frame)
                    if stop.is_set():
                        return
            give(None)
        except BaseException as error:
            give(error)  # raised where the frames are wanted

    def taken() -> VideoFrame | BaseException | None:
        while True:
            try:
                return ready.get(timeout=_WAIT_S)
            except Empty:
                on_wait()

    thread = Thread(target=read, name="unmask-frames", daemon=True)
    thread.start()
    try:
        while (item := taken()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
