"""Changes that happen to pictures on their way: each a pure function, and the same figures after it."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from detector.caught import BLUR_PX
from detector.engine import Engine
from detector.faces.align import crop_face, resize
from detector.media import jpeg, read_image
from detector.schema import AS_THEY_CAME, BLUR
from detector.types import Face
from train.console import Bar
from train.data.samples import Sample
from train.measure.limits import blurred, scaled, shrunk

Change = Callable[[np.ndarray, Face], tuple[np.ndarray, Face]]

FACES = 600
"""Test faces that are changed and judged again, drawn once for all networks."""
UNCHANGED = AS_THEY_CAME
_BATCH = 64


def screenshot(image: np.ndarray, face: Face) -> tuple[np.ndarray, Face]:
    """Shown on a screen at 1.15 times its size, grabbed, and saved by a messenger: resampled, then JPEG 75 twice."""
    height, width = image.shape[:2]
    wide, high = round(width * 1.15), round(height * 1.15)
    shown = np.asarray(cv2.resize(image, (wide, high), interpolation=cv2.INTER_LINEAR), np.uint8)
    # messengers shrink what they send; the second grid of blocks does not match the first
    small = resize(jpeg(shown, 75), max(1, round(wide * 0.8)), max(1, round(high * 0.8)))
    return jpeg(small, 75), scaled(face, small.shape[1] / width, small.shape[0] / height)


CHANGES: dict[str, Change] = {
    UNCHANGED: lambda image, face: (image, face),
    "JPEG 70": lambda image, face: (jpeg(image, 70), face),
    "JPEG 50": lambda image, face: (jpeg(image, 50), face),
    "JPEG 30": lambda image, face: (jpeg(image, 30), face),
    "face of 96 px": lambda image, face: shrunk(image, face, 96),
    "face of 64 px": lambda image, face: shrunk(image, face, 64),
    BLUR: lambda image, face: blurred(image, face, BLUR_PX),
    "screenshot": screenshot,
}
"""Name -> change of a picture and of where its face is."""


def drawn_faces(samples: Sequence[Sample], rng: np.random.Generator) -> list[Sample]:
    """At most `FACES` of the samples, both classes alike, each slice by the root of its size."""
    chosen: list[int] = []
    for label in (0, 1):
        rows = [i for i, s in enumerate(samples) if s.label == label]
        if not rows:
            continue
        sources = [samples[i].source for i in rows]
        weights = np.array([sources.count(s) ** -0.5 for s in sources])
        size = min(FACES // 2, len(rows))
        chosen += rng.choice(rows, size, replace=False, p=weights / weights.sum()).tolist()
    return [samples[i] for i in sorted(chosen)]


def changed_logits(
    samples: Sequence[Sample], faces: dict[str, Face], engines: Sequence[Engine]
) -> dict[str, np.ndarray]:
    """Raw logits (N, M) of the samples by the engines after every change."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in CHANGES}
    with Bar("Scoring changed pictures") as bar:
        for start in range(0, len(samples), _BATCH):
            bar.at(start, len(samples))
            some = samples[start : start + _BATCH]
            pictures = [(read_image(s.read()), faces[s.name]) for s in some]
            for name, change in CHANGES.items():
                changed = [change(image, face) for image, face in pictures]
                columns = [e.logits([crop_face(i, f, e.size_px) for i, f in changed]) for e in engines]
                parts[name].append(np.stack(columns, axis=1))
    return {name: np.concatenate(rows) if rows else np.zeros((0, len(engines))) for name, rows in parts.items()}
