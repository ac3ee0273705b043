"""`python -m train leave-out`: choices of recipe measured on whole sources that were left out of training.

Every fold of `train/data/folds.py` is kept out of training and validation in turn, genuine and manipulated alike, and a
small network is trained on the rest with each variant of the recipe. The threshold is set as the product sets it, on
validation's genuine faces of unseen sources, and what was left out is scored once. Test slices are never read.

The baseline is trained without each fold, the other variants without those of `choice_folds` only, which hold both
classes: the default is a study of about an hour and a half on two CPU cores, not of a day.

The variant `generated` adds the faces of a folder of `gan-samples` (`--extra`). Pairs whose genuine face is of somebody
in the fold are dropped, and the report says which folds the generator itself had learned from (`gan --left_out FOLD`
plays one that has not).

A cell (one variant without one fold) is a file in the run's folder; `--resume RUN` skips those that are there, so a
variant or a fold can be added later, and a run that was killed goes on inside its cell.
"""

import json
import math
import shutil
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np

from detector.calibration import edges
from detector.models.registry import build
from train.console import say
from train.data.batches import eval_crops
from train.data.extra import made_by
from train.data.faces import FaceData, load_faces, with_extra
from train.data.folds import FOLDS, Fold, check_folds, leave_out
from train.data.samples import Sample
from train.errors import DataError
from train.learn.loop import fit, predict, wants_amp
from train.measure.calibrate import fit_curve
from train.measure.scoring import EVAL_BATCH
from train.recipes import cnn
from train.recipes.cnn import Cnn, fit_options, settled, training_batches
from train.run import Run, device, environment, options_record, write_json, write_text
from train.studies.left_out_figures import BASELINE, Cell, cell_figures, summary, table

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

BASELINE_OPTIONS: dict[str, Any] = {"augmentation": "standard", "twins": 0.35}
"""What every variant is measured against keeps its meaning when the defaults of `cnn` change; beyond these, it is `cnn`
as it is, small and short."""

EPOCHS = 2
"""Validation is looked at so often in a cell; the learning rate falls over all of it. Variants with windows see whole
crops in the last of them."""
SCORED = 200
"""At most so many left-out faces of each class of a source are scored, or large sources would speak for a fold."""
VALIDATION = 50
"""At most so many validation faces of each class of a source that trains ..."""
UNSEEN = 150
"""... and of one that does not: genuine ones of these set the threshold."""
_MEASURED_STEPS = 12


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
    plan: bool = False
    """Only say what would be done and how long it would take."""
    data_root: Path | None = None
    """Folder with the data; else $UNMASK_DATA, else data/."""
    pretrained: Path | None = None
    """Folder of starting weights; else $UNMASK_PRETRAINED, else pretrained/ beside the data."""
    start: str = "auto"
    """Where weights start, as for `cnn`."""
    amp: Literal["auto", "on", "off"] = "auto"
    """bfloat16 autocast, as for `cnn`."""
    workers: int = 2
    """Processes that prepare pictures."""
    seed: int = 0
    runs_dir: Path = Path("runs")
    """Where run folders go."""
    resume: Path | None = None
    """A run folder to go on with: cells that are finished there are kept."""

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
        return _chosen(self.variants, known, "variant")

    def chosen_folds(self) -> tuple[str, ...]:
        """Names of the folds, in the order of FOLDS."""
        return _chosen(self.folds, FOLDS, "fold")

    def cells(self) -> list[tuple[str, str]]:
        """(variant, fold) of all that is to be trained, in order."""
        compared = _chosen(self.choice_folds, FOLDS, "fold")
        # folds outermost: whatever was finished when the time is up can be compared
        return [(v, f) for f in self.chosen_folds() for v in self.chosen_variants() if v == BASELINE or f in compared]

    def cell_options(self, variant: str) -> Cnn:
        """What `cnn` is asked to do for a cell of this variant."""
        per_epoch = math.ceil(self.images / EPOCHS)
        steps = math.ceil(per_epoch / int(VARIANTS[variant].get("batch_size", self.batch_size))) * EPOCHS
        baseline = Cnn(
            model=self.model,
            data_root=self.data_root,
            epochs=EPOCHS,
            batch_size=self.batch_size,
            lr=self.lr,
            size_px=self.size_px,
            # weights averaged over about a tenth of so short a run
            ema_decay=max(0.0, 1 - 10 / steps),
            images_per_epoch=per_epoch,
            start=self.start,
            pretrained=self.pretrained,
            amp=self.amp,
            workers=self.workers,
            seed=self.seed,
            runs_dir=self.runs_dir,
            **BASELINE_OPTIONS,
        )
        extra = self.extra if variant == GENERATED else None
        return settled(replace(baseline, **VARIANTS[variant], extra=extra))


