"""Measures speed and memory on this machine: `python -m train.bench` (or `make bench`).

Files are made for it, the same ones every time: a photo of 1024 x 1024 from the portrait in `app/samples`, and a 10 s
clip of 1280 x 720 at 30 frames a second, H.264 with B-frames and film grain, a moving camera and two moving faces.
Beside each figure stands that of the usual way to do the same (`train.usual`), measured in the same run; how many times
as fast the product is counts only where both come to the same result, else the table says what differs.

Prints a table, and writes the same figures to `runs/bench.json`.
"""

import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import partial
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np
import numpy.typing as npt
import tyro
from PIL import Image
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from detector.pipeline import Detector

RGB = npt.NDArray[np.uint8]

REPO_ROOT = Path(__file__).resolve().parent.parent
PORTRAIT = REPO_ROOT / "app" / "samples" / "astronaut.jpg"

SEED = 720
WIDTH, HEIGHT = 1280, 720
FPS = 30
SECONDS = 10.0
BIT_RATE = 4_000_000
HOUR_S = 3600.0
HOUR_WINDOWS = 64
HOUR_MIB = 1536
LOOP_S, LOOP_BIT_RATE = 20.0, 1_000_000
"""The hour is a shorter piece over and over: nothing that is measured with it depends on what the pictures show."""
GRAIN = 5.0
"""Standard deviation of the grain, in steps of 255: about a phone's noise in a lit room."""

HEAD = (112, 12, 336, 292)
"""The astronaut's head and hair in the portrait (x0, y0, x1, y1)."""

FRAME = (1920, 1080)
FACE_PX = 80
"""Faces of a 1080p frame that must be found by all means: this side and more."""

_QUIET_LOAD = 0.5
"""Load average of the last minute above which the measured times are said to be disturbed."""


