"""The benchmark's own files: what they are said to be, and the same ones every time."""

import io
from collections import Counter
from pathlib import Path

import av
import pytest
from PIL import Image
from rich.console import Console

from train import bench


def test_photo_is_1024_square(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    bench.make_photo(path)
    with Image.open(path) as image:
        assert (image.format, image.size, image.mode) == ("JPEG", (1024, 1024), "RGB")


def test_clip_is_h264_with_b_frames_at_two_megabits(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    bench.make_clip(path, seconds=1.0)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 1280, 720)
        assert float(stream.average_rate) == 30
        kinds = Counter(int(frame.pict_type) for frame in container.decode(stream))
    assert kinds.total() == 30
    assert kinds[int(av.video.frame.PictureType.B)] >= 10
    assert path.stat().st_size * 8 >= 2_000_000


def test_clip_is_the_same_every_time(tmp_path: Path) -> None:
    paths = [tmp_path / "first.mp4", tmp_path / "second.mp4"]
    for path in paths:
        bench.make_clip(path, seconds=0.5, size=(640, 360))
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_table_says_when_the_machine_was_busy() -> None:
    timing = {"file": "photo", "verdict": "ok", "sha256": "00", "runs_s": [1.0, 3.0], "median_s": 2.0, "goal_s": 1.0}
    machine = {"processor": "made up", "cores": 2, "cpu_count": 8, "system": "Linux", "python": "3", "torch": "2"}
    seconds = {"import_s": 1.0, "load_s": 1.0, "first_photo_s": 1.0, "peak_mib_after_photo": 1.0, "peak_mib": 2.0}
    counts = {"faces_in_photo": 1, "persons_in_clip": 2, "clip_mbit_s": 4.0}
    figures = {"machine": {**machine, "device": "cpu"}, "models": "average", "files": [timing], **seconds, **counts}
    for load, busy in ((0.1, False), (6.8, True)):
        console = Console(file=io.StringIO(), width=120)
        bench._show({**figures, "load_before": load}, console)
        shown = console.file.getvalue()
        assert ("Other programs were busy" in shown) == busy
        assert "2.00 s" in shown and "2 of 8 cores" in shown


def test_options_refuse_no_runs() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        bench.Options(photo_runs=0)
