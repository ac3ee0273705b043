"""Self-blended images: a genuine face blended with its own transformed copy, so that fakes need no fake data.

Shiohara and Yamasaki, "Detecting Deepfakes with Self-Blended Images", CVPR 2022 (written from the paper; settings as
in its reference implementation, mapooon/SelfBlendedImages at 249281e). What every face swap leaves behind (a blending
boundary, colours and sharpness that differ inside and outside, features that do not quite meet) is made on purpose,
with nothing else that separates the classes: source, codec and person are the same on both sides, and around the mask
so is every pixel (`genuine_side`). The paper takes the hull of 81 landmarks; here a mean face outline is fitted to
MTCNN's five points.
Beside the paper's blends there are local edits (masks of eyes, nose, mouth or lower face) and blends across
identities (Li et al., "Face X-ray for More General Face Forgery Detection", CVPR 2020).

Work is done inside the face's region only and in 8-bit tables where OpenCV has them: `python -m tests.bench.sbi`.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from detector.faces.align import crop_frame
from detector.types import Face
from train.data.augment import LEVELS, through_table

# A frontal face in units of the distance between the eyes; origin midway between them, y downwards. Proportions
# after Farkas, "Anthropometry of the Head and Face", 1994 (rounded): eyes, nose tip, mouth corners, as MTCNN gives them
MEAN_POINTS = np.array([[-0.5, 0.0], [0.5, 0.0], [0.0, 0.62], [-0.4, 1.08], [0.4, 1.08]], np.float64)
MEAN_OUTLINE = np.array(
    [
        [-1.02, 0.05], [-1.0, 0.5], [-0.9, 0.95], [-0.68, 1.4], [-0.35, 1.72], [0.0, 1.82],
        [0.35, 1.72], [0.68, 1.4], [0.9, 0.95], [1.0, 0.5], [1.02, 0.05], [0.88, -0.42],
        [0.5, -0.62], [0.0, -0.58], [-0.5, -0.62], [-0.88, -0.42],
    ],
    np.float64,
)  # fmt: skip
_FOREHEAD = -0.75  # how much higher the top of the outline goes when the mask takes the forehead in, same units
_PARTS = {
    "eyes": np.array([[-0.85, -0.3], [0.85, -0.3], [0.85, 0.25], [-0.85, 0.25]], np.float64),
    "nose": np.array([[-0.14, -0.1], [0.14, -0.1], [0.36, 0.72], [-0.36, 0.72]], np.float64),
    "mouth": np.array([[-0.6, 0.85], [0.6, 0.85], [0.5, 1.42], [-0.5, 1.42]], np.float64),
}
_LOWER = np.array([[-0.95, 0.4], [0.95, 0.4], [0.6, 1.6], [0.0, 1.82], [-0.6, 1.6]], np.float64)
_LOWER_SHARE = 0.25  # of local edits: what lip synchronisation changes

_FIT = np.linalg.pinv(np.hstack([MEAN_POINTS, np.ones((5, 1))]))  # (3, 5): least squares in one product
_MAX_STRETCH = 2.0  # a face foreshortened by more is seen from the side, where an affine fit of five points is wild
_CROP_PX = 256  # side of the crop that the paper's settings in pixels are stated for
_SMALLEST_FACE_PX = 24  # softening leaves a face at least so many pixels, or nothing of it would be left to see
_GAIN = (0.6, 1.6)  # how far a donor's contrast may be changed to match


@dataclass(frozen=True, slots=True)
class SelfBlend:
    """The reference implementation's settings; lengths are relative to the detector's crop of the face.

    Two things are ours. Hue, saturation and value: as published, 0.3 of one step of 8 bits changes next to nothing;
    here half of the blends change hue as much as augmentation does, and the others by shares of what is there. And the
    shares of masks.
    """

    shift_rgb: float = 20.0
    shifted: float = 0.3
    """Share of blends that shift red, green and blue."""
    hue_deg: float = 6.0
    saturation: float = 0.3
    value: float = 0.15
    hsv: float = 0.5
    """Share of blends that change hue, saturation and value."""
    brightness: float = 0.1
    contrast: float = 0.1
    coarse: tuple[float, ...] = (2.0, 4.0)
    """Factors by which one side is shrunk and enlarged again ..."""
    sharpen: tuple[float, float] = (0.2, 0.5)
    """... or else share of the sharpened picture in it,"""
    lightness: tuple[float, float] = (0.5, 1.0)
    """and the brightness that sharpening leaves of what was there."""
    translate_x: float = 0.03
    translate_y: float = 0.015
    scale: float = 0.05
    elastic_alpha: float = 50.0
    elastic_sigma: float = 7.0
    kernels_px: tuple[int, int] = (5, 25)
    """Widths of the two kernels that the mask goes through, for a crop of 256 px."""
    sigma_px: tuple[float, float] = (5.0, 45.0)
    """Standard deviation of the second, so that it is anything from a Gaussian to a box; for a crop of 256 px."""
    ratios: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
    parts: float = 0.25
    """Share of masks that cover only eyes, nose, mouth or the lower face: local edits."""

    def __post_init__(self) -> None:
        if not 0 <= self.parts <= 1 or not self.ratios or not all(0 <= r <= 1 for r in self.ratios):
            raise ValueError("parts is a share from 0 to 1, ratios are shares from 0 to 1, and at least one")


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The turn, uniform scale and shift that bring points nearest to others, by least squares (Umeyama, 1991).

    Args:
        source, target: (K, 2) points.

    Returns:
        (2, 3) float64, for `cv2.warpAffine`.

    Raises:
        ValueError: all points of the source are one.
    """
    # in the plane a turn with a scale is one complex factor
    z, w = (points[:, 0] + 1j * points[:, 1] for points in (np.asarray(source), np.asarray(target)))
    z_mean, w_mean = z.mean(), w.mean()
    spread = float((np.abs(z - z_mean) ** 2).sum())
    if spread < 1e-9:
        raise ValueError("the landmarks do not form a face")
    factor = (np.conj(z - z_mean) @ (w - w_mean)) / spread
    shift = w_mean - factor * z_mean
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])


