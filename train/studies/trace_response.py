"""How well a network tells up-sampling traces after JPEG and rescaling: the gate of networks that live by them.

Genuine validation faces at their own scale, each once with a trace and once softened alike, go through the change and
then through the product's resize. Nothing but the trace differs, so an AUC of one half says that it is gone.
"""

import csv
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from detector.faces.align import crop_frame, cut, resize
from detector.media import jpeg, read_image
from detector.models.registry import Network
from detector.types import Face
from train.data.batches import native_px, to_tensor
from train.data.samples import Sample
from train.data.traces import leave_trace, soften
from train.learn.loop import predict
from train.measure import plots
from train.measure.metrics import auc_interval
from train.run import Run, write_json

FACES = 150
QUALITIES = (100, 95, 85, 75, 60, 40)
"""JPEG qualities; 100 stands for a picture that was not encoded again."""
SCALES = (1.0, 0.9, 0.75, 0.5)
ENOUGH = 0.7
"""AUC below which a trace is called gone: the lower bound of the interval decides."""


def measure_response(
    network: Network,
    samples: Sequence[Sample],
    faces: dict[str, Face],
    size_px: int,
    device: torch.device,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """One row for each quality and scale: AUC of traced against softened faces, with a 95 % interval over groups.

    Args:
        network: trained, in float32.
        samples: validation; only genuine ones are used, at most `FACES`, drawn once.
        faces: by name of sample.
        size_px: side of the network's crops.
        device: where the network is.
        on_progress: called with the conditions measured so far and their number.
    """
    genuine = [s for s in samples if s.label == 0]
    chosen = np.random.default_rng(0).choice(len(genuine), min(FACES, len(genuine)), replace=False)
    drawn = [genuine[i] for i in sorted(chosen)]
    pairs = [_pair(s, faces[s.name], i) for i, s in enumerate(drawn)]
    groups = [s.group for s in drawn] * 2
    labels = np.repeat([0, 1], len(drawn))
    rows = []
    for scale in SCALES:
        for quality in QUALITIES:
            crops = [to_tensor(_changed(pair[label], quality, scale, size_px)) for label in (0, 1) for pair in pairs]
            logits = predict(network, torch.stack(crops).split(64), device, amp=False)
            interval = auc_interval(labels, logits, groups, np.random.default_rng(0))
            rows.append({"jpeg_quality": quality, "scale": scale, **interval.to_dict()})
            if on_progress:
                on_progress(len(rows), len(SCALES) * len(QUALITIES))
    return rows


def gate(rows: Sequence[dict[str, Any]]) -> dict[str, float] | None:
    """Lowest JPEG quality at full scale and lowest scale without JPEG at which traces are still told.

    None where they are not told even in pictures that nothing was done to.
    """

    def lowest(values: Sequence[float], key: str, other: str, fixed: float) -> float | None:
        last: float | None = None
        for value in sorted(values, reverse=True):
            row = next(r for r in rows if r[key] == value and r[other] == fixed)
            # without an interval the figure itself decides
            if (row["value"] if row["low"] is None else row["low"]) < ENOUGH:
                break
            last = value
        return last

    quality = lowest(QUALITIES, "jpeg_quality", "scale", SCALES[0])
    scale = lowest(SCALES, "scale", "jpeg_quality", QUALITIES[0])
    return None if quality is None or scale is None else {"min_jpeg_quality": quality, "min_scale": scale}


def write_response(run: Run, rows: Sequence[dict[str, Any]], title: str) -> None:
    """`trace_response.csv`, `.json` (with the gate) and `.png` in the run's report."""
    with (run.report / "trace_response.csv").open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    write_json(run.report / "trace_response.json", {"gate": gate(rows), "enough_auc": ENOUGH, "rows": list(rows)})
    plots.trace_response(rows, run.report / "trace_response.png", title)


def _pair(sample: Sample, face: Face, number: int) -> tuple[np.ndarray, np.ndarray]:
    """A face at its own scale, softened and traced alike."""
    frame = crop_frame(face)
    crop = cut(read_image(sample.read()), frame, native_px(frame))
    return soften(crop, np.random.default_rng(number)), leave_trace(crop, np.random.default_rng(number))


def _changed(crop: np.ndarray, quality: int, scale: float, size_px: int) -> np.ndarray:
    if scale < 1:
        side = max(8, round(crop.shape[0] * scale))
        crop = resize(crop, side, side)
    if quality < 100:
        crop = jpeg(crop, quality)
    return resize(crop, size_px, size_px)
