"""The pictures of a video come from the one pass that judges it."""

import io
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app import networks
from app.album import Album
from app.case import Case
from app.charts import key_times
from app.pictures import Picture
from app.stills import Stills
from detector import Face, VideoVerdict
from detector.child import Child
from detector.video import probe

FACE = Face((10.0, 10.0, 50.0, 60.0), ((20.0, 30.0),) * 5, 0.9)


def made(ask: Callable[[], Picture | None]) -> Picture:
    """The picture, as soon as the worker has made it."""
    end = time.monotonic() + 60
    while (picture := ask()) is None:
        assert time.monotonic() < end
        time.sleep(0.01)
    return picture


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What the process that decodes is asked to open, from now on: how often for what."""
    done: Counter[str] = Counter()
    ask = Child.ask

    def asked(self: Child, question: dict[str, Any], *args: Any, **options: Any) -> Any:
        if "do" in question:
            done[question["do"]] += 1
        return ask(self, question, *args, **options)

    monkeypatch.setattr(Child, "ask", asked)
    return done


@pytest.fixture
def judged(repo_root: Path, monkeypatch: pytest.MonkeyPatch, work: Counter[str]) -> Iterator[Case]:
    """The clip of the samples, judged by one published network."""
    from detector import Detector

    detector = Detector("resnet18")
    monkeypatch.setattr(networks, "build_detector", lambda name: detector)
    case = Case("clip.mp4", repo_root / "app" / "samples" / "clip.mp4", "resnet18", networks.Worker())
    while case.busy:
        time.sleep(0.01)
    yield case
    case.close()


def test_one_pass_over_a_clip_feeds_the_verdict_and_the_page(judged: Case, work: Counter[str]) -> None:
    verdict, album = judged.verdict, judged.album
    assert isinstance(verdict, VideoVerdict) and album is not None and verdict.persons
    assert judged.playable == "video/mp4"
    assert work == {"probe": 1, "iter_frames": 1}
    for person in verdict.persons:
        assert person.best_point is not None
        for picture in (
            made(lambda n=person.number, t=person.best_point.time_s: album.portrait(n, t)),
            *(made(lambda t=t: album.frame(t)) for t in key_times(person)),
            *(made(lambda t=t: album.thumb(t)) for t in key_times(person)),
        ):
            assert Image.open(io.BytesIO(picture.data)).size[0] > 10
    assert work == {"probe": 1, "iter_frames": 1}, "no picture of the page opens the video again"


def test_a_kept_frame_is_the_frame_of_its_time(judged: Case) -> None:
    verdict, album = judged.verdict, judged.album
    assert isinstance(verdict, VideoVerdict) and album is not None
    point = verdict.persons[0].timeline[-1]
    kept = made(lambda: album.frame(point.time_s))
    judge = judged.judge
    assert judge is not None
    empty = Album(judged.source, verdict, judge, networks.Worker(), Stills())
    again = made(lambda: empty.frame(point.time_s))
    assert (kept.width, kept.height) == (again.width, again.height) == (verdict.width, verdict.height)
    assert kept.data == again.data


def test_frames_without_a_face_are_not_kept_and_memory_is_bounded(repo_root: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    stills = Stills(max_bytes=3000)
    stills.opened(probe(repo_root / "app" / "samples" / "clip.mp4"))
    stills.frame_judged(0.0, image, ())
    assert stills.frame(0.0) is None
    for time_s in (1.0, 2.0):
        stills.frame_judged(time_s, image, (FACE,))
    assert stills.frame(1.0) is not None and stills.face(1.0, FACE) is not None
    assert stills.frame(2.0) is None, "there was no room left"
    assert stills.frame(1.001) is stills.frame(1.0) and stills.frame(1.1) is None
