"""A detector with known output, to test the page without networks: `install()` in a test, or run as a program.

python tests/fakes/fake_app.py --server.port 8600        # serves app/main.py with the fake behind it
"""

import math
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from detector import (
    Band,
    BandCap,
    Cancelled,
    Coverage,
    Credentials,
    Face,
    FaceVerdict,
    FileVerdict,
    ImageVerdict,
    Line,
    ModelUsed,
    Person,
    ProbRange,
    Provenance,
    Resaved,
    Score,
    Thresholds,
    TimelinePoint,
    VideoVerdict,
)
from detector.calibration import Calibration, FalseAlarmCurve
from detector.explain.gradcam import Heatmap
from detector.manifest import (
    Data,
    Environment,
    Limits,
    Manifest,
    TrainedEnsemble,
    TrainedNetwork,
    Training,
    Videos,
)
from detector.media import read_head, read_image, sha256_of, sniff_kind
from detector.persons import Observer
from detector.pipeline import Glance
from detector.results import Choice, Curves, Figure, LabelledSource, Measured, Pooled, Results
from detector.steps import next_steps
from detector.types import FalseAlarms, Share
from detector.video import iter_frames, probe

THRESHOLDS = Thresholds(weak=0.52, strong=0.71, very_strong=0.93)
NETWORKS = ("resnet18", "efficientnet_b0")
EDGES = (Thresholds(weak=0.6, strong=0.8, very_strong=0.9), Thresholds(weak=0.55, strong=0.75, very_strong=0.85))
"""Each network's own."""
FALSE_ALARMS: FalseAlarms = {
    "weak": Share(400, 44, 0.08, 0.15),
    "strong": Share(400, 12, 0.01, 0.06),
    "very_strong": Share(400, 3, 0.002, 0.02),
}
CURVE = FalseAlarmCurve((0.5, 0.1, 0.02, 0.005), (-1.0, 0.1, 0.9, 2.6))
CLIPS = Videos(
    calibration=Calibration(1.0, 0.0),
    curve=CURVE,
    runs=4.0,
    cap=BandCap("strong", "too_few_clips", 60, 600),
    frames=32,
    false_alarms={"weak": Share(60, 4, 0.03, 0.16), "strong": Share(60, 1, 0.0, 0.09)},
)
COMMON: dict[str, Any] = {
    "calibration": Calibration(1.0, 0.0), "curve": CURVE, "false_alarms": FALSE_ALARMS, "clips": CLIPS
}  # fmt: skip

_SAYS = Provenance(
    "No Content Credentials; saved by a program, as many pictures are.",
    Credentials("none", "The file holds no Content Credentials."),
    marks=(Line("mark.none", "observed", "No label of a generator was found.", "XMP"),),
    history=(
        Line("software", "observed", "Saved by <b>Paint</b> 3.", "EXIF, Software", "edited", "Paint 3"),
        Line("jpeg.quality", "derived", "Saved as JPEG at quality 75.", "JPEG tables", "changed"),
        Line("likeness", "inferred", "Its sizes are those that messengers use.", "size", "changed"),
        Line("time", "observed", "Taken on 2026-11-02 at 10:15.", "EXIF, DateTimeOriginal"),
    ),
)


def manifest(folder: Path = Path("weights")) -> Manifest:
    """A manifest of two networks and their average, with invented figures."""
    where = Environment(python="3", torch="2", device="cpu", cpu_count=2, commit="0", amp=False)
    trained = Training("cnn", "python -m train cnn", 0, "scratch", 1000, 0.5, where)
    networks = {
        name: TrainedNetwork(
            architecture=name,
            file=f"{name}.safetensors",
            sha256="0",
            bytes=20_000_000,
            parameters=11_000_000,
            input_size_px=224,
            paper="none",
            licence_of_code="MIT",
            training=trained,
            golden_logits=(),
            **COMMON,
        )
        for name in NETWORKS
    }
    return Manifest(
        folder=folder,
        date="2026-12-02",
        default="average",
        default_reason="average gains +0.02 over resnet18",
        test_scored=1,
        limits=Limits(60, 20),
        data=Data("0", "none"),
        models=networks,
        ensembles={"average": TrainedEnsemble(kind="average", members=NETWORKS, golden_scores=(), **COMMON)},
    )


