"""Traces of up-sampling, made on the fly: a genuine face as the last layers of a generator would leave it.

Generators enlarge small maps; whichever way they do it, pixels of one square of 2 x 2 then depend on each other as no
camera makes them (Tan et al., CVPR 2024, section 3.1; Odena et al., "Deconvolution and Checkerboard Artifacts", 2016).
Stored collections of generated faces were resized and re-encoded, which wears that away: so the traces are made here,
at the picture's own scale, before the degradations that both classes share. Pure functions: (H, W, 3) uint8 RGB in and
out, randomness from `rng`.
"""

from typing import Literal

import cv2
import numpy as np

Kernel = Literal["nearest", "bilinear", "transposed"]
KERNELS: tuple[Kernel, ...] = ("nearest", "bilinear", "transposed")

_DETAIL = (0.0, 0.5)
"""Range of the share of fine detail that is put back: generators are no blur, and blur must not be what is learned."""
_SOFT_SIGMA = 0.85
"""Blur in pixels that takes as much detail as halving and doubling a picture of a face does, without their pattern."""
_UNEVEN = 0.12
"""Standard deviation of the logarithm of a transposed convolution's weights: trained ones overlap unevenly."""
_LAST_LAYER = 0.06
"""Standard deviation of the weights of a last 3 x 3 convolution around those that change nothing."""


def leave_trace(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture halved, doubled by a kernel drawn from `KERNELS`, and sharpened by what was lost."""
    detail = rng.uniform(*_DETAIL)
    kernel = KERNELS[rng.integers(len(KERNELS))]
    height, width = image.shape[:2]
    # the squares may begin at either pixel
    top, left = (int(v) for v in rng.integers(0, 2, 2))
    padded = cv2.copyMakeBorder(
        image, top, (height + top) % 2, left, (width + left) % 2, cv2.BORDER_REPLICATE
    ).astype(np.float32)  # fmt: skip
    small = cv2.resize(padded, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    large = _last_layer(double(small, kernel, rng), rng)[top : top + height, left : left + width]
    return _with_detail(large, image, detail)


def soften(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same loss of detail without a trace: what the partner of a traced picture goes through.

    Given the same `rng`, as much detail is put back as `leave_trace` puts back.
    """
    detail = rng.uniform(*_DETAIL)
    return _with_detail(cv2.GaussianBlur(image.astype(np.float32), (0, 0), _SOFT_SIGMA), image, detail)


def double(small: np.ndarray, kernel: Kernel, rng: np.random.Generator) -> np.ndarray:
    """(h, w, 3) float32 to (2h, 2w, 3), as an up-sampling layer does it; the mean stays."""
    height, width = small.shape[:2]
    if kernel == "nearest":
        return small.repeat(2, axis=0).repeat(2, axis=1)
    if kernel == "bilinear":
        return np.asarray(cv2.resize(small, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR))
    # a transposed convolution of stride 2: zeros between the pixels, then a small kernel
    spread = np.zeros((2 * height, 2 * width, small.shape[2]), np.float32)
    spread[::2, ::2] = small
    side = int(rng.choice([3, 4]))
    line = np.array([1.0, 2.0, 1.0] if side == 3 else [1.0, 3.0, 3.0, 1.0])
    weights = np.outer(line, line) * np.exp(rng.normal(0, _UNEVEN, (side, side)))
    return cv2.filter2D(spread, -1, 4 * weights / weights.sum(), borderType=cv2.BORDER_REFLECT_101)


def _last_layer(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    weights = rng.normal(0, _LAST_LAYER, (3, 3))
    weights[1, 1] += 1
    return np.asarray(cv2.filter2D(image, -1, weights / weights.sum(), borderType=cv2.BORDER_REFLECT_101))


def _with_detail(plain: np.ndarray, image: np.ndarray, detail: float) -> np.ndarray:
    return np.asarray(np.clip(np.rint(plain + detail * (image - plain)), 0, 255).astype(np.uint8))
