"""Clips: video files beside a `videos.csv` with the columns file, label, slice, group, split."""

import csv
from dataclasses import dataclass
from pathlib import Path

from train.data.samples import SPLITS, DataError, Split

TABLE = "videos.csv"


@dataclass(frozen=True, slots=True)
class Clip:
    """One labelled video: 1 = manipulated."""

    path: Path
    label: int
    source: str
    group: str
    split: Split


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