@dataclass(frozen=True)
class Options:
    """Measure how fast a photo and a clip are judged, and how much memory it takes."""

    models: str = "default"
    """Name of an ensemble or a network, as in the app."""
    network: str = "resnet18"
    """The one network that is compared with the usual way; the first of the published ones where there is none such."""
    cores: int = 2
    """Processor cores to use; 0 for all. The goals are stated for two."""
    seconds: float = SECONDS
    """Length of the clip. The goals are stated for 10."""
    photo_runs: int = 7
    """Timed runs of the photo and of other short work, after one that is not counted; the median is reported."""
    clip_runs: int = 3
    """Timed runs of the clip, after one that is not counted; the median is reported."""
    usual_runs: int = 3
    """Timed runs of the usual way, after one that is not counted; 0 leaves it out."""
    idle: bool = True
    """Also start the app in a process of its own, to see how much memory it holds when it has nothing to do."""
    hour: bool = False
    """Also judge a video of one hour, by the library and by the command line. Takes half a gigabyte of disk."""
    out: Path = Path("runs/bench.json")
    """Where the figures are written."""

    def __post_init__(self) -> None:
        if self.photo_runs < 1 or self.clip_runs < 1 or self.usual_runs < 0:
            raise ValueError("photo_runs and clip_runs must be at least 1, usual_runs at least 0")
        if self.seconds < 1:
            raise ValueError("the clip must last a second at least")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        work: what was done.
        unit: of all figures: "s", "CPU-s", "ms", "CPU-ms" or "MiB".
        runs: one figure a run.
        goal: for the median; None where none is stated.
        usual: figures of the usual way, if it was measured.
        ratio_goal: how many times the usual way's figure the median should go into.
        differs: why the two ways may not be compared; None where they come to the same.
    """

    work: str
    unit: str
    runs: tuple[float, ...]
    goal: float | None = None
    usual: tuple[float, ...] = ()
    ratio_goal: float | None = None
    differs: str | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    @property
    def ratio(self) -> float | None:
        """How many times as much the usual way takes; None where it was not measured or came to something else."""
        return statistics.median(self.usual) / self.median if self.usual and self.differs is None else None

    def to_dict(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "median": self.median,
            "usual_median": statistics.median(self.usual) if self.usual else None,
            "ratio": self.ratio,
        }


def make_photo(path: Path) -> None:
    """Writes the portrait enlarged to 1024 x 1024 as a JPEG."""
    with Image.open(PORTRAIT) as image:
        image.convert("RGB").resize((1024, 1024), Image.Resampling.LANCZOS).save(path, quality=92)


def make_clip(
    path: Path, seconds: float = SECONDS, size: tuple[int, int] = (WIDTH, HEIGHT), bit_rate: int = BIT_RATE
) -> None:
    """Writes the clip, the same bytes for the same versions of NumPy, OpenCV, Pillow and PyAV.

    `bit_rate` is that of 720p; a smaller picture gets a smaller one.
    """
    import av  # needed by nothing else in train: a machine that only trains has no PyAV

    width, height = size
    with av.open(str(path), "w") as container:
        # one thread: how x264 spends its bits depends on their number
        stream = container.add_stream(
            "libx264", rate=FPS, options={"preset": "veryfast", "bf": "2", "b-adapt": "0", "threads": "1", "g": "60"}
        )
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = bit_rate * (width * height) // (WIDTH * HEIGHT)
        stream.time_base = Fraction(1, FPS)
        for picture in _pictures(round(seconds * FPS), width, height):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def make_long(path: Path, seconds: float, piece_s: float = LOOP_S, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    """Writes a clip of that length: one piece, encoded once, whose packets come again and again with later times."""
    import av

    piece = path.with_name(f"{path.stem}.piece.mp4")
    make_clip(piece, piece_s, size, LOOP_BIT_RATE)
    with av.open(str(path), "w") as out:
        to = None
        for number in range(math.ceil(seconds / piece_s)):
            with av.open(str(piece)) as container:
                stream = container.streams.video[0]
                if to is None:
                    to = out.add_stream_from_template(stream)
                assert stream.time_base is not None
                later = round(number * piece_s / stream.time_base)
                for packet in container.demux(stream):
                    if packet.dts is None or packet.pts is None:
                        continue  # the end
                    packet.dts, packet.pts, packet.stream = packet.dts + later, packet.pts + later, to
                    out.mux(packet)
    piece.unlink()


def _pictures(count: int, width: int, height: int) -> Iterator[RGB]:
    """Frames (height, width, 3): a camera that pans over a blurred room, two heads that sway, fresh grain on each."""
    rng = np.random.default_rng(SEED)
    room = _room(rng, round(width * 1.25), round(height * 1.25))
    heads = [_head(round(0.58 * height), mirrored=False), _head(round(0.46 * height), mirrored=True)]
    grain = rng.normal(0.0, GRAIN, (height + 64, width + 64, 1)).astype(np.float32)
    for index in range(count):
        t = index / FPS
        x = round((0.5 + 0.5 * np.sin(0.5 * t)) * (room.shape[1] - width))
        y = round((0.5 + 0.5 * np.cos(0.35 * t)) * (room.shape[0] - height))
        picture = room[y : y + height, x : x + width].copy()
        # the heads stand in the room: the pan moves them too, and each sways a little by itself
        pan = 0.25 * (room.shape[1] - width - 2 * x)
        for number, (pixels, alpha) in enumerate(heads):
            centre_x = (0.30, 0.72)[number] * width + pan + 0.03 * width * np.sin(1.3 * t + number)
            centre_y = (0.52, 0.48)[number] * height + 0.03 * height * np.sin(1.9 * t + 2 * number)
            _paste(picture, pixels, alpha, round(centre_x), round(centre_y))
        dx, dy = rng.integers(0, 64, 2)
        picture += grain[dy : dy + height, dx : dx + width]
        yield np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def _room(rng: np.random.Generator, width: int, height: int) -> npt.NDArray[np.float32]:
    """A background (height, width, 3) of soft shapes and some fine texture, in which no face is found."""
    coarse = (rng.uniform(60, 190, (7, 11, 1)) + rng.normal(0, 14, (7, 11, 3))).astype(np.float32)
    fine = rng.normal(0, 9, (height // 4, width // 4, 1)).astype(np.float32)
    room = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    texture = cv2.resize(fine, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(room + texture[..., None], np.float32)


def _head(height: int, *, mirrored: bool) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The astronaut's head (height, width, 3) and a soft oval (height, width, 1) to paste it by."""
    with Image.open(PORTRAIT) as image:
        head = np.asarray(image.convert("RGB").crop(HEAD), np.float32)
    if mirrored:
        head = head[:, ::-1]
    width = round(height * head.shape[1] / head.shape[0])
    pixels = cv2.resize(np.ascontiguousarray(head), (width, height), interpolation=cv2.INTER_AREA)
    ys, xs = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    alpha = np.clip((1.0 - np.hypot(xs, ys)) / 0.15, 0, 1).astype(np.float32)
    return np.asarray(pixels, np.float32), alpha[..., None]


