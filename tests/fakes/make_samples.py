"""Make the sample files that the app offers to try: `python -m tests.fakes.make_samples [--out DIR]`.

The pictures are scikit-image's `astronaut` (NASA) and matplotlib's `grace_hopper.jpg` (US Navy), both in the public
domain. The edited one carries this project's own manipulation of its face, the clip shows the edited face from 2.0 s
to 4.0 s, and of the two portraits on a wall the right one was retouched. Same input, same files: there is no
randomness but the seed below.
"""

import argparse
import io
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image

from detector.faces.detect import FaceDetector
from detector.types import Box, Face

SEED = 1969
JPEG_QUALITY = 94

FACE_PX = 72
"""The swapped-in face is brought to this many pixels and back: face-swap generators paint faces of 64 to 256 px and
enlarge them."""

RETOUCH = 1.8
"""How far the face of the retouched portrait is bent, against `_reshape` as the edited one uses it."""
WALL_SIZE = (1120, 660)

CLIP_SIZE = (640, 360)
CLIP_FPS = 25
CLIP_SECONDS = 6.0
EDITED_S = (2.0, 4.0)


def manipulate(image: np.ndarray, face: Face, rng: np.random.Generator) -> np.ndarray:
    """A copy of the picture in which this face is replaced by a moved, recoloured, reshaped version of itself.

    A self-blend with one warp more, after Shiohara and Yamasaki, "Detecting Deepfakes with Self-Blended Images", 2022;
    own implementation.

    Args:
        image: (H, W, 3) uint8 RGB.
        face: in pixels of that image, with its five landmarks.

    Returns:
        (H, W, 3) uint8 RGB; pixels far from the face are the same as before.
    """
    source = _resample(_recolour(_reshape(image, face), rng), face)
    shifted = _move(source, face, rng)
    mask = _face_mask(image.shape[:2], face, rng)[..., None]
    blended: np.ndarray = shifted * mask + image.astype(np.float32) * (1 - mask)
    return blended.round().clip(0, 255).astype(np.uint8)


