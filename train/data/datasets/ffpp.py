"""FaceForensics++ (Rössler et al., ICCV 2019) and the DeepFakeDetection videos that come with it.

Layout and splits: github.com/ondyari/FaceForensics, `dataset/README.md` and `dataset/splits/`. The download script
leaves

    original_sequences/youtube/<quality>/videos/000.mp4
    manipulated_sequences/<method>/<quality>/videos/000_003.mp4          the face of 003 on the video 000
    original_sequences/actors/<quality>/videos/01__exit_phone_room.mp4
    manipulated_sequences/DeepFakeDetection/<quality>/videos/01_02__exit_phone_room__YVGY8LOK.mp4

with raw, c0, c23 and c40 as qualities. `train.json`, `val.json` and `test.json` of the repository (720, 140 and 140
videos, in pairs) go into the folder itself or its `splits/`. A pair is a group: both videos and all that was made of
them. The actors of DeepFakeDetection have no official split: persons are drawn, and swaps between persons of two splits
are left out.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from train.data.datasets.clips import Clip, ClipSet, need_both_classes, only_present
from train.data.samples import SPLITS, Split, split_by_person
from train.errors import DataError

QUALITIES = ("raw", "c0", "c23", "c40")
_ORIGINAL, _MANIPULATED = "original_sequences", "manipulated_sequences"
_ACTORS, _ACTORS_METHOD = "actors", "DeepFakeDetection"


def is_ffpp(root: Path) -> bool:
    return (root / _ORIGINAL).is_dir() or (root / _MANIPULATED).is_dir()


def read_ffpp(root: Path, rng: np.random.Generator, allow_missing: bool) -> ClipSet:
    """All videos of every quality that is there; their sources are `ffpp-<quality>` and `dfd-<quality>`.

    Raises:
        DataError: the split lists are missing or broken, videos are missing, or a quality has one class only.
    """
    listed = list(_listed(root))
    clips, notes = only_present(listed, "the official split", allow_missing) if listed else ([], ())
    actors = list(_actors(root))
    split, apart = split_by_person(actors, lambda c: _actors_of(c.path), rng)
    if apart:
        notes += (f"{apart} videos of {_ACTORS_METHOD} join persons of two splits and were left out.",)
    clips += split
    need_both_classes(clips, f"{_ORIGINAL}/ and {_MANIPULATED}/")
    for source in sorted({c.source for c in clips}):
        if {c.label for c in clips if c.source == source} != {0, 1}:
            raise DataError(
                f"{source} has one class only, so that compression would give the class away: download "
                f"{_ORIGINAL}/ and {_MANIPULATED}/ in the same quality"
            )
    return ClipSet("FaceForensics++", clips, notes)


def _listed(root: Path) -> Iterator[Clip]:
    """The clips that the split lists promise of every folder of videos that is there."""
    originals = [q for q in QUALITIES if (root / _ORIGINAL / "youtube" / q / "videos").is_dir()]
    manipulated = [
        (folder.name, q)
        for folder in sorted((root / _MANIPULATED).glob("*"))
        for q in QUALITIES
        if folder.name != _ACTORS_METHOD and (folder / q / "videos").is_dir()
    ]
    if not originals and not manipulated:
        return
    for split, a, b in _pairs(root):
        group = f"ffpp/{min(a, b)}_{max(a, b)}"
        for quality in originals:
            for name in (f"{_ORIGINAL}/youtube/{quality}/videos/{video}.mp4" for video in (a, b)):
                yield Clip(root / name, 0, f"ffpp-{quality}", group, split, "none", name)
        for method, quality in manipulated:
            for name in (f"{_MANIPULATED}/{method}/{quality}/videos/{x}.mp4" for x in (f"{a}_{b}", f"{b}_{a}")):
                yield Clip(root / name, 1, f"ffpp-{quality}", group, split, method, name)


def _pairs(root: Path) -> Iterator[tuple[Split, str, str]]:
    for split in SPLITS:
        path = next((p for p in (root / f"{split}.json", root / "splits" / f"{split}.json") if p.is_file()), None)
        if path is None:
            raise DataError(
                f"splits/{split}.json is missing: put train.json, val.json and test.json of the publisher's repository "
                f"(ondyari/FaceForensics, dataset/splits/) into {root.name}/splits/"
            )
        try:
            pairs = [(str(a), str(b)) for a, b in json.loads(path.read_text(encoding="utf-8"))]
        except (ValueError, TypeError) as error:
            raise DataError(f"{path.name} is not a list of pairs of videos: fetch it again") from error
        for a, b in pairs:
            yield split, a, b


def _actors(root: Path) -> Iterator[Clip]:
    """The videos of the actors; a group is the person whose video it is."""
    for label, folder in ((0, root / _ORIGINAL / _ACTORS), (1, root / _MANIPULATED / _ACTORS_METHOD)):
        for quality in QUALITIES:
            for path in sorted((folder / quality / "videos").glob("*.mp4")):
                yield Clip(
                    path=path,
                    label=label,
                    source=f"dfd-{quality}",
                    group=f"dfd/{_actors_of(path)[0]}",
                    split="train",
                    method=_ACTORS_METHOD if label else "none",
                    name=path.relative_to(root).as_posix(),
                )


def _actors_of(path: Path) -> list[str]:
    """Person, or person and whose face was put on: `01_02__scene__code` → 01, 02."""
    return path.stem.split("__")[0].split("_")
