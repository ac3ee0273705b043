"""One repository: its stored crops, pictures and clips, and a record of them.

    out/parts/<owner+name>.json       rows of all that was stored; written last, so its existence means it is whole
    out/faces/<slice>/<label>/<id>.jpg, out/pictures/..., out/videos/...

The record says nothing of labels, groups or splits: these are joined in `train.data.mirrors.index`, so that a change of
the table needs no second extraction unless it changes which bytes are stored.
"""

import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from detector.errors import MediaError
from detector.faces.detect import FaceDetector
from detector.media import read_image, sniff_kind
from train.data.mirrors.catalogue import Source
from train.data.mirrors.pictures import (
    MIN_FACE_PX,
    MIN_GALLERY_FACE_PX,
    FaceCrop,
    compression_of,
    cut_faces,
    encode,
    parts_of,
    same_history,
    whole_picture,
)
from train.data.mirrors.repository import Blob, list_blobs, open_blobs
from train.run import write_json

PARTS = "parts"
_FORMAT = 2
"""Raised when the same rows would be stored otherwise."""
_MAX_PLAIN = 60
"""Whole pictures without a face that a genuine source may add: the picture's head must know such too."""

_detector: FaceDetector | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """One stored file.

    Attributes:
        kind: what it is.
        source: key of the row that it was taken by.
        path: below the output folder.
        blob: hash of the git object; `sha256` of its bytes.
        file: path in the repository.
        width, height: in pixels, as stored.
        face_px: longer side of the face box before any resizing, 0 where there is none.
        outside: share of a crop that lies outside of its picture.
        compression: how its picture was compressed, ">" where it was saved once more here.
        time_s, fps: of frames and clips.
        faces: how many faces the picture has that are large enough.
    """

    kind: Literal["face", "picture", "clip"]
    source: str
    path: str
    blob: str
    sha256: str
    file: str
    width: int
    height: int
    face_px: float = 0.0
    outside: float = 0.0
    compression: str = ""
    time_s: float | None = None
    fps: float | None = None
    faces: int = 0


def part_file(out: Path, repository: str) -> Path:
    """Where the record of a repository lies."""
    return out / PARTS / f"{repository.replace('/', '+')}.json"


def is_stored(out: Path, repository: str, sources: Sequence[Source]) -> bool:
    """Whether the repository was stored by these very rows."""
    path = part_file(out, repository)
    return path.is_file() and json.loads(path.read_text(encoding="utf-8"))["made_by"] == _made_by(sources)


def read_stored(out: Path, repository: str) -> list[Stored]:
    """The files stored of a repository; none where it was not read."""
    path = part_file(out, repository)
    return [Stored(**row) for row in json.loads(path.read_text(encoding="utf-8"))["rows"]] if path.is_file() else []


def store_repository(repository: str, git_dir: Path, sources: Sequence[Source], out: Path) -> dict[str, int]:
    """Stores faces, pictures and clips of one repository, then the record.

    Returns:
        counts for a person: faces, pictures, clips, and files that could not be read.

    Raises:
        DataError: the mirror cannot be read.
    """
    blobs = list_blobs(git_dir)
    rows: list[Stored] = []
    unreadable = 0
    with open_blobs(git_dir) as reader:
        for source in sources:
            taken = 0
            plain = 0
            for blob in wanted(blobs, source):
                if source.cap is not None and taken >= source.cap:
                    break
                data = reader.read(blob.sha)
                try:
                    stored = _store_clip(source, blob, data, out) if source.take == "clips" else None
                    if stored is None:
                        stored = _store_picture(source, blob, data, out, plain < _MAX_PLAIN)
                except (MediaError, ValueError):
                    # pointers of Git LFS, resource forks, damaged files: counted, not fatal
                    unreadable += 1
                    continue
                rows += stored
                taken += any(row.kind == "face" for row in stored)
                plain += [row.kind for row in stored] == ["picture"]
    part_file(out, repository).parent.mkdir(parents=True, exist_ok=True)
    write_json(part_file(out, repository), {"made_by": _made_by(sources), "rows": [asdict(row) for row in rows]})
    return {
        "faces": sum(row.kind == "face" for row in rows),
        "pictures": sum(row.kind == "picture" for row in rows),
        "clips": sum(row.kind == "clip" for row in rows),
        "unreadable": unreadable,
    }


