"""`python -m train leave-out`: choices of recipe measured on whole sources that were left out of training.

Every fold of `train/data/folds.py` is kept out of training and validation in turn, genuine and manipulated alike, and a
small network is trained on the rest with each variant of the recipe. The threshold is set as the product sets it, on
validation's genuine faces of unseen sources, and what was left out is scored once. Test slices are never read.

The baseline is trained without each fold, the other variants without those of `choice_folds` only, which hold both
classes: the default is a study of about an hour and a half on two CPU cores, not of a day.

The variant `generated` adds the faces of a folder of `gan-samples` (`--extra`). Pairs whose genuine face is of somebody
in the fold are dropped, and the report says which folds the generator itself had learned from (`gan --left_out FOLD`
plays one that has not).

Each variant without each fold is an arm of a sweep (`train/studies/sweep.py`): `--resume RUN` goes on with what is not
finished, so a variant or a fold can be added later.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from detector.calibration import edges
from train.console import say
from train.data.batches import eval_crops
from train.data.extra import made_by
from train.data.faces import FaceData, with_extra
from train.data.folds import FOLDS, Fold, check_folds, leave_out
from train.data.samples import Sample
from train.errors import DataError
from train.learn.loop import predict
from train.learn.options import Blending, Crops, Data, Machine, Schedule, short_ema_decay
from train.measure.calibrate import fit_curve
from train.measure.scoring import EVAL_BATCH
from train.options import Flat, changed
from train.recipes.cnn import VAL_LOGITS, Cnn, settled
from train.run import Run, device, write_json, write_text
from train.studies.left_out_figures import BASELINE, Cell, cell_figures, page, summary
from train.studies.sweep import Arm, Going, Sweep, chosen, expected_seconds

GENERATED = "generated"
VARIANTS: dict[str, dict[str, Any]] = {
    BASELINE: {},
    "no_twins": {"twins": 0.0},
    "twins_70": {"twins": 0.7},
    "cross_30": {"cross": 0.3},
    "parts_60": {"parts": 0.6},
    "no_partners": {"partners": 0.0},
    "light": {"augmentation": "light"},
    "strong": {"augmentation": "strong"},
    "small_batches": {"augmentation": "light", "twins": 0.15, "batch_size": 16, "lr": 2e-4},
    "size_144": {"size_px": 144},
    "window_144": {"size_px": 144, "window": 0.67},
    GENERATED: {},
}
"""Name -> options of `cnn` that differ from the baseline."""

BASELINE_CROPS, BASELINE_BLENDING = Crops(augmentation="standard"), Blending(twins=0.35)
"""What every variant is measured against keeps its meaning when the defaults of `cnn` change; beyond these, it is `cnn`
as it is, small and short."""

EPOCHS = 2
"""Validation is scored so often in a cell; the learning rate falls over all of it. Variants with windows see whole
crops in the last of them."""
SCORED = 200
"""At most so many left-out faces of each class of a source are scored, or large sources would speak for a fold."""
VALIDATION = 50
"""At most so many validation faces of each class of a source that trains ..."""
UNSEEN = 150
"""... and of one that does not: genuine ones of these set the threshold."""


@dataclass(frozen=True)
class LeaveOut:
    """Train small networks without whole sources, and measure on these what each choice of recipe is worth."""

    variants: str = "baseline,no_twins,twins_70,cross_30,light,strong,small_batches,size_144,window_144"
    """Names from VARIANTS with commas, or all; the baseline among them, or nothing is compared."""
    folds: str = "all"
    """Names from FOLDS (train/data/folds.py) with commas, or all."""
    choice_folds: str = "stylegan,edits,photo-swaps,swap-clips"
    """Those of the folds that variants other than the baseline are trained without, or all."""
    extra: Path | None = None
    """A folder of `gan-samples`, for the variant generated."""
    images: int = 6_720
    """Faces that each network is trained on, counted as often as they are seen."""
    model: str = "resnet18"
    """A name of the registry."""
    size_px: int = 96
    """Side of the crops, where the variant says nothing else."""
    batch_size: int = 48
    lr: float = 8e-4
    start: str = "auto"
    """Where weights start, as for `cnn`."""
    seed: int = 0
    data: Flat[Data] = Data()
    machine: Flat[Machine] = Machine()
    going: Flat[Going] = Going()

    def __post_init__(self) -> None:
        if self.images < 2 * self.batch_size:
            raise ValueError("images must be at least two batches")
        if GENERATED in self.variants.split(",") and self.extra is None:
            raise ValueError(f"the variant {GENERATED} needs --extra: a folder of `gan-samples`")
        if not self.cells():
            raise ValueError("none of choice_folds is among folds, and the baseline is not among variants")

    def chosen_variants(self) -> tuple[str, ...]:
        """Names of the variants, in the order of VARIANTS."""
        known = {k: v for k, v in VARIANTS.items() if k != GENERATED or self.extra}
        return chosen(self.variants, known, "variant")

    def chosen_folds(self) -> tuple[str, ...]:
        """Names of the folds, in the order of FOLDS."""
        return chosen(self.folds, FOLDS, "fold")

    def cells(self) -> list[tuple[str, str]]:
        """(variant, fold) of all that is to be trained, in order."""
        compared = chosen(self.choice_folds, FOLDS, "fold")
        # folds outermost: whatever was finished when the time is up can be compared
        return [(v, f) for f in self.chosen_folds() for v in self.chosen_variants() if v == BASELINE or f in compared]

    def cell_options(self, variant: str) -> Cnn:
        """Options of `cnn` for a cell of this variant."""
        schedule = Schedule(
            epochs=EPOCHS,
            images_per_epoch=-(-self.images // EPOCHS),
            batch_size=int(VARIANTS[variant].get("batch_size", self.batch_size)),
            lr=self.lr,
        )
        steps = EPOCHS * schedule.steps_per_epoch(0)
        baseline = Cnn(
            model=self.model,
            start=self.start,
            seed=self.seed,
            data=self.data,
            machine=self.machine,
            schedule=replace(schedule, ema_decay=short_ema_decay(steps)),
            crops=replace(BASELINE_CROPS, size_px=self.size_px),
            blending=BASELINE_BLENDING,
        )
        return settled(changed(baseline, **VARIANTS[variant]))


def run(options: LeaveOut) -> Path | None:
    """The run's folder, which holds leave_out.json and leave_out.md; None when only the plan was asked for."""
    faces = options.data.faces(options.seed)
    check_folds(faces.train)
    without = cache(lambda fold: without_fold(faces, FOLDS[fold], options.seed))
    study = Sweep(
        "leave-out",
        f"leave-out-{options.model}",
        options,
        options.data,
        options.going,
        faces.fingerprint,
        may_differ=("variants", "folds", "choice_folds"),
    )
    arms = [_arm(options, variant, fold, without) for variant, fold in options.cells()]
    todo = study.to_do(arms)
    for fold in dict.fromkeys(_fold_of(arm) for arm in todo):
        rest, left = without(fold)
        own = left.samples[: left.own]
        fakes = sum(s.label for s in own)
        say(
            f"without {fold}: {len(rest.train)} faces to train on, {len(own) - fakes} genuine and {fakes} manipulated "
            f"to score"
        )
    seconds = expected_seconds(todo) if todo else {}
    if options.going.plan:
        return None

    def measure(arm: Arm, run: Run, failed: FloatingPointError | None) -> dict[str, Any]:
        if failed is not None:
            raise failed
        return _measured(arm, run, *without(_fold_of(arm)))

    def write(record: Run, done: Arm | None, following: Arm | None) -> None:
        # tables take seconds: once for all variants of a fold
        if done is None or following is None or _fold_of(done) != _fold_of(following):
            _write(record, options, study, without)

    record = study.run(arms, measure, write, keeps_runs=False, seconds=seconds)
    say((record.folder / "leave_out.md").read_text(encoding="utf-8"))
    return record.folder


