"""From a data folder to samples with splits, whatever its layout."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from train.data.datasets import clips
from train.data.datasets.celebdf import is_celebdf, read_celebdf
from train.data.datasets.ciplab import is_ciplab, read_ciplab
from train.data.datasets.clips import ClipSet, ReadClips, read_clip_folder, read_table
from train.data.datasets.dfdc import is_dfdc, read_dfdc
from train.data.datasets.faces140k import is_faces140k, read_faces140k
from train.data.datasets.ffpp import is_ffpp, read_ffpp
from train.data.datasets.folder import labelled_files, read_folder
from train.data.datasets.pack import TABLE, is_pack_folder, read_packs
from train.data.samples import Sample, check_groups, check_splits, hold_out_sources
from train.errors import DataError

HELP = """\
No training data were found at {where}.
Give a folder with --data_root DIR, or in $UNMASK_DATA, laid out in one of these ways:
  DIR/real_data/*.jpg and DIR/fake_data/*.jpg     (also real/ and fake/; also inside train/, val/, test/)
  DIR/faces.csv and the tar packs that it names   (columns path, pack, label, method, slice, group, split)
  "140k Real and Fake Faces" or "Real and Fake Face Detection" of Kaggle, as unpacked
Frames of one video belong in one sub-folder, or share the part of the name before the number (anna_0001.jpg).
Videos (FaceForensics++, Celeb-DF v2, DFDC, or folders like the first of these) go through `python -m train faces`
first. Nothing was changed."""

VIDEOS_FIRST = """\
{root}/ holds {what}. Cut out their faces first, then train on these:
  python -m train faces --data_root {root} --out faces"""

EXTRACTION = "extraction.json"
"""What `python -m train faces` leaves at the start in the folder that it fills, and `faces.csv` at the end."""

VIDEOS: tuple[tuple[str, Callable[[Path], bool], ReadClips], ...] = (
    ("FaceForensics++", is_ffpp, read_ffpp),
    ("Celeb-DF", is_celebdf, read_celebdf),
    ("DFDC", is_dfdc, read_dfdc),
)
"""Layouts of public sets of videos: name, how to tell, how to read."""


def find_data_root(option: Path | None) -> Path:
    """The data folder: the option, else `$UNMASK_DATA`, else `data/`.

    Raises:
        DataError: there is none; the message says what to get and how to lay it out.
    """
    root = option or Path(os.environ.get("UNMASK_DATA") or "data")
    if not root.is_dir():
        raise DataError(HELP.format(where=f"{root.name}/"))
    return root


def load_samples(root: Path, seed: int, *, needs_fakes: bool = True, more: Sequence[Path] = ()) -> list[Sample]:
    """All samples of a folder, split by group and checked; without `needs_fakes` genuine faces alone will do.

    Args:
        root: the folder, in any layout.
        seed: of splits that the layout leaves open.
        needs_fakes: whether training and validation need manipulated faces.
        more: folders of `python -m train sources`, with splits of their own.

    Raises:
        DataError: the layout is not known or broken, the folder holds videos, or folders share a picture's name or
            disagree on the split of a group.
    """
    rng = np.random.default_rng(seed)
    videos = next((name for name, fits, _ in VIDEOS if fits(root)), None)
    if is_pack_folder(root):
        samples = hold_out_sources(read_packs(root))
    elif (root / EXTRACTION).is_file():
        raise DataError(f"{root.name}/ does not hold all its faces yet: run `python -m train faces` again to go on")
    elif is_faces140k(root):
        samples = read_faces140k(root)
    elif is_ciplab(root):
        samples = read_ciplab(root, rng)
    elif videos:
        raise DataError(VIDEOS_FIRST.format(what=f"the videos of {videos}", root=root.name))
    else:
        try:
            samples = read_folder(root, rng, needs_fakes=needs_fakes)
        except DataError as error:
            if (root / clips.TABLE).is_file() or labelled_files(root, clips.SUFFIXES):
                raise DataError(VIDEOS_FIRST.format(what="videos", root=root.name)) from error
            raise DataError(f"{error}\n\n{HELP.format(where=f'{root.name}/')}") from error
    for folder in more:
        if not is_pack_folder(folder):
            raise DataError(f"{folder.name}/ has no {TABLE}: make it with `python -m train sources`")
        samples = [*samples, *read_packs(folder)]
    repeated = [name for name, times in Counter(s.name for s in samples).items() if times > 1]
    if repeated:
        raise DataError(f"two folders have a picture {repeated[0]}: give each folder once")
    check_splits(samples, needs_fakes=needs_fakes)
    return samples


def load_clips(root: Path, seed: int, allow_missing: bool = False) -> ClipSet:
    """All videos of a folder, with the publisher's splits, or split by group where there are none.

    Args:
        root: the folder.
        seed: of the splits that are drawn.
        allow_missing: whether to go on without videos that the publisher's lists name.

    Raises:
        DataError: the layout is not known or broken, or a group is in two splits.
    """
    read = next((read for _, fits, read in VIDEOS if fits(root)), None)
    if read is None:
        read = read_table if (root / clips.TABLE).is_file() else read_clip_folder
    layout = read(root, np.random.default_rng(seed), allow_missing)
    if not layout.clips:
        raise DataError(f"{root.name}/ has no videos")
    check_groups(layout.clips)
    return layout
