"""140k Real and Fake Faces: 70,000 faces of FFHQ and as many of StyleGAN, 256 px, with the publisher's splits.

Layout: kaggle.com/datasets/xhlulu/140k-real-and-fake-faces. The archive holds

    train.csv, valid.csv, test.csv                    columns original_path, id, label (1 = real), label_str, path
    real_vs_fake/real-vs-fake/train/real/31355.jpg    what `path` names; train/, valid/ and test/, each real/ and fake/

Every picture is a group: FFHQ has few persons twice and does not say which, StyleGAN has none.
"""

import csv
from pathlib import Path

from train.data.samples import Sample, Split
from train.errors import DataError

_TABLES: dict[str, Split] = {"train.csv": "train", "valid.csv": "val", "test.csv": "test"}
_PICTURES = Path("real_vs_fake") / "real-vs-fake"
_LABELS = {"real": 0, "fake": 1}


def is_faces140k(root: Path) -> bool:
    # two of four, so that an incomplete copy is named as what it is
    signs = [(root / _PICTURES).is_dir(), *((root / name).is_file() for name in _TABLES)]
    return sum(signs) >= 2


def read_faces140k(root: Path) -> list[Sample]:
    """All pictures that the tables list, with the tables' splits.

    Raises:
        DataError: a table or a picture is missing, or a row contradicts itself.
    """
    base = root / _PICTURES if (root / _PICTURES).is_dir() else root
    # one listing a folder: 140,000 single queries take minutes on a network disk
    there = {p.relative_to(base).as_posix() for p in base.glob("*/*/*.jpg")}
    samples, missing = [], []
    for table, split in _TABLES.items():
        if not (root / table).is_file():
            raise DataError(f"{table} is missing in {root.name}/: train.csv, valid.csv and test.csv hold the splits")
        with (root / table).open(newline="", encoding="utf-8") as handle:
            for row in csv.DictReader(handle):
                name, label = row.get("path") or "", row.get("label_str") or ""
                parts = Path(name).parts
                if label not in _LABELS or len(parts) != 3 or parts[:2] != (Path(table).stem, label):
                    raise DataError(f"{table}: the row of {name!r} does not fit its split and its label {label!r}")
                if name not in there:
                    missing.append(name)
                samples.append(
                    Sample(
                        path=base / name,
                        member=None,
                        name=name,
                        label=_LABELS[label],
                        source="140k",
                        group=f"140k/{label}/{Path(name).stem}",
                        method="StyleGAN" if label == "fake" else "none",
                        split=split,
                    )
                )
    if missing:
        raise DataError(
            f"the tables name {len(samples)} pictures, of which {len(missing)} are not there (the first is "
            f"{missing[0]}): unpack the archive again, with {_PICTURES.as_posix()}/ beside the tables"
        )
    return samples
