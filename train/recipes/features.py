"""`python -m train features`: every face through the frozen tower, once, into a cache that `heads` reads.

Views: `plain` is the crop as the product cuts it. `augmented-0`, `augmented-1` ... have a random history (framing,
colour, scaling, blur, JPEG), the same kinds for both classes; of a genuine face it is the side that its twin shows
around its mask. `twin-0` ... are the self-blended twins of genuine training faces, with the history of the augmented
view of the same number.

Faces are taken in turns from all sources and classes, so whatever is there when time is up is balanced. A killed run
goes on where it stopped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import torch

from detector.runtime import limit_threads
from detector.types import Face
from train.console import Bar, say
from train.data.augment import AUGMENTATIONS
from train.data.batches import Draw, EvalFaces, TrainFaces
from train.data.detections import find_faces, picture_key
from train.data.feature_cache import FeatureCache
from train.data.samples import Sample, in_turns
from train.data.sources import find_data_root, load_samples
from train.learn.features import TOWER, Precision, Tower
from train.learn.start import find_pretrained, weights_name

_CHUNK = 64
"""Faces between two writes."""
_BATCH = 8


@dataclass(frozen=True)
class Features:
    """Compute features of faces under several views for `heads`."""

    views: str = "plain,augmented-0,twin-0"
    """Names with commas; see above."""
    splits: str = "val,train"
    """Names with commas, in this order. Test faces are needed only for a set that is to be published."""
    most: int = 100_000
    """At most so many faces of each class of a source."""
    size_px: int = 224
    augmentation: str = "standard"
    data_root: Path | None = None
    """Folder with the data; else $UNMASK_DATA, else data/."""
    more: tuple[Path, ...] = ()
    """Folders of `python -m train sources`, beside it."""
    pretrained: Path | None = None
    """Folder of the tower's weights; else $UNMASK_PRETRAINED, else pretrained/ beside the data."""
    start: str = "file"
    """Where the tower's weights come from: file, or online (the publisher's, downloaded)."""
    precision: Precision = "int8"
    """Of products: bf16 pays on processors with AMX (cosines to f32 of .9999 and above), int8 on others (.999); f32."""
    out: Path = Path("runs/features")
    """The cache; a folder outside the repository if it is to outlive it."""
    cache_dir: Path = Path("runs/cache")
    """The cache of detected faces."""
    threads: int = 2
    seed: int = 0


def run(options: Features) -> Path:
    """Fills the cache; returns the folder of the network's views."""
    limit_threads(options.threads)
    root = find_data_root(options.data_root)
    samples = load_samples(root, options.seed, more=options.more)
    folder = find_pretrained(options.pretrained, root)
    tower = Tower(folder, options.size_px, options.threads, options.start, options.precision)
    say(f"{tower.start}; {tower.precision}")
    weights = weights_name(TOWER, folder, options.start)
    network = f"{TOWER}-{options.size_px}-{options.precision}-{weights}"
    for view in options.views.split(","):
        for split in options.splits.split(","):
            chosen = [s for s in samples if s.split == split and (not view.startswith("twin") or s.label == 0)]
            about = {
                "network": network,
                "start": tower.start,
                "weights": weights,
                "size_px": options.size_px,
                "view": view,
                "precision": tower.precision,
                "augmentation": options.augmentation,
            }
            cache = FeatureCache.open(options.out / network / view, (26, 768), about)
            _fill(cache, in_turns(chosen, options.most), view, tower, options)
    return options.out / network


def view_crops(
    samples: Sequence[Sample], faces: dict[str, Face], view: str, size_px: int, augmentation: str
) -> torch.Tensor:
    """Crops (N, 3, S, S) uint8 of one view of the faces.

    Raises:
        ValueError: no view is called so.
    """
    if view == "plain":
        plain = EvalFaces(samples, faces, size_px)
        return torch.stack([plain[i] for i in range(len(samples))])
    kind, _, number = view.partition("-")
    if kind not in ("augmented", "twin") or not number.isdigit():
        raise ValueError(f"there is no view {view!r}: plain, augmented-N and twin-N are known")
    training_faces = TrainFaces(samples, faces, size_px, AUGMENTATIONS[augmentation])
    draws = [
        Draw(i, crc32(f"{s.name}/{number}".encode()), twin=kind == "twin", paired=kind != "twin" and s.label == 0)
        for i, s in enumerate(samples)
    ]
    return torch.stack([training_faces[d][0] for d in draws])


def _fill(cache: FeatureCache, samples: Sequence[Sample], view: str, tower: Tower, options: Features) -> None:
    have = set(cache.keys)
    with Bar(f"{view}, {samples[0].split if samples else 'none'}") as bar:
        for start in range(0, len(samples), _CHUNK):
            part = {picture_key(s): s for s in samples[start : start + _CHUNK]}
            todo = {k: s for k, s in part.items() if k not in have}
            if todo:
                faces = find_faces(list(todo.values()), options.cache_dir, workers=1)
                with_face = {k: s for k, s in todo.items() if s.name in faces}
                if with_face:
                    crops = view_crops(list(with_face.values()), faces, view, options.size_px, options.augmentation)
                    rows = np.concatenate([tower(part) for part in crops.split(_BATCH)])
                    cache.append(list(with_face), rows)
            bar.at(min(start + _CHUNK, len(samples)), len(samples))
