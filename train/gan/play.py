"""`python -m train gan`: a generator against a discriminator, from data to a run folder with samples and curves.

runs/gan-<variant>-<time>/
  generator.safetensors     averaged generator, float16: of the lowest FID where that is measured, else the last
  samples/epoch-0001.png    the same latents after every epoch
  report/gan_curves.png     losses, scores, augmentation, FID
and, of the variant resnet32, whose discriminator is a detector like any other:
  best.safetensors, val_logits.npz, report/*  as `cnn` writes them
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.utils import save_image

from detector.models.registry import build
from train.console import Bar, say
from train.data.batches import eval_crops, source_weights
from train.data.faces import FaceData, source_counts
from train.data.folds import FOLDS, leave_out
from train.data.samples import Sample
from train.data.sources import find_data_root
from train.gan.faces import FaceSet, choose_genuine, cut_faces
from train.gan.fid import Extractor, features, find_extractor, genuine_features, quality
from train.gan.loop import Callbacks, Game, GameOptions, play
from train.gan.losses import Loss
from train.gan.milestone import Begun, begin_from
from train.gan.players import (
    DETECTOR,
    GENERATOR_FILE,
    DetectorDiscriminator,
    GeneratorSpec,
    Variant,
    build_discriminator,
    build_generator,
    draw_latents,
    generate,
)
from train.gan.stylegan2 import STD_GROUP
from train.learn.loop import predict, save_weights_file, wants_amp
from train.learn.options import Data, Machine
from train.learn.start import find_pretrained
from train.measure import plots
from train.measure.report import write_report
from train.measure.scoring import EVAL_BATCH
from train.measure.selection import selection_figures
from train.options import Flat
from train.run import Run, device, environment, options_record

GRID = 64
"""Faces of a sample grid."""
_GENERATE_BATCH = 32
_MAY_CHANGE = ("epochs", "minutes", "amp")
"""What a game may be gone on with otherwise: how long it lasts, and on which machine."""
_SHOWN = ("d_loss", "g_loss", "accuracy", "score", "r_t", "p", "path_length", "fid", "images_per_s")


@dataclass(frozen=True, slots=True)
class _Defaults:
    """Values of a variant where an option says 0 or auto."""

    latent_dim: int
    lr_generator: float
    lr_discriminator: float
    betas: tuple[float, float]
    r1: float
    """0 = by size and batch."""
    r1_every: int


_DEFAULTS: dict[Variant, _Defaults] = {
    # with the usual (0.5, 0.999) the discriminator told 55 % right after 1,500 steps, and 61 % after 90 more against a
    # generator at a fourth of its rate; the same weights with a new Adam told all of a generator held still in 60
    "resnet32": _Defaults(128, 2e-4, 4e-4, (0.0, 0.99), 0.1, 8),
    # Karras et al., NeurIPS 2020, table of hyperparameters
    "stylegan2-ada": _Defaults(256, 2.5e-3, 2.5e-3, (0.0, 0.99), 0.0, 16),
}


@dataclass(frozen=True)
class Gan:
    """Play a generator against a discriminator on genuine faces."""

    variant: Variant = "resnet32"
    """resnet32: a DCGAN-like generator against ResNet-32; stylegan2-ada: a compact StyleGAN2, augmented adaptively."""
    faces: Path | None = None
    """Instead of a data folder, a file of faces that --export_faces wrote (stylegan2-ada only)."""
    export_faces: Path | None = None
    """Write the genuine training faces into this file and stop: for a machine without the data."""
    sources: tuple[str, ...] = ()
    """Sources of genuine faces to learn from; none named = all of the training split."""
    left_out: tuple[str, ...] = ()
    """Folds of train/data/folds.py whose faces the generator must not learn from, so that `leave-out` can measure what
    its faces are worth for these."""
    per_group: int = 4
    """Most faces of one person or clip."""
    size_px: int = 64
    """Side of the pictures, a power of two."""
    epochs: int = 40
    images_per_epoch: int = 0
    """Genuine faces shown in an epoch; 0 = as many as there are."""
    batch_size: int = 32
    """Genuine faces in a batch, with as many generated ones."""
    minutes: float = 0.0
    """Stop after the last epoch that fits into so many minutes, to be resumed; 0 = no limit."""
    channels: int = 32
    """Feature maps at the full size; smaller sizes have more."""
    max_channels: int = 256
    """Most feature maps of a layer."""
    mapping_layers: int = 4
    """Of the mapping network (stylegan2-ada)."""
    lr_generator: float = 0.0
    """Learning rate; 0 = the variant's (2e-4; 2.5e-3)."""
    lr_discriminator: float = 0.0
    """Likewise (4e-4; 2.5e-3)."""
    loss: Loss = "bce"
    """bce or hinge."""
    smoothing: float = 0.0
    """What the label of genuine faces is raised by, for the discriminator (bce)."""
    r1: float = -1.0
    """Weight of the gradient penalty on genuine faces; 0 = none, -1 = the variant's (0.1; by size and batch)."""
    r1_every: int = 0
    """Steps between two of its terms; 0 = the variant's (8; 16)."""
    path: float = 2.0
    """Weight of the path-length penalty (stylegan2-ada); 0 = none."""
    path_every: int = 4
    spectral_norm: bool = False
    """Bound the gain of the discriminator's layers (resnet32)."""
    ada_target: float = -1.0
    """r_t that the augmentation is steered to; 0 = no augmentation, -1 = the variant's (none; 0.6)."""
    ada_images: int = 500_000
    """Genuine faces in which the chance of augmentation can go from 0 to 1."""
    ema_images: int = 10_000
    """Half-life of the averaged generator, in genuine faces."""
    mirror: bool = True
    """Whether faces are mirrored at random."""
    pack_fakes: float = 0.25
    """Share of the discriminator's fakes that are manipulated faces of the data, so that it knows more than its own
    opponent (resnet32)."""
    fid_every: int = 5
    """Epochs between two measurements of FID; 0 = none."""
    fid_faces: int = 1000
    """Generated faces for it; at most as many as there are genuine ones."""
    extractor: str = "auto"
    """Network whose features are compared: auto (Inception-v3 or else ImageNet's MobileNetV2 if its weights are on
    disk, else our resnet18), the name of a published network, or a file with torchvision's Inception-v3."""
    seed: int = 0
    data: Flat[Data] = Data()
    machine: Flat[Machine] = Machine()
    start: Path | None = None
    """A folder that `gan-publish --players` wrote: a new run begins from its players."""
    resume: Path | None = None
    """A run folder to go on with, given the same options."""

    def __post_init__(self) -> None:
        if self.batch_size < STD_GROUP or self.batch_size % STD_GROUP:
            raise ValueError(f"batch_size must be a multiple of {STD_GROUP}")
        if not 0 <= self.pack_fakes < 1 or not 0 <= self.smoothing < 1:
            raise ValueError("pack_fakes and smoothing are shares from 0 to below 1")
        if self.epochs < 1 or self.per_group < 1 or self.fid_every < 0 or self.path_every < 1:
            raise ValueError("epochs, per_group and path_every must be at least 1, fid_every at least 0")
        if self.variant == "resnet32" and self.faces:
            raise ValueError("the variant resnet32 is judged as a detector: it needs the data, not --faces")
        if self.start and self.resume:
            raise ValueError("a run that is resumed has begun already: leave --start out")
        if self.variant == "stylegan2-ada" and self.loss == "hinge":
            raise ValueError("stylegan2-ada is played with the loss of its paper: --loss bce")
        unknown = sorted(set(self.left_out) - set(FOLDS))
        if unknown:
            raise ValueError(f"no fold {', '.join(unknown)}; there are: {', '.join(FOLDS)}")
        self.generator_spec()

    def generator_spec(self) -> GeneratorSpec:
        """The generator that is built."""
        return GeneratorSpec(
            variant=self.variant,
            size_px=self.size_px,
            latent_dim=_DEFAULTS[self.variant].latent_dim,
            channels=self.channels,
            max_channels=self.max_channels,
            mapping_layers=self.mapping_layers,
        )

    def game_options(self, faces: int, amp: bool) -> GameOptions:
        """The loop's settings, every automatic one decided."""
        own = _DEFAULTS[self.variant]
        style = self.variant == "stylegan2-ada"
        return GameOptions(
            epochs=self.epochs,
            steps_per_epoch=max(1, math.ceil((self.images_per_epoch or faces) / self.batch_size)),
            batch_size=self.batch_size,
            lr_generator=self.lr_generator or own.lr_generator,
            lr_discriminator=self.lr_discriminator or own.lr_discriminator,
            betas=own.betas,
            loss=self.loss,
            smoothing=self.smoothing,
            # Karras et al., NeurIPS 2020, appendix C: 0.0002 times pixels over pictures in a batch
            r1=self.r1 if self.r1 >= 0 else own.r1 or 0.0002 * self.size_px**2 / self.batch_size,
            r1_every=self.r1_every or own.r1_every,
            path=self.path if style else 0.0,
            path_every=self.path_every,
            ada_target=self.ada_target if self.ada_target >= 0 else 0.6 if style else 0.0,
            ada_images=self.ada_images,
            ema_images=self.ema_images,
            mirror=self.mirror,
            pack_fakes=0.0 if style else self.pack_fakes,
            amp=amp,
            seed=self.seed,
            minutes=self.minutes,
        )


