"""Groups of options that recipes which train are composed of."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from train.data.faces import FaceData, load_faces
from train.data.samples import Sample
from train.errors import DataError
from train.options import Group

TRAIN_PROBS = "train_probs.npz"
"""In the folder of a teacher's run: probabilities of training faces that it was not fitted to."""


@dataclass(frozen=True)
class Folders(Group):
    """Where data and runs are."""

    data_root: Path | None = None
    """Folder with the data; else $UNMASK_DATA, else data/."""
    runs_dir: Path = Path("runs")
    """Where run folders go and the cache of found faces is."""
    more: tuple[Path, ...] = ()
    """Folders of `python -m train sources`, beside the data."""


@dataclass(frozen=True)
class Data(Folders):
    """Where data and runs are, and who prepares the pictures."""

    workers: int = 2
    """Processes that prepare pictures."""

    def faces(self, seed: int, *, needs_fakes: bool = True) -> FaceData:
        """The found faces of the data; `seed` draws the splits that their publishers left open.

        Args:
            needs_fakes: False: genuine faces alone will do.

        Raises:
            DataError: there are none.
        """
        return load_faces(self.data_root, self.runs_dir, seed, self.workers, needs_fakes=needs_fakes, more=self.more)


@dataclass(frozen=True)
class Machine(Group):
    """How this machine computes; nothing that is learned depends on it."""

    pretrained: Path | None = None
    """Folder of starting weights; else $UNMASK_PRETRAINED, else pretrained/ beside the data."""
    amp: Literal["auto", "on", "off"] = "auto"
    """bfloat16 autocast; auto = where it is faster: on GPUs, and on CPUs with instructions that suit the network."""


@dataclass(frozen=True)
class Schedule(Group):
    """How long and how fast it learns."""

    epochs: int = 10
    """How often the data are gone through; the learning rate falls to zero over them."""
    images_per_epoch: int = 0
    """Faces in what counts as an epoch; 0 = as many as there are training faces."""
    batch_size: int = 16
    """Faces in a batch, half of them genuine. Even. Under torchrun the processes share each batch. Small batches
    and a low rate told validation faces better than batches of 64 at 6e-4 (LOG.md); a GPU is busier with large ones."""
    lr: float = 1e-4
    """Highest learning rate, reached after the warm-up (AdamW, cosine)."""
    weight_decay: float = 0.02
    ema_decay: float = 0.998
    """Decay per step of the averaged weights, which are the ones that are kept."""
    patience: int = 4
    """Epochs without a better score before training stops."""

    def __post_init__(self) -> None:
        if self.batch_size < 2 or self.batch_size % 2:
            raise ValueError("batch_size must be even and at least 2: half of each batch is genuine")
        if self.epochs < 1:
            raise ValueError("epochs must be at least 1")

    def steps_per_epoch(self, faces: int) -> int:
        """Batches of an epoch of so many training faces."""
        return max(1, math.ceil((self.images_per_epoch or faces) / self.batch_size))


def short_ema_decay(steps: int, most: float = 1.0) -> float:
    """The decay of weights that are averaged over about a tenth of a run of so many steps, and no more than `most`.

    An average over more of a short run would still be full of its beginning.
    """
    return min(most, max(0.0, 1 - 10 / steps))


@dataclass(frozen=True)
class Crops(Group):
    """The part of a face that the network sees."""

    size_px: int = 0
    """Side of the crops that the network sees, in training and ever after; 0 = the registry's for this network."""
    window: float = 1.0
    """Side of the random window that the network sees of a crop in training, as a share of the crop's side: below 1,
    larger crops cost less. Validation and use always see whole crops."""
    whole_epochs: int = 0
    """Last epochs that see whole crops all the same; 0 = a fifth of them."""
    augmentation: Literal["standard", "light", "strong"] = "light"
    """How much happens to pictures of both classes on their way to the network."""

    def __post_init__(self) -> None:
        if not 0.3 <= self.window <= 1:
            raise ValueError("window is a share from 0.3 to 1")
        if self.size_px != 0 and self.size_px < 32:
            raise ValueError("size_px must be at least 32")

    @property
    def window_px(self) -> int:
        """Side of what the network sees in training, a multiple of 16 where it is a window."""
        return round(self.size_px * self.window / 16) * 16 if self.window < 1 else self.size_px

    def windowed_epochs(self, epochs: int) -> int:
        """First epochs, of so many, that see windows."""
        return epochs - (self.whole_epochs or math.ceil(epochs / 5)) if self.window < 1 else 0


@dataclass(frozen=True)
class Teaching(Group):
    """A large network that teaches a small one (Hinton et al., "Distilling the Knowledge", 2015)."""

    teacher: Path | None = None
    """A run of `head --folds`: what it said of training faces that it was not fitted to."""
    taught: float = 0.5
    """Weight of what the teacher says, against the label."""

    def __post_init__(self) -> None:
        if not 0 <= self.taught <= 1:
            raise ValueError("taught is a share from 0 to 1")

    def targets(self, samples: Sequence[Sample]) -> dict[str, float]:
        """Sample name -> what is learned of it, 0 to 1, of those that the teacher has seen; empty without a teacher.

        Raises:
            DataError: the run holds no such answers.
        """
        if self.teacher is None:
            return {}
        path = self.teacher / TRAIN_PROBS
        if not path.is_file():
            raise DataError(f"{self.teacher.name} has no {TRAIN_PROBS}: make it with `python -m train head --folds 5`")
        with np.load(path, allow_pickle=False) as stored:
            said = dict(zip(stored["names"].tolist(), stored["probs"].tolist(), strict=True))
        return {s.name: self.taught * said[s.name] + (1 - self.taught) * s.label for s in samples if s.name in said}


@dataclass(frozen=True)
class Blending(Group):
    """The make-up of a batch: its manipulated half, and who stands in the other."""

    twins: float = 0.15
    """Share of the manipulated half of a batch that are self-blended twins of its genuine faces; 1 = manipulated
    faces of the data are not used."""
    cross: float = 0.0
    """Share of the twins that get the inner face of another person of the same source."""
    parts: float = 0.25
    """Share of the twins that are blended in eyes, nose, mouth or lower face only."""
    partners: float = 0.2
    """Share of the genuine half of a batch that share person or clip with one of its fakes."""
    traces: float | None = None
    """Share of the twins that carry a trace of up-sampling instead of a blended face; None = the registry's for this
    network: 1 for npr, which lives by such traces, else 0. `python -m train traces` measures how well they are told."""

    def __post_init__(self) -> None:
        if not all(0 <= share <= 1 for share in (self.twins, self.cross, self.parts, self.partners, self.traces or 0)):
            raise ValueError("twins, cross, parts, partners and traces are shares from 0 to 1")
