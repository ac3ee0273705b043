"""The benchmark's own files: what they are said to be, and the same ones every time."""

import io
import json
import subprocess
import sys
import tracemalloc
from collections import Counter
from itertools import pairwise
from pathlib import Path

import av
import pytest
from PIL import Image
from rich.console import Console

from detector.calibration import FalseAlarmCurve
from detector.engine import Engine
from detector.manifest import read_manifest
from detector.pipeline import Detector
from detector.video import iter_frames
from tests.bench import files
from tests.bench.apart import processor_s
from tests.bench.measure import Options
from tests.bench.table import Row, show
from tests.bench.usual import Seen, UsualWay, difference, seen_by
from train.store.documents import weights_readme


def test_photo_is_1024_square(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    files.make_photo(path)
    with Image.open(path) as image:
        assert (image.format, image.size, image.mode) == ("JPEG", (1024, 1024), "RGB")


def test_clip_is_h264_with_b_frames_at_two_megabits(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    files.make_clip(path, seconds=1.0)
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
        files.make_clip(path, seconds=0.5, size=(640, 360))
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten minutes, a second of it encoded."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    files.make_long(path, 600.0, piece_s=1.0, size=(640, 360))
    return path


def test_a_long_clip_is_one_piece_over_and_over(long_clip: Path) -> None:
    with av.open(str(long_clip)) as container:
        stream = container.streams.video[0]
        times = sorted(packet.pts * stream.time_base for packet in container.demux(stream) if packet.pts is not None)
    assert len(times) == 600 * files.FPS
    assert {round(float(b - a) * files.FPS, 3) for a, b in pairwise(times)} == {1.0}
    assert list(long_clip.parent.iterdir()) == [long_clip]
    frames = list(iter_frames(long_clip, max_frames=16))
    assert len(frames) == 16 and frames[-1].time_s > 500


def test_memory_does_not_grow_with_the_length_of_a_video(long_clip: Path) -> None:
    """As far as arrays go; what FFmpeg and the networks hold beside them, `python -m tests.bench --hour` measures."""
    detector = Detector("resnet18")
    detector.video(long_clip, max_frames=8)
    tracemalloc.start()
    try:
        verdict = detector.video(long_clip, max_frames=96)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert verdict.coverage is not None and verdict.coverage.frames == 96
    assert peak < 36e6  # all frames together are 66 MB


def figures(**changed: object) -> dict[str, object]:
    rows = [
        Row("clip", "s", (0.5, 0.7, 0.6), 0.65, (3.0,), 4.0),
        Row("frame", "CPU-ms", (25.0,), 30, (400.0,), None, "2 faces against 3"),
        Row("memory", "MiB", (700.0,)),
    ]
    machine = {"processor": "made up", "cores": 2, "cpu_count": 8, "system": "Linux", "python": "3", "torch": "2"}
    return {
        "machine": {**machine, "device": "cpu"},
        "load_before": 0.1,
        "models": "average",
        "backends": {"resnet18": "OpenVINO 1, cpu, f32", "faces": "OpenVINO 1, cpu, f32"},
        "rows": [row.to_dict() for row in rows],
        "sha256": {"clip.mp4": "00ff"},
        "import_s": 1.0,
        "load_s": 1.0,
        "first_photo_s": 1.0,
        "peak_mib_after_photo": 1.0,
        "peak_mib": 2.0,
        "persons_in_clip": 2,
        "clip_mbit_s": 4.0,
        **changed,
    }


@pytest.mark.parametrize(("load", "busy"), [(0.1, False), (6.8, True)])
def test_table_says_when_the_machine_was_busy(load: float, busy: bool) -> None:
    console = Console(file=io.StringIO(), width=200)
    show(figures(load_before=load), console)
    shown = console.file.getvalue()
    assert ("Other programs were busy" in shown) == busy
    assert "2 of 8 cores" in shown and "sha256 00ff" in shown


def test_a_ratio_counts_only_between_equals() -> None:
    console = Console(file=io.StringIO(), width=200)
    show(figures(), console)
    clip, frame = (line for line in console.file.getvalue().splitlines() if line.startswith(("│ clip ", "│ frame ")))
    assert "0.60 s" in clip and "<= 0.65 s" in clip and "5.0x (goal 4x)" in clip
    assert "does not count: 2 faces against 3" in frame and "16.0x" not in frame


def test_the_readme_of_the_weights_shows_the_same_table() -> None:
    text = weights_readme(read_manifest(), None, {"speed": json.loads(json.dumps(figures()))})
    assert "| clip | 0.60 s | 0.70 s | 0.65 s | 3.00 s | 5.0x (goal 4x) |" in text
    assert "| memory | 700 MiB | 700 MiB |  |  |  |" in text
    assert "Speed and memory" not in weights_readme(read_manifest(), None, {})


CURVE = FalseAlarmCurve((0.1, 0.02, 0.005), (0.0, 2.0, 4.0))
LEFT, RIGHT = (0.0, 0.0, 100.0, 100.0), (300.0, 0.0, 400.0, 100.0)


def test_the_usual_way_is_compared_by_persons() -> None:
    first = [Seen(t, LEFT, -3.0) for t in (0.0, 1.0)]
    second = [Seen(t, RIGHT, 0.5) for t in (0.0, 1.0)]
    moved = (10.0, 5.0, 108.0, 103.0)
    same = [Seen(1.0, RIGHT, 0.45), Seen(0.0, moved, -3.2), Seen(1.0, moved, -2.9), Seen(0.0, RIGHT, 0.6)]
    reason, shift = difference([first, second], same, CURVE)
    assert reason is None and 0 < shift < 0.01
    assert difference([], [], CURVE)[0] == "no face was judged"
    assert "person 2 at 1.00 s was not found" in str(difference([first, second], same[1:], CURVE)[0])
    extra = [*same, Seen(0.0, (600.0, 0.0, 700.0, 100.0), 0.0)]
    assert "found the usual way alone" in str(difference([first, second], extra, CURVE)[0])
    nearly = [Seen(f.time_s, f.box, f.logit + 0.3 * (f.box == RIGHT)) for f in same]
    assert "a probability differs by 0.07" in str(difference([first, second], nearly, CURVE)[0])
    stronger = [Seen(f.time_s, f.box, f.logit + 4 * (f.box == RIGHT)) for f in same]
    assert "person 2 is little against strong" in str(difference([first, second], stronger, CURVE)[0])


@pytest.mark.slow
def test_both_ways_see_the_made_clip_alike(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    files.make_clip(path, seconds=1.5)
    detector = Detector("resnet18")
    verdict = detector.video(path, max_frames=4)
    times = sorted({point.time_s for person in verdict.persons for point in person.timeline})
    seen = UsualWay(Engine(detector.manifest, "resnet18", "torch")).video(path, times)
    assert len(times) == 4 and len(seen) == 8
    reason, _ = difference(seen_by(verdict, detector.entry.clips.calibration), seen, detector.entry.curve)
    assert reason is None


@pytest.mark.skipif(sys.platform != "linux", reason="this system tells no processor time of others")
def test_the_processor_time_of_another_process_has_that_of_threads_that_ended() -> None:
    code = "import threading, time\n"
    code += "def busy():\n    while time.thread_time() < 0.2: pass\n"
    code += "one = threading.Thread(target=busy); one.start(); busy(); one.join()\n"
    code += "print('done', flush=True); input()\n"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"done\n"
        taken = processor_s(process.pid)
        process.communicate(b"\n")
    assert taken is not None and taken >= 0.4
    assert processor_s(process.pid) is None


def test_options_refuse_no_runs() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Options(photo_runs=0)
    with pytest.raises(ValueError, match="a second at least"):
        Options(seconds=0.1)
