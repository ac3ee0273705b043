"""The game's loop: two players in turn, lazy regularisation, averaged generator, checkpoints, resume.

A recipe says who plays, with which faces and settings. Logits are positive for generated pictures. An interrupted game
goes on after its last whole epoch, with the same batches and noise, so a resumed run equals an uninterrupted one.
"""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from detector.weights import save_network
from train.gan.ada import AdaController, augment
from train.gan.losses import Loss, discriminator_loss, generator_loss, path_lengths, path_penalty, r1_penalty
from train.gan.players import to_pictures
from train.gan.stylegan2 import StyleGan2Generator
from train.learn.stopwatch import Stopwatch
from train.run import Run

OnStep = Callable[[int, int, str], None]
"""(steps done, steps in all, a note) of one epoch."""

_READ_EVERY = 16
"""Steps between two readings of the losses: each makes the host wait for a GPU."""


@dataclass(frozen=True, slots=True)
class GameOptions:
    """Settings of one game; see the fields of the recipe for what they mean."""

    epochs: int
    steps_per_epoch: int
    batch_size: int
    lr_generator: float
    lr_discriminator: float
    betas: tuple[float, float]
    loss: Loss
    smoothing: float
    r1: float
    r1_every: int
    path: float
    path_every: int
    ada_target: float
    ada_images: int
    ema_images: int
    mirror: bool
    pack_fakes: float
    amp: bool
    seed: int
    minutes: float


@dataclass(slots=True)
class Callbacks:
    """Calls to a recipe along the way.

    Attributes:
        judge: discriminator -> figures at the end of an epoch.
        store: keeps what was judged last; called when its "score" is the best so far.
        measure: averaged generator, epoch -> figures; "fid" (lower is better), where it is measured, chooses which
            generator is kept.
        features: what "fid" is measured on: figures on other features are not compared.
        on_step: (steps done, steps in all, note).
        on_epoch: the logged row and the averaged generator.
    """

    judge: Callable[[nn.Module], dict[str, float]] | None = None
    store: Callable[[], None] | None = None
    measure: Callable[[nn.Module, int], dict[str, float]] | None = None
    features: str = ""
    on_step: OnStep | None = None
    on_epoch: Callable[[dict[str, Any], nn.Module], None] | None = None


