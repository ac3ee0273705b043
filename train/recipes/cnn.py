"""`python -m train cnn`: one network on single faces, from data to a run folder with report."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import DataLoader

from detector.models.registry import Network, build, spec_of
from train.console import Bar, say
from train.data.augment import AUGMENTATIONS
from train.data.batches import PairedBatches, TrainFaces, eval_crops, train_loader
from train.data.faces import FaceData, load_faces, source_counts, with_extra, with_fakes_of
from train.data.self_blend import SelfBlend
from train.data.sources import find_data_root
from train.errors import DataError
from train.learn.loop import FitOptions, fit, predict, wants_amp
from train.learn.regularise import Regularisation
from train.learn.start import find_pretrained, load_start
from train.measure.report import write_report
from train.measure.scoring import EVAL_BATCH
from train.measure.selection import selection_figures
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
    data_root: Path | None = None
    """Folder with the data; else $UNMASK_DATA, else data/."""
    extra: Path | None = None
    """A folder of `gan-samples`: its generated faces, and genuine ones of equal history, are one more source."""
    fakes: tuple[str, ...] = ()
    """Sources whose manipulated faces train, beside those of --extra; none named = all."""
    epochs: int = 10
    """How often the data are gone through; the learning rate falls to zero over them."""
    batch_size: int = 16
    """Faces in a batch, half of them genuine. Even. Under torchrun the processes share each batch. Small batches
    and a low rate told validation faces better than batches of 64 at 6e-4 (LOG.md); a GPU is busier with large ones."""
    lr: float = 1e-4
    """Highest learning rate, reached after the warm-up (AdamW, cosine)."""
    size_px: int = 0
    """Side of the crops that the network sees, in training and ever after; 0 = the registry's for this network."""
    twins: float = 0.15
    """Share of the manipulated half of a batch that are self-blended twins of its genuine faces."""
    cross: float = 0.0
    """Share of the twins that get the inner face of another person of the same source."""
    parts: float = 0.25
    """Share of the twins that are blended in eyes, nose, mouth or lower face only."""
    augmentation: Literal["standard", "light", "strong"] = "light"
    """How much happens to pictures of both classes on their way to the network."""
    partners: float = 0.2
    """Share of the genuine half of a batch that share person or clip with one of its fakes."""
    window: float = 1.0
    """Side of the random window that the network sees of a crop in training, as a share of the crop's side: below 1,
    larger crops cost less. Validation and use always see whole crops."""
    whole_epochs: int = 0
    """Last epochs that see whole crops all the same; 0 = a fifth of them."""
    traces: float | None = None
    """Share of the twins that carry a trace of up-sampling instead of a blended face; None = the registry's for this
    network: 1 for npr, which lives by such traces, else 0. `python -m train traces` measures how well they are told."""
    weight_decay: float = 0.02
    dropout: float = 0.2
    label_smoothing: float = 0.05
    genuine_weight: float = 1.0
    """How much more a genuine face counts in the loss than a manipulated one: above 1, fewer false alarms."""
    sam: float = 0.0
    """Radius of sharpness-aware minimisation (0.05 in its paper); 0 = off. A step then takes twice as long."""
    adversarial: Literal["off", "fgsm", "pgd"] = "off"
    """Adversarial training: what a share of each batch goes through. `python -m train attack` measures its effect."""
    epsilon: float = 1.0
    """Strength of that attack, in grey levels of 255."""
    attacked: float = 0.5
    """Share of a batch that is attacked."""
    ema_decay: float = 0.998
    """Decay per step of the averaged weights, which are the ones that are kept."""
    patience: int = 4
    """Epochs without a better score before training stops."""
    images_per_epoch: int = 0
    """Faces in what counts as an epoch; 0 = as many as there are training faces."""
    start: str = "auto"
    """auto (a file of starting weights if there is one), file, online (the publisher's weights), scratch, or a trunk of
    ours: a .safetensors file or a run folder, of this network or another; layers of equal name and shape are taken."""
    pretrained: Path | None = None
    """Folder of starting weights; else $UNMASK_PRETRAINED, else pretrained/ beside the data."""
    amp: Literal["auto", "on", "off"] = "auto"
    """bfloat16 autocast; auto = where it is faster: on GPUs, and on CPUs with instructions that suit the network."""
    workers: int = 2
    """Processes that prepare pictures."""
    seed: int = 0
    runs_dir: Path = Path("runs")
    """Where run folders go."""
    resume: Path | None = None
    """A run folder to go on with, given the same options."""

    def __post_init__(self) -> None:
        if self.batch_size < 2 or self.batch_size % 2:
            raise ValueError("batch_size must be even and at least 2: half of each batch is genuine")
        if not all(0 <= share <= 1 for share in (self.twins, self.cross, self.parts)):
            raise ValueError("twins, cross and parts are shares from 0 to 1")
        if not 0 <= self.partners <= 1 or not 0.3 <= self.window <= 1:
            raise ValueError("partners is a share from 0 to 1, window one from 0.3 to 1")
        if self.epochs < 1 or (self.size_px != 0 and self.size_px < 32):
            raise ValueError("epochs must be at least 1 and size_px at least 32")
        if not 0 <= (self.traces or 0.0) <= 1 or not 0 <= self.attacked <= 1:
            raise ValueError("traces and attacked are shares from 0 to 1")
        if self.genuine_weight <= 0 or self.sam < 0 or self.epsilon <= 0:
            raise ValueError("genuine_weight and epsilon must be above 0, sam not below")


