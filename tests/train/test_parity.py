"""One crop for training and use: a picture scored by the training loader and by the product gets the same number."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.engine import Engine
from detector.pipeline import Detector
from train.data.detections import find_faces
from train.data.samples import Sample
from train.data.sources import load_samples
from train.measure.scoring import score
from train.store.leaderboard import choice_logits


def by_both(samples: Sequence[Sample], cache: Path) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated logits of the default by the loader and by the product, of the faces that both judge."""
    detector = Detector()
    faces = find_faces(samples, cache, workers=1)
    kept = [s for s in samples if s.name in faces]
    members = {
        m: detector.manifest.models[m].calibration(score(Engine(detector.manifest, m), kept, faces, 0, "parity"))
        for m in detector.manifest.entry("default").members
    }
    loader = choice_logits(detector.manifest, members, detector.name)
    product = [detector.image(s.read(), name="picture").prob_fake for s in kept]
    rows = [i for i, p in enumerate(product) if p is not None]
    probs = np.clip(np.array([product[i] for i in rows], float), 1e-9, 1 - 1e-9)
    return loader[rows], np.log(probs / (1 - probs))


def test_made_pictures_get_the_same_logit(portrait_path: Path, tmp_path: Path) -> None:
    portrait = cv2.imread(str(portrait_path))
    assert portrait is not None
    samples = []
    for i, scale in enumerate((0.6, 0.8, 1.0, 1.4)):
        crop = cv2.resize(portrait[0:240, 100:340], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        path = tmp_path / f"{i}.png"
        cv2.imwrite(str(path), crop)
        samples.append(Sample(path, None, path.name, i % 2, "made", path.name, "m", "val"))
    loader, product = by_both(samples, tmp_path / "cache")
    assert len(loader) >= 3
    assert product == pytest.approx(loader, abs=2e-3)


def test_stored_faces_get_the_same_logit(data_dir: Path, tmp_path: Path) -> None:
    # validation only: a test that looks at test slices would be one more look
    pool = [s for s in load_samples(data_dir, 0) if s.split == "val" and s.source in ("140k", "utkface", "dfl")]
    chosen = [pool[i] for i in np.random.default_rng(0).choice(len(pool), 24, replace=False)]
    loader, product = by_both(chosen, tmp_path)
    # a picture with a second, more suspicious face would rightly differ
    assert (np.abs(product - loader) < 2e-3).mean() > 0.9