def run(options: LeaveOut) -> Path | None:
    """The run's folder, which holds leave_out.json and leave_out.md; None when only the plan was asked for."""
    data = load_faces(options.data_root, options.runs_dir, options.seed, options.workers)
    check_folds(data.train)
    without = {
        fold: without_fold(data, FOLDS[fold], options.seed) for fold in dict.fromkeys(f for _, f in options.cells())
    }
    settings = {
        **{k: v for k, v in _asked(options).items() if k not in ("variants", "folds", "choice_folds", "plan")},
        "data": data.fingerprint,
    }
    if options.resume:
        Run(options.resume).check_same("leave-out", settings)
    todo = [
        (variant, fold)
        for variant, fold in options.cells()
        if options.resume is None or _finished(options.resume, variant, fold, options.cell_options(variant)) is None
    ]
    estimate = _say_plan(options, todo, without) if todo else {}
    if options.plan:
        return None
    record = Run(options.resume) if options.resume else Run.create(options.runs_dir, f"leave-out-{options.model}")
    record.write_record(recipe="leave-out", settings=settings, environment=environment())
    say(f"into {record.folder.name}/ (`--resume` goes on with it)")
    spent = planned = 0.0
    for done, (variant, fold) in enumerate(todo, 1):
        began = time.monotonic()
        _run_cell(record.folder, variant, fold, options.cell_options(variant), *without[fold])
        if done == len(todo) or todo[done][1] != fold:
            _write(record, options)
        spent, planned = spent + time.monotonic() - began, planned + estimate[variant, fold]
        left = spent / planned * sum(estimate[cell] for cell in todo[done:])
        say(f"cell {done} of {len(todo)} ({variant} without {fold}) is done; about {left / 3600:.1f} h to go")
    if not todo:
        _write(record, options)
    say((record.folder / "leave_out.md").read_text(encoding="utf-8"))
    return record.folder


@dataclass(frozen=True, slots=True)
class Left:
    """What was left out and is scored: the fold's own samples first, then borrowed ones."""

    samples: list[Sample]
    own: int
    groups: frozenset[str]
    """Who is in the fold."""


