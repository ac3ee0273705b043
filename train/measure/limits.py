"""How small and how blurred a face may be: measured by shrinking and blurring validation faces."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from detector.engine import Engine
from detector.ensemble import Ensemble
from detector.faces.align import crop_face, resize, sharpness
from detector.media import read_image
from detector.types import Face
from train.data.samples import Sample
from train.measure.calibrate import first_kept
from train.measure.metrics import auc, source_balanced_weights

SIZES_PX = (20, 28, 36, 48, 64, 80, 112)
BLURS = (5.0, 4.0, 3.0, 2.0, 1.5, 1.0, 0.5)
"""Standard deviations in pixels of a face of 128 px."""
FACES = 300


def measure_limits(
    samples: Sequence[Sample], faces: dict[str, Face], engines: Sequence[Engine], ensemble: Ensemble, edge: float
) -> dict[str, Any]:
    """AUC, false alarms at the strong edge and sharpness against face size and blur.

    Only slices that hold both classes are used, so that size and blur are all that changes.

    Returns:
        `min_face_px`, `min_sharpness` and the tables behind them.
    """
    rng = np.random.default_rng(0)
    both = {s.source for s in samples if s.label == 0} & {s.source for s in samples if s.label == 1}
    pool = [s for s in samples if s.source in both]
    chosen = [pool[i] for i in sorted(rng.choice(len(pool), min(FACES, len(pool)), replace=False))]
    pictures = [(read_image(s.read()), faces[s.name]) for s in chosen]
    labels = np.array([s.label for s in chosen])
    weights = source_balanced_weights(labels, [s.source for s in chosen])

    def row(changed: Sequence[tuple[np.ndarray, Face]]) -> dict[str, float]:
        columns = [e.calibration(e.logits([crop_face(i, f, e.size_px) for i, f in changed])) for e in engines]
        logits = np.stack(columns, axis=1)
        combined = ensemble(logits)
        sharp = [sharpness(crop_face(i, f, 128)) for i, f in changed]
        return {
            "auc": round(auc(labels, combined, weights), 4),
            "false_alarms": round(float((combined[labels == 0] > edge).mean()), 4),
            "median_sharpness": round(float(np.median(sharp)), 1),
            "low_sharpness": round(float(np.quantile(sharp, 0.05)), 1),
        }

    full = row(pictures)
    by_size = [{"face_px": size, **row([shrunk(i, f, size) for i, f in pictures])} for size in SIZES_PX]
    by_blur = [{"blur_px": blur, **row([blurred(i, f, blur) for i, f in pictures])} for blur in BLURS]
    size_at = first_kept(SIZES_PX, [r["auc"] for r in by_size], full["auc"])
    blur_at = first_kept([-b for b in BLURS], [r["auc"] for r in by_blur], full["auc"])
    return {
        "min_face_px": SIZES_PX[size_at],
        # half of the faces at the strongest blur that is still judged well lie below its median: keep most of them
        "min_sharpness": by_blur[blur_at]["low_sharpness"],
        "faces": len(chosen),
        "as_they_came": full,
        "by_size": by_size,
        "by_blur": by_blur,
    }


def shrunk(image: np.ndarray, face: Face, size_px: int) -> tuple[np.ndarray, Face]:
    """The picture at a scale at which the longer side of the face box has so many pixels; never enlarged."""
    scale = size_px / face.size_px
    if scale >= 1:
        return image, face
    height, width = image.shape[:2]
    small = resize(image, max(1, round(width * scale)), max(1, round(height * scale)))
    return small, scaled(face, small.shape[1] / width, small.shape[0] / height)


def scaled(face: Face, scale_x: float, scale_y: float) -> Face:
    """A face where it is after its picture was scaled."""
    x0, y0, x1, y1 = face.box
    marks = tuple((x * scale_x, y * scale_y) for x, y in face.landmarks)
    return Face((x0 * scale_x, y0 * scale_y, x1 * scale_x, y1 * scale_y), marks, face.confidence)


def blurred(image: np.ndarray, face: Face, blur_px: float) -> tuple[np.ndarray, Face]:
    """Gaussian blur of so many pixels of a face of 128 px."""
    return cv2.GaussianBlur(image, (0, 0), blur_px * face.size_px / 128), face