def results() -> Results:
    """Figures for that manifest, as invented."""
    interval, unknown = Figure(0.9, 0.88, 0.92, 500), Figure(0.7, None, None, 20)
    gain = Figure(-0.01, -0.02, 0.003, 500)
    measured = {"auc": interval, "f1": interval, "precision": interval}
    choice = Choice(
        parameters=11_000_000,
        megabytes=20.0,
        cpu_ms_a_face=12.5,
        slices={
            "faces": Measured(250, 250, {**measured, "fpr": interval, "tpr": unknown}),
            "street": Measured(90, 0, {"fpr": interval}),
        },
        pooled=Pooled(1090, 0.03, 0.08, interval, ((95, 5), (20, 80))),
        against_default={"all": gain},
        changed={
            "as they came": Measured(250, 250, measured),
            "JPEG 30": Measured(250, 250, {**measured, "auc_lost": gain}),
        },
        resaved={
            "manipulated, weak or more": dict.fromkeys(("fell", "lost", "rose"), interval),
            "manipulated, jpeg_50": dict.fromkeys(("fell", "lost", "rose"), unknown),
        },
        labels={"age": {"18-29": unknown}, "ethnicity": {"Asian": unknown}},
    )
    names = ("average", *NETWORKS)
    curves = Curves(
        networks=dict.fromkeys(NETWORKS, "0"),
        roc=dict.fromkeys(names, ((0.0, 0.0), (0.1, 0.8), (1.0, 1.0))),
        reliability=dict.fromkeys(names, ((0.1, 0.12, 0.5), (0.9, 0.88, 0.5))),
        labelled=LabelledSource("utkface", 20, True, False, "Guessed."),
        resaved_faces="validation",
    )
    return Results({n: replace(choice, against_default={}) if n == "average" else choice for n in names}, curves)


def _face(x: float, y: float, size: float) -> Face:
    eyes = ((x + 0.3 * size, y + 0.4 * size), (x + 0.7 * size, y + 0.4 * size))
    rest = ((x + 0.5 * size, y + 0.6 * size), (x + 0.35 * size, y + 0.8 * size), (x + 0.65 * size, y + 0.8 * size))
    return Face((x, y, x + 0.8 * size, y + size), eyes + rest, 0.99)


def _scores(prob: float) -> tuple[Score, ...]:
    return tuple(
        Score(n, p, p > edges.strong, edges.strong, edges)
        for n, p, edges in zip(NETWORKS, (prob, max(0.0, prob - 0.2)), EDGES, strict=True)
    )


def _point(time_s: float, face: Face, prob: float | None) -> TimelinePoint:
    return TimelinePoint(time_s, face, prob, prob)


def _seen(verdict: FileVerdict, name: str, look: dict[str, Any]) -> FileVerdict:
    """The verdict, with as much looked at as was asked for and as the file's name says."""
    if verdict.width and verdict.height and "region" in look:
        x0, y0, x1, y1 = look["region"]
        w, h = verdict.width, verdict.height
        verdict = replace(verdict, region=(x0 * w, y0 * h, x1 * w, y1 * h))
    coverage = verdict.coverage
    if coverage is None or coverage.duration_s is None:
        return verdict
    end = coverage.duration_s
    if "start_s" in look or "end_s" in look:
        part = (look.get("start_s", 0.0), look.get("end_s", end))
        coverage = replace(coverage, part_s=part, analysed_s=part[1] - part[0], share=(part[1] - part[0]) / end)
    elif "cut" in name:
        coverage = replace(coverage, stopped=True, analysed_s=end / 4, share=0.25)
    elif "sample" in name and "max_frames" not in look:
        coverage = replace(coverage, duration_s=45.0, analysed_s=32.0, share=32 / 45)
    return replace(verdict, coverage=coverage, max_frames=look.get("max_frames", 32))


