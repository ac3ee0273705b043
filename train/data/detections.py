"""The largest face of every training picture, found once by the product's own detector and kept on disk.

Keyed by the hash of the picture's bytes and named after the detector's settings, so a stale box cannot be used.
"""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path

from detector.errors import MediaError
from detector.faces.align import MARGIN
from detector.faces.detect import MIN_CONFIDENCE, FaceDetector
from detector.media import read_image
from detector.runtime import limit_threads
from detector.types import Face
from train.data.samples import Sample
from train.errors import DataError

logger = logging.getLogger(__name__)

_SETTINGS = f"mtcnn-2.5.3-min32-work1600-conf{MIN_CONFIDENCE}-margin{MARGIN}"
_NAMED = 10
_detector: FaceDetector | None = None


def find_faces(
    samples: Sequence[Sample],
    cache_dir: Path,
    *,
    workers: int = 2,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Face]:
    """Largest face of each sample by name; samples without a face are left out.

    Resumable: finished pictures are appended to the cache file as they come.

    Raises:
        DataError: pictures cannot be read; the message names them. Training data are not hostile: a broken file is a
            mistake to mend, and whoever mends one wants to know of the others.
    """
    cache_dir.mkdir(parents=True, exist_ok=True)
    path = cache_dir / f"faces-{hashlib.sha256(_SETTINGS.encode()).hexdigest()[:10]}.jsonl"
    known: dict[str, Face | None] = {}
    if path.exists():
        whole = path.read_bytes()
        complete = whole[: whole.rfind(b"\n") + 1]
        if len(complete) < len(whole):
            # a killed run leaves half a line, to which nothing may be appended
            os.truncate(path, len(complete))
        for line in complete.decode().splitlines():
            row = json.loads(line)
            known[row["key"]] = _face(row["face"])
    keys = {s.name: picture_key(s) for s in samples}
    missing = {keys[s.name]: s for s in samples if keys[s.name] not in known}
    broken: list[str] = []
    if missing:
        logger.info("looking for faces in %d pictures", len(missing))
        with path.open("a", encoding="utf-8") as handle, ExitStack() as stack:
            results: Iterable[Face | str | None] = map(_largest, missing.values())
            if workers > 1:
                # spawned, not forked: torch's threads do not survive a fork
                pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=limit_threads, initargs=(1,))
                results = stack.enter_context(pool).map(_largest, missing.values(), chunksize=16)
            for done, (key, face) in enumerate(zip(missing, results, strict=True), 1):
                if isinstance(face, str):
                    broken.append(f"{missing[key].name} ({face})")
                else:
                    known[key] = face
                    row = {"key": key, "face": face and [face.box, face.landmarks, face.confidence]}
                    handle.write(json.dumps(row) + "\n")
                if on_progress:
                    on_progress(done, len(missing))
    if broken:
        more = f" and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
        raise DataError(
            f"{len(broken)} pictures of the data cannot be read: {', '.join(broken[:_NAMED])}{more}. Mend them or take "
            "them out; what was found in the others is kept."
        )
    return {s.name: face for s in samples if (face := known[keys[s.name]]) is not None}


def _largest(sample: Sample) -> Face | str | None:
    """The largest face; None where there is none; a word why the picture cannot be read."""
    global _detector
    if _detector is None:
        _detector = FaceDetector()
    try:
        image = read_image(sample.read())
    except MediaError as error:
        return error.reason
    faces = _detector.detect([image])[0]
    return faces[0] if faces else None


def picture_key(sample: Sample) -> str:
    """Of the picture's bytes: the same picture under another name is the same."""
    return hashlib.sha256(sample.read()).hexdigest()[:24]


def _face(row: list | None) -> Face | None:  # type: ignore[type-arg]
    if row is None:
        return None
    box, marks, confidence = row
    return Face(tuple(box), tuple((x, y) for x, y in marks), confidence)
