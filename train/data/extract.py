"""Faces out of labelled videos, into a folder that trains like the packs.

    out/extraction.json                  how the faces are cut; a folder is never filled in two ways
    out/faces/<name of the video>/       a folder a finished video: 000.jpg, 001.jpg, ... and clip.json
    out/faces.csv                        the table of all faces, written when every video is finished
    out/skipped.csv                      videos that could not be read or show no face, and why

A video's folder is filled under another name and renamed when it is whole, so a kill at any point loses the videos that
were being worked on and nothing else, and what is there is never half of something.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

from detector.errors import MediaError
from detector.faces.align import CropFrame, crop_frame, cut
from detector.faces.detect import FaceDetector
from detector.runtime import limit_threads
from detector.types import Face
from train.data.datasets.clips import Clip
from train.data.datasets.pack import TABLE
from train.data.sources import EXTRACTION
from train.errors import DataError
from train.run import write_csv, write_json

if TYPE_CHECKING:
    from detector.video import VideoFrame

SKIPPED = "skipped.csv"
_COLUMNS = (
    "path", "pack", "label", "method", "slice", "group", "split", "width", "height", "native_face_px", "video",
    "time_s",
)  # fmt: skip
_CLIP, _PARTIAL = "clip.json", ".partial"
_NO_FACE = "no_face"
_BUDGET_S = 600.0
"""Seconds for the frames of one video. The product's limit, made for hostile files, would let the load of the machine
decide which frames are found."""

_detector: FaceDetector | None = None


@dataclass(frozen=True, slots=True)
class Cutting:
    """How faces are cut out.

    Attributes:
        frames: taken of a video, evenly spread.
        margin: side of the square over the longer side of the face box.
        size_px: longest side of a stored picture; larger ones are shrunk by area averaging, none is enlarged.
        min_face_px: smaller faces are left out.
        quality: of the JPEG files, without colour subsampling.
    """

    frames: int
    margin: float
    size_px: int
    min_face_px: int
    quality: int


@dataclass(frozen=True, slots=True)
class Extracted:
    """The result: faces in the table, and videos without any, by name, with the reason's code."""

    faces: int
    skipped: dict[str, str]


def extract_faces(
    clips: Sequence[Clip],
    out: Path,
    cutting: Cutting,
    *,
    workers: int = 2,
    on_progress: Callable[[int, int], None] | None = None,
) -> Extracted:
    """Cuts the largest face out of frames of every video that is not finished, then writes the tables.

    Args:
        clips: with unique names, which are relative paths.
        out: the folder to fill, or to go on filling.
        cutting: how.
        workers: processes that work on a video each.
        on_progress: (videos done, videos in all), those of earlier runs not counted.

    Raises:
        DataError: the folder holds something else, or faces that were cut otherwise.
    """
    _open(out, cutting)
    # an unreadable video leaves no folder, so it is read again: it may have been replaced
    missing = [c for c in clips if not (_folder(out, c) / _CLIP).is_file()]
    failed: dict[str, str] = {}
    with ExitStack() as stack:
        work = partial(_extract, out=out, cutting=cutting)
        results: Iterable[str | None] = map(work, missing)
        if workers > 1 and len(missing) > 1:
            # spawned, not forked: torch's threads do not survive a fork
            pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=limit_threads, initargs=(1,))
            results = stack.enter_context(pool).map(work, missing)
        for done, (clip, reason) in enumerate(zip(missing, results, strict=True), 1):
            if reason is not None:
                failed[clip.name] = reason
            if on_progress:
                on_progress(done, len(missing))
    return _write_tables(clips, out, failed)


