"""Self-blended images: a genuine face blended with its own transformed copy, so that fakes need no fake data.

Shiohara and Yamasaki, "Detecting Deepfakes with Self-Blended Images", CVPR 2022 (written from the paper). What every
face swap leaves behind (a blending boundary, colours and sharpness that differ inside and outside, features that do
not quite meet) is made on purpose, with nothing else that separates the classes: source, codec and person are the
same on both sides. The paper takes the hull of 81 landmarks; here a mean face outline is fitted to MTCNN's five points.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from detector.types import Face

# A frontal face in units of the distance between the eyes; origin midway between them, y downwards. Proportions
# after Farkas, "Anthropometry of the Head and Face", 1994 (rounded): eyes, nose tip, mouth corners, as MTCNN gives them
_MEAN_POINTS = np.array([[-0.5, 0.0], [0.5, 0.0], [0.0, 0.62], [-0.4, 1.08], [0.4, 1.08]], np.float32)
_MEAN_OUTLINE = np.array(
    [
        [-1.02, 0.05], [-1.0, 0.5], [-0.9, 0.95], [-0.68, 1.4], [-0.35, 1.72], [0.0, 1.82],
        [0.35, 1.72], [0.68, 1.4], [0.9, 0.95], [1.0, 0.5], [1.02, 0.05], [0.88, -0.42],
        [0.5, -0.62], [0.0, -0.58], [-0.5, -0.62], [-0.88, -0.42],
    ],
    np.float32,
)  # fmt: skip
_FOREHEAD = -0.75  # how much higher the top of the outline goes when the mask takes the forehead in, same units
_PARTS = {
    "eyes": np.array([[-0.85, -0.3], [0.85, -0.3], [0.85, 0.25], [-0.85, 0.25]], np.float32),
    "nose": np.array([[-0.14, -0.1], [0.14, -0.1], [0.36, 0.72], [-0.36, 0.72]], np.float32),
    "mouth": np.array([[-0.6, 0.85], [0.6, 0.85], [0.5, 1.42], [-0.5, 1.42]], np.float32),
    "lower": np.array([[-0.95, 0.4], [0.95, 0.4], [0.6, 1.6], [0.0, 1.82], [-0.6, 1.6]], np.float32),
}


@dataclass(frozen=True, slots=True)
class SelfBlend:
    """The paper's settings (its section 3.1 and appendix); shares of masks are ours."""

    shift_rgb: float = 20.0
    hue_deg: float = 0.3 * 60
    saturation: float = 0.3
    value: float = 0.3
    brightness: float = 0.1
    contrast: float = 0.1
    translate_x: float = 0.03
    translate_y: float = 0.015
    scale: float = 0.05
    elastic_alpha: float = 50.0
    elastic_sigma: float = 7.0
    ratios: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
    parts: float = 0.25
    """Share of masks that cover only eyes, nose, mouth or the lower face: local edits."""


def face_mask(face: Face, shape: tuple[int, int], options: SelfBlend, rng: np.random.Generator) -> np.ndarray:
    """A hard mask of the face or of a part of it: (H, W) float32 in {0, 1}.

    Raises:
        ValueError: the face has no five landmarks, or they lie on one line.
    """
    target = np.array(face.landmarks, np.float32)
    if target.shape != (5, 2):
        raise ValueError("a mask needs five landmarks")
    matrix, _ = cv2.estimateAffinePartial2D(_MEAN_POINTS, target, method=cv2.LMEDS)
    if matrix is None:
        raise ValueError("the landmarks do not form a face")
    if rng.random() < options.parts:
        points: np.ndarray = _PARTS[str(rng.choice(list(_PARTS)))]
    else:
        points = _MEAN_OUTLINE.copy()
        kind = rng.integers(3)
        if kind == 1:  # with forehead
            points[points[:, 1] < 0, 1] += _FOREHEAD * rng.uniform(0.3, 1.0)
        elif kind == 2:  # tighter than the outline, as many swaps are
            points *= rng.uniform(0.8, 0.97)
    points = points + rng.normal(0, 0.04, points.shape)
    hull = cv2.convexHull((points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32))
    mask = np.zeros(shape, np.float32)
    cv2.fillConvexPoly(mask, np.round(hull).astype(np.int32), 1.0)
    return mask


