"""Clips: video files beside a `videos.csv` with the columns file, label, slice, group, split."""

import csv
from dataclasses import dataclass
from pathlib import Path

from train.data.samples import SPLITS, DataError, Split

TABLE = "videos.csv"

SAME_PERSON = (
    ("FuxiVirtualHuman_furious_talk1", "FuxiVirtualHuman_furious_talk2"),
    ("FuxiVirtualHuman_happyenglish", "tanshuai0219_expression_source"),
    ("jixinya_fear", "jixinya_surprised"),
    ("dfl_src2", "dfl_src27"),
)
"""Groups, or what groups begin with up to "_clip", that show one and the same person: seen by looking at every genuine
clip of training and validation. Counted as groups, eight clips of one man would pass for eight persons."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One labelled video: 1 = manipulated."""

    path: Path
    label: int
    source: str
    group: str
    split: Split

    @property
    def person(self) -> str:
        """The group, or the first of those that show the same person."""
        return person_of(self.group)


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
    with (root / TABLE).open(newline="") as handle:
        for row in csv.DictReader(handle):
            path = root / row["file"]
            split = next((s for s in SPLITS if s == row["split"]), None)
            if not path.is_file() or split is None or row["label"] not in ("real", "fake"):
                raise DataError(f"{TABLE}: {row['file']} is missing, or its label or split is not known")
            clips.append(Clip(path, int(row["label"] == "fake"), row["slice"], row["group"], split))
    return clips
