"""Batches of genuine faces, their self-blended twins and fakes, with every source weighed.

A slice that holds one class only would let a network learn the source instead of the trace: so each batch holds as
many genuine as manipulated faces, sources are drawn by the square root of their size, and a share of the genuine
faces comes with a blended twin made from the same picture under the same augmentation, equal to it in every pixel
around the mask; some twins have the inner face of another person of that source. A further share are partners of the
batch's fakes: genuine faces of the same group (the same person, clip or original), where there are any.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from zlib import crc32

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from detector.faces.align import CropFrame, crop_face, cut, resize
from detector.media import read_image
from detector.types import Face
from train.data.augment import Augmentation, degrade, jitter_frame
from train.data.samples import Sample
from train.data.self_blend import SelfBlend, genuine_side, pose_of, self_blend
from train.data.traces import leave_trace, soften

SELF_BLENDED = "self-blended"
"""Method of samples that are made when they are read: the blended twin of a genuine face."""
_HELD_BYTES = 32 << 20
"""Decoded pictures that a loader process keeps, oldest out first: more than a batch of stored crops."""
_DONORS = 8
"""Candidates for a donor; the one with the most similar pose is taken."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One item of a batch: which sample, the seed of its history, whether to make its blended twin, whether whole."""

    index: int
    seed: int
    twin: bool = False
    whole: bool = True
    """False: a random window of the crop is enough."""
    donor: int | None = None
    """Whose inner face the twin gets; None: its own."""
    paired: bool = False
    """A genuine face whose twin is in the batch: it is changed as the twin is around its mask."""
    traced: bool = False
    """The twin of this pair gets a trace of up-sampling instead of a blended face, its original is softened alike."""


def source_weights(
    samples: Sequence[Sample], indices: Sequence[int], counted_as: Mapping[str, float] | None = None
) -> np.ndarray:
    """Chance of each index: sources by the square root of their size, groups within a source alike.

    Args:
        samples: all samples.
        indices: of those that are drawn from.
        counted_as: source -> the size to take for it instead of its own.
    """
    if not indices:
        return np.zeros(0)
    sizes: dict[str, float] = defaultdict(int)
    groups: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for i in indices:
        sizes[samples[i].source] += 1
        groups[samples[i].source][samples[i].group] += 1
    sizes |= counted_as or {}
    # a clip of 40 frames is more than one picture, but not 40 times as much
    shares = {s: {g: n**0.5 for g, n in members.items()} for s, members in groups.items()}
    totals = {s: sum(members.values()) for s, members in shares.items()}
    weights = np.array(
        [
            sizes[s.source] ** 0.5 * shares[s.source][s.group] / totals[s.source] / groups[s.source][s.group]
            for s in (samples[i] for i in indices)
        ]
    )
    return np.asarray(weights / weights.sum())


