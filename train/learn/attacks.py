"""Adversarial changes of pictures: the smallest steps that mislead a network most.

FGSM: Goodfellow et al., "Explaining and Harnessing Adversarial Examples", ICLR 2015. PGD: Madry et al., "Towards Deep
Learning Models Resistant to Adversarial Attacks", ICLR 2018. Both stay within `epsilon` of every pixel and in [0, 1].
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Attack = Literal["fgsm", "pgd"]
PGD_STEPS = 5
LossOf = Callable[[Tensor], Tensor]
"""Crops (N, 3, S, S) in [0, 1] -> one number to be raised."""


def fgsm(loss_of: LossOf, crops: Tensor, epsilon: float) -> Tensor:
    """One step of `epsilon` for every pixel, in the direction that raises the loss.

    Args:
        loss_of: differentiable; the gradients of its parameters stay as they are.
        crops: (N, 3, S, S) float in [0, 1]; not changed.
        epsilon: largest change of a pixel, in the same unit.
    """
    return (crops + epsilon * _uphill(loss_of, crops)).clamp(0, 1)


def pgd(loss_of: LossOf, crops: Tensor, epsilon: float, steps: int = PGD_STEPS) -> Tensor:
    """Several smaller steps from a random start, each brought back to within `epsilon`; otherwise as `fgsm`.

    The start is drawn by torch's global generator. A step is 2.5 epsilon / steps, so that the border can be reached
    from anywhere (Madry et al., as in their published code).
    """
    changed = (crops + torch.empty_like(crops).uniform_(-epsilon, epsilon)).clamp(0, 1)
    for _ in range(steps):
        changed = changed + 2.5 * epsilon / steps * _uphill(loss_of, changed)
        changed = torch.clamp(changed, crops - epsilon, crops + epsilon).clamp(0, 1)
    return changed


def attacked(attack: Attack, loss_of: LossOf, crops: Tensor, epsilon: float) -> Tensor:
    """The crops after an attack by name."""
    return fgsm(loss_of, crops, epsilon) if attack == "fgsm" else pgd(loss_of, crops, epsilon)


def _uphill(loss_of: LossOf, crops: Tensor) -> Tensor:
    inputs = crops.detach().clone().requires_grad_(True)
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(loss_of(inputs), inputs)
    return gradient.sign()
