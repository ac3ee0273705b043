"""A video to its persons: the thread that reads ahead, who is who on a made clip, and a quick end."""

import io
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from detector import persons
from detector.errors import Cancelled, MediaError
from detector.faces.align import crop_face
from detector.persons import FrameFaces, follow_persons
from detector.pipeline import Detector, video_faces
from detector.types import Face
from detector.video import VideoFrame, VideoInfo

INFO = VideoInfo(64, 48, 30.0, 10.0, "h264", 0)


def encoded(pictures: Sequence[np.ndarray], fps: int = 10) -> bytes:
    """An H.264 clip of pictures (H, W, 3) uint8 RGB."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "crf": "16", "g": "10"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    return buffer.getvalue()


def pasted(picture: np.ndarray, head: np.ndarray, x: int, y: int) -> None:
    """Lays a head onto a picture, its middle at (x, y), within an oval."""
    height, width = head.shape[:2]
    ys, xs = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    inside = np.hypot(xs, ys) < 0.95
    picture[y - height // 2 :, x - width // 2 :][:height, :width][inside] = head[inside]


@pytest.fixture
def heads(made_face_image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One warm, one cold, (h, w, 3) uint8 RGB."""
    head = cv2.resize(made_face_image[12:292, 112:336], (112, 140), interpolation=cv2.INTER_AREA)
    warm, cold = (np.clip(head * tint, 0, 255).astype(np.uint8) for tint in ((1.1, 0.85, 0.7), (0.7, 0.85, 1.1)))
    return warm, np.ascontiguousarray(cold[:, ::-1])


def warmth(looked: Sequence[FrameFaces]) -> list[list[float]]:
    """Red minus blue of every face."""
    means = [[crop_face(image, face, 32).mean(axis=(0, 1)) for face in faces] for image, faces in looked]
    return [[float(m[0] - m[2]) for m in row] for row in means]


def crossing(heads: tuple[np.ndarray, np.ndarray]) -> bytes:
    """Four seconds in which the warm head goes from left to right, the cold one from right to left below it."""
    pictures = []
    for i in range(40):
        picture = np.full((360, 640, 3), 128, np.uint8)
        pasted(picture, heads[0], 90 + round(460 * i / 39), 105)
        pasted(picture, heads[1], 550 - round(460 * i / 39), 255)
        pictures.append(picture)
    return encoded(pictures)


def test_faces_that_cross_stay_who_they_are(heads: tuple[np.ndarray, np.ndarray]) -> None:
    said: list[float] = []
    tracked = follow_persons(
        crossing(heads), video_faces(), warmth, max_frames=16, on_step=lambda share, what: said.append(share)
    )
    assert len(tracked.persons) == 2 and len(tracked.times_s) == 16
    signs = set()
    for person in tracked.persons:
        sign = np.sign(person.sightings[0].judged)
        signs.add(sign)
        assert all(np.sign(s.judged) == sign for s in person.sightings)
        assert len(person.sightings) >= 14
        xs = [(s.face.box[0] + s.face.box[2]) / 2 for s in person.sightings]
        assert all((b - a) * sign > 0 for a, b in pairwise(xs)) and abs(xs[-1] - xs[0]) > 320
    assert signs == {-1.0, 1.0}
    assert said == sorted(said) and said[-1] <= 1


def pause() -> None:
    """Nothing to say."""


def made_frames(stop: threading.Event, count: int, then: Callable[[], None] = pause) -> Generator[VideoFrame]:
    for i in range(count):
        if stop.is_set():
            return
        yield VideoFrame(float(i), np.full((4, 4, 3), i, np.uint8))
    then()


def test_frames_read_ahead_come_in_order_and_not_too_many_at_once() -> None:
    stop, most = threading.Event(), 0
    given = 0

    def counted() -> Generator[VideoFrame]:
        nonlocal given
        for frame in made_frames(stop, 12):
            given += 1
            yield frame

    with closing(persons._ahead(counted(), 3, stop, pause)) as frames:
        for i, frame in enumerate(frames):
            time.sleep(0.01)
            assert frame.time_s == i
            most = max(most, given - i)
    assert given == 12 and most <= 3 + 2
    assert stop.is_set() and not [t for t in threading.enumerate() if t.name == "unmask-frames"]


def test_what_fails_while_reading_is_raised_where_the_frames_are_wanted() -> None:
    def fail() -> None:
        raise MediaError("broken")

    stop = threading.Event()
    frames = persons._ahead(made_frames(stop, 2, fail), 4, stop, pause)
    assert [next(frames).time_s, next(frames).time_s] == [0.0, 1.0]
    with pytest.raises(MediaError, match="broken"):
        next(frames)
    assert not [t for t in threading.enumerate() if t.name == "unmask-frames"]


