"""How often a band does not outlast a copy that is saved anew: the product's own copies of pictures with known labels.

Each picture is changed, saved, and judged from the start, as `detector.pipeline.Detector` does it with a photo.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from detector.calibration import FalseAlarmCurve, band_of
from detector.engine import Engine
from detector.faces.align import crop_face, sharpness
from detector.faces.detect import FaceDetector
from detector.manifest import Limits
from detector.media import read_image
from detector.resaved import CLASSES, WITH_EVIDENCE, changed_copy, same_faces
from detector.types import BANDS, CHANGES, Face
from train.console import Bar
from train.data.samples import Sample
from train.measure.metrics import rate_interval

UNCHANGED = "as they came"
_SHARPNESS_PX = 128
_BATCH = 64


def resaved_logits(
    samples: Sequence[Sample], faces: Mapping[str, Face], engines: Sequence[Engine], limits: Limits
) -> dict[str, np.ndarray]:
    """Raw logits (N, M) of the samples by the engines, as they came and after each of `CHANGES`.

    A row is NaN where the face is not found again, or is too small or too blurred to judge.

    Args:
        faces: where the face of each sample is, by its name.
        limits: below which no face is judged.
    """
    finder = FaceDetector()
    parts: dict[str, list[np.ndarray]] = {name: [] for name in (UNCHANGED, *CHANGES)}
    with Bar("Saving pictures again") as bar:
        for start in range(0, len(samples), _BATCH):
            bar.at(start, len(samples))
            some = samples[start : start + _BATCH]
            pictures = [(read_image(s.read()), faces[s.name]) for s in some]
            for name, rows in parts.items():
                seen = pictures if name == UNCHANGED else [_copy(image, face, name, finder) for image, face in pictures]
                rows.append(_logits(seen, engines, limits))
    return {name: np.concatenate(rows) if rows else np.zeros((0, len(engines))) for name, rows in parts.items()}


def _copy(image: np.ndarray, face: Face, change: str, finder: FaceDetector) -> tuple[np.ndarray, Face | None]:
    copy, places = changed_copy(image, change, [face])
    return copy, same_faces(finder.detect([copy])[0], places)[0]


def _logits(
    pictures: Sequence[tuple[np.ndarray, Face | None]], engines: Sequence[Engine], limits: Limits
) -> np.ndarray:
    logits = np.full((len(pictures), len(engines)), np.nan)
    fit = [i for i, (image, face) in enumerate(pictures) if face is not None and _fits(image, face, limits)]
    for column, engine in enumerate(engines):
        crops = [crop_face(image, face, engine.size_px) for i in fit for image, face in (pictures[i],) if face]
        logits[fit, column] = engine.logits(crops)
    return logits


def _fits(image: np.ndarray, face: Face, limits: Limits) -> bool:
    sharp = sharpness(crop_face(image, face, _SHARPNESS_PX))
    return face.size_px >= limits.min_face_px and sharp >= limits.min_sharpness


def held_figures(
    samples: Sequence[Sample], logits: Mapping[str, np.ndarray], curve: FalseAlarmCurve
) -> dict[str, dict[str, Any]]:
    """Shares of faces whose band changes: row -> figure -> value with its interval over groups.

    Rows: "genuine" and "manipulated", each alone, with ", weak or more", and with each of `CHANGES`. Figures: "fell"
    (to a weaker band), "lost" (no verdict) and "rose", in any copy, or in that one; in any copy a face can do all
    three. Faces without a verdict as they came are left out, and so are rows without faces.

    Args:
        logits: change -> (N,) calibrated, NaN without a verdict; also `UNCHANGED`.
        curve: of the choice that made them.
    """
    groups = np.array([s.group for s in samples])
    labels = np.array([s.label for s in samples])
    before = _ranks(logits[UNCHANGED], curve)
    after = {change: _ranks(logits[change], curve) for change in CHANGES}
    picks: dict[str, np.ndarray] = {}
    of: dict[str, Sequence[str]] = {}
    for label, name in enumerate(CLASSES):
        judged = (labels == label) & (before >= 0)
        picks |= {name: judged, f"{name}, {WITH_EVIDENCE}": judged & (before > 0)}
        picks |= {f"{name}, {change}": judged for change in CHANGES}
        of |= {f"{name}, {change}": (change,) for change in CHANGES}
    by_row = {}
    for title, picked in picks.items():
        if not picked.any():
            continue
        copies = of.get(title, tuple(CHANGES))
        ranks = np.stack([after[change][picked] for change in copies])
        hits = {
            "fell": (ranks >= 0) & (ranks < before[picked]),
            "lost": ranks < 0,
            "rose": ranks > before[picked],
        }
        by_row[title] = {
            figure: rate_interval(rows.any(axis=0), groups[picked].tolist()).to_dict() for figure, rows in hits.items()
        }
    return by_row


def _ranks(logits: np.ndarray, curve: FalseAlarmCurve) -> np.ndarray:
    """Places of the bands in their order, -1 without a verdict."""
    return np.array([-1 if np.isnan(logit) else BANDS.index(band_of(float(logit), curve)) for logit in logits])
