"""All faces of a data folder, by split: what every recipe on single faces begins with."""

from collections.abc import Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path

from detector.types import Face
from train.console import Bar, say
from train.data.batches import twins_of
from train.data.detections import find_faces
from train.data.extra import drawn_alike, load_extra
from train.data.samples import Sample, fingerprint, unseen_sources
from train.data.sources import find_data_root, load_samples
from train.errors import DataError
from train.processes import join_world


@dataclass(frozen=True, slots=True)
class FaceData:
    """Samples that have a face, by split, and the faces."""

    train: list[Sample]
    val: list[Sample]
    test: list[Sample]
    faces: dict[str, Face]
    unseen: set[str]
    fingerprint: str
    without_face: dict[str, int]
    base: str = ""
    """Fingerprint of the data folder alone, without further folders of sources."""
    extra: str | None = None
    """Fingerprint of one more source of training faces, which `fingerprint` leaves out."""
    counted_as: dict[tuple[str, int], float] = field(default_factory=dict)
    """(source, label) -> the size to draw that source by in training, where it is not its own."""


def load_faces(
    data_root: Path | None,
    runs_dir: Path,
    seed: int,
    workers: int,
    *,
    needs_fakes: bool = True,
    more: Sequence[Path] = (),
) -> FaceData:
    """Samples of the data folder with the largest face of each, found by the product's own detector.

    Without `needs_fakes` genuine faces alone will do: validation then holds their twins as manipulated ones. `more`
    names folders of `python -m train sources`.
    """
    root = find_data_root(data_root)
    samples = load_samples(root, seed, needs_fakes=needs_fakes, more=more)
    with join_world().in_turns(), Bar("Looking for faces") as bar:
        faces = find_faces(samples, runs_dir / "cache", workers=workers, on_progress=bar.at)
    with_face = [s for s in samples if s.name in faces]
    missing: dict[str, int] = {}
    for s in samples:
        if s.name not in faces:
            missing[s.source] = missing.get(s.source, 0) + 1
    by_split = {split: [s for s in with_face if s.split == split] for split in ("train", "val", "test")}
    if not needs_fakes and not any(s.label for s in by_split["val"]):
        twins, twin_faces = twins_of(by_split["val"], faces)
        by_split["val"] += twins
        faces |= twin_faces
    for split, needed in (("train", {0, 1} if needs_fakes else {0}), ("val", {0, 1})):
        if not {s.label for s in by_split[split]} >= needed:
            raise DataError(f"no genuine or no manipulated face was found in split {split!r}: check the pictures")
    return FaceData(
        train=by_split["train"],
        val=by_split["val"],
        test=by_split["test"],
        faces=faces,
        unseen=unseen_sources(samples, "val"),
        fingerprint=fingerprint(samples),
        base=fingerprint(load_samples(root, seed, needs_fakes=needs_fakes)) if more else fingerprint(samples),
        without_face=missing,
    )


def with_fakes_of(data: FaceData, sources: Sequence[str]) -> FaceData:
    """The same data with the manipulated training faces of these sources only; genuine ones of all sources stay.

    Raises:
        DataError: a source has no manipulated training face.
    """
    known = {s.source for s in data.train if s.label}
    unknown = sorted(set(sources) - known)
    if unknown:
        raise DataError(
            f"no manipulated training faces of {', '.join(unknown)}; there are: {', '.join(sorted(known)) or 'none'}"
        )
    return replace(data, train=[s for s in data.train if not s.label or s.source in sources])


def with_extra(
    data: FaceData, folder: Path, runs_dir: Path, workers: int, left_out: Set[str] = frozenset()
) -> FaceData:
    """The same data with the training faces of a `gan-samples` folder; validation and test stay as they are.

    Args:
        left_out: groups of genuine faces that must not come back with it.
    """
    with join_world().in_turns():
        extra = load_extra(folder, "train", runs_dir / "cache", workers)
    chosen, counted_as = drawn_alike(data.train, extra.samples, left_out)
    say(
        f"{folder.name}: {sum(s.label for s in chosen)} generated and {sum(1 - s.label for s in chosen)} genuine faces "
        f"of equal history; no face was found in {extra.without_face}"
    )
    return replace(
        data,
        train=[*data.train, *chosen],
        faces={**data.faces, **extra.faces},
        extra=extra.fingerprint,
        counted_as={**data.counted_as, **counted_as},
    )


def source_counts(samples: list[Sample]) -> dict[str, list[int]]:
    """[genuine, manipulated] of each source."""
    counts: dict[str, list[int]] = {}
    for s in samples:
        counts.setdefault(s.source, [0, 0])[s.label] += 1
    return dict(sorted(counts.items()))