def self_blend(
    image: np.ndarray,
    face: Face,
    rng: np.random.Generator,
    options: SelfBlend | None = None,
    other: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """A blended twin of a genuine face.

    Args:
        image: (H, W, 3) uint8 RGB with one genuine face.
        face: its box and five landmarks, in pixels of the image.
        rng: all randomness.
        options: the paper's by default.
        other: a picture of the same size to take the inner face from instead (aligned on the same landmarks by the
            caller): a blend across identities.

    Returns:
        the twin (H, W, 3) uint8 and the soft mask (H, W) float32 of what was blended in, 0 to 1.
    """
    options = options or SelfBlend()
    mask = face_mask(face, image.shape[:2], options, rng)
    base = image
    inner = image if other is None else other
    # the paper changes either the inner or the outer face at random, so that neither look gives the class away
    if rng.random() < 0.5:
        inner = _change(inner, options, rng)
    else:
        base = _change(base, options, rng)
    height, width = mask.shape
    shift = (
        rng.uniform(-options.translate_x, options.translate_x) * width,
        rng.uniform(-options.translate_y, options.translate_y) * height,
    )
    centre = ((face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2)
    move = cv2.getRotationMatrix2D(centre, 0.0, 1 + rng.uniform(-options.scale, options.scale))
    move[:, 2] += shift
    inner = cv2.warpAffine(inner, move, (width, height), borderMode=cv2.BORDER_REFLECT)
    mask = cv2.warpAffine(mask, move, (width, height))
    mask = _soften(_elastic(mask, options, rng), rng)
    mask *= rng.choice(options.ratios)
    alpha = mask[..., None]
    blended = inner.astype(np.float32) * alpha + base.astype(np.float32) * (1 - alpha)
    return np.clip(np.round(blended), 0, 255).astype(np.uint8), mask


def _change(image: np.ndarray, options: SelfBlend, rng: np.random.Generator) -> np.ndarray:
    """Colour and sharpness of one side of the blend."""
    out = image.astype(np.float32) + rng.uniform(-options.shift_rgb, options.shift_rgb, 3).astype(np.float32)
    contrast = 1 + rng.uniform(-options.contrast, options.contrast)
    out = (out - 127) * contrast + 127 + 255 * rng.uniform(-options.brightness, options.brightness)
    changed: np.ndarray = np.clip(out, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        hsv = cv2.cvtColor(changed, cv2.COLOR_RGB2HSV).astype(np.float32)
        hsv[..., 0] = (hsv[..., 0] + rng.uniform(-options.hue_deg, options.hue_deg) / 2) % 180
        hsv[..., 1] *= 1 + rng.uniform(-options.saturation, options.saturation)
        hsv[..., 2] *= 1 + rng.uniform(-options.value, options.value) / 2
        changed = cv2.cvtColor(np.clip(hsv, 0, [179, 255, 255]).astype(np.uint8), cv2.COLOR_HSV2RGB)
    # one of: coarser (a face generated at a low resolution), or sharper
    if rng.random() < 0.5:
        height, width = changed.shape[:2]
        factor = rng.uniform(1.5, 4.0)
        coarse = (max(1, int(width / factor)), max(1, int(height / factor)))
        enlarging = cv2.INTER_CUBIC if rng.random() < 0.5 else cv2.INTER_LINEAR
        changed = cv2.resize(
            cv2.resize(changed, coarse, interpolation=cv2.INTER_AREA), (width, height), interpolation=enlarging
        )
    else:
        soft = cv2.GaussianBlur(changed, (0, 0), 1.0)
        changed = cv2.addWeighted(changed, 1 + (amount := rng.uniform(0.2, 0.8)), soft, -amount, 0)
    return changed


def _elastic(mask: np.ndarray, options: SelfBlend, rng: np.random.Generator) -> np.ndarray:
    """Elastic deformation of the mask's outline (Simard et al., 2003), on a coarse grid for speed."""
    height, width = mask.shape
    # smoothing white noise by sigma at full size equals coarse noise enlarged: the field has no detail below sigma
    cell = options.elastic_sigma
    grid = (2, max(2, round(height / cell)), max(2, round(width / cell)))
    coarse = rng.uniform(-1, 1, grid).astype(np.float32)
    # the standard deviation of smoothed noise falls as 1 / (2 sqrt(pi) sigma)
    strength = options.elastic_alpha / (2 * math.sqrt(math.pi) * options.elastic_sigma)
    dx, dy = (cv2.resize(c, (width, height), interpolation=cv2.INTER_CUBIC) * strength for c in coarse)
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.asarray(cv2.remap(mask, xs + dx, ys + dy, cv2.INTER_LINEAR))


def _soften(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blurs the outline inwards and outwards by a random width, as the paper does with two kernels in turn."""
    width = mask.shape[1]
    first = rng.uniform(0.01, 0.06) * width
    second = rng.uniform(0.005, 0.04) * width
    soft = cv2.GaussianBlur(mask, (0, 0), first)
    top = soft.max()
    if top <= 0:
        return mask
    soft = soft / top
    # pull the boundary inwards, so that the blend stays inside the face
    soft = np.clip((soft - 0.3) / 0.7, 0, 1) if rng.random() < 0.5 else soft
    return np.asarray(cv2.GaussianBlur(soft, (0, 0), second))
