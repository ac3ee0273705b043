"""`python -m train head`: a head on a frozen backbone, fitted to cached features, as a run that `publish` takes.

Which choices are worth it is measured by `python -m train heads` on left-out sources. Validation is scored from its
cached features; test slices are not read.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from sklearn.model_selection import StratifiedGroupKFold

from detector.calibration import sigmoid
from train.console import say
from train.data.cached_faces import CachedFaces
from train.data.faces import source_counts
from train.data.feature_cache import FeatureCache
from train.learn.features import TOWER
from train.learn.heads import Choice, HeadOptions, LinearHead, fit_choice
from train.learn.options import TRAIN_PROBS, Folders
from train.measure.calibrate import fit_calibration
from train.measure.selection import selection_figures
from train.options import Flat
from train.run import Run, command_line, environment, options_record


@dataclass(frozen=True)
class Head:
    """Fit a head on cached features for `publish`."""

    features: Path
    """A network's folder that `features` filled."""
    layers: tuple[int, ...] = HeadOptions().layers
    """Features that it reads: 0 to 11 class tokens of the blocks, 12 of the last norm, 13 to 25 patches."""
    c: float = HeadOptions().c
    spread: float = HeadOptions().spread
    history: float = HeadOptions().history
    views: tuple[str, ...] = Choice().views
    twins: float = Choice().twins
    one_class: float = Choice().one_class
    folders: Flat[Folders] = Folders()
    seed: int = 0
    folds: int = 0
    """Also judge every training face by a head that was fitted to other groups, for `cnn --teacher`; 0 = not."""

    @property
    def choice(self) -> Choice:
        """The data that the head is fitted to, and how."""
        head = HeadOptions(self.layers, self.c, self.spread, self.history)
        return Choice(head, self.views, self.twins, self.one_class)


def run(options: Head) -> Path:
    """Fits and saves the head; returns the run's folder.

    Raises:
        DataError: a validation face has no features.
    """
    began = time.monotonic()
    cached = CachedFaces.read(options.features, options.folders.data_root, options.seed, more=options.folders.more)
    about = FeatureCache.read(options.features / "plain").about
    head = fit_choice(cached, cached.data.train, options.choice)
    logits = head(cached.of(cached.data.val))
    figures = selection_figures(cached.data.val, logits, cached.data.unseen)
    record = Run.create(options.folders.runs_dir, f"head-{TOWER}")
    save_head(head, record.best)
    np.savez(record.folder / "val_logits.npz", names=[s.name for s in cached.data.val], logits=logits)
    views = {*options.views, *(v.replace("augmented", "twin") for v in options.views if options.twins)}
    seen = sum(len(cached.having(cached.data.train, view)) for view in views)
    labels = np.array([s.label for s in cached.data.val])
    record.log("epoch", epoch=1, loss=_loss(labels, logits), accuracy=float(((logits > 0) == labels).mean()), **figures)
    more = f" --more {' '.join('DIR' for _ in options.folders.more)}" if options.folders.more else ""
    record.write_record(
        recipe="head",
        command=f"{command_line('head', options_record(options))} --features DIR{more}",
        # named as `cnn` names them, for cards and for `publish`
        options={"model": TOWER, "size_px": int(about["size_px"]), "epochs": 1, **options_record(options)},
        data=cached.data.fingerprint,
        features=about,
        environment=environment(),
        start=about["start"],
        images_planned=seen,
        sources={"train": source_counts(cached.data.train), "val": source_counts(cached.data.val)},
        unseen_val_sources=sorted(cached.data.unseen),
        train_hours=round((time.monotonic() - began) / 3600, 4),
    )
    say(f"{record.folder.name}: validation score {figures['score']:.3f}")
    if options.folds:
        probs = _out_of_fold(cached, options)
        np.savez(record.folder / TRAIN_PROBS, names=[s.name for s in cached.data.train], probs=probs)
    return record.folder


def _out_of_fold(cached: CachedFaces, options: Head) -> np.ndarray:
    """Probabilities (N,) of training faces by heads that were fitted to other groups, calibrated together."""
    samples = cached.data.train
    labels = [s.label for s in samples]
    splitter = StratifiedGroupKFold(options.folds, shuffle=True, random_state=options.seed)
    logits = np.zeros(len(samples))
    for inside, outside in splitter.split(np.zeros(len(samples)), labels, [s.group for s in samples]):
        head = fit_choice(cached, [samples[i] for i in inside], options.choice)
        logits[outside] = head(cached.of([samples[i] for i in outside]))
    return np.asarray(sigmoid(fit_calibration(samples, logits)(logits)))


def save_head(head: LinearHead, path: Path) -> None:
    """Saves a head as the network's own last layer, in a safetensors file."""
    weight = torch.from_numpy(head.weight.reshape(1, -1).astype(np.float32))
    save_file({"backbone.fc.weight": weight, "backbone.fc.bias": torch.tensor([head.bias], dtype=torch.float32)}, path)


def _loss(labels: np.ndarray, logits: np.ndarray) -> float:
    return float(np.logaddexp(0, np.where(labels == 1, -logits, logits)).mean())
