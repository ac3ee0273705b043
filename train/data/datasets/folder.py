"""Plain folders: `real_data/` and `fake_data/` (or `real/`, `fake/`), with or without `train/`, `val/`, `test/`.

Without those, samples are split by group. A group is a sub-folder, else the part of the file name before the last
underscore or dash (`personA_0007.jpg` → `personA`), so that frames of one video stay together.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from train.data.samples import SPLITS, GroupedT, Sample, Split, split_by_group
from train.errors import DataError

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
LABELS = {"real": 0, "real_data": 0, "fake": 1, "fake_data": 1}
_SPLIT_NAMES: dict[str, Split] = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """A file of a plain folder with what its place says of it; `split` is "train" where there are no split folders."""

    path: Path
    name: str
    label: int
    group: str
    split: Split


def read_folder(root: Path, rng: np.random.Generator, *, needs_fakes: bool = True) -> list[Sample]:
    """All pictures of a folder laid out as above.

    Args:
        needs_fakes: False where genuine faces alone will do.

    Raises:
        DataError: the folder lacks one of the classes, or holds no pictures.
    """
    samples = [
        Sample(
            path=file.path,
            member=None,
            name=file.name,
            label=file.label,
            source=root.name,
            group=file.group,
            method="unknown" if file.label else "none",
            split=file.split,
        )
        for file in labelled_files(root, SUFFIXES)
    ]
    if not {s.label for s in samples} >= ({0, 1} if needs_fakes else {0}):
        needed = "real_data/ and fake_data/ (or real/ and fake/)" if needs_fakes else "real_data/ (or real/)"
        raise DataError(f"{root.name}/ needs pictures in {needed}, directly or inside train/, val/ and test/")
    samples = file_splits(root, samples, rng)
    assert all(s.split in SPLITS for s in samples)
    return samples


def labelled_files(root: Path, suffixes: Collection[str], *, numbered: bool = True) -> list[LabelledFile]:
    """All files of these kinds in the folders of both classes, in order of their names.

    Args:
        root: the folder.
        suffixes: lower-case, with the dot.
        numbered: whether files whose names differ in a last number only are frames of one group.
    """
    files = []
    for folder, split in (_split_folders(root) or {"": SPLITS[0]}).items():
        base = root / folder
        for name, label in LABELS.items():
            for path in sorted(p for p in (base / name).rglob("*") if p.suffix.lower() in suffixes):
                inner = path.relative_to(base / name)
                group = _group(inner, folder, label, numbered)
                files.append(LabelledFile(path, path.relative_to(root).as_posix(), label, group, split))
    return files


def file_splits(root: Path, items: Sequence[GroupedT], rng: np.random.Generator) -> list[GroupedT]:
    """The folders' own splits, and by group what they leave open."""
    folders = _split_folders(root)
    if not folders:
        return split_by_group(items, rng)
    if "val" not in folders.values():
        rest = [s for s in items if s.split != "train"]
        return split_by_group([s for s in items if s.split == "train"], rng, test_share=0.0) + rest
    return list(items)


def _split_folders(root: Path) -> dict[str, Split]:
    return {p.name: _SPLIT_NAMES[p.name] for p in sorted(root.iterdir()) if p.name in _SPLIT_NAMES}


def _group(inner: Path, folder: str, label: int, numbered: bool) -> str:
    if len(inner.parts) > 1:
        return f"{folder}/{inner.parts[0]}"
    # the frames of one clip share a stem; a name without a number is a group of its own
    stem = re.sub(r"[_-]\d+$", "", inner.stem) if numbered else inner.stem
    return f"{folder}/{'fake' if label else 'real'}/{stem}"
