"""Real and Fake Face Detection (Computational Intelligence and Photography Lab, Yonsei University, 2019).

Layout: kaggle.com/datasets/ciplab/real-and-fake-face-detection. The archive holds, once or twice, `real_and_fake_face/`
with

    training_real/real_00001.jpg
    training_fake/mid_210_0011.jpg    how hard, number, and for each part of the face whether it was replaced

Fakes are composites by Photoshop experts. The publisher advises against the three levels as categories, so they only
stand in the names. Only this training part was published: splits are drawn, each picture a group, since nothing says
which photographs went into which composite.
"""

import re
from pathlib import Path

import numpy as np

from train.data.samples import Sample, split_by_group
from train.errors import DataError

_FOLDERS = {"training_real": re.compile(r"real_\d+"), "training_fake": re.compile(r"(easy|mid|hard)_\d+_[01]{4}")}
_INSIDE = ("", "real_and_fake_face", "real_and_fake_face_detection/real_and_fake_face")


def is_ciplab(root: Path) -> bool:
    return _base(root) is not None


def read_ciplab(root: Path, rng: np.random.Generator) -> list[Sample]:
    """All pictures, with splits drawn.

    Raises:
        DataError: a folder is missing or empty, or a picture is not named as documented.
    """
    base = _base(root)
    assert base is not None, "asked of another folder"
    samples = []
    for label, (folder, names) in enumerate(_FOLDERS.items()):
        paths = sorted((base / folder).glob("*.jpg"))
        if not paths:
            raise DataError(f"{folder}/ is missing or empty in {base.name}/: unpack the archive again")
        for path in paths:
            if not names.fullmatch(path.stem):
                raise DataError(f"{folder}/{path.name} is not named as the publisher's pictures: keep their names")
            samples.append(
                Sample(
                    path=path,
                    member=None,
                    name=f"{folder}/{path.name}",
                    label=label,
                    source="yonsei",
                    group=f"yonsei/{path.stem}",
                    method="Photoshop composite" if label else "none",
                    split="train",
                )
            )
    return split_by_group(samples, rng)


def _base(root: Path) -> Path | None:
    return next((root / i for i in _INSIDE if any((root / i / name).is_dir() for name in _FOLDERS)), None)