def fit_mean_face(face: Face) -> np.ndarray:
    """Where the mean face lies in the picture, (2, 3) float64: `points @ m[:, :2].T + m[:, 2]`.

    Affine, so that a face turned somewhat to the side gets a narrower outline; a similarity where the head is turned
    so far that five points no longer tell.

    Raises:
        ValueError: the face has no five landmarks, or they are all in one place.
    """
    target = np.array(face.landmarks, np.float64)
    if target.shape != (5, 2):
        raise ValueError("a mask needs five landmarks")
    affine = np.asarray((_FIT @ target).T)
    a, b, c, d = affine[0, 0], affine[0, 1], affine[1, 0], affine[1, 1]
    area, size = a * d - b * c, a * a + b * b + c * c + d * d
    # with r the ratio of the two stretches, size / area = r + 1 / r
    if area <= 0 or size > (_MAX_STRETCH + 1 / _MAX_STRETCH) * area:
        return similarity(MEAN_POINTS, target)
    return affine


def pose_of(face: Face) -> np.ndarray:
    """The landmarks as they lie on an upright face of the mean size, (5, 2): what is left is pose and proportions."""
    marks = np.array(face.landmarks, np.float64)
    matrix = similarity(marks, MEAN_POINTS)
    return np.asarray(marks @ matrix[:, :2].T + matrix[:, 2])