def without_fold(data: FaceData, fold: Fold, seed: int) -> tuple[FaceData, Left]:
    """Data without a fold, and what it is scored on. The same faces for every variant."""
    kept, left = leave_out(data.train + data.val, fold)
    unseen = data.unseen - set(fold.sources)
    judged = [s for s in kept if s.split == "val"]
    rest = replace(
        data,
        train=[s for s in kept if s.split == "train"],
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


def thinned(samples: Sequence[Sample], most: int, seed: int) -> list[Sample]:
    """At most so many samples of each class of a source, drawn by seed, in their order."""
    rng = np.random.default_rng(seed)
    rows: dict[tuple[str, int], list[int]] = {}
    for i, s in enumerate(samples):
        rows.setdefault((s.source, s.label), []).append(i)
    kept = [i for _, found in sorted(rows.items()) for i in rng.permutation(found)[:most]]
    return [samples[i] for i in sorted(kept)]


def _cell_file(folder: Path, variant: str, fold: str) -> Path:
    return folder / "cells" / variant / f"{fold}.json"


def _finished(folder: Path, variant: str, fold: str, options: Cnn) -> Cell | None:
    """The cell if it was finished with these very options."""
    path = _cell_file(folder, variant, fold)
    if not path.is_file():
        return None
    row = json.loads(path.read_text(encoding="utf-8"))
    # a variant that means something else by now, or another way of cutting the fold, is another cell
    return Cell.from_dict(row) if row["options"] == _cell_record(options, fold) else None


def _cell_record(options: Cnn, fold: str) -> dict[str, Any]:
    made = {"extra": made_by(options.extra)} if options.extra else {}
    # cells whose threshold was a plain quantile are not to stand beside others
    return {**_asked(options), **made, "left_out": list(FOLDS[fold].sources), "edges": "of held-out sources"}


def _asked(options: LeaveOut | Cnn) -> dict[str, Any]:
    """Options that figures depend on: neither folders nor processes."""
    elsewhere = ("workers", "resume", "pretrained", "data_root", "extra")
    return {k: v for k, v in options_record(options).items() if k not in elsewhere}


def _run_cell(folder: Path, variant: str, fold: str, options: Cnn, data: FaceData, left: Left) -> None:
    """Trains one network without a fold, scores the fold, and writes the cell."""
    work = folder / "cells" / variant / fold
    began = next(iter(sorted(work.glob("cnn-*"))), None)
    before = Run(began).record().get("options", {}) if began else {}
    if began is not None and any(before.get(k) != v for k, v in _asked(options).items()):
        shutil.rmtree(work)  # a part of what is now another cell
        began = None
    say(f"{variant} without {fold}: {len(FOLDS[fold].sources)} sources left out")
    if options.extra:
        data = with_extra(data, options.extra, options.runs_dir, options.workers, left.groups)
    # what is extra is in the data by now
    trained = cnn.run(replace(options, runs_dir=work, resume=began, extra=None), data)
    crops = eval_crops(left.samples, data.faces, options.size_px, options.workers)
    logits = predict(Run(trained).network(), crops.split(EVAL_BATCH), device(), amp=False)
    with np.load(trained / "val_logits.npz") as saved:
        # a calibration would stretch edge and logits alike: none is needed to count what lies above
        curve = fit_curve(data.val, saved["logits"], data.unseen)
    hours = float(Run(trained).record()["train_hours"])
    cell = Cell.of(left.samples, left.own, logits, edges(curve)["strong"], hours)
    row = {"options": _cell_record(options, fold), "figures": cell_figures(cell), **cell.to_dict()}
    write_json(_cell_file(folder, variant, fold), row)
    # checkpoints of every cell would fill the disk
    shutil.rmtree(work)


def _write(record: Run, options: LeaveOut) -> None:
    """Writes the tables of all cells that are finished by now, also those of earlier calls."""
    cells: dict[str, dict[str, Cell]] = {}
    for variant in VARIANTS:
        for fold in FOLDS:
            if cell := _finished(record.folder, variant, fold, options.cell_options(variant)):
                cells.setdefault(variant, {})[fold] = cell
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
        made = made_by(options.extra)
        changes[GENERATED] = {"extra": made["run"]}
        known = [f for f in cells[GENERATED] if set(FOLDS[f].sources) & set(made["learned_from"])]
        if known:
            title += f" The generator of `{GENERATED}` had itself learned from genuine faces of {', '.join(known)}."
    write_text(record.folder / "leave_out.md", table(summed, figures, changes, title))


def _say_plan(
    options: LeaveOut, todo: Sequence[tuple[str, str]], without: Mapping[str, tuple[FaceData, Left]]
) -> dict[tuple[str, str], float]:
    """Says what will be done; seconds that each cell will take by a measured step."""
    baseline = options.cell_options(todo[0][0])
    step_s, face_s = _measured(baseline, without[todo[0][1]][0])
    step_s /= baseline.window**2  # the steps that were measured saw windows
    seconds = {}
    for variant, fold in todo:
        cell = options.cell_options(variant)
        data, left = without[fold]
        # a step's work goes with the area that the network sees
        area = (cell.size_px / baseline.size_px) ** 2
        seen = area * _share_seen(cell)
        steps = EPOCHS * math.ceil(cell.images_per_epoch / cell.batch_size)
        scored = (EPOCHS + 1) * len(data.val) + len(left.samples)
        seconds[variant, fold] = steps * step_s * seen + scored * face_s * area
    say(
        f"{len(todo)} cells to train: {step_s:.2f} s a step of {baseline.batch_size} at {baseline.size_px} px, measured"
    )
    for fold in dict.fromkeys(fold for _, fold in todo):
        data, left = without[fold]
        own = left.samples[: left.own]
        fakes = sum(s.label for s in own)
        say(
            f"  without {fold}: {len(data.train)} faces to train on, {len(own) - fakes} genuine and {fakes} "
            f"manipulated to score; " + ", ".join(f"{v} {seconds[v, f] / 3600:.2f} h" for v, f in todo if f == fold)
        )
    say(f"about {sum(seconds.values()) / 3600:.1f} h in all on this machine as it is now")
    return seconds


def _share_seen(options: Cnn) -> float:
    """Share of a crop's area that a training step sees, over all epochs."""
    whole = math.ceil(EPOCHS / 5) / EPOCHS  # as `cnn` divides them
    return 1.0 if options.window == 1 else whole + (1 - whole) * options.window**2


def _measured(options: Cnn, data: FaceData) -> tuple[float, float]:
    """Seconds of a training step and of scoring one face, by the very code that will do it."""
    where = device()
    _, loader = training_batches(options, data, _MEASURED_STEPS)
    network = build(options.model, options.dropout)
    amp = wants_amp(options.amp, where, network)
    times: list[float] = []
    with tempfile.TemporaryDirectory(prefix="unmask-leave-out-") as folder:
        fit(
            network,
            lambda _: loader,
            lambda _: {"score": 0.0},
            replace(fit_options(options, _MEASURED_STEPS, amp), epochs=1),
            Run(Path(folder)),
            device=where,
            on_step=lambda *_: times.append(time.perf_counter()),
        )
    # the first steps find batches that were made while the loader started
    step_s = statistics.median(b - a for a, b in pairwise(times[2:]))
    faces = data.val[: 2 * EVAL_BATCH]
    start = time.perf_counter()
    crops = eval_crops(faces, data.faces, options.size_px, workers=0)
    predict(network, crops.split(EVAL_BATCH), where, amp)
    return step_s, (time.perf_counter() - start) / len(faces)


def _chosen(names: str, known: Mapping[str, Any], what: str) -> tuple[str, ...]:
    asked = set(known) if names == "all" else {n.strip() for n in names.split(",") if n.strip()}
    wrong = sorted(asked - set(known))
    if wrong or not asked:
        raise ValueError(f"no {what} {', '.join(wrong) or names!r}; there are: {', '.join(known)}")
    return tuple(name for name in known if name in asked)
