"""Faces that have features in the cache of `python -m train features`, and these."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from train.console import say
from train.data.detections import picture_key
from train.data.faces import FaceData
from train.data.feature_cache import FeatureCache
from train.data.samples import Sample, fingerprint, unseen_sources
from train.data.sources import find_data_root, load_samples


@dataclass
class CachedFaces:
    """Faces that have features, and their features by view, (N, 26, 768) float16 in the order of `place`."""

    data: FaceData
    keys: dict[str, str]
    views: dict[str, np.ndarray]
    place: dict[str, dict[str, int]]

    @classmethod
    def read(
        cls,
        folder: Path,
        data_root: Path | None,
        seed: int,
        splits: Sequence[str] = ("train", "val"),
        more: Sequence[Path] = (),
    ) -> "CachedFaces":
        """Faces of these splits whose plain view is cached; other views as far as they are there."""
        every = load_samples(find_data_root(data_root), seed, more=more)
        samples = [s for s in every if s.split in splits]
        keys = {s.name: picture_key(s) for s in samples}
        views, place = {}, {}
        for view in sorted(p.name for p in folder.iterdir() if p.is_dir()):
            cache = FeatureCache.read(folder / view)
            views[view] = cache.stored()
            place[view] = {k: i for i, k in enumerate(cache.keys)}
        with_features = [s for s in samples if keys[s.name] in place["plain"]]
        data = FaceData(
            train=[s for s in with_features if s.split == "train"],
            val=[s for s in with_features if s.split == "val"],
            test=[s for s in with_features if s.split == "test"],
            faces={},
            unseen=unseen_sources(every, "val"),
            fingerprint=fingerprint(every),
            without_face={},
        )
        say(
            f"{len(with_features)} of {len(samples)} faces have features: {len(data.train)} to train on, "
            f"{len(data.val)} to validate"
        )
        return cls(data, keys, views, place)

    def of(self, samples: Sequence[Sample], view: str = "plain") -> np.ndarray:
        """Features of samples that have them, (N, 26, 768)."""
        return self.views[view][[self.place[view][self.keys[s.name]] for s in samples]]

    def having(self, samples: Sequence[Sample], view: str) -> list[Sample]:
        """Those samples that have features of a view."""
        known = self.place.get(view, {})
        return [s for s in samples if self.keys[s.name] in known]
