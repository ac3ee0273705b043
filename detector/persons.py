"""A video → the persons in it: frames read in order, faces found and joined over time, each judged on the way.

    film = follow_persons(source, finder, judge, max_frames=32)
    for person in film.persons:
        [(sighting.time_s, sighting.judged) for sighting in person.sightings]

What is said of a face is the caller's: `judge` gets frames with their faces and returns one value a face, of any type.
Frames are let go once they are judged, so that memory does not grow with the video.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Generic, TypeVar

from detector.faces.detect import FaceDetector
from detector.faces.track import Tracker
from detector.media import RGB, Source
from detector.types import Face
from detector.video import VideoInfo, iter_frames, probe

J = TypeVar("J")

Looked = tuple[RGB, tuple[Face, ...]]
"""A frame, (H, W, 3) uint8 RGB, and the faces in it."""

OnStep = Callable[[float, str], None]
"""Told a share from 0 to 1 and what is being done; may raise to end it all."""


@dataclass(frozen=True, slots=True)
class Sighting(Generic[J]):
    """One person in one frame: seconds from the start, the face, and what `judge` said of it."""

    time_s: float
    face: Face
    judged: J


@dataclass(frozen=True, slots=True)
class Followed(Generic[J]):
    """One person: every frame in which the face was found, in order of time; at least one."""

    sightings: tuple[Sighting[J], ...]


@dataclass(frozen=True, slots=True)
class Film(Generic[J]):
    """What was looked at, and who was in it.

    Attributes:
        info: of the file.
        times_s: of all frames that were looked at, with a face or without, in order.
        persons: in order of their first sighting; sporadic false faces are left out.
    """

    info: VideoInfo
    times_s: tuple[float, ...]
    persons: tuple[Followed[J], ...]


def follow_persons(
    source: Source,
    finder: FaceDetector,
    judge: Callable[[Sequence[Looked]], Sequence[Sequence[J]]],
    *,
    max_frames: int,
    on_step: OnStep,
) -> Film[J]:
    """The persons of a video, over up to `max_frames` frames.

    Args:
        source: the video.
        finder: finds the faces of a frame.
        judge: gets some frames with their faces and returns, for each frame, one value for each face, in order.
        max_frames: that are looked at.
        on_step: told the progress; what it raises ends the work and is passed on.

    Raises:
        MediaError: the video cannot be read.
    """
    on_step(0.0, "Opening the video")
    info = probe(source)
    tracker = Tracker()
    times: list[float] = []
    seen: dict[int, list[Sighting[J]]] = {}
    with closing(iter_frames(source, max_frames=max_frames)) as frames:
        for frame in frames:
            on_step(len(times) / max_frames, f"Reading frames, {len(times) + 1} of {max_frames}")
            faces = finder.detect([frame.image])[0]
            tracks = tracker.add(len(times), faces, frame.image)
            for track, face, judged in zip(tracks, faces, judge([(frame.image, faces)])[0], strict=True):
                seen.setdefault(track, []).append(Sighting(frame.time_s, face, judged))
            times.append(frame.time_s)
    persons = tuple(Followed(tuple(seen[track])) for track in tracker.persons(len(times)))
    return Film(info, tuple(times), persons)
