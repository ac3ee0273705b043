"""`python -m train cnn`: one network on single faces, from data to a run folder with report."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import DataLoader

from detector.models.registry import Network, build, spec_of
from train.console import Bar, say
from train.data.augment import AUGMENTATIONS
from train.data.batches import PairedBatches, TrainFaces, eval_crops, train_loader
from train.data.faces import FaceData, source_counts, with_extra, with_fakes_of
from train.data.self_blend import SelfBlend
from train.data.sources import find_data_root
from train.errors import DataError
from train.learn.loop import FitOptions, fit, predict, wants_amp
from train.learn.options import Blending, Crops, Data, Machine, Schedule, Teaching
from train.learn.regularise import Regularisation
from train.learn.start import find_pretrained, load_start
from train.measure.report import write_report
from train.measure.scoring import EVAL_BATCH
from train.measure.selection import selection_figures
from train.options import Flat, changed
from train.processes import ALONE, World, join_world
from train.run import Run, environment, options_record

VAL_LOGITS = "val_logits.npz"
"""What a run writes at its end, before its report: raw logits of the validation faces, by the weights that it kept."""
_MAY_CHANGE = ("workers", "amp", "resume", "pretrained")
"""What a run may be gone on with otherwise: how the machine works, not what is learned."""
_SHOWN = ("loss", "accuracy", "score", "auc_slices", "auc_unseen", "tpr_at_2")


@dataclass(frozen=True)
class Cnn:
    """Train one network to tell genuine from manipulated faces."""

    recipe: ClassVar[str] = "cnn"
    needs_fakes: ClassVar[bool] = True
    """False: twins are all of the manipulated half where the data have genuine faces only."""

    model: str = "resnet18"
    """A name of the registry (detector/models/registry.py); an unknown one lists them all."""
    extra: Path | None = None
    """A folder of `gan-samples`: its generated faces, and genuine ones of equal history, are one more source."""
    fakes: tuple[str, ...] = ()
    """Sources whose manipulated faces train, beside those of --extra; none named = all."""
    start: str = "auto"
    """auto (a file of starting weights if there is one), file, online (the publisher's weights), scratch, or a trunk of
    ours: a .safetensors file or a run folder, of this network or another; layers of equal name and shape are taken."""
    seed: int = 0
    resume: Path | None = None
    """A run folder to go on with, given the same options."""
    data: Flat[Data] = Data()
    machine: Flat[Machine] = Machine()
    schedule: Flat[Schedule] = Schedule()
    crops: Flat[Crops] = Crops()
    blending: Flat[Blending] = Blending()
    regularisation: Flat[Regularisation] = Regularisation()
    teaching: Flat[Teaching] = Teaching()


def settled(options: Cnn) -> Cnn:
    """The options with the registry's values for this network where none were given."""
    spec = spec_of(options.model)
    traces = spec.traces if options.blending.traces is None else options.blending.traces
    return changed(options, size_px=options.crops.size_px or spec.size_px, traces=traces)


def run(options: Cnn, faces: FaceData | None = None) -> Path:
    """Trains, scores validation, writes the report; returns the run folder.

    Several processes (`train.processes`) train together; the main one alone evaluates and writes.

    Args:
        options: what to train and how.
        faces: to use instead of those of the data folder.
    """
    options = settled(options)
    if options.resume and not options.resume.is_dir():
        # before faces are looked for, which can take long
        raise DataError(f"--resume {options.resume.name}: there is no such folder; name the run folder to go on with")
    world = join_world()
    world.check_batch_size(options.schedule.batch_size)
    device = world.device
    data = faces or options.data.faces(options.seed, needs_fakes=options.needs_fakes)
    if options.fakes:
        data = with_fakes_of(data, options.fakes)
    if options.extra:
        data = with_extra(data, options.extra, options.data.runs_dir, options.data.workers)
    if options.blending.twins < 1 and not any(s.label for s in data.train):
        say("no manipulated face to train on: self-blended twins take the whole of their half")
        options = changed(options, twins=1.0)
    if options.resume:
        _check_same(options, data)
    torch.manual_seed(options.seed)
    schedule, crops = options.schedule, options.crops
    network = build(options.model, options.regularisation.dropout)
    amp = wants_amp(options.machine.amp, device, network)
    root = find_data_root(options.data.data_root)
    start = load_start(network, options.start, find_pretrained(options.machine.pretrained, root))
    steps = schedule.steps_per_epoch(len(data.train))
    images = steps * schedule.batch_size
    name = f"{options.recipe}-{options.model}"
    folder = options.resume or world.agree(lambda: Run.create(options.data.runs_dir, name).folder)
    record = Run(folder, writes=world.is_main)
    say(
        f"{options.model} from {start.words}: {len(data.train)} training faces, {schedule.epochs} epochs of "
        f"{images} faces at {crops.size_px} px, into {record.folder.name}/"
    )
    record.write_record(
        recipe=options.recipe,
        options=options_record(options),
        environment={**environment(), "amp": amp, "processes": world.size},
        data=data.fingerprint,
        extra=data.extra,
        teacher=options.teaching.teacher.name if options.teaching.teacher else None,
        start=start.words,
        start_kind=start.kind,
        images_planned=images * schedule.epochs,
        sources={"train": source_counts(data.train), "val": source_counts(data.val)},
        unseen_val_sources=sorted(data.unseen),
    )
    val_crops = eval_crops(data.val if world.is_main else [], data.faces, crops.size_px, options.data.workers)
    sampler, loader = training_batches(options, data, steps, world)
    with Bar(options.model) as bar:

        def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
            sampler.epoch = epoch
            bar.title = f"{options.model} epoch {epoch + 1}/{schedule.epochs}"
            yield from loader

        def evaluate(averaged: Network) -> dict[str, float]:
            logits = predict(averaged, val_crops.split(EVAL_BATCH), device, amp)
            return selection_figures(data.val, logits, data.unseen)

        def on_epoch(row: dict[str, Any]) -> None:
            shown = {k: row[k] for k in _SHOWN if k in row}
            say(f"epoch {row['epoch']}: " + ", ".join(f"{k} {v:.3f}" for k, v in shown.items()))

        fit(
            network,
            batches,
            evaluate,
            fit_options(options, steps, amp),
            record,
            device=device,
            on_step=lambda done, total, loss: bar.at(done, total, f"loss {loss:.3f}"),
            on_epoch=on_epoch,
            world=world,
        )
    if not world.is_main:
        return record.folder
    network.load_state_dict(load_file(record.best))
    # the published weights run in float32: what is judged here must be what runs there
    logits = predict(network, val_crops.split(EVAL_BATCH), device, amp=False)
    np.savez(record.folder / VAL_LOGITS, names=[s.name for s in data.val], logits=logits)
    write_report(record, data.val, logits, title=f"{options.model}, validation")
    say(f"done: {record.folder.name}/report holds the figures and plots")
    return record.folder


def _check_same(options: Cnn, data: FaceData) -> None:
    """Raises `DataError` unless a run is gone on with as it began; an empty folder is a run that has not begun."""
    assert options.resume is not None
    run = Run(options.resume)
    if not run.record() and not any(run.folder.glob("*.*")):
        return
    run.check_same(
        options.recipe,
        {**options_record(options), "data": data.fingerprint, "extra": data.extra},
        # runs of before there was a choice had all of them
        lambda before: {"fakes": [], **before["options"], "data": before["data"], "extra": before.get("extra")},
        _MAY_CHANGE,
    )


def training_batches(
    options: Cnn, data: FaceData, steps: int, world: World = ALONE
) -> tuple[PairedBatches, DataLoader[tuple[Tensor, float]]]:
    """The sampler of an epoch of so many steps, and the loader that makes this process's part of it."""
    crops, blending, schedule = options.crops, options.blending, options.schedule
    sampler = PairedBatches(
        data.train,
        schedule.batch_size,
        steps,
        blending.twins,
        options.seed,
        partners=blending.partners,
        whole_from=crops.windowed_epochs(schedule.epochs),
        cross=blending.cross,
        faces=data.faces,
        traces=blending.traces or 0.0,
        counted_as=data.counted_as,
    )
    blend = SelfBlend(parts=blending.parts)
    crops_of = TrainFaces(
        data.train,
        data.faces,
        crops.size_px,
        AUGMENTATIONS[crops.augmentation],
        crops.window_px,
        blend,
        options.teaching.targets(data.train),
    )
    return sampler, train_loader(crops_of, world.part(sampler), options.data.workers)


def fit_options(options: Cnn, steps: int, amp: bool) -> FitOptions:
    """The loop's share of a recipe's options, at so many steps an epoch."""
    return FitOptions(options.schedule, options.regularisation, steps, amp, options.seed)
