"""Faces that a game is played with: crops as the detector cuts them, in memory as uint8."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import cv2
import numpy as np
import torch
from torch import Tensor

from detector.faces.align import crop_frame
from detector.types import Face
from train.data.batches import eval_crops, to_tensor
from train.data.samples import Sample
from train.errors import DataError

_SHARP_ENOUGH = 0.9
"""Faces whose crop is smaller than this share of the wanted side would teach the generator blur."""
_QUALITY = 95


@dataclass(frozen=True, slots=True)
class FaceSet:
    """Genuine faces of the training split.

    Attributes:
        crops: (N, 3, S, S) uint8.
        groups: (N,) person or clip of each, prefixed by its source.
    """

    crops: Tensor
    groups: tuple[str, ...]

    @property
    def size_px(self) -> int:
        return int(self.crops.shape[-1])

    def key(self) -> str:
        """Hash of the crops and groups."""
        digest = hashlib.sha256(self.crops.numpy().tobytes())
        digest.update("\n".join(self.groups).encode())
        return digest.hexdigest()

    def sources(self) -> list[str]:
        return sorted({group.partition("/")[0] for group in self.groups})

    def halves(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Indices of two halves that share no group, of equal size."""
        rng = np.random.default_rng(seed)
        members: dict[str, list[int]] = defaultdict(list)
        for i, group in enumerate(self.groups):
            members[group].append(i)
        order = [members[g] for g in rng.permutation(sorted(members))]
        sides: tuple[list[int], list[int]] = ([], [])
        for rows in order:
            sides[len(sides[1]) < len(sides[0])].extend(rows)
        size = min(len(sides[0]), len(sides[1]))
        first, second = (np.sort(rng.choice(side, size, replace=False)) for side in sides)
        return first, second

    def save(self, path: Path) -> None:
        """Writes the set as one small file (lossy, WebP), for a machine that has no data folder."""
        done = [cv2.imencode(".webp", _picture(c), [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])[1] for c in self.crops]
        partial = path.with_suffix(".partial")
        with partial.open("wb") as handle:
            np.savez(
                handle,
                data=np.concatenate([d.ravel() for d in done]),
                ends=np.cumsum([d.size for d in done]),
                groups=np.array(self.groups),
            )
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> "FaceSet":
        """Reads what `save` wrote.

        Raises:
            DataError: the file is no such set.
        """
        try:
            with np.load(path) as stored:
                data, ends, groups = stored["data"], stored["ends"], tuple(str(g) for g in stored["groups"])
        except (KeyError, ValueError, OSError, BadZipFile) as error:
            raise DataError(
                f"{path.name} is no set of faces: write one with `python -m train gan --export_faces FILE`"
            ) from error
        crops = []
        for part in np.split(data, ends[:-1]):
            picture = cv2.imdecode(part, cv2.IMREAD_COLOR)
            if picture is None:
                raise DataError(f"{path.name} is damaged: write it again")
            crops.append(to_tensor(picture[..., ::-1]))
        return cls(torch.stack(crops), groups)


def choose_genuine(
    samples: Sequence[Sample],
    faces: dict[str, Face],
    size_px: int,
    per_group: int,
    sources: Sequence[str] = (),
    seed: int = 0,
) -> list[Sample]:
    """Genuine samples that are sharp enough, at most so many of a person or clip, of the named sources or of all.

    Raises:
        DataError: none are left.
    """
    rng = np.random.default_rng(seed)
    known = {s.source for s in samples if s.label == 0}
    unknown = set(sources) - known
    if unknown:
        raise DataError(
            f"no genuine training faces of {', '.join(sorted(unknown))}; there are: {', '.join(sorted(known))}"
        )
    members: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for s in samples:
        sharp = crop_frame(faces[s.name]).side >= _SHARP_ENOUGH * size_px
        if s.label == 0 and sharp and (not sources or s.source in sources):
            members[s.source, s.group].append(s)
    # the frames of one clip are nearly the same picture, and a generator repeats what it sees most
    chosen = [group[i] for group in members.values() for i in sorted(rng.permutation(len(group))[:per_group])]
    if not chosen:
        raise DataError(f"no genuine training face is large enough for {size_px} px: take a smaller size_px")
    return chosen


def cut_faces(samples: Sequence[Sample], faces: dict[str, Face], size_px: int, workers: int) -> FaceSet:
    """The crops of samples, by the product's own crop."""
    crops = eval_crops(samples, faces, size_px, workers)
    return FaceSet(crops, tuple(f"{s.source}/{s.group}" for s in samples))


def _picture(crop: Tensor) -> np.ndarray:
    """(3, S, S) to (S, S, 3) BGR, as OpenCV encodes it."""
    return np.ascontiguousarray(crop.permute(1, 2, 0).numpy()[..., ::-1])
