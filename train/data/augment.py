"""Augmentation: what may happen to a face between the camera and the newsroom, applied alike to both classes.

Sharpness, codec and framing separate the classes of public data better than any trace of manipulation, so every
sample goes through the same random framing, scaling, blur, noise and JPEG before the final resize. All functions are
pure: (H, W, 3) uint8 RGB in and out, randomness from `rng`.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from detector.faces.align import CropFrame, crop_frame
from detector.media import jpeg
from detector.types import Face


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Chances and ranges; the defaults are the standard strength."""

    clean: float = 0.35
    """Share of samples that keep their pixels (framing and flip apart), so that fine traces can be learned too."""
    shift: float = 0.05
    """Largest shift of the crop, as a share of its side."""
    margin: tuple[float, float] = (0.92, 1.12)
    """Range of the crop's side relative to the detector's crop."""
    rotation_deg: float = 8.0
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.25
    hue_deg: float = 6.0
    colour: float = 0.6
    grey: float = 0.03
    rescale: float = 0.35
    """Chance of shrinking (down to `smallest_px`) and enlarging again."""
    smallest_px: int = 56
    blur: float = 0.2
    noise: float = 0.2
    noise_sigma: float = 8.0
    jpeg: float = 0.65
    jpeg_quality: tuple[int, int] = (30, 95)
    cutout: float = 0.15


AUGMENTATIONS: dict[str, Augmentation] = {
    "standard": Augmentation(),
    "light": Augmentation(
        clean=0.6, shift=0.03, margin=(0.96, 1.06), rotation_deg=4.0, brightness=0.1, contrast=0.1, saturation=0.1,
        hue_deg=3.0, colour=0.4, grey=0.0, rescale=0.15, smallest_px=96, blur=0.1, noise=0.1, noise_sigma=4.0,
        jpeg=0.4, jpeg_quality=(60, 95), cutout=0.0,
    ),
    "strong": Augmentation(
        clean=0.15, shift=0.08, margin=(0.88, 1.18), rotation_deg=12.0, brightness=0.3, contrast=0.3, saturation=0.4,
        hue_deg=9.0, colour=0.8, grey=0.06, rescale=0.5, smallest_px=40, blur=0.3, noise=0.3, noise_sigma=12.0,
        jpeg=0.8, jpeg_quality=(25, 95), cutout=0.3,
    ),
}  # fmt: skip
"""Strengths to choose from by name; which one pays is measured on left-out sources (`python -m train leave-out`)."""


LEVELS = np.repeat(np.arange(256.0)[:, None], 3, axis=1)
"""Every value of a channel, for three channels: (256, 3), what tables are made from."""
LEVELS.flags.writeable = False


def jitter_frame(face: Face, options: Augmentation, rng: np.random.Generator) -> CropFrame:
    """The detector's crop, shifted, scaled and turned as detectors and cameras do."""
    frame = crop_frame(face)
    side = frame.side * rng.uniform(*options.margin)
    turn = rng.uniform(-options.rotation_deg, options.rotation_deg) if rng.random() < 0.5 else 0.0
    return replace(
        frame,
        side=side,
        center_x=frame.center_x + side * rng.uniform(-options.shift, options.shift),
        center_y=frame.center_y + side * rng.uniform(-options.shift, options.shift),
        roll_deg=frame.roll_deg + turn,
    )


def change_colour(image: np.ndarray, options: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """Brightness, contrast, saturation and hue."""
    scale = 1 + rng.uniform(-options.contrast, options.contrast)
    offset = 255 * rng.uniform(-options.brightness, options.brightness) / 2 + 128 * (1 - scale)
    out = through_table(image, LEVELS * scale + offset)
    table = LEVELS.copy()
    table[:, 0] = (table[:, 0] + round(rng.uniform(-options.hue_deg, options.hue_deg) / 2)) % 180
    table[:, 1] *= 1 + rng.uniform(-options.saturation, options.saturation)
    return cv2.cvtColor(through_table(cv2.cvtColor(out, cv2.COLOR_RGB2HSV), table), cv2.COLOR_HSV2RGB)


def through_table(image: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Each channel through its own table of 256 values, (256, 3) float, rounded and kept within 0 to 255.

    A tenth of the time of the same arithmetic on every pixel.
    """
    return cv2.LUT(image, np.clip(np.rint(table), 0, 255).astype(np.uint8)[None])


def rescale(image: np.ndarray, smallest_px: int, rng: np.random.Generator) -> np.ndarray:
    """Shrinks to a random size and enlarges again: a small face, or a picture that was sent as a thumbnail."""
    height, width = image.shape[:2]
    if smallest_px >= width:
        return image
    small = int(np.exp(rng.uniform(np.log(smallest_px), np.log(width))))
    down = cv2.INTER_AREA if rng.random() < 0.6 else cv2.INTER_LINEAR
    up = cv2.INTER_CUBIC if rng.random() < 0.5 else cv2.INTER_LINEAR
    size = (small, max(1, round(height * small / width)))
    return cv2.resize(cv2.resize(image, size, interpolation=down), (width, height), interpolation=up)


def add_noise(image: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian sensor noise, grey or per channel."""
    channels = 3 if rng.random() < 0.5 else 1
    noise = rng.standard_normal((*image.shape[:2], channels), dtype=np.float32) * sigma
    return np.asarray(np.clip(image + noise, 0, 255).astype(np.uint8))


def degrade(image: np.ndarray, options: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """One random history of a picture: colour, scaling, blur, noise, JPEG."""
    if rng.random() < options.clean:
        return image
    if rng.random() < options.colour:
        image = change_colour(image, options, rng)
    if rng.random() < options.grey:
        image = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    if rng.random() < options.rescale:
        image = rescale(image, options.smallest_px, rng)
    if rng.random() < options.blur:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.8))
    if rng.random() < options.noise:
        image = add_noise(image, rng.uniform(1, options.noise_sigma), rng)
    if rng.random() < options.jpeg:
        image = jpeg(image, int(rng.integers(options.jpeg_quality[0], options.jpeg_quality[1] + 1)))
    if rng.random() < options.cutout:
        image = cut_out(image, rng)
    return image


def cut_out(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Greys one rectangle, so that no single place of the face decides."""
    height, width = image.shape[:2]
    h, w = (int(side * rng.uniform(0.1, 0.35)) for side in (height, width))
    y, x = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
    out = image.copy()
    out[y : y + h, x : x + w] = 127
    return out
