"""Adaptive discriminator augmentation: as much augmentation as keeps a discriminator from learning faces by heart.

Karras et al., "Training Generative Adversarial Networks with Limited Data", NeurIPS 2020 (written from the paper: its
section 3 for the heuristic, appendix B for the transformations and their ranges; pixel blitting, geometry and colour).
Genuine and generated pictures go through the same transformations, differentiable so that the generator learns through
them. Simpler than the paper: one bilinear resampling with mirrored borders, without its wavelet filter.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_SIGMA_SCALE = 0.2
_SIGMA_SHIFT = 0.125
_SIGMA_BRIGHTNESS = 0.2
_SIGMA_CONTRAST = 0.5
_SIGMA_SATURATION = 1.0


@dataclass
class AdaController:
    """The chance p of every transformation, led by r_t = E[sign(-logit)] on genuine training pictures.

    r_t is 0 while the discriminator is undecided about them and 1 once it is sure of all: overfitting. Each
    `interval` steps p moves towards what keeps r_t at `target`, by as much as goes from 0 to 1 in `images` pictures.
    """

    target: float
    images: int
    interval: int = 4
    p: float = 0.0
    r_t: float = 0.0
    steps: int = 0
    seen: int = 0
    signs: Tensor | float = 0.0

    def observe(self, genuine_logits: Tensor) -> None:
        """Takes in the logits (N,) of genuine pictures of one step, positive = generated."""
        # stays on the device until it is needed: reading a value makes the host wait
        self.signs = self.signs + (-genuine_logits.detach()).sign().sum()
        self.seen += len(genuine_logits)
        self.steps += 1
        if self.steps % self.interval == 0:
            self.r_t = float(self.signs) / self.seen
            step = self.seen / self.images
            self.p = min(1.0, max(0.0, self.p + math.copysign(step, self.r_t - self.target)))
            self.signs, self.seen = 0.0, 0

    def state(self) -> dict[str, float]:
        return {"p": self.p, "r_t": self.r_t, "steps": self.steps, "seen": self.seen, "signs": float(self.signs)}

    def load(self, state: dict[str, float]) -> None:
        self.p, self.r_t, self.signs = state["p"], state["r_t"], state["signs"]
        self.steps, self.seen = int(state["steps"]), int(state["seen"])


def augment(pictures: Tensor, p: float) -> Tensor:
    """Pictures (N, 3, S, S) in [-1, 1], each transformation applied to each with chance p; the same tensor for p = 0.

    Randomness is torch's own of the pictures' device.
    """
    if p <= 0:
        return pictures
    return _colour(_geometry(pictures, p), p)


def _geometry(pictures: Tensor, p: float) -> Tensor:
    """Flip, quarter turns, shifts, scaling and rotation as one resampling.

    All ranges are symmetric, so the matrices are drawn as they are needed: from the place of an output pixel to the
    place in the input that it is taken from, in units of half the side.
    """
    n, size = pictures.shape[0], pictures.shape[2]
    draw = _Draw(n, pictures.device)
    one, zero = draw.constant(1.0), draw.constant(0.0)
    # pixel blitting: exact, no pixel is interpolated
    matrix = _affine(draw.keep(1 - 2 * draw.integers(2), p, one), zero, zero, one)
    quarter = draw.keep(draw.integers(4), p, zero) * (math.pi / 2)
    # rounded, since the sine of a half turn in floating point is not 0
    matrix = matrix @ _turn(quarter).round()
    shift = [draw.keep((draw.uniform() * _SIGMA_SHIFT * size).round() * 2 / size, p, zero) for _ in range(2)]
    matrix = matrix @ _affine(one, zero, zero, one, *shift)
    # geometry: even scale, turn, uneven scale, turn, shift
    even = draw.keep(torch.exp2(draw.normal() * _SIGMA_SCALE), p, one)
    matrix = matrix @ _affine(even, zero, zero, even)
    # two turns, so that the chance of any is p
    p_turn = 1 - math.sqrt(1 - p)
    matrix = matrix @ _turn(draw.keep(draw.uniform() * math.pi, p_turn, zero))
    uneven = draw.keep(torch.exp2(draw.normal() * _SIGMA_SCALE), p, one)
    matrix = matrix @ _affine(uneven, zero, zero, 1 / uneven)
    matrix = matrix @ _turn(draw.keep(draw.uniform() * math.pi, p_turn, zero))
    shift = [draw.keep(draw.normal() * _SIGMA_SHIFT * 2, p, zero) for _ in range(2)]
    matrix = matrix @ _affine(one, zero, zero, one, *shift)
    grid = functional.affine_grid(matrix[:, :2], list(pictures.shape), align_corners=False)
    return functional.grid_sample(
        pictures.float(), grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )


def _colour(pictures: Tensor, p: float) -> Tensor:
    """Brightness, contrast, luma flip, hue and saturation as one matrix on colours."""
    n, device = pictures.shape[0], pictures.device
    draw = _Draw(n, device)
    one, zero = draw.constant(1.0), draw.constant(0.0)
    grey = torch.full((3,), 1 / math.sqrt(3), device=device)
    along = torch.outer(grey, grey)
    eye = torch.eye(3, device=device)
    brightness = draw.keep(draw.normal() * _SIGMA_BRIGHTNESS, p, zero)[:, None].expand(n, 3)
    contrast = draw.keep(torch.exp2(draw.normal() * _SIGMA_CONTRAST), p, one)
    matrix = eye * contrast[:, None, None]
    offset = brightness * contrast[:, None]
    # mirrored at the plane across the grey axis: dark becomes light, hue stays
    flip = draw.keep(draw.integers(2), p, zero)[:, None, None]
    mirror = eye - 2 * along * flip
    # turned about the grey axis (Rodrigues' formula)
    angle = draw.keep(draw.uniform() * math.pi, p, zero)[:, None, None]
    a = 1 / math.sqrt(3)
    cross = torch.tensor([[0.0, -a, a], [a, 0.0, -a], [-a, a, 0.0]], device=device)
    hue = eye * angle.cos() + cross * angle.sin() + along * (1 - angle.cos())
    amount = draw.keep(torch.exp2(draw.normal() * _SIGMA_SATURATION), p, one)[:, None, None]
    saturation = along + (eye - along) * amount
    later = saturation @ hue @ mirror
    matrix = later @ matrix
    offset = (later @ offset[:, :, None])[:, :, 0]
    return torch.einsum("nij,njhw->nihw", matrix, pictures) + offset[:, :, None, None]


class _Draw:
    """Random numbers for n pictures on one device."""

    def __init__(self, n: int, device: torch.device) -> None:
        self.n, self.device = n, device

    def constant(self, value: float) -> Tensor:
        return torch.full((self.n,), value, device=self.device)

    def normal(self) -> Tensor:
        return torch.randn(self.n, device=self.device)

    def uniform(self) -> Tensor:
        """In [-1, 1)."""
        return torch.rand(self.n, device=self.device) * 2 - 1

    def integers(self, count: int) -> Tensor:
        return torch.randint(count, (self.n,), device=self.device).float()

    def keep(self, values: Tensor, p: float, neutral: Tensor) -> Tensor:
        """Each value with chance p, else the neutral one."""
        return torch.where(torch.rand(self.n, device=self.device) < p, values, neutral)


def _affine(xx: Tensor, xy: Tensor, yx: Tensor, yy: Tensor, x: Tensor | None = None, y: Tensor | None = None) -> Tensor:
    """(N, 3, 3) from coefficients (N,)."""
    zero, one = torch.zeros_like(xx), torch.ones_like(xx)
    rows = [xx, xy, zero if x is None else x, yx, yy, zero if y is None else y, zero, zero, one]
    return torch.stack(rows, 1).view(-1, 3, 3)


def _turn(angle: Tensor) -> Tensor:
    return _affine(angle.cos(), -angle.sin(), angle.sin(), angle.cos())