def _paste(
    picture: npt.NDArray[np.float32], pixels: npt.NDArray[np.float32], alpha: npt.NDArray[np.float32], x: int, y: int
) -> None:
    """Blends `pixels` into `picture`, centred at (x, y), which lies far enough inside."""
    height, width = pixels.shape[:2]
    top, left = y - height // 2, x - width // 2
    part = picture[top : top + height, left : left + width]
    part += alpha * (pixels - part)


def _timed(
    run: Callable[[], Any], times: int, clock: Callable[[], float] = time.perf_counter, scale: float = 1.0
) -> tuple[Any, tuple[float, ...]]:
    """The last result of `run`, and what the clock says each call took, times `scale`; a first call does not count."""
    result = run()
    taken = []
    for _ in range(times):
        start = clock()
        result = run()
        taken.append((clock() - start) * scale)
    return result, tuple(taken)


def _peak_mib() -> float:
    """The most memory that this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20) if sys.platform == "darwin" else peak / (1 << 10)


def _processor() -> str:
    """The processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _machine(cores: int) -> dict[str, Any]:
    # after the cores are limited: this imports torch
    import torch

    from train.experiment import environment

    return {
        **environment(),
        "processor": _processor(),
        "cores": cores,
        "system": f"{platform.system()} {platform.machine()}",
        "torch_threads": torch.get_num_threads(),
    }


def _limit_cores(cores: int) -> int:
    """Binds this process to so many cores where the system can do that; how many it may use then.

    To be called before torch is imported, which starts as many threads as it finds cores.
    """
    if not hasattr(os, "sched_setaffinity"):
        return os.cpu_count() or 1
    allowed = sorted(os.sched_getaffinity(0))
    if 0 < cores < len(allowed):
        os.sched_setaffinity(0, allowed[:cores])
        return cores
    return len(allowed)


def measure(options: Options, folder: Path) -> dict[str, Any]:
    """All figures as a plain dict; `folder` takes the files."""
    load = os.getloadavg()[0]  # before our own work raises it
    cores = _limit_cores(options.cores)
    photo, clip = folder / "photo.jpg", folder / "clip.mp4"
    # other processes, so that the encoder's memory is not counted as ours
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other:
        for job in (other.submit(make_photo, photo), other.submit(make_clip, clip, options.seconds)):
            job.result()
    idle_mib = _idle_mib(photo, options.models) if options.idle else None

    start = time.perf_counter()
    from detector.engine import leave_cores_free
    from detector.pipeline import Detector

    leave_cores_free()  # as the app and the command line do
    import_s = time.perf_counter() - start
    start = time.perf_counter()
    detector = Detector(options.models)
    load_s = time.perf_counter() - start
    start = time.perf_counter()
    detector.image(photo)
    first_s = time.perf_counter() - start
    rows = _photo_rows(options, detector, photo)
    photo_peak = _peak_mib()
    persons, clip_runs = _timed(lambda: detector.video(clip).persons, options.clip_runs)
    rows.append(Row(f"clip {options.seconds:g} s 720p30, 32 frames, {detector.name}", "s", clip_runs))
    peak = _peak_mib()  # before the usual way, which takes memory of its own
    published = detector.manifest.models
    network = options.network if options.network in published else next(iter(published))
    rows += _clip_rows(options, network, clip, cores)
    rows.append(_frame_row(options, cores))
    rows.append(_face_row(options, network, cores))
    if options.hour:
        rows += _hour_rows(options.models, folder / "hour.mp4")
    if idle_mib is not None:
        rows.append(Row("memory of the started app, idle, networks loaded", "MiB", (idle_mib,), 1536))
    return {
        "machine": _machine(cores),
        "load_before": load,
        "models": detector.name,
        "network": network,
        "backends": detector.backends,
        "import_s": import_s,
        "load_s": load_s,
        "first_photo_s": first_s,
        "rows": [row.to_dict() for row in rows],
        "sha256": {file.name: _digest(file) for file in (photo, clip)},
        "clip_mbit_s": clip.stat().st_size * 8 / options.seconds / 1e6,
        "persons_in_clip": len(persons),
        "peak_mib_after_photo": photo_peak,
        "peak_mib": peak,
    }