class FakeDetector:
    """Answers after `steps` steps; a photo has three faces, a video three persons.

    Words in a file's name say what comes: "slow" takes 8 s, "long" a minute, "endless" ten, "bug" breaks; a photo that
    is "little", "very" or "fragile", with "one" face or "noface"; a video that was "cut" short or of which a "sample"
    was looked at.
    """

    name = "average"

    def __init__(self, name: str = "average") -> None:
        self.asked_for = name
        self.entry = manifest().entry("average")
        self.looks: list[dict[str, Any]] = []
        self.explained: list[tuple[str | None, tuple[float, ...]]] = []

    def file(
        self,
        source: bytes | Path,
        *,
        name: str | None = None,
        on_progress: Callable[[float, str], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
        observer: Observer | None = None,
        **look: Any,
    ) -> FileVerdict:
        self.looks.append(look)
        name = name or "bytes"
        if "bug" in name:
            raise ZeroDivisionError(f"a bug that quotes {name}")
        steps = 7500 if "endless" in name else 100 if "slow" in name or "long" in name else 4
        for step in range(steps):
            if should_stop is not None and should_stop():
                raise Cancelled("stopped")
            if on_progress is not None:
                on_progress(step / steps, f"reading frames, {step + 1} of {steps}")
            time.sleep(0.6 if "long" in name else 0.08 if steps > 4 else 0.02)
        verdict = self._verdict(source, name, observer)
        verdict = _seen(replace(verdict, provenance=_SAYS), name, look)
        return replace(verdict, next_steps=next_steps(verdict))

    def _verdict(self, source: bytes | Path, name: str, observer: Observer | None) -> FileVerdict:
        kind = sniff_kind(read_head(source) if isinstance(source, Path) else source[:4096])
        if kind == "unknown":
            return FileVerdict(**self._common(source, name, "unknown", None, None, None, "unsupported"))
        if kind == "video":
            return self._video(source, name, observer)
        return self._image(source, name)

    def glance(self, image: np.ndarray) -> tuple[Glance, ...]:
        u = image.shape[1] / 854
        time.sleep(0.05)
        return (
            Glance(_face(160 * u, 100 * u, 160 * u), None, 1.0),
            Glance(_face(500 * u, 100 * u, 160 * u), None, -3.0),
        )

    def explain(self, image: np.ndarray, face: Face, model: str | None = None) -> Heatmap:
        self.explained.append((model, face.box))
        ys, xs = np.mgrid[0:96, 0:96] / 96
        shift = 0.15 if model == NETWORKS[0] else -0.1
        heat = np.exp(-((xs - 0.5 - shift) ** 2 + (ys - 0.65) ** 2) / 0.04).astype(np.float32)
        x0, y0, x1, y1 = face.box
        half, cx, cy = 0.65 * face.size_px, (x0 + x1) / 2, (y0 + y1) / 2
        return Heatmap(heat, (cx - half, cy - half, cx + half, cy + half), model or NETWORKS[0])

    def _common(
        self,
        source: bytes | Path,
        name: str,
        kind: str,
        band: Band | None,
        prob: float | None,
        span: ProbRange | None,
        reason: str | None = None,
    ) -> dict[str, object]:
        messages = {
            "unsupported": "This is neither a photo nor a video that can be read. Try a JPEG, PNG or MP4.",
            "no_face": "No face was found. Try a picture in which a face is larger.",
        }
        return {
            "file": name,
            "sha256": sha256_of(source),
            "kind": kind,
            "status": "ok" if band else "unreadable" if kind == "unknown" else "no_verdict",
            "reason": reason,
            "message": messages.get(reason or ""),
            "band": band,
            "prob_fake": prob,
            "range": span,
            "width": None,
            "height": None,
            "coverage": None,
            "ensemble": "average",
            "models": tuple(ModelUsed(n, "0" * 64) for n in NETWORKS),
            "thresholds": THRESHOLDS if band else None,
            "version": "1.0",
            "weights_date": "2026-12-02",
            "date": "2026-12-03T10:00:00Z",
        }

    def _image(self, source: bytes | Path, name: str) -> FileVerdict:
        height, width = read_image(source).shape[:2]
        coverage = Coverage(1, None, None, 1.0)
        size = {"width": width, "height": height, "coverage": coverage}
        if "noface" in name:
            return ImageVerdict(**{**self._common(source, name, "image", None, None, None, "no_face"), **size})
        band: Band = "little" if "little" in name else "very_strong" if "very" in name else "strong"
        prob = {"little": 0.08, "strong": 0.81, "very_strong": 0.997}[band]
        span = ProbRange(max(0.0, prob - 0.07), min(1.0, prob + 0.05), "re-encoding")
        u = width / 512
        faces = (
            FaceVerdict(1, _face(170 * u, 60 * u, 130 * u), "ok", None, band, prob, span, _scores(prob), 300.0),
            FaceVerdict(
                2,
                _face(350 * u, 180 * u, 90 * u),
                "ok",
                None,
                "little",
                0.04,
                ProbRange(0.004, 0.09, "re-encoding"),
                _scores(0.04),
                200.0,
            ),
            FaceVerdict(3, _face(20 * u, 300 * u, 34 * u), "no_verdict", "face_too_small", None, None, None, (), 80.0),
        )
        if "fragile" in name:
            faces = (
                replace(faces[0], resaved=(Resaved("jpeg_95", prob, band), Resaved("size_50", 0.2, "little"))),
                *faces[1:],
            )
        if "one" in name:
            faces = faces[:1]
        return ImageVerdict(**{**self._common(source, name, "image", band, prob, span), **size}, faces=faces)

    def _video(self, source: bytes | Path, name: str, observer: Observer | None) -> FileVerdict:
        info = probe(source)
        if observer is not None:
            observer.opened(info)
        end = info.duration_s or 1.0
        u = info.width / 640
        with closing(iter_frames(source, max_frames=32)) as frames:
            times = []
            for frame in frames:
                times.append(frame.time_s)
                if observer is not None:
                    observer.frame_judged(frame.time_s, frame.image, (_face(140 * u, 60 * u, 140 * u),))
        curve = [0.25 + 0.62 * math.exp(-(((t / end) - 0.45) ** 2) / 0.02) for t in times]
        one = tuple(_point(t, _face(140 * u, 60 * u, 140 * u), p) for t, p in zip(times, curve, strict=True))
        two = tuple(
            _point(t, _face(400 * u, 110 * u, 110 * u), 0.08 + 0.04 * math.sin(9 * t / end))
            for t in times
            if not 0.55 < t / end < 0.75
        )
        three = tuple(_point(t, _face(20 * u, 20 * u, 40 * u), None) for t in times[:9])
        span = ProbRange(0.74, 0.87, "bootstrap")
        persons = (
            Person(
                1,
                "ok",
                None,
                "strong",
                0.81,
                span,
                _scores(0.81),
                end,
                32,
                (0.32 * end, 0.58 * end),
                times[len(times) * 7 // 16],
                one,
            ),
            Person(
                2,
                "ok",
                None,
                "little",
                0.12,
                ProbRange(0.05, 0.2, "bootstrap"),
                _scores(0.12),
                0.8 * end,
                len(two),
                (0.1 * end, 0.3 * end),
                two[len(two) // 8].time_s,
                two,
            ),
            Person(3, "no_verdict", "face_too_small", None, None, None, (), 0.3 * end, 0, None, None, three),
        )
        size = {"width": info.width, "height": info.height, "coverage": Coverage(len(times), end, end, 1.0)}
        about = self._common(source, name, "video", "strong", 0.81, span)
        cap = BandCap("strong", "too_few_clips", 60, 600, applied=True)
        return VideoVerdict(**{**about, **size}, persons=persons, band_cap=cap)


def install(set_attribute: Callable[[object, str, object], None] = setattr) -> list[FakeDetector]:
    """Puts the fake behind the page; returns the list in which every detector made from now on turns up."""
    from app import networks

    made: list[FakeDetector] = []

    def build(name: str) -> FakeDetector:
        made.append(FakeDetector(name))
        return made[-1]

    set_attribute(networks, "build_detector", build)
    set_attribute(networks, "manifest", manifest)
    return made


if __name__ == "__main__":
    from streamlit.web import cli

    install()
    cli.main(["run", str(Path(__file__).parents[2] / "app" / "main.py"), *sys.argv[1:]])
