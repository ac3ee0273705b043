"""`python -m train small-set`: a plain recipe and ours on the same few faces, judged on the same pictures.

Others report 83 % accuracy from 4,200 pictures and 10 epochs. Both recipes get the same 4,200 faces (half of them
manipulated), network, start, pixels a face and number of pictures seen; they differ in the rest. Plain: pictures and
their labels with light augmentation, batches of 16, one low learning rate's schedule, no averaged weights. Ours: `cnn`
as the bundled networks use it, with windows of larger crops, self-blended twins, partners, dropout, smoothed labels and
averaged weights; its last epochs and its use see the larger crops whole. Both draw half of each batch from either class
and weigh sources, which does the plain recipe a favour.

Slices are those of validation until `--resume RUN --split test` asks for the test slices, which is counted.

A sweep (`train/studies/sweep.py`) of two arms, plain/ and ours/; report/small_set_<split>.{json,md} hold the tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from train.console import say
from train.data.faces import FaceData
from train.data.samples import Sample
from train.errors import DataError
from train.learn.options import Crops, Data, Machine, Schedule, short_ema_decay
from train.measure.calibrate import fit_calibration
from train.measure.even_odds import slices_at_even_odds
from train.measure.metrics import (
    Interval,
    auc,
    balanced_accuracy_draws,
    bootstrapped,
    enough_groups,
    group_draws,
)
from train.measure.scoring import score_faces
from train.measure.slices import opponents
from train.measure.tables import spanned, table
from train.options import Flat, changed
from train.recipes.cnn import VAL_LOGITS, Cnn, settled
from train.run import Run, device, write_json, write_text
from train.store.leaderboard import paired_auc
from train.studies.sweep import Arm, Going, Sweep, expected_seconds

PLAIN, OURS = "plain", "ours"
ARMS: dict[str, dict[str, Any]] = {
    PLAIN: {
        "batch_size": 16,
        "lr": 1e-4,
        "augmentation": "light",
        "twins": 0.0,
        "partners": 0.0,
        "traces": 0.0,
        "dropout": 0.0,
        "label_smoothing": 0.0,
        "ema_decay": 0.0,
    },
    OURS: {"window": 0.67},
}
"""Recipe -> options of `cnn`; what is not named is as `cnn` has it."""
EVERYTHING = "all slices"


@dataclass(frozen=True)
class SmallSet:
    """Train a plain recipe and ours on the same small training set, and compare them on the same pictures."""

    model: str = "resnet18"
    """A name of the registry."""
    images: int = 4_200
    """Faces to train on, half of them manipulated, drawn by seed; fewer where the data have fewer."""
    epochs: int = 10
    size_px: int = 128
    """Side of the crops of the plain recipe; the windows of ours are as large."""
    split: Literal["val", "test"] = "val"
    """test: evaluate on the test slices, when nothing is chosen any more; it is counted."""
    start: str = "auto"
    """As for `cnn`. Weights of ours have seen more than these faces."""
    seed: int = 0
    data: Flat[Data] = Data()
    machine: Flat[Machine] = Machine()
    going: Flat[Going] = Going()

    def __post_init__(self) -> None:
        if self.images < 2 or self.epochs < 1:
            raise ValueError("images must be at least 2 and epochs at least 1")
        for arm in ARMS:
            self.arm(arm)

    def arm(self, name: str) -> Cnn:
        """Options of `cnn` for one of the two."""
        own = Cnn(
            model=self.model,
            start=self.start,
            seed=self.seed,
            data=self.data,
            machine=self.machine,
            # both see the schedule to its end
            schedule=Schedule(epochs=self.epochs, images_per_epoch=self.images, patience=self.epochs),
            crops=Crops(size_px=self.size_px),
        )
        options = changed(own, **ARMS[name])
        if name == OURS:
            steps = self.epochs * max(1, self.images // options.schedule.batch_size)
            decay = short_ema_decay(steps, options.schedule.ema_decay)
            options = changed(options, ema_decay=decay, size_px=round(self.size_px * 1.5 / 16) * 16)
        return settled(options)


def run(options: SmallSet) -> Path | None:
    """The run's folder; None when only the plan was asked for."""
    faces = options.data.faces(options.seed)
    few = replace(faces, train=drawn(faces.train, options.images, options.seed))
    own = faces.test if options.split == "test" else faces.val
    if not own:
        raise DataError(f"these data have no {options.split} split: nothing to judge on")
    study = Sweep(
        "small-set", "small-set", options, options.data, options.going, few.fingerprint, may_differ=("split",)
    )
    arms = [Arm(name, options.arm(name), lambda: few) for name in ARMS]
    if options.going.plan:
        expected_seconds(study.to_do(arms))
        return None

    def measure(arm: Arm, run: Run, failed: FloatingPointError | None) -> dict[str, Any]:
        if failed is not None:
            raise failed
        return {"hours": run.record()["train_hours"]}

    record = study.run(arms, measure, lambda *_: None)
    evaluations = record.count_test_evaluation() if options.split == "test" else record.test_evaluations()
    logits = {arm: _calibrated(record.folder / arm, own, few, options) for arm in ARMS}
    result = {
        "split": options.split,
        "test_looks": evaluations,
        "decided_at": "calibrated probability 0.5",
        "training_faces": len(few.train),
        "images_seen": options.epochs * options.images,
        **compared(own, logits[PLAIN], logits[OURS]),
    }
    write_json(record.report / f"small_set_{options.split}.json", result)
    write_text(record.report / f"small_set_{options.split}.md", markdown(options, result))
    say((record.report / f"small_set_{options.split}.md").read_text(encoding="utf-8"))
    return record.folder


