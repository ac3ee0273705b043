"""Duplicates: faces that show the same picture, by the hash of their file, or by what the face looks like.

A perceptual hash of 64 bits takes one frontal portrait for another, so faces are compared as small grey pictures. Their
correlation finds candidates; each is then laid on the other at seven scales and all shifts, since the detector's box
moves by some per cent when a picture was resized or saved again. On 40 portraits that are in the packs and in their
repository, 240 against 512 px, the same picture came to .955 or more and any other to .929 or less.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from detector.faces.align import CropFrame, crop_frame, cut, resize
from detector.types import Face
from train.data.mirrors.pictures import MARGIN
from train.data.samples import Split

THUMB_PX = 96
"""Side of a thumbnail: the square of 1.5 times the face box, as crops are stored."""
SAME = 0.95
"""Agreement from which two faces are one picture."""
SAME_IN_GROUP = 0.97
"""The same for pictures of one group, which resemble each other: copies in other sizes, near-equal outputs."""
_COARSE_PX = 24
_CENTRE_PX = 77  # 1.2 times the face box
_BOX_SHARE = 2 / 3
_SCALES = (0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15)
_FAR = 0.8
_CANDIDATE = 0.8
_CANDIDATES = 5
_CHUNK = 512
_NEAREST = 80  # most of a clip's are frames of its own scene
CLIP_SHARE = 0.3
"""Share of a clip's frames that must match before the clip is left out: one frame may match by chance."""
_RANK: dict[Split, int] = {"train": 0, "val": 1, "test": 2}


@dataclass(frozen=True, slots=True)
class Entry:
    """A face in the making of the index.

    Attributes:
        blob: of the file that it comes from; its faces stay or go together.
        sha256: of that file.
        group, split: by the table.
        is_clip: whether the file is a clip.
        name: decides between equals.
    """

    blob: str
    sha256: str
    group: str
    split: Split
    is_clip: bool
    name: str


def thumbnail(image: np.ndarray, face: Face | None = None) -> np.ndarray:
    """(THUMB_PX, THUMB_PX) uint8, grey: the square around a face, or a whole crop that was cut so.

    Args:
        image: (H, W, 3) uint8 RGB.
        face: in its pixels; None if the image is such a crop.
    """
    if face is not None:
        square = crop_frame(face, MARGIN)
        image = cut(image, CropFrame(square.center_x, square.center_y, square.side, 0.0), THUMB_PX)
    return np.asarray(cv2.cvtColor(resize(image, THUMB_PX, THUMB_PX), cv2.COLOR_RGB2GRAY), np.uint8)


def agreement(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two thumbnails, the face of one laid on the other where it fits best: 1 is the same.

    A comparison at half the size comes first, and is the answer where the two are far apart.
    """
    small_a, small_b = (resize(t, THUMB_PX // 2, THUMB_PX // 2) for t in (a, b))
    quick = _laid(small_a, small_b, 1.0)
    return quick if quick < _FAR else max(_laid(a, b, scale) for scale in _SCALES)


def _laid(a: np.ndarray, b: np.ndarray, scale: float) -> float:
    size = a.shape[0]
    border = round(size * (1 - _BOX_SHARE) / 2)
    face = b[border : size - border, border : size - border]
    side = round(face.shape[0] * scale)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    laid = cv2.matchTemplate(a, cv2.resize(face, (side, side), interpolation=method), cv2.TM_CCOEFF_NORMED)
    return float(laid.max())


def similar(
    a: Sequence[np.ndarray], b: Sequence[np.ndarray], least: Callable[[int, int], float | None]
) -> list[tuple[int, int]]:
    """(index in a, index in b) of thumbnails that are one picture, of the nearest few of each.

    Args:
        a, b: thumbnails.
        least: agreement from which a pair is one picture; None = no comparison.
    """
    if not len(a) or not len(b):
        return []
    rows, columns = _coarse(a), _coarse(b)
    pairs = []
    for start in range(0, len(rows), _CHUNK):
        for i, products in enumerate(rows[start : start + _CHUNK] @ columns.T, start):
            near = np.flatnonzero(products >= _CANDIDATE)
            near = near[np.argsort(-products[near])][:_NEAREST]
            asked = [(int(j), at) for j in near if (at := least(i, int(j))) is not None]
            pairs += [(i, j) for j, at in asked[:_CANDIDATES] if agreement(a[i], b[j]) >= at]
    return pairs


def _coarse(thumbnails: Sequence[np.ndarray]) -> np.ndarray:
    """(N, 576) float32 rows of mean 0 and length 1: products are correlations."""
    border = (THUMB_PX - _CENTRE_PX) // 2
    centres = [t[border : border + _CENTRE_PX, border : border + _CENTRE_PX] for t in thumbnails]
    small = [cv2.resize(c, (_COARSE_PX, _COARSE_PX), interpolation=cv2.INTER_AREA).ravel() for c in centres]
    rows = np.stack(small).astype(np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6), np.float32)


def repeated(
    entries: Sequence[Entry],
    pairs: Sequence[tuple[int, int]],
    in_packs: Sequence[tuple[int, str]],
) -> dict[str, str]:
    """Files that are left out, and why: a picture is in one group of one split, and once.

    Of two equal files of different groups the one stays whose split is needed more (test, then val, then train), or
    whose name comes first. A picture that is in the packs is left out; a clip is not, where the packs hold frames of
    the same group.

    Args:
        entries: all faces.
        pairs: of faces (indices) that look the same.
        in_packs: faces that look the same as one of the packs, and its group.

    Returns:
        blob -> reason.
    """
    gone: dict[str, str] = {}
    frames = Counter(e.blob for e in entries)
    to_packs: dict[str, set[int]] = defaultdict(set)
    for i, group in in_packs:
        if not (entries[i].is_clip and group == entries[i].group):
            to_packs[entries[i].blob].add(i)
    for blob, matched in to_packs.items():
        if not entries[next(iter(matched))].is_clip or len(matched) >= CLIP_SHARE * frames[blob]:
            gone[blob] = "in the packs"
    by_file: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_file[entry.sha256].append(entry)
    for same in by_file.values():
        best = min(same, key=_order)
        gone |= {e.blob: "same file as another" for e in same if e.blob != best.blob and e.blob not in gone}
    between: dict[tuple[str, str], set[int]] = defaultdict(set)
    first = {e.blob: e for e in reversed(entries)}
    for i, j in pairs:
        if entries[i].blob != entries[j].blob:
            worse, better = sorted((i, j), key=lambda k: _order(entries[k]), reverse=True)
            between[entries[worse].blob, entries[better].blob].add(worse)
    for (worse_blob, better_blob), matched in sorted(between.items(), key=lambda item: _order(first[item[0][1]])):
        enough = not first[worse_blob].is_clip or len(matched) >= CLIP_SHARE * frames[worse_blob]
        if enough and better_blob not in gone and worse_blob not in gone:
            gone[worse_blob] = "looks like another"
    return gone


def _order(entry: Entry) -> tuple[int, str]:
    return -_RANK[entry.split], entry.name
