"""A picture's bytes to stored face crops and a stored whole picture, alike for both classes."""

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from PIL import Image

from detector.faces.align import CropFrame, crop_frame, cut, resize
from detector.media import jpeg
from detector.types import Face

MARGIN = 1.5
"""Side of the stored square over the longer side of the face box, as in the packs."""
MAX_CROP_PX = 448
MAX_PICTURE_PX = 1024
MIN_FACE_PX = 64
MIN_GALLERY_FACE_PX = 100
MAX_FACES = 4
"""Of one picture, the largest first."""
QUALITY = 95
"""Of stored JPEG files, without colour subsampling."""
LOSSLESS_QUALITY = "75-95"
"""Pictures that came without loss are saved once as JPEG, or the codec would tell generators from cameras."""


@dataclass(frozen=True, slots=True)
class FaceCrop:
    """A face as it is stored.

    Attributes:
        image: (side, side, 3) uint8 RGB, upright.
        face_px: longer side of the face box in the picture, before any resizing.
        outside: share of the crop's area that lies outside of the picture (its border is repeated there).
    """

    image: np.ndarray
    face_px: float
    outside: float


def cut_faces(
    image: np.ndarray, faces: Sequence[Face], min_face_px: int = MIN_FACE_PX, limit: int = MAX_FACES
) -> list[FaceCrop]:
    """Crops of the largest faces: never enlarged, at most `MAX_CROP_PX` a side.

    Args:
        image: (H, W, 3) uint8 RGB.
        faces: in its pixels, largest first.
    """
    height, width = image.shape[:2]
    crops = []
    for face in [f for f in faces if f.size_px >= min_face_px][:limit]:
        square = crop_frame(face, MARGIN)
        upright = CropFrame(square.center_x, square.center_y, square.side, 0.0)
        x0, y0, x1, y1 = upright.bounds()
        inside = max(0.0, min(x1, width) - max(x0, 0)) * max(0.0, min(y1, height) - max(y0, 0))
        side = min(MAX_CROP_PX, round(square.side))
        outside = max(0.0, 1 - inside / square.side**2)
        crops.append(FaceCrop(cut(image, upright, side), face.size_px, outside))
    return crops


def whole_picture(image: np.ndarray) -> np.ndarray:
    """The picture with at most `MAX_PICTURE_PX` on its longer side."""
    scale = MAX_PICTURE_PX / max(image.shape[:2])
    if scale >= 1:
        return image
    return resize(image, max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))


def parts_of(image: np.ndarray, part: str) -> Iterator[np.ndarray]:
    """The parts of a frame that a source's row names (see `Source.part`).

    Raises:
        ValueError: the row cannot be understood.
    """
    height, width = image.shape[:2]
    numbers = part.removeprefix("grid").split()
    if not part:
        yield image
    elif part.startswith("grid"):
        x, y, w, h, dx, dy = map(int, numbers)
        for top in range(y, height - h + 1, dy):
            for left in range(x, width - w + 1, dx):
                yield np.ascontiguousarray(image[top : top + h, left : left + w])
    else:
        x0, y0, x1, y1 = map(float, numbers)
        rows, columns = slice(round(y0 * height), round(y1 * height)), slice(round(x0 * width), round(x1 * width))
        yield np.ascontiguousarray(image[rows, columns])


def compression_of(data: bytes) -> str:
    """How a picture file was compressed: "jpeg:92" (by its luminance table), "webp", or a lossless format's name."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            name = (picture.format or "unknown").lower()
            tables = getattr(picture, "quantization", None)
    except Exception:  # a hostile header may raise anything; the picture itself is read by detector.media
        return "unknown"
    if name in ("jpeg", "mpo"):
        return f"jpeg:{_quality(tuple(tables[0]))}" if tables else "jpeg:0"
    if name == "webp":
        return "webp-lossless" if b"VP8L" in data[:64] else "webp"
    return name


def same_history(image: np.ndarray, compression: str, rule: str, seed: str) -> tuple[np.ndarray, str]:
    """Saves a picture once as JPEG where the rule of its source says so; returns it with how it is compressed now.

    The quality is drawn by the seed, so it is the same each time.

    Args:
        image: (H, W, 3) uint8 RGB.
        compression: from `compression_of`.
        rule: `Source.jpeg`.
        seed: such as the hash of the file.
    """
    lossy = compression.startswith("jpeg") or compression == "webp"
    always = rule.startswith("all ")
    if lossy and not always:
        return image, compression
    low, _, high = (rule.removeprefix("all ") or LOSSLESS_QUALITY).partition("-")
    drawn = int(hashlib.sha256(f"jpeg {seed}".encode()).hexdigest()[:8], 16)
    quality = int(low) + drawn % (int(high or low) - int(low) + 1)
    return jpeg(image, quality), f"{compression}>jpeg:{quality}"


def encode(image: np.ndarray) -> bytes:
    """JPEG as all crops and pictures are stored."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    settings += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), settings)
    return data.tobytes()


@cache
def _scaled_tables() -> dict[int, np.ndarray]:
    """Luminance tables of libjpeg by quality."""
    tables = {}
    for quality in range(1, 101):
        file = io.BytesIO()
        Image.new("L", (8, 8)).save(file, "JPEG", quality=quality)
        with Image.open(file) as picture:
            tables[quality] = np.asarray(picture.quantization[0], np.float64)  # type: ignore[attr-defined]
    return tables


def _quality(table: tuple[int, ...]) -> int:
    """The quality whose table of libjpeg is nearest: cameras and editors have tables of their own."""
    own = np.array(table, float)
    if own.shape != (64,):
        return 0
    return min(_scaled_tables().items(), key=lambda item: float(np.abs(item[1] - own).sum()))[0]