def drawn(train: Sequence[Sample], images: int, seed: int) -> list[Sample]:
    """So many training faces, half of each class, every face as likely as another; the same for the same seed."""
    rng = np.random.default_rng(seed)
    rows: list[int] = []
    for label in (0, 1):
        of = [i for i, s in enumerate(train) if s.label == label]
        rows += rng.permutation(of)[: images // 2].tolist()
    return [train[i] for i in sorted(rows)]


def compared(samples: Sequence[Sample], plain: np.ndarray, ours: np.ndarray) -> dict[str, Any]:
    """Figures of both at even odds, and what ours gains, paired over groups: of every slice and of all together.

    Args:
        samples: N of one split.
        plain, ours: (N,) calibrated logits.

    Returns:
        "figures": arm -> slice -> as `slices_at_even_odds`; "gain": slice -> "balanced_accuracy" and "auc", intervals.
    """
    labels = np.array([s.label for s in samples])
    sources = np.array([s.source for s in samples])
    figures = {arm: slices_at_even_odds(samples, logits) for arm, logits in ((PLAIN, plain), (OURS, ours))}
    rows = {s: opponents(labels, sources == s) for s in figures[PLAIN]}
    rows[EVERYTHING] = np.ones(len(samples), bool)
    for arm, logits in ((PLAIN, plain), (OURS, ours)):
        once = np.ones((1, len(labels)), np.int64)
        figures[arm][EVERYTHING] = {
            "genuine": int((labels == 0).sum()),
            "manipulated": int((labels == 1).sum()),
            "auc": round(auc(labels, logits), 4),
            "balanced_accuracy": round(float(balanced_accuracy_draws(labels, logits > 0, once)[0]), 4),
        }
    return {
        "figures": figures,
        "gain": {
            name: {
                "balanced_accuracy": paired_accuracy(samples, ours > 0, plain > 0, picked).to_dict(),
                "auc": paired_auc(samples, ours, plain, picked),
            }
            for name, picked in rows.items()
        },
    }


def paired_accuracy(samples: Sequence[Sample], new: np.ndarray, old: np.ndarray, rows: np.ndarray) -> Interval:
    """Balanced accuracy of `new` (N,) bool minus that of `old` on the picked rows, on the same draws of groups."""
    labels = np.array([s.label for s in samples])[rows]
    groups = np.array([s.group for s in samples])[rows].tolist()
    once = np.ones((1, len(labels)), np.int64)

    def gain(draws: np.ndarray) -> np.ndarray:
        better, worse = (balanced_accuracy_draws(labels, flagged[rows], draws) for flagged in (new, old))
        return np.asarray(better - worse)

    point = float(gain(once)[0])
    if not enough_groups(labels, groups):
        return Interval(point, None, None, len(labels))
    return bootstrapped(point, gain(group_draws(groups, labels, np.random.default_rng(0))), len(labels))


def markdown(options: SmallSet, section: dict[str, Any]) -> str:
    """The table for people."""
    rows = []
    for name, gain in section["gain"].items():
        plain, ours = (section["figures"][arm][name] for arm in (PLAIN, OURS))
        star = "" if plain.get("against", "own") == "own" else " *"
        rows.append(
            [
                f"{name}{star}",
                plain["genuine"],
                plain["manipulated"],
                f"{plain['balanced_accuracy']:.1%}",
                f"{ours['balanced_accuracy']:.1%}",
                spanned(gain["balanced_accuracy"], "+.3f"),
                f"{plain['auc']:.3f}",
                f"{ours['auc']:.3f}",
                spanned(gain["auc"], "+.3f"),
            ]
        )
    head = ["slice", "genuine", "manipulated", "accuracy, plain", "ours", "gain", "AUC, plain", "ours", "gain"]
    lines = [
        "# A small training set",
        "",
        f"{options.model}, {options.size_px} px of a face, {section['training_faces']:,} training faces, "
        f"{options.epochs} epochs ({section['images_seen']:,} faces seen), seed {options.seed}; slices of "
        f"{section['split']} at {section['decided_at']}. Gains of ours over plain: paired bootstrap over groups, 95 %. "
        "A star: against all genuine faces of the split.",
        "",
        *table(head, rows),
        "",
        "Accuracy is the mean over both classes.",
    ]
    return "\n".join(lines) + "\n"


def _calibrated(folder: Path, samples: Sequence[Sample], data: FaceData, options: SmallSet) -> np.ndarray:
    """Calibrated logits (N,) of a finished arm."""
    where = device()
    finished = Run.finished(folder)
    with np.load(folder / VAL_LOGITS, allow_pickle=False) as saved:
        calibration = fit_calibration(data.val, saved["logits"])
    size_px = int(finished.options["size_px"])
    raw = score_faces(finished.network(), samples, data.faces, size_px, options.data.workers, where, folder.name)
    return np.asarray(calibration(raw))
