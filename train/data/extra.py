"""One more source of training faces: a folder that `gan-samples` wrote.

It holds generated faces and genuine ones that went through the same scaling and compression. Both are drawn equally
often in training: were one kind drawn more, the traces of that scaling alone would tell something about the class.
"""

import json
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector.types import Face
from train.console import Bar
from train.data.datasets.pack import TABLE, is_pack_folder, read_packs
from train.data.detections import find_faces
from train.data.samples import Sample, Split, fingerprint
from train.errors import DataError

MADE = "made.json"
"""Beside the table: which checkpoint made the faces, and whom it had learned from."""


@dataclass(frozen=True, slots=True)
class Extra:
    """Samples of one split of an extra folder that have a face, and the faces."""

    samples: list[Sample]
    faces: dict[str, Face]
    fingerprint: str
    without_face: int


def load_extra(folder: Path, split: Split, cache_dir: Path, workers: int) -> Extra:
    """Reads one split of a folder of `gan-samples`.

    Raises:
        DataError: the folder is no such pack, or the split lacks a class.
    """
    origin = made_by(folder)
    samples = [s for s in read_packs(folder) if s.split == split]
    with Bar("Looking for faces") as bar:
        faces = find_faces(samples, cache_dir, workers=workers, on_progress=bar.at)
    with_face = [s for s in samples if s.name in faces]
    if {s.label for s in with_face} != {0, 1}:
        raise DataError(f"{folder.name}/ needs genuine and generated faces in split {split!r}; make it again with more")
    # pictures of another checkpoint have the same names
    name = f"{_short(origin['generator'])}-{fingerprint(samples)}"
    return Extra(with_face, faces, name, len(samples) - len(with_face))


def learned_from(extra: str | None, generator: str) -> bool:
    """Whether a run learned from faces of a generator.

    Args:
        extra: fingerprint of its extra faces, as its record has it; None without any.
        generator: hash of the generator's weights.
    """
    return extra is not None and extra.startswith(f"{_short(generator)}-")


def _short(generator: str) -> str:
    return generator[:16]


def made_by(folder: Path) -> dict[str, Any]:
    """The record that `gan-samples` wrote beside its faces.

    Raises:
        DataError: the folder was not written by it.
    """
    if not is_pack_folder(folder) or not (folder / MADE).is_file():
        raise DataError(
            f"{folder.name}/ has no {TABLE} and {MADE}: make it with `python -m train gan-samples RUN --out DIR`"
        )
    origin: dict[str, Any] = json.loads((folder / MADE).read_text(encoding="utf-8"))
    return origin


def drawn_alike(
    base: Sequence[Sample], extra: Sequence[Sample], left_out: Set[str] = frozenset()
) -> tuple[list[Sample], dict[tuple[str, int], float]]:
    """The extra samples, and by what size to draw them for an equal share of the genuine and the manipulated faces.

    Sources are drawn by the square root of their size, within each class (see `train.data.batches`). Self-blended twins
    need no other share: they are made of the batch's genuine faces, so they hold as many extra ones as those do.

    Args:
        base: training samples without the extra ones.
        extra: training samples of one more source.
        left_out: groups of genuine faces that must not train; the pairs made with them are dropped.

    Returns:
        the samples; (source, label) -> the size that their source counts as.

    Raises:
        DataError: there are no manipulated faces beside the extra ones, or no pair is left.
    """
    root = {label: sum(n**0.5 for n in _sizes(base, label).values()) for label in (0, 1)}
    if not root[1]:
        raise DataError(
            "the data have no manipulated faces beside the generated ones, so all of them would bear the traces of one "
            "scaling, and few genuine faces do: add manipulated faces of another kind, or leave --extra out"
        )
    others = [s for s in extra if s.group not in left_out]
    sizes = {label: sum(s.label == label for s in others) for label in (0, 1)}
    if not all(sizes.values()):
        raise DataError("no pair of a genuine and a generated face is left: make more with `gan-samples`")
    share = min(sizes[label] ** 0.5 / (root[label] + sizes[label] ** 0.5) for label in (0, 1))
    # share = sqrt(n) / (root + sqrt(n)), solved for n
    return others, {(others[0].source, label): (root[label] * share / (1 - share)) ** 2 for label in (0, 1)}


def _sizes(samples: Sequence[Sample], label: int) -> Counter[str]:
    return Counter(s.source for s in samples if s.label == label)
