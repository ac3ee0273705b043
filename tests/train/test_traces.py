"""Traces of up-sampling: shapes, determinism, and that what is left behind is the pattern and not the blur."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from detector.models.npr import Npr
from detector.models.registry import build
from detector.types import Face
from train.data.augment import Augmentation
from train.data.batches import Draw, PairedBatches, TrainFaces
from train.data.samples import Sample
from train.data.traces import KERNELS, double, leave_trace, soften
from train.run import Run
from train.studies import trace_response
from train.studies.trace_response import gate, measure_response, write_response


def photo(side: int = 96, seed: int = 0) -> np.ndarray:
    """Something between noise and shapes, with detail down to the pixel."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.uniform(0, 255, (9, 9, 3)).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    return np.clip(coarse + rng.normal(0, 12, (side, side, 3)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("shape", [(96, 96), (97, 64), (48, 51)])
def test_shape_type_and_determinism(shape: tuple[int, int]) -> None:
    image = photo(128)[: shape[0], : shape[1]]
    before = image.copy()
    for change in (leave_trace, soften):
        for seed in range(6):
            one, two = (change(image, np.random.default_rng(seed)) for _ in range(2))
            assert one.shape == image.shape and one.dtype == np.uint8
            assert np.array_equal(one, two) and not np.array_equal(one, image)
    assert np.array_equal(image, before)


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_kernel_doubles_and_keeps_the_mean(kernel: str) -> None:
    small = photo(40).astype(np.float32)
    large = double(small, kernel, np.random.default_rng(0))  # type: ignore[arg-type]
    assert large.shape == (80, 80, 3)
    assert large.mean() == pytest.approx(small.mean(), rel=0.02)
    # it is the same picture: brought back to its size it is close to what it was
    back = cv2.resize(large, (40, 40), interpolation=cv2.INTER_AREA)
    assert np.abs(back - small).mean() < 0.6 * small.std()
    if kernel == "nearest":
        assert not Npr.residual(torch.from_numpy(large).permute(2, 0, 1)[None]).any()


def energy(image: np.ndarray) -> float:
    """Of the finest detail: differences of neighbours."""
    return float(np.abs(np.diff(image.astype(np.float64), axis=0)).mean())


def phases(image: np.ndarray) -> float:
    """How much differences of neighbours depend on whether they begin at an even or an odd row."""
    steps = np.abs(np.diff(image.astype(np.float64), axis=0)).mean((1, 2))
    even, odd = steps[::2].mean(), steps[1::2].mean()
    return float(abs(even - odd) / (even + odd))


def test_the_pair_differs_by_the_pattern_and_hardly_by_detail() -> None:
    traced, soft = [], []
    for seed in range(60):
        image = photo(96, seed)
        traced.append(leave_trace(image, np.random.default_rng(seed)))
        soft.append(soften(image, np.random.default_rng(seed)))
    assert np.mean([phases(i) for i in traced]) > 3 * np.mean([phases(i) for i in soft])
    assert np.mean([energy(i) for i in traced]) == pytest.approx(np.mean([energy(i) for i in soft]), rel=0.25)


def faces_of(folder: Path, n: int) -> tuple[list[Sample], dict[str, Face]]:
    samples, faces = [], {}
    for i in range(n):
        path = folder / f"{i}.png"
        cv2.imwrite(str(path), photo(120, i))
        name = f"{i}.png"
        samples.append(Sample(path, None, name, i % 2, "made", f"g{i}", "none", "train"))
        faces[name] = Face((30.0, 30.0, 90.0, 90.0), (), 0.99)
    return samples, faces


def test_pairs_are_traced_and_softened_alike(tmp_path: Path) -> None:
    samples, faces = faces_of(tmp_path, 8)
    batches = PairedBatches(samples, 8, 3, 0.5, seed=0, traces=0.5)
    for draws in batches:
        assert [d.traced for d in draws] == [False, True, False, False, False, True, False, False]
        original, twin = draws[1], draws[5]
        assert (original.index, original.seed) == (twin.index, twin.seed) and twin.twin and not original.twin
    assert not any(d.traced for draws in PairedBatches(samples, 8, 3, 0.5, seed=0) for d in draws)
    plain = Augmentation(clean=1.0, shift=0.0, margin=(1.0, 1.0), rotation_deg=0.0)
    dataset = TrainFaces(samples, faces, 78, plain)
    (soft, genuine), (traced, manipulated) = (dataset[Draw(0, 5, twin, traced=True)] for twin in (False, True))
    (untouched, _) = dataset[Draw(0, 5)]
    assert (genuine, manipulated) == (0.0, 1.0) and soft.shape == traced.shape == (3, 78, 78)
    assert not torch.equal(soft, traced) and not torch.equal(soft, untouched)
    # the same place of the same picture: no blend, no other framing
    assert (soft.float() - traced.float()).abs().mean() < 12


def test_response_is_measured_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_response, "QUALITIES", (100, 60))
    monkeypatch.setattr(trace_response, "SCALES", (1.0, 0.5))
    samples, faces = faces_of(tmp_path, 16)
    torch.manual_seed(0)
    rows = measure_response(build("npr"), samples, faces, 64, torch.device("cpu"))
    assert [(r["jpeg_quality"], r["scale"]) for r in rows] == [(100, 1.0), (60, 1.0), (100, 0.5), (60, 0.5)]
    assert all(r["n"] == 16 and 0 <= r["low"] <= r["value"] <= r["high"] <= 1 for r in rows)
    run = Run.create(tmp_path / "runs", "x")
    write_response(run, rows, "made")
    assert {p.name for p in run.report.iterdir()} == {
        "trace_response.csv", "trace_response.json", "trace_response.png"
    }  # fmt: skip


def test_the_gate_is_where_the_trace_is_lost() -> None:
    def row(quality: int, scale: float, low: float) -> dict[str, float]:
        return {"jpeg_quality": quality, "scale": scale, "value": low + 0.05, "low": low, "high": 1.0}

    kept = {(100, 1.0): 0.9, (95, 1.0): 0.8, (85, 1.0): 0.71, (75, 1.0): 0.6, (60, 1.0): 0.8, (100, 0.9): 0.4}
    qualities, scales = trace_response.QUALITIES, trace_response.SCALES
    rows = [row(q, s, kept.get((q, s), 0.5)) for s in scales for q in qualities]
    # quality 60 is told again by chance: what is lost above it stays lost
    assert gate(rows) == {"min_jpeg_quality": 85, "min_scale": 1.0}
    assert gate([row(q, s, 0.5) for s in scales for q in qualities]) is None
