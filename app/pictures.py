"""Arrays to small JPEGs for the page."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from detector import Face


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG for the page; `data` is empty where it could not be made. `note` says what it shows, when that matters."""

    data: bytes
    width: int = 0
    height: int = 0
    note: str = ""


def jpeg(image: np.ndarray, longest_px: int) -> Picture:
    """A picture for the page, at most `longest_px` wide or high; its width and height are those of the full image."""
    height, width = image.shape[:2]
    out = io.BytesIO()
    Image.fromarray(shrink(image, longest_px)).save(out, "JPEG", quality=88)
    return Picture(out.getvalue(), width, height)


def shrink(image: np.ndarray, longest_px: int) -> np.ndarray:
    """The same picture at most `longest_px` wide or high; a smaller one as it is."""
    factor = longest_px / max(image.shape[:2])
    if factor >= 1:
        return image
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX if factor < 0.25 else None))


def square(image: np.ndarray, face: Face) -> np.ndarray:
    """The face with some room around it, cut at the image's border."""
    x0, y0, x1, y1 = face.box
    half = face.size_px * 0.65
    cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
    height, width = image.shape[:2]
    left, right = int(max(0, cx - half)), int(min(width, cx + half))
    top, bottom = int(max(0, cy - half)), int(min(height, cy + half))
    return image[top : max(bottom, top + 1), left : max(right, left + 1)]


def data_uri(picture: Picture | None) -> str:
    """The picture as an address that holds all of it, for HTML; empty while there is none."""
    if picture is None or not picture.data:
        return ""
    return "data:image/jpeg;base64," + base64.b64encode(picture.data).decode("ascii")
