"""Any number of faces scored, by a network as it ships or by the very engine that runs it."""

from collections.abc import Sequence

import numpy as np
import torch

from detector.engine import Engine
from detector.models.registry import Network
from detector.types import Face
from train.console import Bar
from train.data.batches import eval_crops
from train.data.samples import Sample
from train.learn.loop import predict

EVAL_BATCH = 64
_SCORED_AT_ONCE = 256
_CHUNK = 256


def score_faces(
    network: Network,
    samples: Sequence[Sample],
    faces: dict[str, Face],
    size_px: int,
    workers: int,
    device: torch.device,
    title: str = "Scoring",
) -> np.ndarray:
    """Raw logits (N,) of any number of samples by a network as it is, in float32 as it ships."""
    parts = []
    with Bar(title) as bar:
        for i in range(0, len(samples), _SCORED_AT_ONCE):
            crops = eval_crops(samples[i : i + _SCORED_AT_ONCE], faces, size_px, workers)
            parts.append(predict(network, crops.split(EVAL_BATCH), device, amp=False))
            bar.at(min(i + _SCORED_AT_ONCE, len(samples)), len(samples))
    return np.concatenate(parts)


def score(engine: Engine, samples: Sequence[Sample], faces: dict[str, Face], workers: int, title: str) -> np.ndarray:
    """Raw logits (N,) of samples, by the very engine that the product runs."""
    parts = []
    with Bar(f"Scoring {title}") as bar:
        for i in range(0, len(samples), _CHUNK):
            crops = eval_crops(samples[i : i + _CHUNK], faces, engine.size_px, workers)
            parts.append(engine.logits(list(crops.permute(0, 2, 3, 1).numpy())))
            bar.at(i, len(samples))
    return np.concatenate(parts)
