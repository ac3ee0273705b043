"""Whether a heatmap points at what a network uses: hiding its hottest tenth must lower the logit more than hiding
a tenth of the same shape somewhere else (Petsiuk et al., "RISE: Randomized Input Sampling for Explanation of Black-box
Models", BMVC 2018; here one step instead of a curve).
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from detector.explain.gradcam import scaled_cam
from detector.manifest import Deletion

HIDDEN = 0.1
"""Share of the crop's area that is hidden."""
ELSEWHERE = 4
"""Random places for each hottest one."""
ROUNDS = 1000

Judge = Callable[[Sequence[np.ndarray]], tuple[np.ndarray, np.ndarray | None]]
"""Crops to logits (N,) and maps (N, h, w), as `detector.engine.Engine.logits_and_cam`."""


def deletion_test(judge: Judge, crops: Sequence[np.ndarray], rng: np.random.Generator) -> Deletion | None:
    """Hides parts of manipulated faces and judges them again.

    Args:
        judge: a network with its maps.
        crops: (S, S, 3) uint8 RGB.
        rng: of the other places.

    Returns:
        None of a network without maps.
    """
    logits, cams = judge(crops)
    if cams is None:
        return None
    hottest, elsewhere = [], []
    for crop, logit, cam in zip(crops, logits, cams, strict=True):
        mask = hottest_mask(scaled_cam(cam, crop.shape[0]))
        others = [np.roll(mask, tuple(rng.integers(0, crop.shape[0], 2)), (0, 1)) for _ in range(ELSEWHERE)]
        without = judge([hidden(crop, m) for m in (mask, *others)])[0]
        hottest.append(logit - without[0])
        elsewhere.append(logit - without[1:].mean())
    gains = np.array(hottest) - np.array(elsewhere)
    drawn = gains[rng.integers(len(gains), size=(ROUNDS, len(gains)))].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    figures = (float(np.mean(hottest)), float(np.mean(elsewhere)), float(low), float(high))
    return Deletion(len(crops), *(round(v, 4) for v in figures))


def hottest_mask(heat: np.ndarray) -> np.ndarray:
    """(S, S) bool: the hottest tenth; of equal places, those that come first."""
    order = np.argsort(-heat, axis=None, kind="stable")
    mask = np.zeros(heat.size, bool)
    mask[order[: round(HIDDEN * heat.size)]] = True
    return mask.reshape(heat.shape)


def hidden(crop: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The crop with the masked part blurred beyond recognition, with a soft edge, which no network takes for a seam."""
    side = crop.shape[0]
    blurred = cv2.GaussianBlur(crop, (0, 0), side / 10)
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), side / 60)[..., None]
    return np.asarray(np.rint(blurred * soft + crop * (1 - soft)).astype(np.uint8))
