"""From what was stored to tables that train: labels, groups and splits joined, repetitions and rejected files left out.

out/faces.csv       as the packs' table, with `pack` empty, and more columns for whoever looks for confounds
out/pictures.csv    whole pictures, the same columns
out/videos.csv      clips, as the packs' table of clips
out/left_out.csv    files that are in none of them, and why
"""

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from detector.media import read_image
from train.console import Bar
from train.data.datasets import clips, pack
from train.data.detections import find_faces
from train.data.mirrors.catalogue import GroupNamer, Source, group_namer, split_of
from train.data.mirrors.duplicates import SAME, SAME_IN_GROUP, Entry, repeated, similar, thumbnail
from train.data.mirrors.repository import find_mirror, list_blobs
from train.data.mirrors.store import Stored, read_stored
from train.data.samples import Split
from train.errors import DataError
from train.run import write_csv

REJECTED = Path(__file__).with_name("rejected.txt")
"""Git objects (first 16 digits) that a person sorted out on contact sheets: drawings, toys, collages, no photograph."""
PICTURES = "pictures.csv"
LEFT_OUT = "left_out.csv"
MAX_OUTSIDE = 0.45
"""Share of a crop outside of its picture from which it is left out: repeated borders would tell a source."""
_COLUMNS = (
    "path", "pack", "label", "kind", "method", "slice", "group", "split", "width", "height", "native_face_px", "source",
    "original", "compression", "outside", "faces", "blob", "time_s",
)  # fmt: skip
_CLIP_COLUMNS = (
    "file", "label", "kind", "method", "slice", "group", "split", "width", "height", "fps", "source", "original",
    "bytes", "codec", "blob",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A stored file with its row of the table of sources, its group and split."""

    stored: Stored
    source: Source
    group: str
    split: Split


@dataclass(frozen=True, slots=True)
class Written:
    """Contents of the tables: counts by (slice, label, method) and split, and files left out by reason."""

    faces: dict[str, Counter[str]]
    pictures: int
    clips: int
    left_out: Counter[str]

    def told(self) -> str:
        """Lines for a person."""
        lines = [
            f"{key}: " + ", ".join(f"{split} {counts[split]}" for split in ("train", "val", "test") if counts[split])
            for key, counts in sorted(self.faces.items())
        ]
        total = sum(sum(counts.values()) for counts in self.faces.values())
        lines.append(f"{total} faces, {self.pictures} whole pictures, {self.clips} clips")
        lines += [f"left out, {reason}: {n} files" for reason, n in sorted(self.left_out.items())]
        return "\n".join(lines)


def write_index(sources: Sequence[Source], out: Path, mirrors: Path, packs: Path | None) -> Written:
    """Writes the tables of all that is stored.

    Args:
        sources: rows that are taken from mirrors.
        out: the folder that was filled.
        mirrors: where the repositories lie: a pair of FaceForensics++ is named by other files of its repository.
        packs: folder of the packs, whose faces are not to come again; None leaves that out.

    Raises:
        DataError: a group is in two splits, here or with the packs.
    """
    rows = joined(sources, out, mirrors)
    known = _pack_groups(packs)
    check_splits([*known.items(), *((row.group, row.split) for row in rows)])
    sorted_out = set(REJECTED.read_text(encoding="utf-8").split()) if REJECTED.is_file() else set()
    gone = {r.stored.blob: "rejected by eye" for r in rows if r.stored.blob[:16] in sorted_out}
    rows = [r for r in rows if r.stored.outside <= MAX_OUTSIDE]
    faces = [r for r in rows if r.stored.kind == "face" and r.stored.blob not in gone]
    gone |= _repeated(faces, out, packs)
    listed = [r for r in rows if r.stored.blob not in gone]
    write_csv(out / pack.TABLE, _COLUMNS, (_picture(r) for r in listed if r.stored.kind == "face"))
    write_csv(out / PICTURES, _COLUMNS, (_picture(r) for r in listed if r.stored.kind == "picture"))
    write_csv(out / clips.TABLE, _CLIP_COLUMNS, (_clip(r, out) for r in listed if r.stored.kind == "clip"))
    files = {r.stored.blob: (r.source.slice, r.source.repository, r.stored.file) for r in rows}
    reasons = sorted((*files[blob], blob, why) for blob, why in gone.items())
    write_csv(out / LEFT_OUT, ("slice", "source", "original", "blob", "reason"), reasons)
    counts: dict[str, Counter[str]] = {}
    for row in listed:
        if row.stored.kind == "face":
            counts.setdefault(row.source.key, Counter())[row.split] += 1
    kinds = Counter(r.stored.kind for r in listed)
    return Written(counts, kinds["picture"], kinds["clip"], Counter(gone.values()))


def joined(sources: Sequence[Source], out: Path, mirrors: Path) -> list[Row]:
    """All that is stored with its group and split, in the order of their paths.

    Raises:
        DataError: a group rule does not fit a file.
    """
    by_key = {s.key: s for s in sources}
    rows = []
    for repository in sorted({s.repository for s in sources}):
        stored = read_stored(out, repository)
        if not stored:
            continue
        git_dir = find_mirror(mirrors, repository)
        paths = [b.path for b in list_blobs(git_dir)] if git_dir else [s.file for s in stored]
        namers: dict[str, GroupNamer] = {}
        for one in stored:
            source = by_key.get(one.source)
            if source is None or source.cap == 0:
                continue
            if one.source not in namers:
                namers[one.source] = group_namer(source, paths)
            group = namers[one.source](one.file)
            rows.append(Row(one, source, group, split_of(source, group)))
    return sorted(rows, key=lambda r: r.stored.path)


def check_splits(groups: Iterable[tuple[str, str]]) -> None:
    """Raises `DataError` when a group is in two splits."""
    seen: dict[str, str] = {}
    for group, split in groups:
        if seen.setdefault(group, split) != split:
            raise DataError(f"group {group!r} is in {seen[group]} and {split}: change its row in sources.csv")


def _pack_groups(packs: Path | None) -> dict[str, str]:
    if packs is None:
        return {}
    with (packs / pack.TABLE).open(newline="", encoding="utf-8") as handle:
        return {row["group"]: row["split"] for row in csv.DictReader(handle)}


def _repeated(faces: Sequence[Row], out: Path, packs: Path | None) -> dict[str, str]:
    entries = [
        Entry(r.stored.blob, r.stored.sha256, r.group, r.split, r.source.take == "clips", r.stored.path) for r in faces
    ]
    own = [thumbnail(read_image(out / r.stored.path)) for r in faces]

    def least(i: int, j: int) -> float | None:
        one, other = entries[i], entries[j]
        if one.group != other.group:
            return SAME
        # frames of clips of one scene look alike, and so do an original and what was made of it
        alike = one.is_clip or other.is_clip or faces[i].source.label != faces[j].source.label
        return None if alike or one.blob == other.blob or j < i else SAME_IN_GROUP

    pairs = similar(own, own, least)
    in_packs: list[tuple[int, str]] = []
    if packs is not None:
        theirs, groups = _pack_thumbnails(packs, out / "cache")
        with_packs = similar(
            own, theirs, lambda i, j: None if entries[i].is_clip and entries[i].group == groups[j] else SAME
        )
        in_packs = [(i, groups[j]) for i, j in with_packs]
    return repeated(entries, pairs, in_packs)


def _pack_thumbnails(packs: Path, cache_dir: Path) -> tuple[list[np.ndarray], list[str]]:
    """Thumbnails of all faces of the packs, and their groups.

    The detector looks for each: crops of large faces were cut at the picture's border, so the middle is not the face.
    """
    samples = pack.read_packs(packs)
    with Bar("Looking for faces in the packs") as bar:
        faces = find_faces(samples, cache_dir, on_progress=bar.at)
    with_face = [s for s in samples if s.name in faces]
    return [thumbnail(read_image(s.read()), faces[s.name]) for s in with_face], [s.group for s in with_face]


def _label(row: Row) -> Literal["real", "fake"]:
    return "fake" if row.source.label else "real"


def _picture(row: Row) -> tuple[Any, ...]:
    stored, source = row.stored, row.source
    return (
        stored.path, "", _label(row), source.kind, source.method, source.slice, row.group, row.split, stored.width,
        stored.height, round(stored.face_px), source.repository, stored.file, stored.compression, stored.outside,
        stored.faces, stored.blob[:16], "" if stored.time_s is None else stored.time_s,
    )  # fmt: skip


def _clip(row: Row, out: Path) -> tuple[Any, ...]:
    stored, source = row.stored, row.source
    return (
        stored.path, _label(row), source.kind, source.method, source.slice, row.group, row.split, stored.width,
        stored.height, stored.fps, source.repository, stored.file, (out / stored.path).stat().st_size,
        stored.compression, stored.blob[:16],
    )  # fmt: skip