def settled(options: Cnn) -> Cnn:
    """The options with the registry's values for this network where none were given."""
    spec = spec_of(options.model)
    traces = spec.traces if options.traces is None else options.traces
    return replace(options, size_px=options.size_px or spec.size_px, traces=traces)


def run(options: Cnn, data: FaceData | None = None) -> Path:
    """Trains, scores validation, writes the report; returns the run folder.

    Several processes (`train.processes`) train together; the main one alone evaluates and writes.

    Args:
        options: what to train and how.
        data: found faces to use instead of those of the data folder.
    """
    options = settled(options)
    if options.resume and not options.resume.is_dir():
        # before faces are looked for, which can take long
        raise DataError(f"--resume {options.resume.name}: there is no such folder; name the run folder to go on with")
    world = join_world()
    world.check_batch_size(options.batch_size)
    device = world.device
    if data is None:
        data = load_faces(
            options.data_root, options.runs_dir, options.seed, options.workers, needs_fakes=options.needs_fakes
        )
    if options.fakes:
        data = with_fakes_of(data, options.fakes)
    if options.extra:
        data = with_extra(data, options.extra, options.runs_dir, options.workers)
    if options.twins < 1 and not any(s.label for s in data.train):
        say("no manipulated face to train on: self-blended twins take the whole of their half")
        options = replace(options, twins=1.0)
    if options.resume:
        _check_same(options, data)
    torch.manual_seed(options.seed)
    network = build(options.model, options.dropout)
    amp = wants_amp(options.amp, device, network)
    root = find_data_root(options.data_root)
    start = load_start(network, options.start, find_pretrained(options.pretrained, root))
    per_epoch = options.images_per_epoch or len(data.train)
    steps = max(1, math.ceil(per_epoch / options.batch_size))
    name = f"{options.recipe}-{options.model}"
    folder = options.resume or world.agree(lambda: Run.create(options.runs_dir, name).folder)
    record = Run(folder, writes=world.is_main)
    say(
        f"{options.model} from {start.words}: {len(data.train)} training faces, {options.epochs} epochs of "
        f"{steps * options.batch_size} faces at {options.size_px} px, into {record.folder.name}/"
    )
    record.write_record(
        recipe=options.recipe,
        options=options_record(options),
        environment={**environment(), "amp": amp, "processes": world.size},
        data=data.fingerprint,
        extra=data.extra,
        start=start.words,
        start_kind=start.kind,
        images_planned=steps * options.batch_size * options.epochs,
        sources={"train": source_counts(data.train), "val": source_counts(data.val)},
        unseen_val_sources=sorted(data.unseen),
    )
    val_crops = eval_crops(data.val if world.is_main else [], data.faces, options.size_px, options.workers)
    sampler, loader = training_batches(options, data, steps, world)
    with Bar(options.model) as bar:

        def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
            sampler.epoch = epoch
            bar.title = f"{options.model} epoch {epoch + 1}/{options.epochs}"
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
    """What an epoch of so many steps draws, and the loader that makes this process's part of it."""
    window_px = round(options.size_px * options.window / 16) * 16 if options.window < 1 else options.size_px
    whole_epochs = options.whole_epochs or math.ceil(options.epochs / 5)
    sampler = PairedBatches(
        data.train,
        options.batch_size,
        steps,
        options.twins,
        options.seed,
        partners=options.partners,
        whole_from=options.epochs - whole_epochs if options.window < 1 else 0,
        cross=options.cross,
        faces=data.faces,
        traces=options.traces or 0.0,
        counted_as=data.counted_as,
    )
    blend = SelfBlend(parts=options.parts)
    made = TrainFaces(data.train, data.faces, options.size_px, AUGMENTATIONS[options.augmentation], window_px, blend)
    return sampler, train_loader(made, world.part(sampler), options.workers)


def fit_options(options: Cnn, steps: int, amp: bool) -> FitOptions:
    """The loop's share of a recipe's options."""
    return FitOptions(
        epochs=options.epochs,
        steps_per_epoch=steps,
        lr=options.lr,
        weight_decay=options.weight_decay,
        regularisation=regularisation(options),
        ema_decay=options.ema_decay,
        patience=options.patience,
        warmup_steps=min(200, max(1, steps * options.epochs // 10)),
        amp=amp,
        seed=options.seed,
    )


def regularisation(options: Cnn) -> Regularisation:
    """The recipe's options as the loss takes them."""
    return Regularisation(
        label_smoothing=options.label_smoothing,
        genuine_weight=options.genuine_weight,
        sam_rho=options.sam,
        attack=None if options.adversarial == "off" else options.adversarial,
        epsilon=options.epsilon / 255,
        attacked_share=options.attacked,
    )
