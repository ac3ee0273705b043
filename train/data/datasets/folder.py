"""Plain folders: `real_data/` and `fake_data/` (or `real/`, `fake/`), with or without `train/`, `val/`, `test/`.

Without those, samples are split by group. A group is a sub-folder, else the part of the file name before the last
underscore or dash (`personA_0007.jpg` → `personA`), so that frames of one video stay together.
"""

import re
from pathlib import Path

import numpy as np

from train.data.samples import SPLITS, DataError, Sample, split_by_group

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
LABELS = {"real": 0, "real_data": 0, "fake": 1, "fake_data": 1}
_SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def read_folder(root: Path, rng: np.random.Generator, *, needs_fakes: bool = True) -> list[Sample]:
    """All pictures of a folder laid out as above.

    Args:
        needs_fakes: False where genuine faces alone will do.

    Raises:
        DataError: the folder lacks one of the classes, or holds no pictures.
    """
    split_folders = {p.name: _SPLIT_NAMES[p.name] for p in sorted(root.iterdir()) if p.name in _SPLIT_NAMES}
    samples: list[Sample] = []
    for folder, split in (split_folders or {"": "train"}).items():
        base = root / folder
        for name, label in LABELS.items():
            for path in sorted(p for p in (base / name).rglob("*") if p.suffix.lower() in SUFFIXES):
                inner = path.relative_to(base / name)
                samples.append(
                    Sample(
                        path=path,
                        member=None,
                        name=path.relative_to(root).as_posix(),
                        label=label,
                        source=root.name,
                        group=_group(inner, folder, label),
                        method="unknown" if label else "none",
                        split=split,  # type: ignore[arg-type]
                    )
                )
    if not {s.label for s in samples} >= ({0, 1} if needs_fakes else {0}):
        needed = "real_data/ and fake_data/ (or real/ and fake/)" if needs_fakes else "real_data/ (or real/)"
        raise DataError(f"{root.name}/ needs pictures in {needed}, directly or inside train/, val/ and test/")
    if not split_folders:
        samples = split_by_group(samples, rng)
    elif "val" not in split_folders.values():
        rest = [s for s in samples if s.split != "train"]
        samples = split_by_group([s for s in samples if s.split == "train"], rng, test_share=0.0) + rest
    assert all(s.split in SPLITS for s in samples)
    return samples


def _group(inner: Path, folder: str, label: int) -> str:
    if len(inner.parts) > 1:
        return f"{folder}/{inner.parts[0]}"
    # the frames of one clip share a stem; a name without a number is a group of its own
    stem = re.sub(r"[_-]\d+$", "", inner.stem)
    return f"{folder}/{'fake' if label else 'real'}/{stem}"
