"""Self-blended clips that flicker: the blend of `self_blend` over one person's frames, changing from frame to frame.

A face swap is made frame by frame: its strength, place and colours waver, and now and then a frame keeps its own face.
All frames share one blend, drawn once; what wavers is how much of it shows, how far its inner face is moved, and, in
jumps, the inner face's colours; the outline also wavers by itself as the face moves. What lies around the mask does
not waver: there, twin and genuine partner are equal (`genuine_side`), so that only the blend tells them apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from detector.types import Face
from train.data.self_blend import SelfBlend, genuine_side, self_blend

_LEAST = 0.02
"""A blend that is lost still shows by so much: at zero `self_blend` would leave out the change around the mask too."""


@dataclass(frozen=True, slots=True)
class Flicker:
    """How far a clip's blend may waver; each clip draws its own values from these ranges."""

    steady: float = 0.25
    """Share of clips whose blend does not waver: such swaps exist as well."""
    depth: tuple[float, float] = (0.1, 0.7)
    """Standard deviation of strength and of movement, as a share of their own size."""
    memory: tuple[float, float] = (0.0, 0.8)
    """Correlation of one frame's deviation with the next one's."""
    jumps: tuple[float, float] = (0.0, 0.3)
    """Share of frames from which on the inner face has other colours."""
    lost: tuple[float, float] = (0.0, 0.15)
    """Share of frames in which the blend is as good as absent."""

    def __post_init__(self) -> None:
        ranges = (self.depth, self.memory, self.jumps, self.lost, (0.0, self.steady))
        if not all(0 <= low <= high <= 1 for low, high in ranges):
            raise ValueError("every setting of a flicker is a share, or a range of shares from low to high")


def flicker_blend(
    images: Sequence[np.ndarray],
    faces: Sequence[Face],
    rng: np.random.Generator,
    options: SelfBlend | None = None,
    flicker: Flicker | None = None,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """A manipulated twin of a genuine person's frames, and its genuine partner.

    Args:
        images: T frames or parts of them in order of time, (H, W, 3) uint8 RGB each, of any size.
        faces: the person's face in each, in its pixels, with five landmarks.
        rng: all randomness: its state alone decides the result.
        options: of the blend that the frames share.
        flicker: how it wavers.

    Returns:
        The twins and the partners, T each, of the sizes of the images.

    Raises:
        ValueError: a face has no five landmarks.
    """
    options, flicker = options or SelfBlend(), flicker or Flicker()
    n = len(images)
    seed = int(rng.integers(2**62))
    shown = [r for r in options.ratios if r > 0]
    ratio = float(rng.choice(shown)) if shown else 1.0
    wavers = float(rng.random() >= flicker.steady)
    depth, jumps, lost = (wavers * rng.uniform(*r) for r in (flicker.depth, flicker.jumps, flicker.lost))
    memory = rng.uniform(*flicker.memory)
    strength = np.clip(1 - depth * np.abs(_wander(n, memory, rng)), 0, 1)
    strength[rng.random(n) < lost] = 0
    moved = np.clip(1 + depth * _wander(n, memory, rng), 0, 2)
    # a count that goes up with every jump stands for the colours
    colours = np.cumsum(rng.random(n) < jumps)
    twins, partners = [], []
    for t, (image, face) in enumerate(zip(images, faces, strict=True)):
        now = replace(
            options,
            ratios=(max(_LEAST, ratio * float(strength[t])),),
            translate_x=options.translate_x * float(moved[t]),
            translate_y=options.translate_y * float(moved[t]),
        )
        inner = np.random.default_rng([seed, int(colours[t])])
        twins.append(self_blend(image, face, np.random.default_rng(seed), now, inner_rng=inner)[0])
        partners.append(genuine_side(image, face, np.random.default_rng(seed), now))
    return twins, partners


def _wander(n: int, memory: float, rng: np.random.Generator) -> np.ndarray:
    """(n,) of mean 0 and variance 1, each correlated with the one before."""
    steps = rng.normal(size=n)
    path = np.empty(n)
    last = float(rng.normal())
    for t in range(n):
        last = memory * last + float(np.sqrt(1 - memory**2)) * float(steps[t])
        path[t] = last
    return path
