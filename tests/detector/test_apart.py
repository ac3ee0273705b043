"""Files are decoded in a child process: the same pixels, one file lost at most, nothing of torch, little time."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from detector import apart, media, video
from detector.child import Child, missing_limits
from detector.errors import MediaError
from detector.pipeline import Detector
from tests.detector.test_video import make_clip
from tests.fakes.through_child import same

MODULES = ("test_media", "test_contents", "test_video", "test_video_pictures", "test_video_times")
LIMITS_HERE = "not comes_at_half_its_size and not no_time_left"
"""Tests that change a limit of this process, which the child does not see."""


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Iterator[Child]:
    """The child that the next file goes to."""
    fresh = apart._Children()
    monkeypatch.setattr(apart, "_children", fresh)
    with fresh.one() as made:
        made.start()
    yield made
    fresh.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_whatever_is_read_is_the_same_as_in_this_process(repo_root: Path, tmp_path: Path) -> None:
    """The tests of photos and videos, turned, HDR, interlaced, joined, damaged, with every file read both ways."""
    noted = tmp_path / "compared"
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "tests.fakes.through_child", "-k", LIMITS_HERE]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", *(f"tests/detector/{name}.py" for name in MODULES)],
        cwd=repo_root,
        env={**os.environ, "COMPARED": str(noted), "PYTHONPATH": str(repo_root)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert int(noted.read_text()) > 5000


def test_every_function_gives_the_same_of_a_clip_and_a_photo(repo_root: Path) -> None:
    samples = repo_root / "app" / "samples"
    clip, photo = samples / "clip.mp4", samples / "astronaut.jpg"
    info = video.probe(clip)
    assert apart.probe(clip) == info and apart.picture_count(photo) == 1
    assert np.array_equal(apart.read_image(photo), media.read_image(photo))
    assert np.array_equal(apart.read_frame(clip, 2.0), video.read_frame(clip, 2.0))
    for there, here in (
        (apart.iter_pictures(photo), media.iter_pictures(photo)),
        (apart.iter_frames(clip, max_frames=5), video.iter_frames(clip, max_frames=5)),
        (apart.iter_span(clip, 1.0, 1.3), video.iter_span(clip, 1.0, 1.3)),
        (apart.iter_scouts(clip, info, 0.0, 5.0, most=8), video.iter_scouts(clip, info, 0.0, 5.0, most=8)),
        (apart.iter_sound(clip, 0.0, 3.0), video.iter_sound(clip, 0.0, 3.0)),
    ):
        pieces, expected = list(there), list(here)
        assert len(pieces) == len(expected) and all(map(same, expected, pieces))
    assert len(list(apart.iter_scouts(make_clip(60, gop=2), video.probe(make_clip(60, gop=2)), 0.0, 5.0, most=8))) == 8


def test_pixels_are_the_callers_own(repo_root: Path, child: Child) -> None:
    first = apart.read_image(repo_root / "app" / "samples" / "astronaut.jpg")
    before = first.copy()
    first[:10] = 0
    second = apart.read_image(repo_root / "app" / "samples" / "astronaut_edited.jpg")
    assert np.array_equal(first[10:], before[10:]) and not np.array_equal(first, second)


def test_one_child_serves_file_after_file_and_knows_nothing_of_torch(repo_root: Path, child: Child) -> None:
    photo = repo_root / "app" / "samples" / "astronaut.jpg"
    apart.read_image(photo)
    pid = child.pid
    apart.read_image(photo)
    assert child.pid == pid != os.getpid()
    code = "import sys, detector.decoder; print(sorted({'torch', 'openvino', 'streamlit', 'timm'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=repo_root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_killed_in_the_middle_of_a_file_it_takes_that_file_alone(child: Child) -> None:
    clip = make_clip(60)
    with closing(apart.iter_frames(clip, max_frames=30)) as frames:
        next(frames)
        assert child.pid is not None
        os.kill(child.pid, 9)
        with pytest.raises(MediaError) as lost:
            list(frames)
    assert lost.value.reason == "unreadable" and "ended the process" in str(lost.value)
    assert len(list(apart.iter_frames(clip, max_frames=30))) == 30


def test_a_detector_says_of_a_file_that_killed_its_reader_that_it_cannot_be_read(repo_root: Path, child: Child) -> None:
    photo, clip = repo_root / "app" / "samples" / "astronaut.jpg", repo_root / "app" / "samples" / "clip.mp4"
    detector = Detector("resnet18")

    def kill(done: float, what: str) -> None:
        # fewer than half of the frames can have been read in advance
        if what.startswith("Reading frames, 2 ") and child.pid is not None:
            os.kill(child.pid, 9)

    assert detector.file(clip, on_progress=kill).reason == "unreadable"
    assert detector.file(photo).status == "ok"


def test_two_files_at_once_have_a_child_each_and_are_not_mixed(child: Child) -> None:
    one, two = make_clip(20, size=(64, 48)), make_clip(20, size=(96, 64))
    with closing(apart.iter_frames(one, max_frames=20)) as a, closing(apart.iter_frames(two, max_frames=20)) as b:
        shapes = [(x.image.shape, y.image.shape) for x, y in zip(a, b, strict=True)]
    assert set(shapes) == {((48, 64, 3), (64, 96, 3))} and len(shapes) == 20


def test_who_wants_no_more_is_not_kept_waiting(child: Child) -> None:
    stop = threading.Event()
    frames = apart.iter_frames(make_clip(60), max_frames=30, should_stop=stop.is_set)
    next(frames)
    stop.set()
    assert list(frames) == []
    with closing(apart.iter_frames(make_clip(60), max_frames=30)) as some:
        next(some)
    pid = child.pid
    assert pid is not None and len(list(apart.iter_frames(make_clip(6), max_frames=6))) == 6 and child.pid == pid


@pytest.mark.skipif(bool(missing_limits()), reason="this system has no limits on memory and processor time")
@pytest.mark.parametrize(("do", "reason"), [("grow", "too_large"), ("spin", "too_slow"), ("crash", "unreadable")])
def test_a_file_that_overruns_a_limit_has_a_reason(
    do: str, reason: str, repo_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(repo_root))
    monkeypatch.setattr(apart, "_CPU_PER_BUDGET", 0.1)
    hostile = Child("tests.fakes.children:answer", wall_s=60, memory_bytes=2 << 30)
    with closing(hostile), pytest.raises(MediaError) as lost:
        apart._asked(hostile, {"do": do})
    assert lost.value.reason == reason
