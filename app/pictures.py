"""Arrays to small JPEGs for the page."""

import base64
import io
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG for the page; `data` is empty where it could not be made. `note` says what it shows, when that matters."""

    data: bytes
    width: int = 0
    height: int = 0
    note: str = ""


def jpeg(image: np.ndarray, longest_px: int, of: tuple[int, int] | None = None) -> Picture:
    """A picture for the page, at most `longest_px` wide or high; its width and height are those of the full image.

    `of`: width and height of the full image, where `image` is a smaller copy of it.
    """
    width, height = of or (image.shape[1], image.shape[0])
    out = io.BytesIO()
    Image.fromarray(shrink(image, longest_px)).save(out, "JPEG", quality=88)
    return Picture(out.getvalue(), width, height)


def shrink(image: np.ndarray, longest_px: int) -> np.ndarray:
    """The same picture at most `longest_px` wide or high; a smaller one as it is."""
    factor = longest_px / max(image.shape[:2])
    if factor >= 1:
        return image
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def data_uri(picture: Picture | None) -> str:
    """The picture as an address that holds all of it, for HTML; empty while there is none."""
    if picture is None or not picture.data:
        return ""
    return "data:image/jpeg;base64," + base64.b64encode(picture.data).decode("ascii")
