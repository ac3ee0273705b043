"""Measures speed and memory on this machine: `python -m train.bench` (or `make bench`).

Two files are made for it, the same ones every time: a photo of 1024 x 1024 from the portrait in `app/samples`, and a
10 s clip of 1280 x 720 at 30 frames a second, H.264 with B-frames and film grain, a moving camera and two moving
faces. Prints a table, and writes the same figures to `runs/bench.json`.
"""

import json
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from fractions import Fraction
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import tyro
from PIL import Image
from rich.console import Console
from rich.table import Table

RGB = npt.NDArray[np.uint8]

REPO_ROOT = Path(__file__).resolve().parent.parent
PORTRAIT = REPO_ROOT / "app" / "samples" / "astronaut.jpg"

SEED = 720
WIDTH, HEIGHT = 1280, 720
FPS = 30
SECONDS = 10.0
BIT_RATE = 4_000_000
GRAIN = 5.0
"""Standard deviation of the grain, in steps of 255: about a phone's noise in a lit room."""

HEAD = (112, 12, 336, 292)
"""The astronaut's head and hair in the portrait (x0, y0, x1, y1)."""

GOAL_PHOTO_S = 1.0
GOAL_CLIP_S = 10.0

_QUIET_LOAD = 0.5
"""Load average of the last minute above which the measured times are said to be disturbed."""


@dataclass(frozen=True)
class Options:
    """Measure how fast a photo and a clip are judged, and how much memory it takes."""

    models: str = "default"
    """Name of an ensemble or a network, as in the app."""
    cores: int = 2
    """Processor cores to use; 0 for all. The goals are stated for two."""
    photo_runs: int = 7
    """Timed runs of the photo, after one that is not counted; the median is reported."""
    clip_runs: int = 3
    """Timed runs of the clip, after the photo has warmed the networks; the median is reported."""
    out: Path = Path("runs/bench.json")
    """Where the figures are written."""

    def __post_init__(self) -> None:
        if self.photo_runs < 1 or self.clip_runs < 1:
            raise ValueError("photo_runs and clip_runs must be at least 1")


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of the timed runs of one file."""

    file: str
    sha256: str
    verdict: str
    runs_s: tuple[float, ...]
    goal_s: float

    @property
    def median_s(self) -> float:
        return statistics.median(self.runs_s)


def make_photo(path: Path) -> None:
    """Writes the portrait enlarged to 1024 x 1024 as a JPEG."""
    with Image.open(PORTRAIT) as image:
        image.convert("RGB").resize((1024, 1024), Image.Resampling.LANCZOS).save(path, quality=92)


def make_clip(path: Path, seconds: float = SECONDS, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    """Writes the clip, the same bytes for the same versions of NumPy, OpenCV, Pillow and PyAV."""
    import av  # needed by nothing else in train: a machine that only trains has no PyAV

    width, height = size
    with av.open(str(path), "w") as container:
        # one thread: how x264 spends its bits depends on their number
        stream = container.add_stream(
            "libx264", rate=FPS, options={"preset": "veryfast", "bf": "2", "b-adapt": "0", "threads": "1", "g": "60"}
        )
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = BIT_RATE * (width * height) // (WIDTH * HEIGHT)
        stream.time_base = Fraction(1, FPS)
        for picture in _pictures(round(seconds * FPS), width, height):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


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


def _timed(run: Callable[[], Any], times: int) -> tuple[Any, tuple[float, ...]]:
    """The last result of `run`, and the seconds that each call took."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        result = run()
        taken.append(time.perf_counter() - start)
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
    """All figures as a plain dict; `folder` takes the two files."""
    load = os.getloadavg()[0]  # before our own work raises it
    cores = _limit_cores(options.cores)
    photo, clip = folder / "photo.jpg", folder / "clip.mp4"
    # another process, so that the encoder's memory is not counted as ours
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other:
        for job in (other.submit(make_photo, photo), other.submit(make_clip, clip)):
            job.result()

    start = time.perf_counter()
    from detector.engine import leave_cores_free
    from detector.pipeline import Detector

    leave_cores_free()  # as the app and the command line do
    import_s = time.perf_counter() - start
    start = time.perf_counter()
    detector = Detector(options.models)
    load_s = time.perf_counter() - start
    _, (first_s,) = _timed(lambda: detector.image(photo), 1)
    photo_verdict, photo_runs = _timed(lambda: detector.image(photo), options.photo_runs)
    photo_peak = _peak_mib()
    clip_verdict, clip_runs = _timed(lambda: detector.video(clip), options.clip_runs)

    timings = (
        Timing("photo 1024 x 1024", _digest(photo), str(photo_verdict.status), photo_runs, GOAL_PHOTO_S),
        Timing(f"clip {SECONDS:.0f} s 720p30", _digest(clip), str(clip_verdict.status), clip_runs, GOAL_CLIP_S),
    )
    return {
        "machine": _machine(cores),
        "load_before": load,
        "models": detector.name,
        "import_s": import_s,
        "load_s": load_s,
        "first_photo_s": first_s,
        "files": [{**asdict(timing), "median_s": timing.median_s} for timing in timings],
        "clip_mbit_s": clip.stat().st_size * 8 / SECONDS / 1e6,
        "faces_in_photo": len(photo_verdict.faces),
        "persons_in_clip": len(clip_verdict.persons),
        "peak_mib_after_photo": photo_peak,
        "peak_mib": _peak_mib(),
    }


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def _show(figures: dict[str, Any], console: Console) -> None:
    machine = figures["machine"]
    console.print(
        f"{machine['processor']}, {machine['cores']} of {machine['cpu_count']} cores, {machine['system']}, "
        f"Python {machine['python']}, torch {machine['torch']}, on {machine['device']}; "
        f"models: {figures['models']}"
    )
    if figures["load_before"] > _QUIET_LOAD:
        console.print(
            f"[bold]Other programs were busy (load {figures['load_before']:.1f}): the times below are too long.[/bold]"
        )
    table = Table("what", "median", "fastest", "slowest", "runs", "goal")
    for file in figures["files"]:
        runs = file["runs_s"]
        times = [f"{value:.2f} s" for value in (file["median_s"], min(runs), max(runs))]
        table.add_row(f"{file['file']}, warm", *times, str(len(runs)), f"{file['goal_s']:.0f} s")
    for what, key in (("import", "import_s"), ("load the networks", "load_s"), ("first photo", "first_photo_s")):
        table.add_row(what, f"{figures[key]:.2f} s", "", "", "1", "")
    table.add_row("most memory, photos", f"{figures['peak_mib_after_photo']:.0f} MiB", "", "", "", "")
    table.add_row("most memory, clip too", f"{figures['peak_mib']:.0f} MiB", "", "", "", "")
    console.print(table)
    for file in figures["files"]:
        console.print(f"{file['file']}: {file['verdict']}, sha256 {file['sha256']}", soft_wrap=True)
    console.print(
        f"the photo has {figures['faces_in_photo']} face(s), the clip {figures['persons_in_clip']} person(s) "
        f"at {figures['clip_mbit_s']:.1f} Mbit/s"
    )


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    console = Console()
    with tempfile.TemporaryDirectory(prefix="unmask-bench-") as folder:
        figures = measure(options, Path(folder))
    _show(figures, console)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