def _reshape(image: np.ndarray, face: Face, times: float = 1.0) -> np.ndarray:
    """Bends the face itself: eyes a little larger, mouth a little narrower; smooth, nothing else moves.

    Args:
        image: (H, W, 3) uint8 RGB.
        face: in pixels of that image, with its five landmarks.
        times: how much more than a little.
    """
    height, width = image.shape[:2]
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    map_x, map_y = xs.copy(), ys.copy()
    left_eye, right_eye, _, left_mouth, right_mouth = face.landmarks
    mouth = ((left_mouth[0] + right_mouth[0]) / 2, (left_mouth[1] + right_mouth[1]) / 2)
    for (cx, cy), strength in ((left_eye, 0.16), (right_eye, 0.16), (mouth, -0.14)):
        reach = 0.16 * face.size_px
        pull = times * strength * np.exp(-((xs - cx) ** 2 + (ys - cy) ** 2) / (2 * reach**2))
        map_x -= pull * (xs - cx)
        map_y -= pull * (ys - cy)
    return cv2.remap(image, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _recolour(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    gain = np.array([1.05, 0.985, 0.95]) + rng.uniform(-0.01, 0.01, 3)
    return np.asarray(np.clip((image.astype(np.float32) - 128) * 1.06 + 128, 0, 255) * gain).clip(0, 255)


def _resample(image: np.ndarray, face: Face) -> np.ndarray:
    height, width = image.shape[:2]
    scale = min(1.0, FACE_PX / face.size_px)
    small = cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def _move(image: np.ndarray, face: Face, rng: np.random.Generator) -> np.ndarray:
    x0, y0, x1, y1 = face.box
    matrix = cv2.getRotationMatrix2D(((x0 + x1) / 2, (y0 + y1) / 2), rng.uniform(1.0, 2.0), 1.025)
    matrix[:, 2] = matrix[:, 2] + rng.uniform(0.008, 0.018, 2) * face.size_px
    return cv2.warpAffine(image, matrix, image.shape[1::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _face_mask(shape: tuple[int, ...], face: Face, rng: np.random.Generator) -> np.ndarray:
    """(H, W) float32, 1 inside the face from brows to chin, an uneven soft edge, 0 outside."""
    x0, y0, x1, y1 = face.box
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    uneven = 1 + 0.05 * np.sin(3 * angles + rng.uniform(0, 6)) + 0.03 * np.sin(5 * angles + rng.uniform(0, 6))
    outline = np.stack(
        [
            (x0 + x1) / 2 + 0.40 * (x1 - x0) * uneven * np.cos(angles),
            y0 + 0.56 * (y1 - y0) + 0.36 * (y1 - y0) * uneven * np.sin(angles),
        ],
        axis=1,
    )
    mask = np.zeros(shape, np.float32)
    cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 1.0, lineType=cv2.LINE_AA)
    return cv2.GaussianBlur(mask, (0, 0), 0.035 * face.size_px)


def camera_box(time_s: float, face: Face) -> Box:
    """The part of the picture that the clip shows at this time: a slow zoom towards the face and a slow pan."""
    ease = (1 - np.cos(np.pi * time_s / CLIP_SECONDS)) / 2
    width = 400 - 130 * ease
    height = width * CLIP_SIZE[1] / CLIP_SIZE[0]
    x0, y0, x1, y1 = face.box
    centre_x = (x0 + x1) / 2 + 40 * (1 - 2 * ease)
    centre_y = (y0 + y1) / 2 + 6 * (1 - ease)
    return (centre_x - width / 2, centre_y - height / 2, centre_x + width / 2, centre_y + height / 2)


def _shot(image: np.ndarray, box: Box) -> np.ndarray:
    x0, y0, x1, _ = box
    scale = CLIP_SIZE[0] / (x1 - x0)
    matrix = np.array([[scale, 0, -x0 * scale], [0, scale, -y0 * scale]])
    return cv2.warpAffine(image, matrix, CLIP_SIZE, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def write_clip(path: Path, plain: np.ndarray, edited: np.ndarray, face: Face) -> None:
    """H.264 in MP4 with its index in front, so that a browser plays it at once."""
    # one thread: with more, libx264 does not write the same bytes twice
    options = {"crf": "18", "preset": "slow", "threads": "1"}
    with av.open(path, "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=CLIP_FPS, options=options)
        stream.width, stream.height = CLIP_SIZE
        stream.pix_fmt = "yuv420p"
        for index in range(round(CLIP_SECONDS * CLIP_FPS)):
            time_s = index / CLIP_FPS
            shown = edited if EDITED_S[0] <= time_s < EDITED_S[1] else plain
            frame = av.VideoFrame.from_ndarray(_shot(shown, camera_box(time_s, face)), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def hang(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Two pictures side by side, framed, on a grey wall: (H, W, 3) uint8 RGB in `WALL_SIZE`."""
    width, height = WALL_SIZE
    light = np.linspace(212, 176, height)[:, None] + np.linspace(6, -10, width)[None, :]
    wall: np.ndarray = np.stack([light, light - 4, light - 10], axis=2)
    h, border = 500, 18
    widths = [round(image.shape[1] * h / image.shape[0]) for image in (left, right)]
    gap = (width - sum(widths) - 4 * border) // 3
    y = (height - h) // 2 - 6
    for image, w, x in ((left, widths[0], gap + border), (right, widths[1], width - gap - border - widths[1])):
        shadow = np.zeros((height, width), np.float32)
        cv2.rectangle(shadow, (x - 14, y - 6), (x + w + 22, y + h + 30), 1.0, -1)
        wall *= 1 - 0.35 * cv2.GaussianBlur(shadow, (0, 0), 9)[..., None]
        wall[y - border : y + h + border, x - border : x + w + border] = (58, 44, 34)
        wall[y - 8 : y + h + 8, x - 8 : x + w + 8] = (240, 238, 232)
        wall[y : y + h, x : x + w] = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
    return wall.round().clip(0, 255).astype(np.uint8)


def _jpeg(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True)
    return buffer.getvalue()


def make(out_dir: Path) -> tuple[Path, ...]:
    """Writes every sample; returns their paths."""
    # development requirements only: nothing that a user runs needs them
    from matplotlib.cbook import get_sample_data
    from skimage.data import astronaut

    plain: np.ndarray = astronaut()  # type: ignore[no-untyped-call]
    with get_sample_data("grace_hopper.jpg") as file:
        published = file.read()
    hopper = np.asarray(Image.open(io.BytesIO(published)).convert("RGB"))
    face, hoppers_face = (faces[0] for faces in FaceDetector().detect([plain, hopper]))
    edited = manipulate(plain, face, np.random.default_rng(SEED))
    out_dir.mkdir(parents=True, exist_ok=True)
    pictures = {
        "astronaut.jpg": _jpeg(plain),
        "astronaut_edited.jpg": _jpeg(edited),
        "hopper.jpg": published,
        "two_portraits.jpg": _jpeg(hang(plain, _reshape(hopper, hoppers_face, RETOUCH))),
    }
    for name, data in pictures.items():
        (out_dir / name).write_bytes(data)
    clip = out_dir / "clip.mp4"
    write_clip(clip, plain, edited, face)
    return (*(out_dir / name for name in pictures), clip)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.make_samples", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("app/samples"), help="folder to write to")
    for path in make(parser.parse_args().out):
        print(f"{path}  {path.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main()