def _photo_rows(options: Options, detector: "Detector", photo: Path) -> list[Row]:
    from detector.media import read_image

    def with_heatmap() -> None:
        verdict = detector.image(photo)
        detector.explain(image, verdict.faces[0].face)

    image = read_image(photo)
    _, plain = _timed(lambda: detector.image(photo), options.photo_runs)
    _, explained = _timed(with_heatmap, options.photo_runs)
    return [
        Row(f"photo 1024 x 1024, {detector.name}", "s", plain),
        Row(f"photo 1024 x 1024 with heatmap, {detector.name}", "s", explained, 0.12),
    ]


def _clip_rows(options: Options, network: str, clip: Path, cores: int) -> list[Row]:
    """The clip by one network, the product's way and the usual way."""
    from detector.engine import Engine
    from detector.pipeline import Detector
    from train.usual import UsualWay, difference, seen_by

    detector = Detector(network)
    usual = UsualWay(Engine(detector.manifest, network, "torch"))
    half = detector.backends[network].endswith("bf16")
    rows = []
    for frames, goal, ratio in ((16, 0.55 if half else 0.65, 5.0 if half else 4.0), (32, 1.1, None)):
        verdict, runs = _timed(partial(detector.video, clip, max_frames=frames), options.clip_runs)
        work = f"clip {options.seconds:g} s 720p30, {frames} frames, {network}"
        taken: tuple[float, ...] = ()
        differs = None
        if options.usual_runs:
            times = sorted({point.time_s for person in verdict.persons for point in person.timeline})
            with _all_cores(cores):
                seen, taken = _timed(partial(usual.video, clip, times), options.usual_runs)
            differs, _ = difference(seen_by(verdict, detector.entry.clips.calibration), seen, detector.entry.curve)
        rows.append(Row(work, "s", runs, goal, taken, ratio, differs))
    return rows


def _frame_row(options: Options, cores: int) -> Row:
    """Faces of one 1080p frame: processor time, whatever the number of threads."""
    from detector.engine import Engine
    from detector.faces.align import overlap
    from detector.pipeline import video_faces
    from detector.weights import read_manifest
    from train.usual import UsualWay

    frame = next(_pictures(1, *FRAME))
    finder = video_faces()
    found, runs = _timed(lambda: finder.detect([frame])[0], options.photo_runs, time.process_time, 1000)
    taken: tuple[float, ...] = ()
    differs = None
    if options.usual_runs:
        manifest = read_manifest()
        usual = UsualWay(Engine(manifest, next(iter(manifest.models)), "torch"))
        with _all_cores(cores):
            faces, taken = _timed(lambda: usual.faces(frame), options.usual_runs, time.process_time, 1000)
        large = [[face for face in way if face.size_px >= FACE_PX] for way in (found, faces)]
        alike = [sum(overlap(a.box, b.box) > 0.5 for b in large[1]) == 1 for a in large[0]]
        if len(large[0]) != len(large[1]) or not all(alike) or not large[1]:
            differs = f"{len(large[0])} faces of {FACE_PX} px and more against {len(large[1])}"
    return Row("face detection, 1080p frame", "CPU-ms", runs, 30, taken, None, differs)


