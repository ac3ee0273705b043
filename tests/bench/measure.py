"""All that `python -m tests.bench` measures."""

import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.bench.apart import idle_mib, judged_long, processor_s
from tests.bench.files import PORTRAIT, SECONDS, SEED, make_clip, make_long, make_photo, pictures
from tests.bench.table import Row

if TYPE_CHECKING:
    from detector.pipeline import Detector

HOUR_S = 3600.0
HOUR_WINDOWS = 64
HOUR_MIB = 1536
FRAME = (1920, 1080)
FACE_PX = 80
"""Faces of a 1080p frame that must be found by all means: this side and more."""


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

    from train.run import environment

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
    idle = idle_mib(photo, options.models) if options.idle else None

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
    rows += _says_rows(options, photo, clip)
    rows.append(_frame_row(options, cores))
    rows.append(_face_row(options, network, cores))
    rows += _precision_rows(options, network)
    if options.hour:
        rows += _hour_rows(options.models, folder / "hour.mp4")
    if idle is not None:
        rows.append(Row("memory of the started app, idle, networks loaded", "MiB", (idle,), 1536))
    return {
        "machine": _machine(cores),
        "load_before": load,
        "models": detector.name,
        "networks": {name: found.sha256 for name, found in published.items()},
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


def _says_rows(options: Options, photo: Path, clip: Path) -> list[Row]:
    """What the file says about itself, of signed files: the whole of it, with the hashes of their pixels.

    Processor time is that of this process and of the child that reads; no row for it where the system does not tell.
    """
    from detector import provenance
    from detector.media import read_image
    from detector.provenance.history import MAX_HASHES, perceptual_hash
    from detector.video import iter_frames
    from tests.fakes.credentials import make_signer, sign

    signer, image = make_signer(), read_image(photo)
    frames = [frame.image for frame in iter_frames(clip, max_frames=MAX_HASHES)]
    signed = {path: path.with_stem(f"{path.stem}-signed") for path in (photo, clip)}
    for path, mime in ((photo, "image/jpeg"), (clip, "video/mp4")):
        signed[path].write_bytes(sign(path.read_bytes(), mime, signer))

    def of_photo() -> None:
        assert provenance.read_provenance(signed[photo], "photo.jpg").credentials.state == "present"
        perceptual_hash(image)

    def of_clip() -> None:
        assert provenance.read_provenance(signed[clip], "clip.mp4").credentials.state == "present"
        for frame in frames:
            perceptual_hash(frame)

    def processor() -> float:
        pid = provenance._child.pid
        return time.process_time() + ((processor_s(pid) if pid is not None else None) or 0.0)

    rows = []
    for run, runs, what, goal in (
        (of_photo, options.photo_runs, "photo 1024 x 1024", 80),
        (of_clip, options.clip_runs, f"clip {options.seconds:g} s 720p30", 200),
    ):
        rows.append(Row(f"what the file says, signed {what}", "ms", _timed(run, 4 * runs, scale=1000)[1], goal))
        if processor_s(os.getpid()) is not None:
            taken = _timed(run, 4 * runs, processor, scale=1000)[1]
            rows.append(Row(f"what the file says, signed {what}: processor", "CPU-ms", taken, goal))
    return rows


def _clip_rows(options: Options, network: str, clip: Path, cores: int) -> list[Row]:
    """The clip by one network, the product's way and the usual way."""
    from detector.engine import Engine
    from detector.pipeline import Detector
    from tests.bench.usual import UsualWay, difference, seen_by

    detector = Detector(network)
    usual = UsualWay(Engine(detector.manifest, network, "torch"))
    rows = []
    for frames, goal, ratio in ((16, 0.65, 4.0), (32, 1.1, None)):
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
    from detector.manifest import read_manifest
    from detector.pipeline import video_faces
    from tests.bench.usual import UsualWay

    frame = next(pictures(1, *FRAME))
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
    from detector.manifest import read_manifest

    manifest = read_manifest()
    ways = [Engine(manifest, network), Engine(manifest, network, "torch")]
    crop = np.random.default_rng(SEED).integers(0, 256, (ways[0].size_px, ways[0].size_px, 3), dtype=np.uint8)
    logits, runs = _timed(partial(ways[0].logits, [crop]), 10 * options.photo_runs, scale=1000)
    taken: tuple[float, ...] = ()
    differs = None
    if options.usual_runs:
        with _all_cores(cores):
            expected, taken = _timed(partial(ways[1].logits, [crop]), 10 * options.usual_runs, scale=1000)
        if abs(logits[0] - expected[0]) > 0.04:
            differs = f"the logit is {logits[0]:.3f} against {expected[0]:.3f}"
    return Row(f"one face, {network}, {ways[0].size_px} px", "ms", runs, 14, taken, None, differs)


def _precision_rows(options: Options, network: str) -> list[Row]:
    """What the same figures on every machine cost: a face in float32, and in bfloat16 where the processor has it."""
    from detector.calibration import sigmoid
    from detector.engine import Engine
    from detector.errors import EngineError
    from detector.manifest import read_manifest
    from detector.weights import golden_crops

    manifest = read_manifest()
    try:
        exact, rough = (Engine(manifest, network, "openvino", precision=p) for p in ("f32", "bf16"))
    except EngineError:
        return []
    crops = list((golden_crops(exact.size_px, 8) * 255).byte().permute(0, 2, 3, 1).numpy())
    runs: tuple[list[float], list[float]] = ([], [])
    for _ in range(options.photo_runs):  # in turns, so that a busy machine disturbs both alike
        for engine, taken in zip((exact, rough), runs, strict=True):
            taken += _timed(partial(engine.logits, crops), 3, scale=1000 / len(crops))[1]
    moved = np.abs(sigmoid(rough.logits(crops)) - sigmoid(exact.logits(crops))).max()
    return [
        Row(f"one face of 8, {network}, f32, as reported", "ms", tuple(runs[0])),
        Row(f"one face of 8, {network}, bf16, never reported: moves a made face by {moved:.4f}", "ms", tuple(runs[1])),
    ]


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


def _hour_rows(models: str, clip: Path) -> list[Row]:
    """An hour of 720p; nothing where the system does not tell a process's memory."""
    if not Path("/proc/self/status").exists():
        return []
    make_long(clip, HOUR_S)
    work = f"one hour 720p30, {HOUR_WINDOWS} windows"
    rows = []
    for way in ("library", "command line"):
        wall_s, cpu_s, before, peak_mib = judged_long(way, clip, PORTRAIT, models, 4 * HOUR_WINDOWS)
        above = f", {before:.0f} before" if before else ""
        rows += [
            Row(f"{work}, {way}: first verdict", "s", (wall_s,), 60),
            Row(f"{work}, {way}: processor", "CPU-s", (cpu_s,)),
            Row(f"{work}, {way}: most memory{above}", "MiB", (peak_mib,), HOUR_MIB),
        ]
    return rows


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
