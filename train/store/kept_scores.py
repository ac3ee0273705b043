"""Logits of test faces, scored once and kept: a figure that is fixed later costs no second test evaluation.

They lie in the runs folder or in a run's report, and ship beside the weights (`weights/test_scores.npz`). Samples stand
there as digests of their names, since a newsroom's own pictures may be named after persons.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from train.data.samples import Sample
from train.errors import DataError

TEST_SCORES = "test_scores.npz"
"""Beside published weights."""


@dataclass(frozen=True, slots=True)
class KeptScores:
    """Logits of some networks on sets of samples.

    Attributes:
        of: digest of everything that decides them, networks and data.
        members: names of the networks, the columns.
        sets: title -> (`key` of N samples, (N, M) logits).
    """

    of: str
    members: tuple[str, ...]
    sets: Mapping[str, tuple[list[str], np.ndarray]]

    def save(self, path: Path) -> None:
        """Writes them whole or not at all."""
        arrays: dict[str, Any] = {
            "of": np.array(self.of), "members": np.array(self.members), "titles": np.array(list(self.sets))
        }  # fmt: skip
        for i, (keys, logits) in enumerate(self.sets.values()):
            arrays |= {f"keys{i}": np.array(keys, dtype=str), f"logits{i}": logits}
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial.npz")
        np.savez_compressed(partial, **arrays)
        partial.replace(path)

    @classmethod
    def load(cls, path: Path, of: str) -> "KeptScores | None":
        """The scores that a file holds; None where there is no such file, or it is of other networks or data.

        Raises:
            DataError: the file is damaged.
        """
        if not path.is_file():
            return None
        try:
            # opened here: np.load leaves the file of a broken archive open
            with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
                if "of" not in data or str(data["of"]) != of:
                    return None
                titles = enumerate(data["titles"].tolist())
                sets = {title: (data[f"keys{i}"].tolist(), data[f"logits{i}"]) for i, title in titles}
                return cls(of, tuple(data["members"].tolist()), sets)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise DataError(f"{path.name} is damaged: restore it, or remove it to score test faces again") from error

    def logits(self, title: str) -> dict[str, np.ndarray]:
        """Network -> (N,) logits of a set."""
        return dict(zip(self.members, self.sets[title][1].T, strict=True))

    def samples(self, title: str, known: Iterable[Sample]) -> list[Sample]:
        """The N samples of a set, in its order, out of those that are known."""
        by_key = {key(s): s for s in known}
        return [by_key[k] for k in self.sets[title][0]]


def key(sample: Sample) -> str:
    """The digest that stands for a sample."""
    return digest(sample.name)


def digest(said: str) -> str:
    """A digest of everything that decides some logits."""
    return hashlib.sha256(said.encode()).hexdigest()[:16]