def run(options: Gan) -> Path:
    """Plays, measures and writes the run folder; returns it, or the file of faces that was asked for."""
    where = device()
    data = None
    if options.faces:
        genuine = FaceSet.load(options.faces)
    else:
        data = options.data.faces(options.seed)
        genuine = genuine_faces(options, data)
    if options.export_faces:
        genuine.save(options.export_faces)
        say(f"{len(genuine.crops)} genuine faces of {genuine.size_px} px written to {options.export_faces.name}")
        return options.export_faces
    if genuine.size_px != options.size_px:
        raise ValueError(f"the faces are {genuine.size_px} px, size_px is {options.size_px}: they must be the same")
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(options.seed)
    spec = options.generator_spec()
    players = build_generator(spec), build_discriminator(spec, options.spectral_norm)
    amp = wants_amp(options.machine.amp, where, *players)
    game = Game(*players, options.game_options(len(genuine.crops), amp), where)
    begun = begin_from(options.start, game, spec, options.spectral_norm) if options.start else None
    if options.resume:
        record = Run(options.resume)
        _check_same(record, game, spec, genuine)
        before = record.record().get("begun_from")
        begun = Begun(**before) if before else None
    else:
        record = Run.create(options.data.runs_dir, f"gan-{options.variant}")
    (record.folder / "samples").mkdir(exist_ok=True)
    _write_start(record, options, game, genuine, data, amp, begun)
    say(
        f"{options.variant}: {len(genuine.crops)} genuine faces at {options.size_px} px, {options.epochs} epochs of "
        f"{game.options.steps_per_epoch * options.batch_size}; generator {_millions(game.generator)}, discriminator "
        f"{_millions(game.discriminator)} parameters; {where.type}{', bfloat16' if amp else ''}; into "
        f"{record.folder.name}/"
    )
    latents = draw_latents(spec, GRID, options.seed).to(where)
    save_image(genuine.crops[:GRID].float() / 255, record.folder / "samples" / "genuine.png", nrow=8)
    callbacks = Callbacks()
    folder = pretrained_of(options.machine.pretrained, options.faces, options.data.data_root)
    extractor = find_extractor(options.extractor, pretrained=folder) if options.fid_every else None
    if extractor:
        callbacks.features = extractor.name
        say(f"FID by {extractor.name}, on at most {options.fid_faces} generated faces")
        callbacks.measure = _measure(options, extractor, genuine, spec, where)
    fakes, fake_weights, val = None, None, None
    if data is not None and options.variant == "resnet32":
        val = eval_crops(data.val, data.faces, options.size_px, options.data.workers)
        if options.pack_fakes:
            rows = [s for s in _training(options, data) if s.label == 1]
            fakes = eval_crops(rows, data.faces, options.size_px, options.data.workers)
            fake_weights = source_weights(rows, range(len(rows)))
        judged = _Judged(data, val, where, amp)
        callbacks.judge, callbacks.store = judged.judge, judged.store_in(record)
    with Bar(options.variant) as bar:

        def on_epoch(row: dict[str, Any], averaged: nn.Module) -> None:
            pictures = generate(averaged, latents, noise="fixed")
            save_image(pictures.float() / 255, record.folder / "samples" / f"epoch-{row['epoch']:04d}.png", nrow=8)
            plots.gan_curves(record.events("epoch"), record.report / "gan_curves.png", options.variant)
            bar.title = f"{options.variant} epoch {min(row['epoch'] + 1, options.epochs)}/{options.epochs}"
            say(f"epoch {row['epoch']}: " + ", ".join(f"{k} {row[k]:.3f}" for k in _SHOWN if k in row))

        callbacks.on_step, callbacks.on_epoch = bar.at, on_epoch
        done = play(game, genuine.crops, record, record.folder / GENERATOR_FILE, callbacks, fakes, fake_weights)
    if data is not None and val is not None:
        network = build(DETECTOR)
        network.load_state_dict(load_file(record.best))
        logits = predict(network.to(where), val.split(EVAL_BATCH), where, amp=False)
        np.savez(record.folder / "val_logits.npz", names=[s.name for s in data.val], logits=logits)
        write_report(record, data.val, logits, title=f"{DETECTOR} as discriminator, validation")
    if done:
        say(f"done: {record.folder.name}/ holds generator, samples and report")
    else:
        say(f"the time is up: --resume {record.folder.name} with the same options goes on")
    return record.folder


