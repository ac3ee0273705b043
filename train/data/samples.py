"""One labelled face, and splits that never share a group.

A group is whatever must not be on both sides of a split: a person, a video, a scene. Splitting by image instead puts
one video's frames in training and test, and every figure after that is a leak.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import Field, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeVar

import numpy as np

from train.errors import DataError

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

HELD_OUT_SOURCES = ("us-portraits", "no-mask", "talking-heads")
"""Whole sources of genuine faces that never train anything: studio portraits, street and web pictures, webcam and
broadcast interviews. Their train and val faces, with the unseen val sources of the pack `faces-extra`, set the band
edges; their test faces only report."""


class Grouped(Protocol):
    """Something that can be split: a `Sample`, or a clip of `train.data.datasets.clips`."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def label(self) -> int: ...
    @property
    def group(self) -> str: ...
    @property
    def split(self) -> Split: ...


GroupedT = TypeVar("GroupedT", bound=Grouped)


@dataclass(frozen=True, slots=True)
class Sample:
    """One face picture.

    Attributes:
        path: the picture, or the tar file that holds it.
        member: (offset, size) of the picture in the tar file; None for a plain file.
        name: stable identity for reports and caches, unique in a data set.
        label: 1 = fake, 0 = real.
        source: where it comes from and how it was made (a "slice" of the packs): figures are given by source.
        group: person, video or scene; no group is in two splits.
        method: generator or manipulation, "none" for genuine faces.
        split: "train", "val" or "test".
    """

    path: Path
    member: tuple[int, int] | None
    name: str
    label: int
    source: str
    group: str
    method: str
    split: Split

    def read(self) -> bytes:
        """The picture's bytes."""
        if self.member is None:
            return self.path.read_bytes()
        offset, size = self.member
        # opened anew each time: forked loader workers would share a file's position
        with self.path.open("rb", buffering=0) as file:
            file.seek(offset)
            return file.read(size)


def hold_out_sources(samples: Sequence[Sample], sources: Iterable[str] = HELD_OUT_SOURCES) -> list[Sample]:
    """Moves the training part of whole sources to validation."""
    held = set(sources)
    return [replace(s, split="val") if s.source in held and s.split == "train" else s for s in samples]


def unseen_sources(samples: Sequence[Sample], split: Split) -> set[str]:
    """Sources of genuine faces in a split of which no sample, genuine or not, is in training."""
    trained = {s.source for s in samples if s.split == "train"}
    return {s.source for s in samples if s.split == split and s.label == 0 and s.source not in trained}


def split_by_group(
    samples: Sequence[GroupedT], rng: np.random.Generator, val_share: float = 0.15, test_share: float = 0.15
) -> list[GroupedT]:
    """Assigns a split to every sample so that no group is in two.

    Groups are drawn at random, stratified by the set of labels that they hold, so that each split keeps both labels.
    """
    labels: dict[str, set[int]] = defaultdict(set)
    sizes: Counter[str] = Counter()
    for sample in samples:
        labels[sample.group].add(sample.label)
        sizes[sample.group] += 1
    chosen: dict[str, Split] = {}
    for stratum in sorted({tuple(sorted(v)) for v in labels.values()}):
        groups = sorted(g for g, v in labels.items() if tuple(sorted(v)) == stratum)
        rng.shuffle(groups)
        total = sum(sizes[g] for g in groups)
        done = 0
        for group in groups:
            share = done / total
            chosen[group] = "val" if share < val_share else "test" if share < val_share + test_share else "train"
            done += sizes[group]
    return [replace(s, split=chosen[s.group]) for s in samples]


def split_by_person(
    items: Sequence[GroupedT],
    persons: Callable[[GroupedT], Iterable[str]],
    rng: np.random.Generator,
    val_share: float = 0.15,
    test_share: float = 0.15,
) -> tuple[list[GroupedT], int]:
    """Assigns a split to every item so that no person is in two; items whose persons fall apart are left out.

    For swaps of everybody with everybody, where persons and the videos that join them are one single group.

    Returns:
        The items that stay, in order, and how many were left out.
    """
    everyone = sorted({p for item in items for p in persons(item)})
    rng.shuffle(everyone)
    # a swap takes two
    n_val, n_test = (max(2, round(share * len(everyone))) if share else 0 for share in (val_share, test_share))
    places: dict[str, Split] = {
        p: "val" if i < n_val else "test" if i < n_val + n_test else "train" for i, p in enumerate(everyone)
    }
    split_items = []
    for item in items:
        splits = {places[p] for p in persons(item)}
        if len(splits) == 1:
            split_items.append(replace(item, split=splits.pop()))
    return split_items, len(items) - len(split_items)


def check_groups(samples: Sequence[Grouped]) -> None:
    """Raises `DataError` when a group is in two splits."""
    seen: dict[str, str] = {}
    for sample in samples:
        first = seen.setdefault(sample.group, sample.split)
        if first != sample.split:
            raise DataError(f"group {sample.group!r} is in two splits ({first}, {sample.split}): that is a leak")


def check_splits(samples: Sequence[Sample], *, needs_fakes: bool = True) -> None:
    """Raises `DataError` when a group is in two splits or training or validation lacks a label that is needed."""
    check_groups(samples)
    for split in ("train", "val"):
        labels = {s.label for s in samples if s.split == split}
        if not labels >= ({0, 1} if needs_fakes else {0}):
            needed = "genuine and manipulated faces" if needs_fakes else "genuine faces"
            raise DataError(f"split {split!r} needs {needed}; it has labels {sorted(labels)}")


def in_turns(samples: Sequence[Sample], most: int) -> list[Sample]:
    """One of each source and class after the other, groups apart where it can be, at most so many of each."""
    queues: dict[tuple[str, int], list[Sample]] = defaultdict(list)
    for s in sorted(samples, key=lambda s: hashlib.sha256(s.name.encode()).digest()):
        queues[s.source, s.label].append(s)
    ordered = []
    for key, queue in queues.items():
        seen: dict[str, int] = defaultdict(int)
        ranked = []
        for place, s in enumerate(queue):
            ranked.append((seen[s.group], place))
            seen[s.group] += 1
        queue = [queue[place] for _, place in sorted(ranked)][:most]
        ordered += [(turn, key, s) for turn, s in enumerate(queue)]
    return [s for _, _, s in sorted(ordered, key=lambda row: row[:2])]


def fingerprint(samples: Sequence[Sample]) -> str:
    """Hash of names, labels and splits: two runs with the same value saw the same data."""
    digest = hashlib.sha256()
    for s in sorted(samples, key=lambda s: s.name):
        digest.update(f"{s.name}\t{s.label}\t{s.split}\n".encode())
    return digest.hexdigest()[:16]
