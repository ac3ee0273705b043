"""The Deepfake Detection Challenge of Facebook (Dolhansky et al., 2020), whole or as its preview (2019).

Layout: ai.meta.com/datasets/dfdc and the challenge's data page on Kaggle. The whole set:

    [train/]dfdc_train_part_<n>/metadata.json   {"a.mp4": {"label": "FAKE", "split": "train", "original": "b.mp4"}, ...}
    [train/]dfdc_train_part_<n>/a.mp4           (also `train_sample_videos/`, the sample on Kaggle)
    validation/labels.csv, test/labels.csv      columns filename, label (1 = fake); videos beside them or in `videos/`

A group is an original with all that was made of it, as the metadata say. Official validation and test sets are kept
where they are there. What is not, is drawn from training: by whole parts where there are ten or more, since persons
mostly keep to their part, else by group, where persons may be on both sides. The preview:

    dataset.json    {"method_A/.../c.mp4": {"label": "fake", "set": "test", "target_id": 1, "swapped_id": 2}, ...}

with an official test set of other persons; validation is drawn from its training persons, and swaps between these and
the rest are left out.
"""

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from train.data.datasets.clips import Clip, ClipSet, need_both_classes, only_present
from train.data.samples import Split, split_by_group, split_by_person
from train.errors import DataError

_METADATA, _PREVIEW, _LABELS = "metadata.json", "dataset.json", "labels.csv"
_SHARE = 0.15
_PARTS_TO_SPLIT = 10


def is_dfdc(root: Path) -> bool:
    return (root / _PREVIEW).is_file() or bool(_parts(root))


def read_dfdc(root: Path, rng: np.random.Generator, allow_missing: bool) -> ClipSet:
    """All videos of the whole set or the preview.

    Raises:
        DataError: a list is missing or broken, or videos that it names are.
    """
    read = _read_preview if (root / _PREVIEW).is_file() else _read_whole
    clips, notes = read(root, rng, allow_missing)
    need_both_classes(clips, f"{root.name}/")
    return ClipSet("DFDC", clips, notes)


def _read_whole(root: Path, rng: np.random.Generator, allow_missing: bool) -> tuple[list[Clip], tuple[str, ...]]:
    listed = [clip for part in _parts(root) for clip in _part(root, part)]
    training, notes = only_present(listed, _METADATA, allow_missing)
    official: list[Clip] = []
    for folder, split in (("validation", "val"), ("test", "test")):
        if (root / folder).is_dir():
            named = _labelled(root, root / folder, split)  # type: ignore[arg-type]
            there, more = only_present(named, f"{folder}/{_LABELS}", allow_missing)
            official, notes = official + there, notes + more
    present = {c.split for c in official}
    shares = {s: 0.0 if s in present else _SHARE for s in ("val", "test")}
    return _drawn(training, rng, shares) + official, notes


def _drawn(clips: Sequence[Clip], rng: np.random.Generator, shares: dict[str, float]) -> list[Clip]:
    if not any(shares.values()):
        return list(clips)
    parts = {c.path.parent.name for c in clips}
    # split by part what is split, then give every video its own group back
    bundled = [replace(c, group=c.path.parent.name) for c in clips] if len(parts) >= _PARTS_TO_SPLIT else clips
    split = split_by_group(bundled, rng, shares["val"], shares["test"])
    placed = [replace(c, split=s.split) for c, s in zip(clips, split, strict=True)]
    homes: dict[str, Split] = {}
    for clip in sorted(placed, key=lambda c: c.label):
        homes.setdefault(clip.group, clip.split)
    # an original may lie in another part than what was made of it: they stay together
    return [replace(c, split=homes[c.group]) for c in placed]


def _parts(root: Path) -> list[Path]:
    folders = [f for base in (root, root / "train") for f in base.glob("dfdc_train_part_*")]
    return sorted(f for f in (*folders, root / "train_sample_videos") if f.is_dir())


def _part(root: Path, part: Path) -> list[Clip]:
    rows = _json(part / _METADATA, f"{part.name}/{_METADATA}")
    clips = []
    for file, row in rows.items():
        if row.get("label") not in ("REAL", "FAKE"):
            raise DataError(f"{part.name}/{_METADATA}: {file} has the label {row.get('label')!r}")
        label = int(row["label"] == "FAKE")
        clips.append(_clip(root, part / file, label, row.get("original") if label else file, "train"))
    return clips


def _labelled(root: Path, folder: Path, split: Split) -> list[Clip]:
    table = folder / _LABELS
    if not table.is_file():
        raise DataError(f"{folder.name}/{_LABELS} is missing: without it the videos of {folder.name}/ have no labels")
    videos = folder / "videos" if (folder / "videos").is_dir() else folder
    with table.open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    if not rows or any(row.get("label") not in ("0", "1") or not row.get("filename") for row in rows):
        raise DataError(f"{folder.name}/{_LABELS} needs the columns filename and label (0 or 1)")
    return [_clip(root, videos / row["filename"], int(row["label"]), row["filename"], split) for row in rows]


def _read_preview(root: Path, rng: np.random.Generator, allow_missing: bool) -> tuple[list[Clip], tuple[str, ...]]:
    rows = _json(root / _PREVIEW, _PREVIEW)
    listed, persons = [], {}
    for name, row in rows.items():
        known = row.get("label") in ("real", "fake") and row.get("set") in ("train", "test")
        if not known or "target_id" not in row:
            raise DataError(f"{_PREVIEW}: {name} lacks a label (real, fake), a set (train, test) or a target_id")
        label = int(row["label"] == "fake")
        persons[name] = [str(row[k]) for k in ("target_id", "swapped_id") if row.get(k) is not None]
        method = Path(name).parts[0] if label else "none"
        group = f"dfdc/{row['target_id']}"
        listed.append(Clip(root / name, label, "dfdc-preview", group, row["set"], method, name))
    clips, notes = only_present(listed, _PREVIEW, allow_missing)
    test = [c for c in clips if c.split == "test"]
    split, apart = split_by_person(
        [c for c in clips if c.split == "train"], lambda c: persons[c.name], rng, _SHARE, test_share=0.0
    )
    return split + test, (*notes, f"{apart} videos join persons of training and validation and were left out.")


def _clip(root: Path, path: Path, label: int, original: str | None, split: Split) -> Clip:
    name = path.relative_to(root).as_posix()
    group = f"dfdc/{Path(original or path.name).stem}"
    # the challenge does not say which of its methods made a video
    return Clip(path, label, "dfdc", group, split, "DFDC" if label else "none", name)


def _json(path: Path, name: str) -> dict[str, dict[str, Any]]:
    if not path.is_file():
        raise DataError(f"{name} is missing: it comes with the videos and holds their labels")
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{name} is damaged: fetch it again") from error
    if not isinstance(rows, dict) or not rows or not all(isinstance(row, dict) for row in rows.values()):
        raise DataError(f"{name} is empty or not a table of videos: fetch it again")
    return rows