@pytest.mark.parametrize("slow", ["reading", "judging"])
def test_a_cancelled_video_ends_soon(monkeypatch: pytest.MonkeyPatch, slow: str) -> None:
    """Both while no frame comes for long, and while there is much to judge."""

    def reading(source: Any, *, should_stop: Callable[[], bool], **_: Any) -> Generator[VideoFrame]:
        yield VideoFrame(0.0, np.zeros((48, 64, 3), np.uint8))
        end = time.monotonic() + 20
        while slow == "reading" and time.monotonic() < end and not should_stop():
            time.sleep(0.02)
        for i in range(1, 200):
            yield VideoFrame(float(i), np.zeros((48, 64, 3), np.uint8))

    class Crowd:
        def detect(self, images: Sequence[np.ndarray]) -> list[tuple[Face, ...]]:
            return [tuple(Face((x, 0.0, x + 9.0, 9.0), (), 1.0) for x in range(10)) for _ in images]

    def judge(looked: Sequence[FrameFaces]) -> list[list[int]]:
        time.sleep(0.02 * sum(len(faces) for _, faces in looked))
        return [[0] * len(faces) for _, faces in looked]

    monkeypatch.setattr(persons, "probe", lambda source: INFO)
    monkeypatch.setattr(persons, "iter_frames", reading)
    cancelled_at = time.monotonic() + 0.5

    def step(share: float, what: str) -> None:
        if time.monotonic() > cancelled_at:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        follow_persons(b"", Crowd(), judge, max_frames=200, on_step=step)  # type: ignore[arg-type]
    assert time.monotonic() - cancelled_at < 3.0  # half a second where nothing else runs, of twenty or more
    assert not [t for t in threading.enumerate() if t.name == "unmask-frames"]


def test_a_real_clip_is_cancelled_within_a_second(repo_root: Path) -> None:
    """In processor time: the machine may be busy with other work."""
    detector = Detector("resnet18")
    clip = repo_root / "app" / "samples" / "clip.mp4"
    detector.video(clip, max_frames=4)
    asked_at: list[float] = []

    def stop() -> bool:
        asked_at.append(time.process_time())
        return len(asked_at) > 12

    with pytest.raises(Cancelled):
        detector.video(clip, should_stop=stop)
    ended = time.process_time()
    assert max(b - a for a, b in pairwise([*asked_at, ended])) < 1.0


def late_face(head: np.ndarray, seconds: int = 200, container: str = "mp4") -> bytes:
    """A grey video with a head in its last second and a half, and a keyframe where it appears."""
    grey = np.full((180, 320, 3), 128, np.uint8)
    small = cv2.resize(head, (90, 112), interpolation=cv2.INTER_AREA)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        stream = out.add_stream("libx264", rate=10, options={"preset": "ultrafast", "crf": "18", "g": "100"})
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for i in range(10 * seconds):
            picture = grey
            if i >= 10 * seconds - 15:
                picture = grey.copy()
                pasted(picture, small, 150 + 2 * (i % 10), 90)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if i == 10 * seconds - 15:
                frame.pict_type = av.video.frame.PictureType.I
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return buffer.getvalue()


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts"])
def test_a_face_in_the_last_seconds_of_a_long_video_is_found(
    heads: tuple[np.ndarray, np.ndarray], container: str
) -> None:
    clip = late_face(heads[0], container=container)
    said: list[tuple[float, str]] = []
    tracked = follow_persons(
        clip, video_faces(), warmth, max_frames=16, on_step=lambda share, what: said.append((share, what))
    )
    assert len(tracked.persons) == 1 and len(tracked.persons[0].sightings) >= 10
    assert all(time_s >= 198.4 for time_s in tracked.times_s)
    assert 20 <= tracked.scouted <= 40
    assert [share for share, _ in said] == sorted(share for share, _ in said)
    part = follow_persons(
        clip, video_faces(), warmth, max_frames=8, on_step=lambda share, what: None, start_s=50.0, end_s=70.0
    )
    assert part.part_s == (50.0, 70.0) and not part.persons and not part.scouted
    assert len(part.times_s) == 8 and all(50.0 <= time_s < 70.0 for time_s in part.times_s)


@pytest.mark.parametrize(("shown", "scouted"), [("always", 32), ("at times", 80)])
def test_a_closer_look_is_taken_only_where_faces_come_and_go(
    heads: tuple[np.ndarray, np.ndarray], shown: str, scouted: int
) -> None:
    """Eighty seconds with a keyframe each; a head that moves on every second, always or in one half."""
    head = cv2.resize(heads[0], (90, 112), interpolation=cv2.INTER_AREA)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=5, options={"preset": "ultrafast", "crf": "18", "g": "5"})
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for i in range(400):
            picture = np.full((180, 320, 3), 128, np.uint8)
            if shown == "always" or i < 200:
                pasted(picture, head, 60 + 20 * (i // 5 % 10), 90)
            else:  # each second another picture without a face
                picture[: 20 + 15 * (i // 5 % 8)] = 60
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    said: list[float] = []
    tracked = follow_persons(
        buffer.getvalue(), video_faces(), warmth, max_frames=16, on_step=lambda share, what: said.append(share)
    )
    assert tracked.scouted == scouted and said == sorted(said) and len(tracked.times_s) == 16
    assert shown == "always" or max(tracked.times_s) <= 40.0
    assert sum(len(person.sightings) for person in tracked.persons) >= 14