def wanted(blobs: Sequence[Blob], source: Source) -> list[Blob]:
    """Files that a row names, each blob once, in an order that no name decides (so a cap takes a fair share)."""
    chosen: dict[str, Blob] = {}
    for blob in blobs:
        if re.search(source.files, blob.path):
            chosen.setdefault(blob.sha, blob)
    return [chosen[sha] for sha in sorted(chosen, key=lambda sha: hashlib.sha256(sha.encode()).hexdigest())]


def _made_by(sources: Sequence[Source]) -> list[Any]:
    return [_FORMAT, sorted(source.extraction() for source in sources)]


def _detect(image: Any) -> Any:
    global _detector
    if _detector is None:
        _detector = FaceDetector()
    return _detector.detect([image])[0]


def _name(source: Source, blob: Blob, number: str = "") -> str:
    method = hashlib.sha256(source.key.encode()).hexdigest()[:4]
    return f"{source.slice}/{'fake' if source.label else 'real'}/{blob.sha[:14]}{method}{number}"


def _write(out: Path, path: str, data: bytes) -> None:
    target = out / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)


def _stored_of(source: Source, blob: Blob, data: bytes) -> Callable[..., Stored]:
    """`Stored` with what is the same for all that is made of a file."""
    sha256 = hashlib.sha256(data).hexdigest()
    return partial(Stored, source=source.key, blob=blob.sha, sha256=sha256, file=blob.path)


def _of_crop(crop: FaceCrop) -> dict[str, Any]:
    side = crop.image.shape[0]
    return {"width": side, "height": side, "face_px": round(crop.face_px, 1), "outside": round(crop.outside, 4)}


def _store_picture(source: Source, blob: Blob, data: bytes, out: Path, plain: bool) -> list[Stored]:
    whole = read_image(data)
    stored = _stored_of(source, blob, data)
    image, compression = same_history(whole, compression_of(data), source.jpeg, blob.sha)
    smallest = MIN_GALLERY_FACE_PX if source.take == "gallery" else MIN_FACE_PX
    rows: list[Stored] = []
    for tile, part in enumerate(parts_of(image, source.part)):
        crops = cut_faces(part, _detect(part), smallest)
        for number, crop in enumerate(crops):
            path = f"faces/{_name(source, blob, f'-{tile}-{number}')}.jpg"
            _write(out, path, encode(crop.image))
            rows.append(stored("face", path=path, **_of_crop(crop), compression=compression, faces=len(crops)))
    # pictures of galleries without a face are mostly drawings and toys
    if not source.part and (rows or (plain and source.take == "pictures")):
        picture = whole_picture(image)
        path = f"pictures/{_name(source, blob)}.jpg"
        _write(out, path, encode(picture))
        height, width = picture.shape[:2]
        rows.append(stored("picture", path=path, width=width, height=height, compression=compression, faces=len(rows)))
    return rows


def _store_clip(source: Source, blob: Blob, data: bytes, out: Path) -> list[Stored]:
    # packages for video, which a machine that only trains on pictures may lack
    from detector.video import probe
    from train.data.mirrors.clips import cut_clip, sample_frames

    if sniff_kind(data[:4096]) != "video":
        raise ValueError("no video")
    stored = _stored_of(source, blob, data)
    rows: list[Stored] = []
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        clip.write_bytes(data)
        for index, (time_s, image) in enumerate(sample_frames(clip, source.part)):
            for number, crop in enumerate(cut_faces(image, _detect(image), limit=1)):
                path = f"faces/{_name(source, blob, f'-{index:02d}-{number}')}.jpg"
                _write(out, path, encode(crop.image))
                rows.append(
                    stored("face", path=path, **_of_crop(crop), compression="video", time_s=round(time_s, 3), faces=1)
                )
        if source.part:
            clip_data = cut_clip(clip, source.part)
            clip.write_bytes(clip_data)
        else:
            clip_data = data
        info = probe(clip)
    path = f"videos/{_name(source, blob)}.mp4"
    _write(out, path, clip_data)
    of_clip = {"width": info.width, "height": info.height, "compression": info.codec, "fps": info.fps}
    rows.append(stored("clip", path=path, **of_clip, faces=len(rows)))
    return rows