class PairedBatches(Sampler[list[Draw]]):
    """Batches of draws for one epoch, the same for the same seed and epoch.

    Args:
        samples: training samples.
        batch_size: even; half genuine, half manipulated.
        steps: batches in an epoch.
        twins: share of the manipulated half that are self-blended twins of genuine faces in the same batch.
        seed: of the whole run.
        partners: share of the genuine half that are of the same source and group as a fake of the same batch.
        whole_from: first epoch (from 0) whose draws ask for whole crops, not for windows.
        cross: share of the twins that get the inner face of another group: of the same source where it has one, else
            of the same batch; of a few candidates the one with the most similar pose.
        faces: by name; needed for `cross`.
        traces: share of the twins that carry a trace of up-sampling instead of a blended face.
        counted_as: (source, label) -> the size to draw that source by instead of its own.

    Raises:
        ValueError: there are no manipulated samples, and twins are not all of the manipulated half; or `cross` without
            faces.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        batch_size: int,
        steps: int,
        twins: float,
        seed: int,
        partners: float = 0.0,
        whole_from: int = 0,
        cross: float = 0.0,
        faces: dict[str, Face] | None = None,
        traces: float = 0.0,
        counted_as: Mapping[tuple[str, int], float] | None = None,
    ) -> None:
        self.genuine = [i for i, s in enumerate(samples) if s.label == 0]
        self.fake = [i for i, s in enumerate(samples) if s.label == 1]
        sizes = [{s: n for (s, kind), n in (counted_as or {}).items() if kind == label} for label in (0, 1)]
        self.weights = (
            source_weights(samples, self.genuine, sizes[0]),
            source_weights(samples, self.fake, sizes[1]),
        )
        self.half = batch_size // 2
        self.twins = round(self.half * twins)
        if not self.fake and self.twins < self.half:
            raise ValueError("without manipulated faces all of the manipulated half must be twins (twins = 1)")
        self.crossed = round(self.twins * cross)
        if self.crossed and faces is None:
            raise ValueError("blends across identities need the faces of all samples")
        self.poses = {i: pose_of(faces[samples[i].name]) for i in self.genuine} if self.crossed and faces else {}
        self.traced = round(self.twins * traces)
        # twins are made of the first genuine faces, partners replace the last: never the same ones
        self.partners = min(round(self.half * partners), self.half - self.twins)
        self.steps, self.seed, self.epoch, self.whole_from = steps, seed, 0, whole_from
        self.origins = [(s.source, s.group) for s in samples]
        self.by_origin: dict[tuple[str, str], list[int]] = defaultdict(list)
        for i in self.genuine:
            self.by_origin[self.origins[i]].append(i)
        self.by_source: dict[str, list[int]] = defaultdict(list)
        for i in self.genuine:
            self.by_source[self.origins[i][0]].append(i)

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[Draw]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        for _ in range(self.steps):
            genuine = rng.choice(self.genuine, self.half, p=self.weights[0])
            others = self.half - self.twins
            fake = rng.choice(self.fake, others, p=self.weights[1]) if others else np.zeros(0, np.int64)
            for place in range(self.partners):
                related = self.by_origin.get(self.origins[fake[place]])
                if related:
                    genuine[-1 - place] = rng.choice(related)
            seeds = rng.integers(2**32, size=2 * self.half)
            whole = self.epoch >= self.whole_from
            draws = [Draw(int(i), int(s), whole=whole) for i, s in zip(genuine, seeds[: self.half], strict=True)]
            # a twin shares its original's seed, so both go through the same framing and the same degradation
            twins = [replace(d, twin=True) for d in draws[: self.twins]]
            draws[: self.twins] = [replace(d, paired=True) for d in draws[: self.twins]]
            draws += twins
            for place in range(self.half, self.half + self.crossed):
                donor = self._donor(draws[place].index, genuine, rng)
                draws[place] = replace(draws[place], donor=donor)
            for last in (self.twins, self.half + self.twins):
                pairs = slice(last - self.traced, last)
                draws[pairs] = [replace(d, traced=True, paired=False, donor=None) for d in draws[pairs]]
            rest = zip(fake, seeds[self.half + self.twins :], strict=True)
            draws += [Draw(int(i), int(s), whole=whole) for i, s in rest]
            yield draws

    def _donor(self, index: int, batch: np.ndarray, rng: np.random.Generator) -> int | None:
        """A genuine face of another group to take the inner face from; None where there is none."""
        source, group = self.origins[index]
        related = self.by_source[source]
        few = rng.choice(related, _DONORS) if len(related) > _DONORS else np.array(related)
        donors = [int(i) for i in few if self.origins[i][1] != group]
        donors = donors or [int(i) for i in batch if self.origins[i][1] != group]
        return min(donors, key=lambda i: float(((self.poses[i] - self.poses[index]) ** 2).sum())) if donors else None


class TrainFaces(Dataset[tuple[Tensor, float]]):
    """Augmented crops: `Draw` -> ((3, S, S) uint8, label), or ((3, W, W) uint8, label) for draws that are not whole.

    A window keeps the crop's scale: small traces stay as large as they are in use, for less work a face, and no
    arrangement of a whole portrait can be learned by heart.

    Args:
        targets: sample name -> what is learned of it in place of its label, 0 to 1; blended twins keep theirs.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        faces: dict[str, Face],
        size_px: int,
        augmentation: Augmentation,
        window_px: int | None = None,
        blend: SelfBlend | None = None,
        targets: Mapping[str, float] | None = None,
    ) -> None:
        self.samples, self.faces, self.size_px, self.augmentation = samples, faces, size_px, augmentation
        self.targets = targets or {}
        self.window_px = window_px or size_px
        self.blend = blend or SelfBlend()
        self._pictures: dict[int, np.ndarray] = {}
        self._held = 0

    def _picture(self, index: int) -> np.ndarray:
        """The decoded picture, which a twin shares with its original: decoding is a good part of a pair's time."""
        image = self._pictures.get(index)
        if image is None:
            image = read_image(self.samples[index].read())
            self._pictures[index] = image
            self._held += image.nbytes
            while self._held > _HELD_BYTES:
                self._held -= self._pictures.pop(next(iter(self._pictures))).nbytes
        return image

    def __getitem__(self, draw: Draw) -> tuple[Tensor, float]:
        sample = self.samples[draw.index]
        image = self._picture(draw.index)
        face = self.faces[sample.name]
        # the blend has its own randomness; framing and degradation below are the same for both of a pair
        blend_rng = np.random.default_rng((draw.seed, 1))
        if draw.twin and not draw.traced:
            donor = None
            if draw.donor is not None:
                donor = self._picture(draw.donor), self.faces[self.samples[draw.donor].name]
            image, _ = self_blend(image, face, blend_rng, self.blend, donor)
        elif draw.paired:
            image = genuine_side(image, face, blend_rng, self.blend)
        rng = np.random.default_rng(draw.seed)
        frame = jitter_frame(face, self.augmentation, rng)
        # degrade at the picture's own scale, then shrink: as a camera, an editor and this tool do it
        crop = cut(image, frame, native_px(frame))
        if draw.traced:
            # the same randomness for both of the pair: as much detail is lost with a trace as without one
            crop = (leave_trace if draw.twin else soften)(crop, np.random.default_rng((draw.seed, 2)))
        crop = degrade(crop, self.augmentation, rng)
        crop = resize(crop, self.size_px, self.size_px)
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        if not draw.whole:
            y, x = rng.integers(0, self.size_px - self.window_px + 1, 2)
            crop = crop[y : y + self.window_px, x : x + self.window_px]
        return to_tensor(crop), 1.0 if draw.twin else self.targets.get(sample.name, float(sample.label))


