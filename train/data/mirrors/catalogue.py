"""`train/data/sources.csv`: every source of faces, pictures and clips, what it is, and in which split it is.

One row a source of one label and method. Rows that are taken from `packs` describe the tar packs; the others say which
files of which public repository are taken, and how (`Source` explains each column).
"""

import csv
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from train.data.samples import SPLITS, Split
from train.errors import DataError

TABLE = Path(__file__).parents[1] / "sources.csv"

Take = Literal["packs", "pictures", "gallery", "clips"]
TAKES: tuple[Take, ...] = ("packs", "pictures", "gallery", "clips")
KINDS = ("real", "synthesis", "swap", "reenactment", "edit")
FFPP_PAIR = "ffpp pair"
"""Group rule of FaceForensics++: target and source are one group, and so is the original of either."""

_GENRES_NOT_DRAWN = ("", "archive")


@dataclass(frozen=True, slots=True)
class Source:
    """One row.

    Attributes:
        slice: figures are given by it; sources that belong together share it.
        label: 1 = fake.
        kind: one of `KINDS`.
        method: generator or manipulation, "none" for genuine ones.
        genre: how genuine pictures came about (portrait, event, camera-file, scan, selfie, web); "" elsewhere.
        repository: "owner/name"; of packs several, by spaces.
        files: regular expression, searched in a file's path.
        take: how; "packs" rows are not taken from mirrors.
        part: "" for the whole frame, "x0 y0 x1 y1" as shares of it, or "grid x y w h dx dy" in pixels for tiles.
        group: "file", "folder", "source", `FFPP_PAIR`, or "expression => name" with {1}, {2} for its captures.
        split: "val", or with groups that differ from it "train; val: a b; test: c"; "" for packs, which have their own.
        cap: at most so many pictures or clips; None = all.
        jpeg: quality "low-high" that lossless pictures are saved with once; "all low-high" does so with every picture.
        counts: faces in (train, val, test).
        licence: or terms, as stated at the address.
        note: what to know.
    """

    slice: str
    label: int
    kind: str
    method: str
    genre: str
    repository: str
    files: str
    take: Take
    part: str
    group: str
    split: str
    cap: int | None
    jpeg: str
    counts: tuple[int, int, int]
    licence: str
    note: str

    @property
    def key(self) -> str:
        """Unique in the table."""
        return f"{self.slice}/{'fake' if self.label else 'real'}/{self.method}"

    def extraction(self) -> str:
        """Hash of whatever decides which bytes are stored: labels, groups and splits do not."""
        said = json.dumps([self.key, self.files, self.take, self.part, self.cap, self.jpeg])
        return hashlib.sha256(said.encode()).hexdigest()[:12]


def read_sources(table: Path = TABLE) -> list[Source]:
    """All rows, checked.

    Raises:
        DataError: a row cannot be understood, or two rows have the same key; the message names it.
    """
    with table.open(newline="", encoding="utf-8") as handle:
        sources = [_source(row) for row in csv.DictReader(handle)]
    seen: set[str] = set()
    for source in sources:
        if source.key in seen:
            raise DataError(f"{table.name}: two rows are {source.key}")
        seen.add(source.key)
    return sources


def _source(row: dict[str, str]) -> Source:
    name = f"{row['slice']}/{row['label']}"
    if row["label"] not in ("real", "fake") or row["kind"] not in KINDS or row["take"] not in TAKES:
        raise DataError(f"sources.csv: {name} has label {row['label']!r}, kind {row['kind']!r}, take {row['take']!r}")
    if (row["label"] == "real") != (row["kind"] == "real"):
        raise DataError(f"sources.csv: {name} is {row['label']} and of kind {row['kind']}")
    try:
        source = Source(
            slice=row["slice"],
            label=int(row["label"] == "fake"),
            kind=row["kind"],
            method=row["method"],
            genre=row["genre"],
            repository=row["repository"],
            files=row["files"],
            take=row["take"],
            part=row["part"],
            group=row["group"],
            split=row["split"],
            cap=int(row["cap"]) if row["cap"] else None,
            jpeg=row["jpeg"],
            counts=(int(row["train"] or 0), int(row["val"] or 0), int(row["test"] or 0)),
            licence=row["licence"],
            note=row["note"],
        )
        re.compile(source.files)
        re.compile(source.group)
        if source.take != "packs":
            split_of(source, "")
    except (ValueError, re.error) as error:
        raise DataError(f"sources.csv: {name}: {error}") from error
    return source


