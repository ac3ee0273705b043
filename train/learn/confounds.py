"""Confounds: what a picture's history tells of the class without its face, by size, JPEG tables and sharpness.

A detector is worth what it reaches beyond this: on data where these facts separate the classes, a high figure may be
theirs.
"""

import io
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image
from sklearn.ensemble import HistGradientBoostingClassifier

from detector.faces.align import sharpness
from train.data.batches import source_weights
from train.data.samples import Sample

FACTS = ("log width", "aspect", "log bytes a pixel", "JPEG step, low", "JPEG step, high", "log sharpness", "border")


def picture_facts(sample: Sample) -> np.ndarray:
    """(7,) float32, in the order of `FACTS`; of a picture that is no JPEG, steps of 0."""
    data = sample.read()
    with Image.open(io.BytesIO(data)) as opened:
        table = np.array((getattr(opened, "quantization", None) or {0: [0] * 64})[0], np.float64)
        image = np.asarray(opened.convert("RGB"))
    height, width = image.shape[:2]
    rim = np.concatenate([image[:2].reshape(-1, 3), image[-2:].reshape(-1, 3)]).astype(np.float64)
    return np.array(
        [
            np.log(width),
            width / height,
            np.log(len(data) / (width * height)),
            table[:10].mean(),
            table[30:].mean(),
            np.log(sharpness(image) + 1),
            rim.std(),
        ],
        np.float32,
    )


def fit_confounds(samples: Sequence[Sample], facts: dict[str, np.ndarray]) -> Callable[[Sequence[Sample]], np.ndarray]:
    """Boosted trees on the facts of training pictures (name -> `picture_facts`), weighed as heads are.

    Returns:
        Samples to log-odds (N,).
    """
    labels = np.array([s.label for s in samples])
    weights = np.zeros(len(samples))
    for label in (0, 1):
        rows = np.flatnonzero(labels == label)
        weights[rows] = 0.5 * source_weights([samples[int(i)] for i in rows], range(len(rows)))
    trees = HistGradientBoostingClassifier(max_iter=60, min_samples_leaf=20, random_state=0)
    trees.fit(np.stack([facts[s.name] for s in samples]), labels, sample_weight=weights * len(samples))
    return lambda asked: np.asarray(trees.decision_function(np.stack([facts[s.name] for s in asked])))