def _open(out: Path, cutting: Cutting) -> None:
    record = out / EXTRACTION
    if record.is_file():
        before = json.loads(record.read_text(encoding="utf-8"))
        if before != asdict(cutting):
            raise DataError(f"{out.name}/ was cut with {before}: choose another --out, or the same options")
    elif out.exists() and any(p for p in out.iterdir() if p.suffix != _PARTIAL):
        raise DataError(f"{out.name}/ holds something else: choose an empty or new folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    write_json(record, asdict(cutting))
    for left in list(out.rglob(f"*{_PARTIAL}")):
        shutil.rmtree(left) if left.is_dir() else left.unlink()


def _folder(out: Path, clip: Clip) -> Path:
    name = Path(clip.name)
    if name.is_absolute() or ".." in name.parts:
        raise DataError(f"{clip.name} lies outside the data folder: move it there")
    # the whole name with its ending: a.mp4 and a.avi are two videos
    return out / "faces" / name


def _extract(clip: Clip, out: Path, cutting: Cutting) -> str | None:
    """Leaves the folder of one video; the reason's code if it cannot be read."""
    folder = _folder(out, clip)
    # of this process alone: one that outlived a killed run may still be at the same video
    partly = folder.with_name(f"{folder.name}.{os.getpid()}{_PARTIAL}")
    partly.mkdir(parents=True)
    try:
        rows = [_store(partly, number, *moment, cutting) for number, moment in enumerate(_faces(clip.path, cutting))]
    except MediaError as error:
        shutil.rmtree(partly)
        return error.reason
    write_json(partly / _CLIP, rows)
    if folder.is_dir():
        shutil.rmtree(partly)
    else:
        partly.rename(folder)
    return None


def _faces(path: Path, cutting: Cutting) -> Iterator[tuple["VideoFrame", Face]]:
    """The largest face of each frame that has one, as in the packs: swaps are made of the person in front."""
    global _detector
    if _detector is None:
        _detector = FaceDetector()
    # a package for video, which a machine that only trains on pictures may lack
    from detector.video import iter_frames

    with closing(iter_frames(path, max_frames=cutting.frames, budget_s=_BUDGET_S)) as frames:
        for frame in frames:
            faces = _detector.detect([frame.image])[0]
            if faces and faces[0].size_px >= cutting.min_face_px:
                yield frame, faces[0]


def _store(folder: Path, number: int, frame: "VideoFrame", face: Face, cutting: Cutting) -> dict[str, Any]:
    square = crop_frame(face, cutting.margin)
    side = min(cutting.size_px, round(square.side))
    # upright, whatever the head's tilt: training turns it where the product does, and every turn wears away traces
    picture = cut(frame.image, CropFrame(square.center_x, square.center_y, square.side, 0.0), side)
    settings = [cv2.IMWRITE_JPEG_QUALITY, cutting.quality]
    settings += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), settings)
    file = f"{number:03d}.jpg"
    (folder / file).write_bytes(data.tobytes())
    return {"file": file, "side_px": side, "face_px": round(face.size_px), "time_s": round(frame.time_s, 3)}


def _write_tables(clips: Sequence[Clip], out: Path, failed: dict[str, str]) -> Extracted:
    skipped, table = dict(failed), []
    for clip in clips:
        if clip.name in failed:
            continue
        folder = _folder(out, clip)
        rows = json.loads((folder / _CLIP).read_text(encoding="utf-8"))
        if not rows:
            skipped[clip.name] = _NO_FACE
        for row in rows:
            table.append(
                (
                    (folder / row["file"]).relative_to(out).as_posix(),
                    "",
                    "fake" if clip.label else "real",
                    clip.method,
                    clip.source,
                    clip.group,
                    clip.split,
                    row["side_px"],
                    row["side_px"],
                    row["face_px"],
                    clip.name,
                    row["time_s"],
                )
            )
    write_csv(out / SKIPPED, ("video", "reason"), sorted(skipped.items()))
    if not table:
        raise DataError(f"no face was found in any of {len(clips)} videos: {out.name}/{SKIPPED} says why")
    write_csv(out / TABLE, _COLUMNS, table)
    return Extracted(len(table), skipped)
