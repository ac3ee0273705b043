"""Features of pictures on disk: computed once, read by every head that is fitted.

    FOLDER/NETWORK/VIEW/features.f16   rows of float16, one after the other
                        keys.txt       one key a line, in the same order
                        view.json      what the rows are: shape, network, view, precision

Rows are appended as they come. A run that was killed may leave a part of a row or a line: both are cut off when the
view is opened again.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from train.errors import DataError
from train.run import write_json

_ROWS, _KEYS, _ABOUT = "features.f16", "keys.txt", "view.json"


@dataclass
class FeatureCache:
    """One view's features by key; one process writes at a time.

    Attributes:
        folder: of the view.
        shape: of one row.
        keys: those that are there, in order.
        about: what `view.json` says of the rows.
    """

    folder: Path
    shape: tuple[int, ...]
    keys: list[str] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path, shape: tuple[int, ...], about: dict[str, Any]) -> "FeatureCache":
        """For writing and reading; made where it is not there.

        Raises:
            DataError: the folder holds features of another kind.
        """
        folder.mkdir(parents=True, exist_ok=True)
        said = {"shape": list(shape), **about}
        path = folder / _ABOUT
        if path.is_file():
            before = json.loads(path.read_text(encoding="utf-8"))
            if before != said:
                differing = sorted(k for k in before.keys() | said.keys() if before.get(k) != said.get(k))
                raise DataError(f"{folder.name}/ holds features of other {', '.join(differing)}: name another folder")
        else:
            write_json(path, said)
        cache = cls(folder, shape, about=said)
        whole = min(cache._lines(), cache._rows())
        cache.keys = cache._read_keys()[:whole]
        (folder / _KEYS).write_text("".join(f"{k}\n" for k in cache.keys), encoding="utf-8")
        with (folder / _ROWS).open("ab"):
            os.truncate(folder / _ROWS, whole * cache._row_bytes)
        return cache

    @classmethod
    def read(cls, folder: Path) -> "FeatureCache":
        """For reading, also while another process writes.

        Raises:
            DataError: there is no such view.
        """
        path = folder / _ABOUT
        if not path.is_file():
            raise DataError(
                f"there are no features in {folder.parent.name}/{folder.name}/: run `python -m train features`"
            )
        about = json.loads(path.read_text(encoding="utf-8"))
        cache = cls(folder, tuple(about["shape"]), about=about)
        cache.keys = cache._read_keys()[: cache._rows()]
        return cache

    def append(self, keys: Sequence[str], rows: np.ndarray) -> None:
        """Adds rows (n, *shape), stored as float16.

        Raises:
            ValueError: a value does not fit into float16, or the shape is another.
        """
        if rows.shape != (len(keys), *self.shape):
            raise ValueError(f"expected {(len(keys), *self.shape)}, got {rows.shape}")
        if not (np.abs(rows) <= np.finfo(np.float16).max).all():
            raise ValueError("a feature does not fit into float16")
        small = rows.astype(np.float16)
        with (self.folder / _ROWS).open("ab") as handle:
            handle.write(small.tobytes())
        with (self.folder / _KEYS).open("a", encoding="utf-8") as handle:
            handle.write("".join(f"{k}\n" for k in keys))
        self.keys += keys

    def rows(self, keys: Sequence[str]) -> np.ndarray:
        """Rows (n, *shape) float16 of these keys, in their order.

        Raises:
            DataError: some are not there.
        """
        place = {k: i for i, k in enumerate(self.keys)}
        missing = sum(k not in place for k in keys)
        if missing:
            raise DataError(f"{missing} of {len(keys)} faces have no features in {self.folder.name}/ yet")
        return np.asarray(self.stored()[[place[k] for k in keys]])

    def stored(self) -> np.ndarray:
        """All rows (n, *shape) float16 in the order of `keys`; read from disk when they are used."""
        if not self.keys:
            return np.zeros((0, *self.shape), np.float16)
        return np.memmap(self.folder / _ROWS, np.float16, "r", shape=(len(self.keys), *self.shape))

    @property
    def _row_bytes(self) -> int:
        return int(np.prod(self.shape)) * 2

    def _rows(self) -> int:
        path = self.folder / _ROWS
        return path.stat().st_size // self._row_bytes if path.is_file() else 0

    def _lines(self) -> int:
        return len(self._read_keys())

    def _read_keys(self) -> list[str]:
        path = self.folder / _KEYS
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        # the last piece is empty, or half a line
        return text.split("\n")[:-1]