def self_blend(
    image: np.ndarray,
    face: Face,
    rng: np.random.Generator,
    options: SelfBlend | None = None,
    donor: tuple[np.ndarray, Face] | None = None,
    inner_rng: np.random.Generator | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """A blended twin of a genuine face.

    Args:
        image: (H, W, 3) uint8 RGB with one genuine face.
        face: its box and five landmarks, in pixels of the image.
        rng: all randomness.
        options: the reference's by default.
        donor: another genuine face to take the inner face from, with its picture of any size: it is brought onto the
            landmarks by a similarity transform and its colours are matched.
        inner_rng: of the inner face's colours and sharpness, `rng` by default. The outline takes as many numbers as
            the face is large, so frames of one clip get the same colours only from a generator of their own.

    Returns:
        the twin (H, W, 3) uint8, and the soft mask (H, W) float32 of what was blended in, 0 to 1. Where the mask is
        zero, the twin is what `genuine_side` gives; with a ratio of zero it is the original everywhere.

    Raises:
        ValueError: a face has no five landmarks.
    """
    options = options or SelfBlend()
    height, width = image.shape[:2]
    matrix = fit_mean_face(face)
    ratio, inner_changes, outer = _outer(image, face, rng, options)
    soft = np.zeros((height, width), np.float32)
    if ratio == 0:
        return image.copy(), soft
    side = crop_frame(face).side
    move = _move(face, side, options, rng)
    polygons = [_placed(move, _placed(matrix, points)) for points in _mask_points(options, rng)]
    kernels = [_kernel_px(options, side, rng) for _ in range(2)]
    sigma = rng.uniform(*options.sigma_px) * side / _CROP_PX
    reach = kernels[1] // 2 + math.ceil(1.5 * _elastic_px(options, side)) + 1
    corners = np.concatenate(polygons)
    x0, y0 = (max(0, math.floor(v) - reach) for v in corners.min(axis=0))
    x1, y1 = (min(s, math.ceil(v) + reach + 1) for s, v in zip((width, height), corners.max(axis=0), strict=True))
    twin = outer.copy() if outer is image else outer
    if x1 - x0 < 2 or y1 - y0 < 2:  # the face lies outside the picture
        return twin, soft
    region = (slice(y0, y1), slice(x0, x1))
    hard = _hard_mask(polygons, (x0, y0), (x1 - x0, y1 - y0))
    alpha = _soften(_elastic(hard, side, options, rng), kernels, sigma) * np.float32(ratio)

    # one warp straight into the region, whatever the inner face is taken from
    inner = _warped(image, move, (x0, y0), (x1 - x0, y1 - y0))
    if donor is not None:
        other, other_face = donor
        onto = similarity(np.array(other_face.landmarks), np.array(face.landmarks))
        placed = _warped(other, _after(onto, move), (x0, y0), (x1 - x0, y1 - y0))
        inner = _match_colours(placed, inner, hard)
    if inner_changes:
        inner = _change(inner, face.size_px, options, inner_rng or rng)
    twin[region] = cv2.blendLinear(inner, np.ascontiguousarray(twin[region]), alpha, 1 - alpha)
    soft[region] = alpha
    return twin, soft


def genuine_side(
    image: np.ndarray, face: Face, rng: np.random.Generator, options: SelfBlend | None = None
) -> np.ndarray:
    """The genuine partner of a twin: what `self_blend` with the same arguments shows around its mask.

    Half of the twins have their outer face changed in colour and sharpness. Shown beside untouched genuine faces they
    would be known by the background; so their partners are changed alike, as the reference implementation does it.

    Args:
        rng: in the state that `self_blend` is given.

    Returns:
        (H, W, 3) uint8; the image itself where nothing changes.
    """
    return _outer(image, face, rng, options or SelfBlend())[2]


def _outer(
    image: np.ndarray, face: Face, rng: np.random.Generator, options: SelfBlend
) -> tuple[float, bool, np.ndarray]:
    """The ratio of the blend, whether its inner side changes, and its outer side: changed if the inner is not."""
    ratio = options.ratios[rng.integers(len(options.ratios))]
    # the paper changes either the inner or the outer face at random, so that neither gives the class away
    inner_changes = bool(rng.random() < 0.5)
    if inner_changes or ratio == 0:
        return ratio, inner_changes, image
    return ratio, inner_changes, _change(image, face.size_px, options, rng)


def _move(face: Face, side: float, options: SelfBlend, rng: np.random.Generator) -> np.ndarray:
    """The small resizing and shift of the inner face about the face's centre, (2, 3)."""
    # the paper draws the scale of each axis from [0.95, 1 / 0.95]
    sx, sy = (rng.uniform(1 - options.scale, 1 / (1 - options.scale)) for _ in range(2))
    cx, cy = (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2
    tx = rng.uniform(-options.translate_x, options.translate_x) * side
    ty = rng.uniform(-options.translate_y, options.translate_y) * side
    return np.array([[sx, 0.0, cx * (1 - sx) + tx], [0.0, sy, cy * (1 - sy) + ty]])


def _mask_points(options: SelfBlend, rng: np.random.Generator) -> list[np.ndarray]:
    """Outlines on the mean face of what the mask covers: the face, or parts of it."""
    if rng.random() < options.parts:
        if rng.random() < _LOWER_SHARE:
            shapes = [_LOWER]
        else:
            # any one, two or three of them
            which = int(rng.integers(1, 2 ** len(_PARTS)))
            shapes = [points for bit, points in enumerate(_PARTS.values()) if which >> bit & 1]
    else:
        points = MEAN_OUTLINE
        kind = rng.integers(3)
        if kind == 1:  # with forehead
            points = points + np.where(points[:, 1:] < 0, (0.0, _FOREHEAD * rng.uniform(0.3, 1.0)), 0.0)
        elif kind == 2:  # tighter than the outline, as many swaps are
            points = points * rng.uniform(0.8, 0.97)
        shapes = [points]
    return [points + rng.normal(0, 0.04, points.shape) for points in shapes]


def _placed(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


def _after(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The transform that does `first`, then `second`, all (2, 3)."""
    return np.hstack([second[:, :2] @ first[:, :2], (second[:, :2] @ first[:, 2] + second[:, 2])[:, None]])


def _warped(image: np.ndarray, matrix: np.ndarray, corner: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """The part of the transformed image that lies in a region: (h, w, 3) uint8."""
    scale = math.sqrt(abs(np.linalg.det(matrix[:, :2])))
    if scale < 0.7:
        # a warp would alias: shrink by area averaging first
        height, width = image.shape[:2]
        small = max(1, round(width * scale)), max(1, round(height * scale))
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        matrix = matrix @ np.diag([width / small[0], height / small[1], 1.0])
    shifted = matrix - np.array([[0, 0, corner[0]], [0, 0, corner[1]]], np.float64)
    return cv2.warpAffine(image, shifted, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def _match_colours(placed: np.ndarray, like: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Mean and spread of each colour inside the mask brought to those of another picture (Reinhard et al., 2001)."""
    (mean, spread), (goal, goal_spread) = (
        [v.ravel() for v in cv2.meanStdDev(picture, mask=mask)] for picture in (placed, like)
    )
    gain = np.clip(goal_spread / np.maximum(spread, 1.0), *_GAIN)
    return through_table(placed, (LEVELS - mean) * gain + goal)


def _change(image: np.ndarray, face_px: float, options: SelfBlend, rng: np.random.Generator) -> np.ndarray:
    """Colour and sharpness of one side of the blend, (H, W, 3) uint8; never the argument itself."""
    levels = LEVELS
    if rng.random() < options.shifted:
        levels = LEVELS + rng.uniform(-options.shift_rgb, options.shift_rgb, 3)
    if rng.random() < options.hsv:
        hue = rng.uniform(-options.hue_deg, options.hue_deg) / 2  # OpenCV keeps half degrees
        gains = 1 + rng.uniform(-1, 1, 2) * (options.saturation, options.value)
        table = LEVELS * (1, *gains)
        table[:, 0] = np.floor(table[:, 0] + hue) % 180
        hsv = cv2.cvtColor(through_table(image, levels), cv2.COLOR_RGB2HSV)
        image, levels = cv2.cvtColor(through_table(hsv, table), cv2.COLOR_HSV2RGB), LEVELS
    contrast = 1 + rng.uniform(-options.contrast, options.contrast)
    brightness = 255 * rng.uniform(-options.brightness, options.brightness)
    changed = through_table(image, levels * contrast + brightness)
    # one of: coarser (a face generated at a low resolution), or sharper
    if rng.random() < 0.5:
        height, width = changed.shape[:2]
        factor = options.coarse[rng.integers(len(options.coarse))]
        factor = min(factor, max(1.0, face_px / _SMALLEST_FACE_PX))
        coarse = (max(1, int(width / factor)), max(1, int(height / factor)))
        # the reference skips pixels; averaging them leaves no pattern that no camera or generator makes
        small = cv2.resize(changed, coarse, interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    share, lightness = rng.uniform(*options.sharpen), rng.uniform(*options.lightness)
    kernel = np.full((3, 3), -share)
    kernel[1, 1] = 1 - share + share * (8 + lightness)
    return cv2.filter2D(changed, -1, kernel)


def _hard_mask(polygons: list[np.ndarray], corner: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Convex hulls of the polygons filled with 255: (h, w) uint8."""
    mask = np.zeros(size[::-1], np.uint8)
    for points in polygons:
        hull = cv2.convexHull((points - corner).astype(np.float32))
        cv2.fillConvexPoly(mask, np.rint(hull).astype(np.int32), 255)
    return mask


def _elastic_px(options: SelfBlend, side: float) -> float:
    """Largest displacement of the elastic deformation in pixels."""
    # the standard deviation of noise smoothed by sigma falls as 1 / (2 sqrt(pi) sigma)
    return options.elastic_alpha / (2 * math.sqrt(math.pi) * options.elastic_sigma) * side / _CROP_PX


def _elastic(mask: np.ndarray, side: float, options: SelfBlend, rng: np.random.Generator) -> np.ndarray:
    """Elastic deformation of the mask's outline (Simard et al., 2003), on a coarse grid for speed."""
    height, width = mask.shape
    # smoothing white noise by sigma at full size equals coarse noise enlarged: the field has no detail below sigma
    cell = max(1.0, options.elastic_sigma * side / _CROP_PX)
    grid = (max(2, round(height / cell)), max(2, round(width / cell)), 2)
    coarse = rng.uniform(-1, 1, grid).astype(np.float32) * np.float32(_elastic_px(options, side))
    field = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    field[..., 0] += np.arange(width, dtype=np.float32)
    field[..., 1] += np.arange(height, dtype=np.float32)[:, None]
    return np.asarray(cv2.remap(mask, field, None, cv2.INTER_LINEAR))  # type: ignore[call-overload]


def _kernel_px(options: SelfBlend, side: float, rng: np.random.Generator) -> int:
    """An odd width for one of the two kernels."""
    return 2 * int(rng.uniform(*options.kernels_px) * side / _CROP_PX / 2) + 1


def _soften(mask: np.ndarray, kernels: list[int], sigma: float) -> np.ndarray:
    """Two kernels in turn; everything below 1 goes to 0 between them. (h, w) float32, 0 to 1, and 1 somewhere.

    So the mask shrinks where the first is the wider one, and grows where the second is. What is left at 1 after a
    Gaussian kernel is what lies a kernel's half width inside, that is an erosion, which costs a fraction.
    """
    _, _, width, height = cv2.boundingRect(mask)
    first = min(kernels[0], max(1, min(width, height) // 3))  # a small part must not vanish
    inside = cv2.erode(mask, cv2.getStructuringElement(cv2.MORPH_RECT, (first, first)))
    inside = cv2.threshold(inside, 254, 255, cv2.THRESH_BINARY)[1]
    soft = cv2.GaussianBlur(inside, (kernels[1], kernels[1]), sigma, borderType=cv2.BORDER_REPLICATE)
    return soft.astype(np.float32) / np.float32(max(1, int(soft.max())))