def split_of(source: Source, group: str) -> Split:
    """The split of one group of a source.

    Raises:
        ValueError: the row's split cannot be understood.
    """
    default, *exceptions = (part.strip() for part in source.split.split(";"))
    chosen = default
    for exception in exceptions:
        split, _, groups = exception.partition(":")
        if split.strip() not in SPLITS:
            raise ValueError(f"split {source.split!r} cannot be understood")
        if group in groups.split():
            chosen = split.strip()
    if chosen not in SPLITS:
        raise ValueError(f"split {source.split!r} cannot be understood")
    return chosen


def group_namer(source: Source, paths: Iterable[str]) -> "GroupNamer":
    """How files of a source become groups.

    Args:
        source: the row.
        paths: of all files of the repository: FaceForensics++ names a pair only in its manipulated files.
    """
    pairs: dict[str, str] = {}
    if source.group == FFPP_PAIR:
        for path in paths:
            if match := re.search(r"/(\d{3})_(\d{3})\.\w+$", path):
                pair = "_".join(sorted(match.groups()))
                pairs |= dict.fromkeys(match.groups(), pair)
    return GroupNamer(source, pairs)


@dataclass(frozen=True, slots=True)
class GroupNamer:
    """Path of a file to the name of its group."""

    source: Source
    pairs: dict[str, str]

    def __call__(self, path: str) -> str:
        """Raises `DataError` when the rule does not fit the path."""
        rule, slice_name = self.source.group, self.source.slice
        if rule == "source":
            return slice_name
        if rule == "file":
            return f"{slice_name}/{path}"
        if rule == "folder":
            return f"{slice_name}/{path.rpartition('/')[0]}"
        if rule == FFPP_PAIR:
            first = re.findall(r"\d{3}", path.rpartition("/")[2])
            if not first or first[0] not in self.pairs:
                raise DataError(f"{path} belongs to no pair of FaceForensics++")
            return f"ffpp_{self.pairs[first[0]]}"
        expression, arrow, name = rule.partition(" => ")
        match = re.search(expression, path)
        if match is None:
            raise DataError(f"the group rule of {self.source.key} does not fit {path}")
        captured = [text or "" for text in match.groups()]
        if not arrow:
            return f"{slice_name}/{'/'.join(captured)}"
        return name.format(match.group(0), *captured)


def draw_splits(repositories: Sequence[tuple[str, str]]) -> dict[str, Split]:
    """Which whole sources of genuine pictures validate and test: a third of each genre, by the hash of their names.

    Drawn so before anything was trained, and open to be drawn again by anyone.

    Args:
        repositories: (repository, genre) of those that may be drawn.

    Returns:
        repository -> "test" or "val", in turn; those that are not drawn train.
    """
    by_genre: dict[str, list[str]] = defaultdict(list)
    for repository, genre in sorted(set(repositories)):
        if genre not in _GENRES_NOT_DRAWN:
            by_genre[genre].append(repository)
    drawn: list[str] = []
    for genre in sorted(by_genre):
        order = sorted(by_genre[genre], key=lambda r: hashlib.sha256(f"unmask data iii {r}".encode()).hexdigest())
        drawn += order[: -(-len(order) // 3)]
    return {repository: ("test", "val")[i % 2] for i, repository in enumerate(drawn)}
