"""The persons of clips, frame by frame, as the product follows them, kept on disk so that each clip is read once.

What is kept of a frame is a patch around the face, at the video's own resolution up to a limit, and without loss: from
it `detector.faces.align.crop_face` cuts what networks see, and a self-blend finds room for its mask. One file a clip,
named after its bytes, written whole or not at all: a stopped run goes on where it was.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

import detector
from detector.aggregate import MIN_FRAMES
from detector.faces.align import crop_face, crop_frame, resize, sharpness
from detector.faces.detect import FaceDetector
from detector.media import RGB
from detector.types import Face

if TYPE_CHECKING:
    from detector.persons import FrameFaces

PATCH = 1.15
"""Side of the patch over that of the crop: a turned crop and the edges of soft masks lie within."""
PATCH_PX = 320
"""Longest side of a kept patch: networks see less."""
_SHARPNESS_PX = 128
_READS_CLIPS = (
    "video/*.py",
    "persons.py",
    "pipeline.py",
    "engine.py",
    "faces/*.py",
    "media.py",
    "source.py",
    "sniff.py",
)
"""Code of the detector that decides which frames and faces of a clip are judged: kept logits are of one state of it."""


@dataclass(frozen=True, slots=True)
class PersonFrames:
    """One person through one clip: frames that can be judged, in order of time.

    Attributes:
        times_s: (T,) seconds from the start.
        patches: T pictures around the face, PNG.
        faces: the face in each, in pixels of its patch.
    """

    times_s: np.ndarray
    patches: tuple[bytes, ...]
    faces: tuple[Face, ...]

    def pictures(self) -> list[RGB]:
        """The patches, (h, w, 3) uint8 RGB each."""
        return [_decoded(png) for png in self.patches]

    def crops(self, size_px: int) -> np.ndarray:
        """As networks see them: (T, size_px, size_px, 3) uint8 RGB."""
        return crops_of(self.pictures(), self.faces, size_px)


@dataclass(frozen=True, slots=True)
class Fit:
    """Which faces can be judged: the published limits."""

    min_face_px: float
    min_sharpness: float


@dataclass(frozen=True, slots=True)
class _Seen:
    patch: bytes
    face: Face


def crops_of(pictures: Sequence[RGB], faces: Sequence[Face], size_px: int) -> np.ndarray:
    """The crop of each picture's face: (T, size_px, size_px, 3) uint8 RGB."""
    return np.stack([crop_face(picture, face, size_px) for picture, face in zip(pictures, faces, strict=True)])


def person_frames(path: Path, finder: FaceDetector, fit: Fit, max_frames: int, file: Path) -> tuple[PersonFrames, ...]:
    """The persons of a clip with frames enough for a verdict; from `file` if it is there, else written to it.

    Raises:
        MediaError: the clip cannot be read.
    """
    if file.is_file():
        return load_persons(file)
    # a package for video, which a machine that only trains on pictures may lack
    from detector.persons import follow_persons

    video = follow_persons(
        path, finder, partial(_look, fit=fit), max_frames=max_frames, on_step=lambda share, what: None
    )
    persons = []
    for person in video.persons:
        seen = [(s.time_s, s.judged) for s in person.sightings if s.judged is not None]
        if len(seen) >= MIN_FRAMES:
            times = np.array([time for time, _ in seen])
            persons.append(PersonFrames(times, tuple(s.patch for _, s in seen), tuple(s.face for _, s in seen)))
    save_persons(persons, file)
    return tuple(persons)


def save_persons(persons: Sequence[PersonFrames], path: Path) -> None:
    """Writes the persons of one clip, whole or not at all."""
    arrays: dict[str, Any] = {"persons": np.array(len(persons))}
    for p, person in enumerate(persons):
        arrays[f"times_{p}"] = person.times_s
        arrays[f"png_{p}"] = np.frombuffer(b"".join(person.patches), np.uint8)
        arrays[f"ends_{p}"] = np.cumsum([len(png) for png in person.patches])
        arrays[f"boxes_{p}"] = np.array([face.box for face in person.faces])
        arrays[f"marks_{p}"] = np.array([face.landmarks for face in person.faces])
        arrays[f"sure_{p}"] = np.array([face.confidence for face in person.faces])
    save_arrays(path, arrays)


def load_persons(path: Path) -> tuple[PersonFrames, ...]:
    """The persons that `save_persons` wrote."""
    persons = []
    with np.load(path) as stored:
        for p in range(int(stored["persons"])):
            whole, ends = stored[f"png_{p}"].tobytes(), stored[f"ends_{p}"].tolist()
            patches = tuple(whole[a:b] for a, b in zip([0, *ends], ends, strict=False))
            faces = tuple(
                Face(tuple(box), tuple((x, y) for x, y in marks), sure)
                for box, marks, sure in zip(
                    *(stored[f"{what}_{p}"].tolist() for what in ("boxes", "marks", "sure")), strict=True
                )
            )
            persons.append(PersonFrames(stored[f"times_{p}"], patches, faces))
    return tuple(persons)


def save_arrays(path: Path, arrays: dict[str, Any]) -> None:
    """Writes arrays as one .npz file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partly = path.with_suffix(".partial")
    with partly.open("wb") as handle:
        np.savez(handle, **arrays)
    partly.replace(path)


def patch_of(image: RGB, face: Face) -> tuple[RGB, Face]:
    """The part of a picture around a face, at most `PATCH_PX` wide and high, and the face in its pixels."""
    height, width = image.shape[:2]
    frame = crop_frame(face)
    x0, y0, x1, y1 = replace(frame, side=PATCH * frame.side).bounds()
    left, top = max(0, math.floor(x0)), max(0, math.floor(y0))
    patch = image[top : min(height, math.ceil(y1)), left : min(width, math.ceil(x1))]
    scale = min(1.0, PATCH_PX / max(patch.shape[:2]))
    if scale < 1:
        patch = resize(patch, max(1, round(patch.shape[1] * scale)), max(1, round(patch.shape[0] * scale)))
    a, b, c, d = face.box
    moved = replace(
        face,
        box=((a - left) * scale, (b - top) * scale, (c - left) * scale, (d - top) * scale),
        landmarks=tuple(((x - left) * scale, (y - top) * scale) for x, y in face.landmarks),
    )
    return patch, moved


def _look(frames: Sequence["FrameFaces"], fit: Fit) -> list[list[_Seen | None]]:
    """The patch of each face that can be judged, None for the others, as the product decides it."""
    rows: list[list[_Seen | None]] = []
    for image, faces in frames:
        row: list[_Seen | None] = []
        for face in faces:
            sharp = sharpness(crop_face(image, face, _SHARPNESS_PX))
            if face.size_px < fit.min_face_px or sharp < fit.min_sharpness:
                row.append(None)
                continue
            patch, moved = patch_of(image, face)
            row.append(_Seen(_encoded(patch), moved))
        rows.append(row)
    return rows


def _encoded(picture: RGB) -> bytes:
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def _decoded(png: bytes) -> RGB:
    bgr = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    if bgr is None:
        raise ValueError("a kept picture is damaged: delete the cache of clip frames")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def reading_code() -> str:
    """Hash of the code that decides which frames and faces of a clip are seen."""
    folder = Path(detector.__file__).parent
    digest = hashlib.sha256()
    for pattern in _READS_CLIPS:
        paths = sorted(folder.glob(pattern))
        assert paths, f"detector/{pattern} is no more: name what took its place"
        for path in paths:
            digest.update(path.read_bytes())
    return digest.hexdigest()