def _arm(options: LeaveOut, variant: str, fold: str, without: "Without") -> Arm:
    """A variant of the recipe without a fold."""
    extra = options.extra if variant == GENERATED else None
    # cells whose threshold was a plain quantile are not to stand beside others
    beyond: dict[str, Any] = {"left_out": list(FOLDS[fold].sources), "edges": "of held-out sources"}
    if extra:
        beyond["extra"] = made_by(extra)

    @cache
    def faces() -> FaceData:
        rest, left = without(fold)
        return with_extra(rest, extra, options.data.runs_dir, options.data.workers, left.groups) if extra else rest

    return Arm(f"{variant}/{fold}", options.cell_options(variant), faces, beyond, scored=SCORED)


def _fold_of(arm: Arm) -> str:
    return arm.name.partition("/")[2]


@dataclass(frozen=True, slots=True)
class Left:
    """Faces that were left out and are scored: the fold's own samples first, then borrowed ones."""

    samples: list[Sample]
    own: int
    groups: frozenset[str]
    """Who is in the fold."""


def without_fold(data: FaceData, fold: Fold, seed: int) -> tuple[FaceData, Left]:
    """Data without a fold, and what it is scored on. The same faces for every variant."""
    others, left = leave_out(data.train + data.val, fold)
    unseen = data.unseen - set(fold.sources)
    judged = [s for s in others if s.split == "val"]
    rest = replace(
        data,
        train=[s for s in others if s.split == "train"],
        val=thinned([s for s in judged if s.source not in unseen], VALIDATION, seed)
        + thinned([s for s in judged if s.source in unseen], UNSEEN, seed),
        test=[],
        unseen=unseen,
    )
    for split, samples in (("train", rest.train), ("val", rest.val)):
        if {s.label for s in samples} != {0, 1}:
            raise DataError(f"without {', '.join(fold.sources)} nothing genuine or manipulated is left in {split}")
    own = thinned(left, SCORED, seed)
    # where a class is missing: faces that trained nothing either
    trained = {s.source for s in data.train}
    borrowed = [s for s in rest.val if s.source not in trained and s.label not in {x.label for x in own}]
    if {s.label for s in own + borrowed} != {0, 1}:
        raise DataError(f"no face of the data is in {', '.join(fold.sources)}, or none to score them against")
    return rest, Left(own + borrowed, len(own), frozenset(s.group for s in left))