def _face_row(options: Options, network: str, cores: int) -> Row:
    """One face by one network, again and again: a single call is too short to be timed well."""
    from detector.engine import Engine
    from detector.weights import read_manifest

    manifest = read_manifest()
    ways = [Engine(manifest, network), Engine(manifest, network, "torch")]
    crop = np.random.default_rng(SEED).integers(0, 256, (ways[0].size_px, ways[0].size_px, 3), dtype=np.uint8)
    goal = 3 if ways[0].backend.endswith("bf16") else 14
    logits, runs = _timed(partial(ways[0].logits, [crop]), 10 * options.photo_runs, scale=1000)
    taken: tuple[float, ...] = ()
    differs = None
    if options.usual_runs:
        with _all_cores(cores):
            expected, taken = _timed(partial(ways[1].logits, [crop]), 10 * options.usual_runs, scale=1000)
        if abs(logits[0] - expected[0]) > 0.04:
            differs = f"the logit is {logits[0]:.3f} against {expected[0]:.3f}"
    return Row(f"one face, {network}, {ways[0].size_px} px", "ms", runs, goal, taken, None, differs)


@contextmanager
def _all_cores(cores: int) -> Iterator[None]:
    """The usual way has torch compute on all cores: nobody tells it otherwise."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(cores)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# run in a process of its own; the page itself is drawn, then a photo judged as the page would
_APP = """
import gc, sys, time
from pathlib import Path
from streamlit.testing.v1 import AppTest
page = AppTest.from_file(sys.argv[1], default_timeout=600).run()
assert not page.exception, page.exception
from app.networks import build_detector
detector = build_detector(sys.argv[3])
detector.image(Path(sys.argv[2]))
gc.collect()
pages = int(Path("/proc/self/statm").read_text().split()[1])
import resource
print("resident", pages * resource.getpagesize() / 2**20)
"""


def _idle_mib(photo: Path, models: str) -> float | None:
    """What the app holds in memory after it judged a photo; None where the system does not tell."""
    if not Path("/proc/self/statm").exists():
        return None
    return _figures_of("resident", _APP, str(REPO_ROOT / "app" / "main.py"), str(photo), models)[0]


# in processes of their own, whose memory is theirs alone; the peak that getrusage tells would begin with ours
_HOUR = """
import contextlib, os, re, sys, time
from pathlib import Path
way, clip, photo, models, frames = sys.argv[1:]
def mib(key):
    return int(re.search(rf"{key}:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
idle = 0.0
if way == "library":
    from detector.engine import leave_cores_free
    from detector.pipeline import Detector
    leave_cores_free()
    detector = Detector(models)
    detector.image(Path(photo))
    idle = mib("VmRSS")
wall, cpu = time.perf_counter(), time.process_time()
if way == "library":
    seen = detector.video(Path(clip), max_frames=int(frames)).coverage.frames
else:
    from detector.__main__ import main
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        assert main(["--json", "--models", models, "--max-frames", frames, clip]) == 0
    seen = int(frames)
assert seen == int(frames), f"{seen} of {frames} frames were looked at: out of time"
print("figures", time.perf_counter() - wall, time.process_time() - cpu, idle, mib("VmHWM"))
"""


def judged_long(way: str, clip: Path, photo: Path, models: str, frames: int) -> tuple[float, float, float, float]:
    """How a video is judged by a process of its own, "library" (warm) or "command line" (from its start).

    Returns:
        Seconds, processor seconds, MiB before (0 for the command line), and the most MiB at any time.
    """
    arguments = (way, str(clip), str(photo), models, str(frames))
    return cast("tuple[float, float, float, float]", _figures_of("figures", _HOUR, *arguments))


def _hour_rows(models: str, clip: Path) -> list[Row]:
    """An hour of 720p; nothing where the system does not tell a process's memory."""
    if not Path("/proc/self/status").exists():
        return []
    make_long(clip, HOUR_S)
    work = f"one hour 720p30, {HOUR_WINDOWS} windows"
    rows = []
    for way in ("library", "command line"):
        wall_s, cpu_s, idle_mib, peak_mib = judged_long(way, clip, PORTRAIT, models, 4 * HOUR_WINDOWS)
        above = f", {idle_mib:.0f} before" if idle_mib else ""
        rows += [
            Row(f"{work}, {way}: first verdict", "s", (wall_s,), 60),
            Row(f"{work}, {way}: processor", "CPU-s", (cpu_s,)),
            Row(f"{work}, {way}: most memory{above}", "MiB", (peak_mib,), HOUR_MIB),
        ]
    return rows


def _figures_of(word: str, program: str, *arguments: str) -> tuple[float, ...]:
    """What a program, run in a process of its own from the root of the project, prints in a line after that word."""
    command = [sys.executable, "-c", program, *arguments]
    result = subprocess.run(command, cwd=REPO_ROOT, capture_output=True, text=True)
    found = [line.split()[1:] for line in result.stdout.splitlines() if line.startswith(f"{word} ")]
    if result.returncode != 0 or not found:
        raise RuntimeError(f"a process that was to be measured failed:\n{result.stderr[-2000:]}")
    return tuple(map(float, found[0]))


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def _show(figures: dict[str, Any], console: Console) -> None:
    machine = figures["machine"]
    console.print(
        f"{machine['processor']}, {machine['cores']} of {machine['cpu_count']} cores, {machine['system']}, "
        f"Python {machine['python']}, torch {machine['torch']}, on {machine['device']}; "
        f"models: {figures['models']}"
    )
    console.print("; ".join(f"{name}: {backend}" for name, backend in figures["backends"].items()), soft_wrap=True)
    if figures["load_before"] > _QUIET_LOAD:
        console.print(
            f"[bold]Other programs were busy (load {figures['load_before']:.1f}): the times below are too long.[/bold]"
        )
    table = Table("what, warm", "median", "fastest", "slowest", "runs", "goal", "usual way", "ratio")
    for row in figures["rows"]:
        runs, unit = row["runs"], row["unit"]
        values = [amount(value, unit) for value in (row["median"], min(runs), max(runs))]
        goal = "" if row["goal"] is None else f"<= {amount(row['goal'], unit)}"
        usual = "" if row["usual_median"] is None else amount(row["usual_median"], unit)
        table.add_row(row["work"], *values, str(len(runs)), goal, usual, times_as_fast(row))
    for what, key in (("import", "import_s"), ("load the networks", "load_s"), ("first photo", "first_photo_s")):
        table.add_row(what, amount(figures[key], "s"), "", "", "1", "", "", "")
    table.add_row("most memory, photos", amount(figures["peak_mib_after_photo"], "MiB"), "", "", "", "", "", "")
    table.add_row("most memory, clip too", amount(figures["peak_mib"], "MiB"), "", "", "", "", "", "")
    console.print(table)
    for name, digest in figures["sha256"].items():
        console.print(f"{name}: sha256 {digest}", soft_wrap=True)
    console.print(f"the clip has {figures['persons_in_clip']} person(s) at {figures['clip_mbit_s']:.1f} Mbit/s")


def amount(value: float, unit: str) -> str:
    """A figure of the table with its unit."""
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.2f} {unit}" if unit == "s" else f"{value:.1f} {unit}"


def times_as_fast(row: Mapping[str, Any]) -> str:
    """How many times as much the usual way takes, the goal for it, or why the two may not be compared."""
    if row["differs"]:
        return f"does not count: {row['differs']}"
    goal = f" (goal {row['ratio_goal']:g}x)" if row["ratio_goal"] else ""
    return "" if row["ratio"] is None else f"{row['ratio']:.1f}x{goal}"


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    console = Console()
    if not console.is_terminal:
        console = Console(width=180)  # a file takes long lines
    with tempfile.TemporaryDirectory(prefix="unmask-bench-") as folder:
        figures = measure(options, Path(folder))
    _show(figures, console)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
