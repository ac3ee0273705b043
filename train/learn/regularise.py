"""Regularisation beside augmentation, weight decay and dropout: what keeps a network from memorising training faces.

Label smoothing; class weights; adversarial training (Goodfellow et al., 2015; Madry et al., 2018); sharpness-aware
minimisation (Foret et al., "Sharpness-Aware Minimization for Efficiently Improving Generalization", ICLR 2021).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from train.learn.attacks import attacked
from train.options import Group


@dataclass(frozen=True)
class Regularisation(Group):
    """How the loss of a batch is made, and where its gradients are taken."""

    dropout: float = 0.2
    label_smoothing: float = 0.05
    """Labels are brought this much towards one half."""
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

    def __post_init__(self) -> None:
        if not 0 <= self.attacked <= 1:
            raise ValueError("attacked is a share from 0 to 1")
        if self.genuine_weight <= 0 or self.sam < 0 or self.epsilon <= 0:
            raise ValueError("genuine_weight and epsilon must be above 0, sam not below")


def loss_of_logits(logits: Tensor, labels: Tensor, options: Regularisation) -> Tensor:
    """Mean cross-entropy of (N,) logits with smoothed labels; class weights average one over a balanced batch."""
    smooth = labels * (1 - options.label_smoothing) + options.label_smoothing / 2
    weight = None
    if options.genuine_weight != 1:
        of_genuine = 2 * options.genuine_weight / (1 + options.genuine_weight)
        weight = torch.where(labels > 0.5, 2 - of_genuine, of_genuine)
    return nn.functional.binary_cross_entropy_with_logits(logits.float(), smooth, weight)


def backward(
    network: nn.Module, crops: Tensor, labels: Tensor, options: Regularisation, amp: bool
) -> tuple[Tensor, Tensor]:
    """Leaves the gradients of a batch in the parameters, which must have none; gives the loss and the logits (N,).

    Args:
        network: takes crops in [0, 1].
        crops: (N, 3, S, S) float in [0, 1].
        labels: (N,) float.
        options: how.
        amp: whether the network computes in bfloat16.
    """

    def logits_of(inputs: Tensor) -> Tensor:
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=amp):
            logits: Tensor = network(inputs)
        return logits

    if options.adversarial != "off":
        crops = _partly_attacked(network, crops, labels, options, amp)
    logits = logits_of(crops)
    loss = loss_of_logits(logits, labels, options)
    loss.backward()
    if options.sam > 0:
        with uphill(network, options.sam):
            loss_of_logits(logits_of(crops), labels, options).backward()
    return loss.detach(), logits.detach()


@contextmanager
def uphill(network: nn.Module, rho: float) -> Iterator[None]:
    """Inside, the parameters are the worst within `rho` of their place, by the gradients they had; these are gone.

    Gradients that are computed inside stay, the parameters go back to where they were.
    """
    parameters = [p for p in network.parameters() if p.grad is not None]
    before = [p.detach().clone() for p in parameters]
    with torch.no_grad():
        norm = torch.stack([p.grad.norm() for p in parameters if p.grad is not None]).norm()
        for p in parameters:
            assert p.grad is not None
            p.add_(p.grad * (rho / (norm + 1e-12)))
            p.grad = None
    try:
        with frozen_statistics(network):
            yield
    finally:
        with torch.no_grad():
            for p, old in zip(parameters, before, strict=True):
                p.copy_(old)


@contextmanager
def frozen_statistics(network: nn.Module) -> Iterator[None]:
    """Inside, batch norms use the batch's statistics in training but do not add them to their running ones."""
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm)]
    before = [m.momentum for m in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum


def _partly_attacked(network: nn.Module, crops: Tensor, labels: Tensor, options: Regularisation, amp: bool) -> Tensor:
    """A random share of the crops changed so as to raise the loss; the others as they are."""
    assert options.adversarial != "off"
    count = round(len(crops) * options.attacked)
    if count == 0:
        return crops
    # an attack leaves the parameters alone, so several processes have no gradients of it to share
    network = network.module if isinstance(network, DistributedDataParallel) else network
    rows = torch.randperm(len(crops))[:count].to(crops.device)
    targets = labels[rows]

    def loss_of(inputs: Tensor) -> Tensor:
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=amp):
            logits = network(inputs)
        # a sum: the sign of a pixel's gradient must not depend on how small a mean makes it
        return nn.functional.binary_cross_entropy_with_logits(logits.float(), targets, reduction="sum")

    out = crops.clone()
    with frozen_statistics(network):
        out[rows] = attacked(options.adversarial, loss_of, crops[rows], options.epsilon / 255)
    return out
