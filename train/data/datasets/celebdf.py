"""Celeb-DF v2 (Li et al., CVPR 2020): videos of celebrities and swaps among them.

Layout and test list: github.com/yuezunli/celeb-deepfakeforensics, `Celeb-DF-v2/README.md`. The archive holds

    Celeb-real/id0_0000.mp4            person 0, video 0
    Celeb-synthesis/id0_id1_0000.mp4   the same video with the face of person 1
    YouTube-real/00000.mp4             other persons
    List_of_testing_videos.txt         518 lines "1 YouTube-real/00170.mp4"; here 1 means genuine

The official test set is kept whole. It was drawn by video: its persons are in training too, and so would be videos made
of its videos; those are left out here. A group is one original video with all that was made of it. There is no official
validation set: persons are drawn for it, and swaps between them and the persons of training are left out.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from train.data.datasets.clips import Clip, ClipSet, need_both_classes, only_present
from train.data.samples import split_by_person
from train.errors import DataError

TEST_LIST = "List_of_testing_videos.txt"
_FOLDERS = {"Celeb-real": 0, "YouTube-real": 0, "Celeb-synthesis": 1}
_NAMES = {
    "Celeb-real": re.compile(r"(?P<target>id\d+)_(?P<video>\d+)"),
    "YouTube-real": re.compile(r"(?P<video>\d+)"),
    "Celeb-synthesis": re.compile(r"(?P<target>id\d+)_(?P<donor>id\d+)_(?P<video>\d+)"),
}


def is_celebdf(root: Path) -> bool:
    return any((root / name).is_dir() for name in ("Celeb-real", "Celeb-synthesis"))


def read_celebdf(root: Path, rng: np.random.Generator, allow_missing: bool) -> ClipSet:
    """All videos.

    Raises:
        DataError: a folder or the test list is missing, the list names what is not there, or a name is not understood.
    """
    clips = []
    for folder in _FOLDERS:
        if not (root / folder).is_dir():
            raise DataError(f"{folder}/ is missing in {root.name}/: Celeb-DF v2 has {', '.join(_FOLDERS)}")
        clips += [_clip(root, folder, path) for path in sorted((root / folder).glob("*.mp4"))]
    need_both_classes(clips, ", ".join(f"{f}/" for f in _FOLDERS))
    test, notes = only_present(_test_clips(root), TEST_LIST, allow_missing)
    names, groups = {c.name for c in test}, {c.group for c in test}
    rest = [c for c in clips if c.name not in names and c.group not in groups]
    notes += (f"{len(clips) - len(test) - len(rest)} videos of the test videos' originals were left out of training.",)
    rest, apart = split_by_person(rest, _persons, rng, test_share=0.0)
    notes += (f"{apart} videos join persons of training and validation and were left out.",)
    return ClipSet("Celeb-DF v2", rest + test, notes)


def _clip(root: Path, folder: str, path: Path) -> Clip:
    match = _NAMES[folder].fullmatch(path.stem)
    if match is None:
        raise DataError(f"{folder}/{path.name} is not named like a video of Celeb-DF v2: keep the publisher's names")
    parts = match.groupdict()
    label = _FOLDERS[folder]
    return Clip(
        path=path,
        label=label,
        source="celebdf",
        group=f"celebdf/{parts.get('target', 'youtube')}_{parts['video']}",
        split="train",
        method="Celeb-DF" if label else "none",
        name=path.relative_to(root).as_posix(),
    )


def _persons(clip: Clip) -> list[str]:
    folder = clip.path.parent.name
    match = _NAMES[folder].fullmatch(clip.path.stem)
    assert match is not None
    parts = match.groupdict()
    return [parts[k] for k in ("target", "donor") if k in parts] or [clip.group]


def _test_clips(root: Path) -> list[Clip]:
    path = root / TEST_LIST
    if not path.is_file():
        raise DataError(f"{TEST_LIST} is missing in {root.name}/: it comes with the videos and lists the test set")
    clips = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.strip():
            continue
        mark, _, name = line.strip().partition(" ")
        folder, _, file = name.partition("/")
        # the publisher marks genuine videos with 1
        if folder not in _FOLDERS or mark != str(1 - _FOLDERS[folder]):
            raise DataError(f"{TEST_LIST} has a line that is not understood: {line.strip()!r}")
        clips.append(replace(_clip(root, folder, root / folder / file), split="test"))
    if not clips:
        raise DataError(f"{TEST_LIST} is empty: fetch it again")
    return clips
