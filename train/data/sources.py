"""From a data folder to samples with splits, whatever its layout."""

import os
from pathlib import Path

import numpy as np

from train.data.datasets.folder import read_folder
from train.data.datasets.pack import is_pack_folder, read_packs
from train.data.samples import DataError, Sample, check_splits, hold_out_sources

HELP = """\
No training data were found at {where}.
Give a folder with --data_root DIR, or in $UNMASK_DATA, laid out in one of these ways:
  DIR/real_data/*.jpg and DIR/fake_data/*.jpg     (also real/ and fake/; also inside train/, val/, test/)
  DIR/faces.csv and the tar packs that it names   (columns path, pack, label, method, slice, group, split)
Frames of one video belong in one sub-folder, or share the part of the name before the number (anna_0001.jpg).
Public sets to start from: "140k Real and Fake Faces", FaceForensics++, Celeb-DF v2, DFDC. Nothing was changed."""


def find_data_root(option: Path | None) -> Path:
    """The data folder: the option, else `$UNMASK_DATA`, else `data/`.

    Raises:
        DataError: there is none; the message says what to get and how to lay it out.
    """
    root = option or Path(os.environ.get("UNMASK_DATA") or "data")
    if not root.is_dir():
        raise DataError(HELP.format(where=f"{root.name}/"))
    return root


def load_samples(root: Path, seed: int, *, needs_fakes: bool = True) -> list[Sample]:
    """All samples of a folder, split by group and checked; without `needs_fakes` genuine faces alone will do."""
    if is_pack_folder(root):
        samples = hold_out_sources(read_packs(root))
    else:
        try:
            samples = read_folder(root, np.random.default_rng(seed), needs_fakes=needs_fakes)
        except DataError as error:
            raise DataError(f"{error}\n\n{HELP.format(where=f'{root.name}/')}") from error
    check_splits(samples, needs_fakes=needs_fakes)
    return samples