def pretrained_of(pretrained: Path | None, faces: Path | None, data_root: Path | None) -> Path | None:
    """The folder of starting weights; a machine with a file of faces may have no data to look beside."""
    return find_pretrained(pretrained, None if faces else find_data_root(data_root))


def measure_generator(
    generator: nn.Module, spec: GeneratorSpec, genuine: FaceSet, extractor: Extractor, n: int, seed: int, runs_dir: Path
) -> dict[str, Any]:
    """All figures of `train.gan.fid.quality` for `n` generated faces; at most as many as there are genuine ones."""
    device = next(generator.parameters()).device
    known = genuine_features(extractor, genuine.crops, genuine.key(), runs_dir / "cache", device)
    latents = draw_latents(spec, min(n, len(genuine.crops)), seed + 1)
    # batch by batch: neither the pictures nor their maps need to fit into memory at once
    batches = (generate(generator, part.to(device)) for part in latents.split(_GENERATE_BATCH))
    generated = features(extractor, batches, device)
    return {"extractor": extractor.to_dict(), **quality(known, generated, genuine.halves(seed))}


def genuine_faces(options: Gan, data: FaceData) -> FaceSet:
    """The genuine training faces that a game with these options is played with."""
    train = _training(options, data)
    chosen = choose_genuine(train, data.faces, options.size_px, options.per_group, options.sources, options.seed)
    return cut_faces(chosen, data.faces, options.size_px, options.data.workers)