class Game:
    """Two players, their optimizers and everything that a checkpoint holds."""

    def __init__(
        self, generator: nn.Module, discriminator: nn.Module, options: GameOptions, device: torch.device
    ) -> None:
        self.options, self.device = options, device
        self.generator = generator.to(device).to(memory_format=torch.channels_last).train()
        self.discriminator = discriminator.to(device).to(memory_format=torch.channels_last).train()
        self.averaged = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.latent_dim = int(generator.latent_dim)  # type: ignore[arg-type]
        self.optimizer_g = _adam(
            self.generator, options.lr_generator, options.betas, options.path_every if options.path else 0
        )
        self.optimizer_d = _adam(
            self.discriminator, options.lr_discriminator, options.betas, options.r1_every if options.r1 else 0
        )
        self.ada = AdaController(options.ada_target, options.ada_images)
        self.path_mean = torch.zeros((), device=device)
        self.steps = 0
        self.images = 0
        self.seconds_before = 0.0

    def begin(
        self,
        generator: dict[str, Tensor],
        discriminator: dict[str, Tensor],
        *,
        ada_p: float,
        path_mean: float,
        images: int,
        seconds: float,
    ) -> None:
        """Takes over the players of an earlier game, whose averaged generator becomes the one that learns.

        Args:
            generator: its weights; `discriminator` likewise.
            ada_p: chance of augmentation that game had reached.
            path_mean: its mean of path lengths.
            images: genuine faces it was shown; they count for this game too, as do its `seconds`.
        """
        self.generator.load_state_dict(generator)
        self.averaged.load_state_dict(generator)
        self.discriminator.load_state_dict(discriminator)
        self.ada.p, self.images, self.seconds_before = ada_p, images, seconds
        self.path_mean = torch.full_like(self.path_mean, path_mean)

    def epoch(
        self, genuine: Tensor, indices: np.ndarray, fakes: Tensor | None, fake_indices: np.ndarray, on_step: OnStep
    ) -> dict[str, float]:
        """Plays one epoch.

        Args:
            genuine: all faces (N, 3, S, S) uint8 on the device.
            indices: (steps, batch) of the faces of each step.
            fakes: manipulated faces likewise, or None; `fake_indices` (steps, k) those of each step.

        Returns:
            means over the epoch.

        Raises:
            FloatingPointError: a loss is no longer a number.
        """
        sums: dict[str, Tensor] = {}
        counts: dict[str, int] = {}
        began = time.monotonic()
        total = len(indices)
        note = ""
        for step in range(total):
            pictures = self._pictures(genuine, indices[step])
            extra = None if fakes is None else self._pictures(fakes, fake_indices[step])
            values = {**self._step_discriminator(pictures, extra), **self._step_generator()}
            self._average()
            self.steps += 1
            self.images += len(pictures)
            for name, value in values.items():
                sums[name] = sums.get(name, torch.zeros((), device=self.device)) + value.detach().float()
                counts[name] = counts.get(name, 0) + 1
            if (step + 1) % _READ_EVERY == 0 or step + 1 == total:
                losses = [values[k].item() for k in ("d_loss", "g_loss")]
                if not all(map(math.isfinite, losses)):
                    raise FloatingPointError(f"the losses are {losses} at step {step + 1}: lower the learning rates")
                speed = (step + 1) * self.options.batch_size / (time.monotonic() - began)
                note = f"D {losses[0]:.2f} G {losses[1]:.2f}, {speed:.1f} images/s"
            on_step(step + 1, total, note)
        means = {name: float(value) / counts[name] for name, value in sums.items()}
        speed = total * self.options.batch_size / (time.monotonic() - began)
        return {**means, "p": self.ada.p, "r_t": self.ada.r_t, "images": self.images, "images_per_s": round(speed, 2)}

    def state(self) -> dict[str, Any]:
        return {
            "generator": self.generator.state_dict(),
            "averaged": self.averaged.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "optimizer_g": self.optimizer_g.state_dict(),
            "optimizer_d": self.optimizer_d.state_dict(),
            "ada": self.ada.state(),
            "path_mean": self.path_mean,
            "steps": self.steps,
            "images": self.images,
        }

    def load(self, state: dict[str, Any]) -> None:
        for part in ("generator", "averaged", "discriminator", "optimizer_g", "optimizer_d"):
            getattr(self, part).load_state_dict(state[part])
        self.ada.load(state["ada"])
        self.path_mean, self.steps, self.images = state["path_mean"], state["steps"], state["images"]

    def _pictures(self, crops: Tensor, rows: np.ndarray) -> Tensor:
        pictures = to_pictures(crops[torch.from_numpy(rows).to(self.device)])
        if self.options.mirror:
            flip = torch.rand(len(rows), device=self.device) < 0.5
            pictures = torch.where(flip[:, None, None, None], pictures.flip(3), pictures)
        return pictures

    def _latents(self, n: int) -> Tensor:
        return torch.randn(n, self.latent_dim, device=self.device)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.amp)

    def _step_discriminator(self, genuine: Tensor, extra: Tensor | None) -> dict[str, Tensor]:
        options, n = self.options, len(genuine)
        self.discriminator.train().requires_grad_(True)
        with torch.no_grad(), self._autocast():
            generated = self.generator(self._latents(n - (0 if extra is None else len(extra)))).float()
        fakes = generated if extra is None else torch.cat([generated, extra])
        with torch.no_grad():
            seen = augment(torch.cat([genuine, fakes]), self.ada.p).contiguous(memory_format=torch.channels_last)
        with self._autocast():
            logits = self.discriminator(seen).float()
        loss = discriminator_loss(logits[:n], logits[n:], options.loss, options.smoothing)
        values = {
            "d_loss": loss,
            "accuracy": ((logits[:n] < 0).float().mean() + (logits[n:] > 0).float().mean()) / 2,
            "d_genuine": logits[:n].mean(),
            "d_generated": logits[n : n + len(generated)].mean(),
        }
        if options.r1 and self.steps % options.r1_every == 0:
            pictures = seen[:n].clone().requires_grad_(True)
            penalty = r1_penalty(self.discriminator(pictures).float(), pictures)
            loss = loss + penalty * (options.r1 * options.r1_every)
            values["r1"] = penalty
        self.optimizer_d.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer_d.step()
        if options.ada_target:
            self.ada.observe(logits[:n])
        return values

    def _step_generator(self) -> dict[str, Tensor]:
        options = self.options
        self.discriminator.requires_grad_(False)
        with self._autocast():
            generated = self.generator(self._latents(options.batch_size))
            logits = self.discriminator(augment(generated.float(), self.ada.p)).float()
        loss = generator_loss(logits, options.loss)
        values = {"g_loss": loss}
        if options.path and self.steps % options.path_every == 0 and isinstance(self.generator, StyleGan2Generator):
            # half a batch, as in the paper: second derivatives cost memory
            styles = self.generator.mapping(self._latents(max(1, options.batch_size // 2)))
            lengths = path_lengths(self.generator.synthesis(styles), styles)
            penalty, self.path_mean = path_penalty(lengths, self.path_mean)
            loss = loss + penalty * (options.path * options.path_every)
            values |= {"path_penalty": penalty, "path_length": lengths.mean()}
        self.optimizer_g.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer_g.step()
        return values

    @torch.no_grad()
    def _average(self) -> None:
        """The averaged generator: half-life in pictures, shorter at first, so that it does not remember the noise."""
        images = min(self.options.ema_images, max(1, 0.05 * self.images))
        decay = 0.5 ** (self.options.batch_size / images)
        for average, new in zip(self.averaged.parameters(), self.generator.parameters(), strict=True):
            average.lerp_(new, 1 - decay)
        for held, now in zip(self.averaged.buffers(), self.generator.buffers(), strict=True):
            if held.is_floating_point():
                held.lerp_(now, 1 - decay)
            else:
                held.copy_(now)


def play(
    game: Game,
    genuine: Tensor,
    run: Run,
    generator_path: Path,
    callbacks: Callbacks,
    fakes: Tensor | None = None,
    fake_weights: np.ndarray | None = None,
) -> bool:
    """Plays all epochs, or as many as the minutes allow; goes on from `run.checkpoint` where there is one.

    Args:
        game: its players and settings.
        genuine: faces (N, 3, S, S) uint8.
        run: takes log, checkpoint and record.
        generator_path: takes the averaged generator, of the lowest FID where it is measured, else the last.
        callbacks: what else happens.
        fakes: manipulated faces that join the discriminator's, with their chances.

    Returns:
        True if all epochs are done, False if the time was up.
    """
    options, device = game.options, game.device
    genuine = genuine.to(device)
    fakes = None if fakes is None else fakes.to(device)
    best = _Best(features=callbacks.features, seconds=game.seconds_before)
    if run.checkpoint.exists():
        state = torch.load(run.checkpoint, map_location=device, weights_only=True)
        game.load(state["game"])
        best = _Best(**state["kept"])
        if best.features != callbacks.features:
            best.features, best.fid = callbacks.features, math.inf
    watch = Stopwatch(best.seconds)
    began = time.monotonic()
    for epoch in range(best.epoch, options.epochs):
        started = time.monotonic()
        # latents, noise and augmentation must not depend on whether the run was resumed
        torch.manual_seed(options.seed + epoch)
        rng = np.random.default_rng((options.seed, epoch))
        indices = _shuffled(len(genuine), options.steps_per_epoch * options.batch_size, rng)
        k = 0 if fakes is None else round(options.batch_size * options.pack_fakes)
        drawn = (
            rng.choice(len(fakes), options.steps_per_epoch * k, p=fake_weights) if fakes is not None else indices[:0]
        )
        means = game.epoch(
            genuine,
            indices.reshape(options.steps_per_epoch, options.batch_size),
            fakes if k else None,
            drawn.reshape(options.steps_per_epoch, k),
            callbacks.on_step or _silent,
        )
        figures: dict[str, float] = {"loss": means["d_loss"], **means}
        if callbacks.judge:
            figures |= callbacks.judge(game.discriminator)
        if callbacks.store and figures.get("score", -math.inf) > best.score:
            best.score = figures["score"]
            callbacks.store()
        measured = callbacks.measure(game.averaged, epoch + 1) if callbacks.measure else {}
        if not math.isfinite(best.fid) or measured.get("fid", math.inf) < best.fid:
            save_network(game.averaged, generator_path)
            best.fid, best.fid_epoch = measured.get("fid", math.inf), epoch + 1
        best.epoch, best.seconds = epoch + 1, watch.seconds
        row: dict[str, Any] = {"epoch": epoch + 1, **figures, **measured, "hours": watch.seconds / 3600}
        if measured:
            row["features"] = best.features
        run.log("epoch", **row)
        _save(run.checkpoint, {"game": game.state(), "kept": best.to_dict()})
        run.write_record(
            train_hours=round(watch.seconds / 3600, 3),
            generator_epoch=best.fid_epoch,
            images_seen=game.images,
            **({"best_score": best.score} if callbacks.store else {}),
        )
        if callbacks.on_epoch:
            callbacks.on_epoch(row, game.averaged)
        now = time.monotonic()
        if options.minutes and epoch + 1 < options.epochs and now - began + (now - started) > options.minutes * 60:
            return False
    return True


@dataclass(slots=True)
class _Best:
    """The best that was reached so far."""

    epoch: int = 0
    score: float = -math.inf
    fid: float = math.inf
    fid_epoch: int = 0
    seconds: float = 0.0
    features: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def _shuffled(n: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` indices below n: whole shuffled passes, one after the other."""
    return np.concatenate([rng.permutation(n) for _ in range(math.ceil(count / n))])[:count]


def _adam(network: nn.Module, lr: float, betas: tuple[float, float], lazy_every: int) -> torch.optim.Adam:
    """Adam; corrected for a regulariser that is added every so many steps only (CVPR 2020, appendix B)."""
    share = lazy_every / (lazy_every + 1) if lazy_every > 1 else 1.0
    return torch.optim.Adam(network.parameters(), lr=lr * share, betas=(betas[0] ** share, betas[1] ** share), eps=1e-8)


def _save(path: Path, state: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def _silent(done: int, total: int, note: str) -> None:
    pass