Without = Callable[[str], tuple[FaceData, Left]]
"""The name of a fold -> data without it, and what it is scored on."""


def thinned(samples: Sequence[Sample], most: int, seed: int) -> list[Sample]:
    """At most so many samples of each class of a source, drawn by seed, in their order."""
    rng = np.random.default_rng(seed)
    rows: dict[tuple[str, int], list[int]] = {}
    for i, s in enumerate(samples):
        rows.setdefault((s.source, s.label), []).append(i)
    chosen_rows = [i for _, of_class in sorted(rows.items()) for i in rng.permutation(of_class)[:most]]
    return [samples[i] for i in sorted(chosen_rows)]


def _measured(arm: Arm, run: Run, rest: FaceData, left: Left) -> dict[str, Any]:
    """The result of an arm: its fold's faces as its network scored them, and the threshold set without them."""
    options = arm.options
    crops = eval_crops(left.samples, rest.faces, options.crops.size_px, options.data.workers)
    logits = predict(run.network(), crops.split(EVAL_BATCH), device(), amp=False)
    with np.load(run.folder / VAL_LOGITS) as saved:
        # a calibration would stretch edge and logits alike: none is needed to count what lies above
        curve = fit_curve(rest.val, saved["logits"], rest.unseen)
    hours = float(run.record()["train_hours"])
    cell = Cell.of(left.samples, left.own, logits, edges(curve)["strong"], hours)
    return {"figures": cell_figures(cell), **cell.to_dict()}


def _write(record: Run, options: LeaveOut, study: Sweep, without: Without) -> None:
    """Writes the tables of all cells that are finished by now, also those of earlier calls."""
    cells: dict[str, dict[str, Cell]] = {}
    for variant in (v for v in VARIANTS if v != GENERATED or options.extra):
        for fold in FOLDS:
            if row := study.result(_arm(options, variant, fold, without)):
                cells.setdefault(variant, {})[fold] = Cell.from_dict(row)
    summed = summary(cells)
    figures = {v: {f: cell_figures(cell) for f, cell in by_fold.items()} for v, by_fold in cells.items()}
    write_json(
        record.folder / "leave_out.json",
        {
            **record.record(),
            "variants": {variant: VARIANTS[variant] for variant in cells},
            "folds": {fold: {"reason": f.reason, "sources": f.sources} for fold, f in FOLDS.items()},
            "summary": summed,
            "cells": figures,
        },
    )
    title = (
        f"{options.model} at {options.size_px} px, {options.images:,} faces seen in training, seed {options.seed}; "
        f"each fold left out of training and validation in turn, genuine and manipulated alike."
    )
    changes = dict(VARIANTS)
    if options.extra and GENERATED in cells:
        origin = made_by(options.extra)
        changes[GENERATED] = {"extra": origin["run"]}
        known = [f for f in cells[GENERATED] if set(FOLDS[f].sources) & set(origin["learned_from"])]
        if known:
            title += f" The generator of `{GENERATED}` had itself learned from genuine faces of {', '.join(known)}."
    write_text(record.folder / "leave_out.md", page(summed, figures, changes, title))
