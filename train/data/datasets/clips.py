"""Clips: labelled videos, from a table (`videos.csv`) or from plain folders, and what all adapters of videos share.

The table has the columns file, label, slice, group, split, and method where it is known. Plain folders are those of
`folder`, with videos in place of pictures; each is a group of its own unless a sub-folder joins them.
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from train.data.datasets.folder import file_splits, labelled_files
from train.data.samples import SPLITS, Split
from train.errors import DataError

TABLE = "videos.csv"
SUFFIXES = {".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".ts"}

SAME_PERSON = (
    ("FuxiVirtualHuman_furious_talk1", "FuxiVirtualHuman_furious_talk2"),
    ("FuxiVirtualHuman_happyenglish", "tanshuai0219_expression_source"),
    ("jixinya_fear", "jixinya_surprised"),
    ("dfl_src2", "dfl_src27"),
    ("FuxiVirtualHuman_trump", "s_hellomeme/hellomeme_trump"),
    ("bisig/videos/word.mp4", "bisig/videos/wow.mp4"),
    ("bisig/videos/a.mp4", "bisig/videos/b.mp4", "bisig/videos/thanks.mp4"),
    ("bisig/videos/you.mp4", "bisig/videos/yo.mp4"),
    (
        "hearbridge/videos/school.mp4", "hearbridge/videos/happy.mp4", "hearbridge/videos/hello.mp4",
        "hearbridge/videos/learn.mp4",
    ),
    ("wavely/videos/hello.mp4", "wavely/videos/thanks.mp4"),
)  # fmt: skip
"""Groups, or what groups begin with up to "_clip", that show one and the same person: seen by looking at every genuine
clip of training and validation. Counted as groups, eight clips of one man would pass for eight persons."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One labelled video: 1 = manipulated.

    Attributes:
        path: the file.
        label: 1 = manipulated, 0 = genuine.
        source: data set and quality: figures are given by source.
        group: person, scene or original video; no group is in two splits.
        split: "train", "val" or "test".
        method: what manipulated it, "none" for genuine videos.
        name: of the file within its data set, unique there.
        subject: whom a genuine clip shows, where its group holds several persons (the two of FaceForensics++).
    """

    path: Path
    label: int
    source: str
    group: str
    split: Split
    method: str = "unknown"
    name: str = ""
    subject: str = ""

    @property
    def person(self) -> str:
        """Who it shows: its subject, else the group, or the first of the groups that show the same person."""
        return f"{self.group}/{self.subject}" if self.subject else person_of(self.group)


@dataclass(frozen=True, slots=True)
class ClipSet:
    """The videos of a data folder.

    Attributes:
        dataset: its name, for a person.
        clips: in a stable order.
        notes: what was left out and why, a sentence each.
    """

    dataset: str
    clips: list[Clip]
    notes: tuple[str, ...] = ()


ReadClips = Callable[[Path, np.random.Generator, bool], ClipSet]
"""Folder, randomness for splits that the publisher left open, whether missing videos are allowed -> its videos."""


def person_of(group: str) -> str:
    """Who a group shows: the group itself, or the first of those known to show the same person."""
    stem = group.split("_clip")[0]
    return next((same[0] for same in SAME_PERSON if stem in same), group)


def read_clips(root: Path) -> list[Clip]:
    """All clips that the table lists; none where there is no table.

    Raises:
        DataError: a clip is missing or its row cannot be understood.
    """
    if not (root / TABLE).is_file():
        return []
    clips = []
    with (root / TABLE).open(newline="", encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            path = root / row["file"]
            split = next((s for s in SPLITS if s == row["split"]), None)
            if not path.is_file() or split is None or row["label"] not in ("real", "fake"):
                raise DataError(f"{TABLE}: {row['file']} is missing, or its label or split is not known")
            label = int(row["label"] == "fake")
            method = row.get("method") or ("unknown" if label else "none")
            shown = Path(row.get("original") or "").stem
            subject = shown if label == 0 and shown in row["group"].split("_") else ""
            clips.append(Clip(path, label, row["slice"], row["group"], split, method, row["file"], subject))
    return clips


def read_all_clips(root: Path, more: Sequence[Path]) -> list[Clip]:
    """The clips of a data folder and of those beside it (`python -m train sources`).

    A group that several folders hold is one person in all of them.
    """
    clips = read_clips(root)
    for folder in more:
        groups = {c.group for c in clips}
        clips += [replace(c, subject="") if c.group in groups else c for c in read_clips(folder)]
    return clips


def read_table(root: Path, rng: np.random.Generator, allow_missing: bool) -> ClipSet:
    """The table's clips as a set."""
    return ClipSet(f"the clips of {TABLE}", read_clips(root))


def read_clip_folder(root: Path, rng: np.random.Generator, allow_missing: bool) -> ClipSet:
    """Plain folders of videos, split by group like plain folders of pictures.

    Raises:
        DataError: the folder lacks one of the classes, or holds no videos.
    """
    clips = [
        Clip(f.path, f.label, root.name, f.group, f.split, "unknown" if f.label else "none", f.name)
        for f in labelled_files(root, SUFFIXES, numbered=False)
    ]
    if {c.label for c in clips} != {0, 1}:
        raise DataError(
            f"{root.name}/ needs videos in real_data/ and fake_data/ (or real/ and fake/), directly or inside "
            f"train/, val/ and test/"
        )
    return ClipSet("a plain folder of videos", file_splits(root, clips, rng))


def only_present(clips: Sequence[Clip], listed_by: str, allow_missing: bool) -> tuple[list[Clip], tuple[str, ...]]:
    """Those clips whose files are there, and a note on the others.

    Raises:
        DataError: some are missing, and that was not allowed; or none is there.
    """
    there = [c for c in clips if c.path.is_file()]
    missing = len(clips) - len(there)
    if not missing:
        return there, ()
    first = next(c.name for c in clips if not c.path.is_file())
    if not there or not allow_missing:
        raise DataError(
            f"{listed_by} names {len(clips)} videos, of which {missing} are not there (the first is {first}). Finish "
            f"the download, or go on without them with --allow_missing"
        )
    return there, (f"{missing} videos that {listed_by} names are not there and were left out.",)


def need_both_classes(clips: Sequence[Clip], where: str) -> None:
    """Raises `DataError` unless there are genuine and manipulated videos."""
    for label, word in ((0, "genuine"), (1, "manipulated")):
        if not any(c.label == label for c in clips):
            raise DataError(f"no {word} video was found in {where}: finish the download, keep the publisher's folders")
