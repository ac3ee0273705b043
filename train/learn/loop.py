"""The one supervised loop: mixed precision, schedule, EMA, early stop, checkpoints, resume.

A recipe says which network, batches, evaluation and settings; nothing here knows what the pictures are.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from detector.models.registry import Network
from train.learn.options import Schedule
from train.learn.regularise import Regularisation, backward
from train.learn.stopwatch import Stopwatch
from train.processes import ALONE, World
from train.run import Run

Batches = Callable[[int], Iterable[tuple[Tensor, Tensor]]]
"""Epoch number -> batches of (crops (N, 3, S, S) uint8, labels (N,) float)."""

Evaluate = Callable[[Network], dict[str, float]]
"""Network -> figures; "score" (higher is better) chooses the best epoch."""

Progress = Callable[[int, int, float], None]
"""(steps done, steps in all, loss of late) of one epoch."""


@dataclass(frozen=True, slots=True)
class FitOptions:
    """Options of `fit`: the recipe's groups, and what follows from data and machine."""

    schedule: Schedule
    regularisation: Regularisation
    steps_per_epoch: int
    amp: bool
    seed: int

    @property
    def steps(self) -> int:
        """Steps of all epochs."""
        return self.schedule.epochs * self.steps_per_epoch

    @property
    def warmup_steps(self) -> int:
        """Steps until the learning rate is at its highest."""
        return min(200, max(1, self.steps // 10))


def fit(
    network: Network,
    batches: Batches,
    evaluate: Evaluate,
    options: FitOptions,
    run: Run,
    *,
    device: torch.device,
    on_step: Progress | None = None,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
    world: World = ALONE,
) -> None:
    """Trains and leaves the averaged weights of the best epoch in `run.best`.

    Goes on from `run.checkpoint` when there is one: at most the epoch that was interrupted is done again, with the
    same batches, so a resumed run equals an uninterrupted one. Of several processes (`world`), each gets its part of
    every batch from `batches`; the main one evaluates and writes.
    """
    network.to(device).to(memory_format=torch.channels_last)
    shared = world.share(network)
    asked = options.schedule
    optimizer = torch.optim.AdamW(_groups(network, asked.weight_decay), lr=asked.lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: lr_factor(step, options.steps, options.warmup_steps)
    )
    # buffers are averaged too: batch norm's own averages lag behind averaged weights
    ema = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(asked.ema_decay), use_buffers=True)
    first, best, since_best, seconds = 0, -math.inf, 0, 0.0
    state = world.agree(lambda: _read_checkpoint(run.checkpoint))
    if state is not None:
        network.load_state_dict(state["network"])
        ema.load_state_dict(state["ema"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        first, best, since_best, seconds = state["epoch"], state["best"], state["since_best"], state["seconds"]
    watch = Stopwatch(seconds)
    for epoch in range(first, asked.epochs):
        if since_best > asked.patience:
            run.log("early_stop", epoch=epoch, best=best)
            break
        # dropout and the like must not depend on whether the run was resumed
        torch.manual_seed(options.seed + epoch + 1_000_003 * world.rank)
        began = watch.seconds
        loss, accuracy = _train_epoch(shared, ema, batches(epoch), optimizer, schedule, options, device, on_step, world)
        train_s = watch.seconds - began
        averaged = cast(Network, ema.module)
        averaged.eval()
        figures = world.agree(partial(evaluate, averaged))
        row = {"epoch": epoch + 1, "loss": loss, "accuracy": accuracy, "lr": schedule.get_last_lr()[0], **figures}
        row["train_s"] = train_s
        if figures["score"] > best:
            best, since_best = figures["score"], 0
            if world.is_main:
                save_weights_file(averaged, run.best)
        else:
            since_best += 1
        row |= {"best": best, "hours": watch.seconds / 3600}
        run.log("epoch", **row)
        if world.is_main:
            _save_checkpoint(
                run.checkpoint,
                {
                    "network": network.state_dict(),
                    "ema": ema.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "schedule": schedule.state_dict(),
                    "epoch": epoch + 1,
                    "best": best,
                    "since_best": since_best,
                    "seconds": watch.seconds,
                },
            )
        if on_epoch:
            on_epoch(row)
    run.write_record(train_hours=round(watch.seconds / 3600, 3), best_score=best)


def _train_epoch(
    network: nn.Module,
    ema: AveragedModel,
    batches: Iterable[tuple[Tensor, Tensor]],
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LambdaLR,
    options: FitOptions,
    device: torch.device,
    on_step: Progress | None,
    world: World,
) -> tuple[float, float]:
    network.train()
    late, loss_sum, right, seen = 0.0, 0.0, 0, 0
    for step, (crops, labels) in enumerate(batches, 1):
        crops, labels = to_device(crops, device), labels.to(device)
        optimizer.zero_grad(set_to_none=True)
        loss, logits = backward(network, crops, labels, options.regularisation, options.amp)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss.item()} at step {step}: lower the learning rate")
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        ema.update_parameters(network)
        value = loss.item()
        late = value if step == 1 else 0.98 * late + 0.02 * value
        loss_sum += value * len(labels)
        right += int(((logits > 0) == (labels > 0.5)).sum())
        seen += len(labels)
        if on_step:
            on_step(step, options.steps_per_epoch, late)
    if seen == 0:
        raise ValueError("an epoch had no batches")
    loss_sum, hits, faces = world.totals([loss_sum, right, seen])
    return loss_sum / faces, hits / faces


def wants_amp(choice: Literal["auto", "on", "off"], device: torch.device, *networks: nn.Module) -> bool:
    """Whether to compute in bfloat16: as chosen, or where it is faster for every one of the networks.

    That is on GPUs, on CPUs with AMX, and on CPUs with AVX-512's bfloat16 for networks of dense convolutions alone.
    Training steps of the second kind (AMD EPYC, 2 cores) were 1.5 to 1.75 times as fast as in float32 for ResNet-18,
    ResNet-32 and StyleGAN2, but 0.65 for EfficientNet-B0 and 0.85 for MobileNetV2: the gradients of grouped
    convolutions are slow there.
    """
    if choice != "auto":
        return choice == "on"
    if device.type == "cuda":
        return True
    can = torch.cpu.get_capabilities()
    return bool(can.get("amx_bf16")) or (bool(can.get("avx512_bf16")) and not any(map(_has_groups, networks)))


def _has_groups(network: nn.Module) -> bool:
    return any(isinstance(m, nn.Conv2d) and m.groups > 1 for m in network.modules())


def to_device(crops: Tensor, device: torch.device) -> Tensor:
    """uint8 crops to float in [0, 1] on the device, channels last."""
    return crops.to(device, non_blocking=True).to(torch.float32, memory_format=torch.channels_last) / 255


@torch.inference_mode()
def predict(network: Network, crops: Iterable[Tensor], device: torch.device, amp: bool = True) -> np.ndarray:
    """Logits (N,) float32 of batches of uint8 crops."""
    network.eval()
    parts = []
    for batch in crops:
        with torch.autocast(device.type, torch.bfloat16, enabled=amp):
            parts.append(network(to_device(batch, device)).float().cpu())
    return torch.cat(parts).numpy() if parts else np.zeros(0, np.float32)


def save_weights_file(network: nn.Module, path: Path) -> None:
    """Weights as float32 safetensors, written whole or not at all."""
    partial = path.with_suffix(".partial")
    save_file({k: v.detach().float().cpu().contiguous() for k, v in network.state_dict().items()}, partial)
    partial.replace(path)


def _read_checkpoint(path: Path) -> dict[str, Any] | None:
    return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None


def _save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def _groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    # decaying norms and biases only shrinks activations
    decay = [p for p in network.parameters() if p.ndim > 1]
    rest = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": decay, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def lr_factor(step: int, total: int, warmup: int) -> float:
    """Linear warm-up, then half a cosine down to zero."""
    if step < warmup:
        return (step + 1) / warmup
    share = (step - warmup) / max(1, total - warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