def twins_of(samples: Sequence[Sample], faces: dict[str, Face]) -> tuple[list[Sample], dict[str, Face]]:
    """A blended twin of every genuine sample, the same each time, and their faces by name.

    They stand for manipulated faces in the validation of data that have none.
    """
    twins = [replace(s, label=1, method=SELF_BLENDED, name=f"{s.name}#twin") for s in samples if s.label == 0]
    return twins, {twin.name: faces[twin.name.removesuffix("#twin")] for twin in twins}


class EvalFaces(Dataset[Tensor]):
    """Crops exactly as the detector cuts them: index -> (3, S, S) uint8."""

    def __init__(self, samples: Sequence[Sample], faces: dict[str, Face], size_px: int) -> None:
        self.samples, self.faces, self.size_px = samples, faces, size_px

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Tensor:
        sample = self.samples[index]
        image, face = read_image(sample.read()), self.faces[sample.name]
        if sample.method == SELF_BLENDED:
            image, _ = self_blend(image, face, np.random.default_rng(crc32(sample.name.encode())))
        return to_tensor(crop_face(image, face, self.size_px))


def train_loader(dataset: TrainFaces, sampler: Sampler[list[Draw]], workers: int) -> DataLoader[tuple[Tensor, float]]:
    return DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=_collate,
        worker_init_fn=_one_thread,
        prefetch_factor=4 if workers else None,
    )


def eval_crops(samples: Sequence[Sample], faces: dict[str, Face], size_px: int, workers: int) -> Tensor:
    """All crops of a set at once: (N, 3, S, S) uint8."""
    loader = DataLoader(
        EvalFaces(samples, faces, size_px), batch_size=64, num_workers=workers, worker_init_fn=_one_thread
    )
    parts = list(loader)
    return torch.cat(parts) if parts else torch.zeros(0, 3, size_px, size_px, dtype=torch.uint8)


def native_px(frame: CropFrame) -> int:
    """Side in pixels at which a crop keeps the picture's own scale, within what collections and memory hold."""
    return int(np.clip(round(frame.side), 48, 240))


def to_tensor(crop: np.ndarray) -> Tensor:
    """(S, S, 3) uint8 to (3, S, S) uint8."""
    return torch.from_numpy(np.ascontiguousarray(crop)).permute(2, 0, 1)


def _collate(items: list[tuple[Tensor, float]]) -> tuple[Tensor, Tensor]:
    crops, labels = zip(*items, strict=True)
    return torch.stack(crops), torch.tensor(labels)


def _one_thread(_: int) -> None:
    # loader processes share the cores with the training itself
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