def _training(options: Gan, data: FaceData) -> list[Sample]:
    """Training samples without the folds that are left out."""
    train = data.train
    for name in options.left_out:
        train, _ = leave_out(train, FOLDS[name])
    return train


def _check_same(record: Run, game: Game, spec: GeneratorSpec, genuine: FaceSet) -> None:
    """A run is gone on with as it began; see `_MAY_CHANGE`."""
    record.check_same(
        "gan",
        {**_settings(game), **spec.to_dict(), "faces": genuine.key()},
        lambda before: {**before["game"], **before["generator"], "faces": before["genuine_key"]},
        _MAY_CHANGE,
    )


def _settings(game: Game) -> dict[str, Any]:
    """A game's settings as JSON gives them back."""
    values = {name: getattr(game.options, name) for name in game.options.__slots__}
    return {**values, "betas": list(game.options.betas)}


def _write_start(
    record: Run, options: Gan, game: Game, genuine: FaceSet, data: FaceData | None, amp: bool, begun: Begun | None
) -> None:
    values: dict[str, Any] = {
        "recipe": "gan",
        "options": options_record(options),
        "environment": {**environment(), "amp": amp},
        "generator": options.generator_spec().to_dict(),
        "game": _settings(game),
        "genuine_faces": len(genuine.crops),
        "genuine_key": genuine.key(),
        "learned_from": genuine.sources(),
        "images_planned": game.options.steps_per_epoch * options.batch_size * options.epochs,
        "begun_from": asdict(begun) if begun else None,
    }
    if data is not None:
        values["data"] = data.fingerprint
        values["sources"] = {"train": source_counts(data.train), "val": source_counts(data.val)}
        values["unseen_val_sources"] = sorted(data.unseen)
    if options.variant == "resnet32":
        # what `publish` reads of any detector's run
        values["options"] = {**values["options"], "model": DETECTOR}
        values |= {"start": f"scratch, by way of {begun.run}" if begun else "scratch", "start_kind": "scratch"}
    record.write_record(**values)


class _Judged:
    """The discriminator as a detector, scored on validation."""

    def __init__(self, data: FaceData, val: Tensor, device: torch.device, amp: bool) -> None:
        self.data, self.val, self.device, self.amp = data, val, device, amp
        self.network = build(DETECTOR)

    def judge(self, discriminator: nn.Module) -> dict[str, float]:
        assert isinstance(discriminator, DetectorDiscriminator)
        self.network = discriminator.plain()
        logits = predict(self.network, self.val.split(EVAL_BATCH), self.device, self.amp)
        return selection_figures(self.data.val, logits, self.data.unseen)

    def store_in(self, record: Run) -> Callable[[], None]:
        return lambda: save_weights_file(self.network, record.best)


def _measure(
    options: Gan, extractor: Extractor, genuine: FaceSet, spec: GeneratorSpec, device: torch.device
) -> Callable[[nn.Module, int], dict[str, float]]:
    def measure(averaged: nn.Module, epoch: int) -> dict[str, float]:
        if epoch % options.fid_every and epoch != options.epochs:
            return {}
        # the game's own random numbers must not depend on whether anything is measured
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(options.seed)
            quality_of = measure_generator(
                averaged, spec, genuine, extractor, options.fid_faces, options.seed, options.data.runs_dir
            )
        return {
            "fid": quality_of["fid"],
            "kid": quality_of["kid"],
            "precision": quality_of["precision"],
            "recall": quality_of["recall"],
            "fid_ratio": quality_of["halves"]["ratio"],
        }

    return measure


def _millions(network: nn.Module) -> str:
    return f"{sum(p.numel() for p in network.parameters()) / 1e6:.1f} M"
