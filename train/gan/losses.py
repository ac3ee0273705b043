"""Losses of the game and its two regularisers. Logits are positive for generated pictures, as everywhere here."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Loss = Literal["bce", "hinge"]


def discriminator_loss(genuine: Tensor, generated: Tensor, kind: Loss, smoothing: float = 0.0) -> Tensor:
    """Mean loss of the discriminator.

    Args:
        genuine: logits (N,) of genuine pictures, `generated` (M,) of generated ones.
        kind: "bce" (Goodfellow et al., 2014) or "hinge" (Lim and Ye, 2017).
        smoothing: of the label of genuine pictures alone (Salimans et al., 2016), for "bce".
    """
    if kind == "hinge":
        return functional.relu(1 + genuine).mean() + functional.relu(1 - generated).mean()
    wanted = torch.full_like(genuine, smoothing)
    of_genuine = functional.binary_cross_entropy_with_logits(genuine, wanted)
    return of_genuine + functional.softplus(-generated).mean()


def generator_loss(generated: Tensor, kind: Loss) -> Tensor:
    """Mean loss of the generator: non-saturating cross-entropy (its pictures labelled genuine), or the hinge's."""
    return generated.mean() if kind == "hinge" else functional.softplus(generated).mean()


def r1_penalty(logits: Tensor, pictures: Tensor) -> Tensor:
    """Mean squared gradient of the logits on genuine pictures, half of it (Mescheder et al., 2018, equation 9).

    Args:
        logits: (N,) of `pictures`, each a function of its own picture alone.
        pictures: (N, 3, S, S), requiring gradients.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), pictures, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean() / 2


def path_lengths(pictures: Tensor, styles: Tensor) -> Tensor:
    """How far a picture moves in a random direction when its style does: (N,) (Karras et al., CVPR 2020, section 3.2).

    Args:
        pictures: (N, 3, S, S), a function of `styles` (N, D).
    """
    # divided by the side, so that the length does not grow with the resolution
    direction = torch.randn_like(pictures) / (pictures.shape[2] * pictures.shape[3]) ** 0.5
    (gradient,) = torch.autograd.grad((pictures * direction).sum(), styles, create_graph=True)
    return gradient.square().sum(1).sqrt()


def path_penalty(lengths: Tensor, mean: Tensor, rate: float = 0.01) -> tuple[Tensor, Tensor]:
    """Mean squared distance of the lengths from their running mean, and that mean moved on by `rate`."""
    moved = mean.lerp(lengths.detach().mean(), rate)
    return (lengths - moved).square().mean(), moved
