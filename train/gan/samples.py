"""`python -m train gan-samples RUN`: generated faces, and genuine ones of equal history, as one more source of data.

A generated face is 64 or 128 px large; a genuine one is not. So each comes with a genuine face that goes through the
very same steps: cut by the product's crop at the generator's size, enlarged by the same interpolation, saved with the
same JPEG quality. What is left between the two is what the generator did.
"""

import csv
import io
import tarfile
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import cv2
import numpy as np
import torch
import tyro

from train.console import Bar, say
from train.data.batches import eval_crops, source_weights
from train.data.datasets.pack import TABLE
from train.data.extra import MADE
from train.data.faces import FaceData
from train.data.samples import SPLITS, Sample, Split
from train.errors import DataError
from train.gan.measure_fid import generator_hash, split_seed
from train.gan.players import draw_latents, generate, load_generator
from train.learn.options import Data
from train.options import Flat
from train.run import Run, device, write_json

_COLUMNS = ("path", "pack", "label", "method", "slice", "group", "split")
_ENLARGING = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)
_BATCH = 32


@dataclass(frozen=True)
class GanSamples:
    """Write generated faces with genuine ones of equal history, for `cnn --extra` and `gan-judge --samples`."""

    run: Annotated[Path, tyro.conf.Positional]
    """A run folder of `gan`."""
    out: Path
    """A folder that does not exist yet."""
    n: int = 2000
    """Generated faces for training, and at most as many genuine ones."""
    n_val: int = 300
    """Generated faces that train nothing, with genuine faces of validation; 0 = none."""
    n_test: int = 300
    """Likewise with genuine faces of the test split."""
    size_px: int = 240
    """Side of the stored pictures, as in the packs."""
    quality: tuple[int, int] = (75, 95)
    """Range of the JPEG quality."""
    truncation: float = 1.0
    """Below 1: faces nearer to the average one, better but more alike."""
    seed: int = 0
    data: Flat[Data] = Data()

    def __post_init__(self) -> None:
        if self.n < 1 or self.n_val < 0 or self.n_test < 0:
            raise ValueError("n must be at least 1, n_val and n_test at least 0")
        if not 1 <= self.quality[0] <= self.quality[1] <= 100 or not 0 < self.truncation <= 1:
            raise ValueError("quality is a range within 1 to 100, truncation a share above 0")


@dataclass(frozen=True, slots=True)
class _Picture:
    """A finished picture and its row of the table."""

    path: str
    label: str
    group: str
    split: Split
    data: bytes


def run(options: GanSamples) -> Path:
    """Writes the folder, whole or not at all; returns it."""
    record = Run(options.run)
    generator, spec = load_generator(record)
    if options.out.exists():
        raise DataError(f"{options.out.name}/ exists: name a new folder, or remove it")
    source = f"gan-{spec.variant}-{spec.size_px}"
    method = f"{'DCGAN' if spec.variant == 'resnet32' else 'StyleGAN2-ADA'} (own)"
    data = options.data.faces(split_seed(record))
    where = device()
    generator.to(where)
    torch.manual_seed(options.seed)
    # other latents than those of the grid and of FID
    counts = {"train": options.n, "val": options.n_val, "test": options.n_test}
    latents = draw_latents(spec, sum(counts.values()), options.seed + 2)
    rng = np.random.default_rng(options.seed)
    chosen = {split: _genuine(data, split, counts[split], rng) for split in SPLITS if counts[split]}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    rows: list[_Picture] = []
    with ExitStack() as stack:
        # whole or not at all: a run that is stopped leaves nothing behind
        made_in = TemporaryDirectory(dir=options.out.parent, prefix=f".{options.out.name}-")
        folder = Path(stack.enter_context(made_in)) / options.out.name
        folder.mkdir()
        bar = stack.enter_context(Bar("Generating"))
        parts = zip(SPLITS, latents.split([counts[s] for s in SPLITS]), strict=True)
        for split, part in parts:
            if split not in chosen:
                continue
            genuine = chosen[split]
            crops = eval_crops(genuine, data.faces, spec.size_px, options.data.workers).permute(0, 2, 3, 1).numpy()
            pictures: list[_Picture] = []
            for start in range(0, len(part), _BATCH):
                batch = generate(generator, part[start : start + _BATCH].to(where), options.truncation)
                for i, fake in enumerate(batch.permute(0, 2, 3, 1).numpy(), start):
                    history = _History.draw(options, rng)
                    # a pair has the group of its genuine face: a batch can hold both, intervals know the persons, and
                    # whoever is left out of training takes the pair with him
                    group = genuine[i].group if i < len(genuine) else f"{source}/{split}-{i:05d}"
                    pictures.append(_Picture(f"{source}/fake/{split}-{i:05d}.jpg", "fake", group, split, history(fake)))
                    if i < len(crops):
                        name = f"{source}/real/{split}-{i:05d}.jpg"
                        pictures.append(_Picture(name, "real", group, split, history(crops[i])))
                bar.at(len(rows) + len(pictures), 2 * len(latents))
            _write_tar(folder / f"generated-{split}.tar", pictures)
            rows += pictures
        checkpoint = {
            "run": options.run.name,
            "source": source,
            "generator": generator_hash(record),
            "generator_epoch": record.record().get("generator_epoch"),
            "learned_from": record.record()["learned_from"],
            "size_px": spec.size_px,
            "truncation": options.truncation,
            "seed": options.seed,
            "data": data.fingerprint,
        }
        write_json(folder / MADE, checkpoint)
        _write_table(folder / TABLE, rows, source, method)
        folder.rename(options.out)
    made_of = Counter(row.label for row in rows)
    say(f"{made_of['fake']} generated and {made_of['real']} genuine faces in {options.out.name}/, as source {source!r}")
    return options.out


@dataclass(frozen=True, slots=True)
class _History:
    """The changes that both pictures of a pair go through."""

    size_px: int
    interpolation: int
    quality: int

    @classmethod
    def draw(cls, options: GanSamples, rng: np.random.Generator) -> "_History":
        quality = int(rng.integers(options.quality[0], options.quality[1] + 1))
        return cls(options.size_px, int(rng.choice(_ENLARGING)), quality)

    def __call__(self, picture: np.ndarray) -> bytes:
        """(S, S, 3) uint8 RGB of the generator's size to the bytes of a JPEG file."""
        large = cv2.resize(picture, (self.size_px, self.size_px), interpolation=self.interpolation)
        done, data = cv2.imencode(".jpg", large[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, self.quality])
        if not done:
            raise ValueError("OpenCV cannot encode this picture as JPEG")
        return data.tobytes()


def _genuine(data: FaceData, split: Split, n: int, rng: np.random.Generator) -> list[Sample]:
    """At most n genuine faces of a split, each once, sources and persons weighed as in training."""
    by_split: dict[Split, list[Sample]] = {"train": data.train, "val": data.val, "test": data.test}
    rows = [s for s in by_split[split] if s.label == 0]
    if not rows:
        raise DataError(f"there are no genuine faces in split {split!r}: set --n_{split} 0")
    weights = source_weights(rows, range(len(rows)))
    chosen = rng.choice(len(rows), min(n, len(rows)), replace=False, p=weights)
    return [rows[i] for i in chosen]


def _write_tar(path: Path, pictures: Sequence[_Picture]) -> None:
    with tarfile.open(path, "w") as tar:
        for picture in pictures:
            member = tarfile.TarInfo(picture.path)
            member.size = len(picture.data)
            tar.addfile(member, io.BytesIO(picture.data))


def _write_table(path: Path, pictures: Sequence[_Picture], source: str, method: str) -> None:
    with path.open("w", newline="", encoding="utf-8") as handle:
        table = csv.writer(handle)
        table.writerow(_COLUMNS)
        for p in pictures:
            made_by = method if p.label == "fake" else "none"
            table.writerow((p.path, f"generated-{p.split}", p.label, made_by, source, p.group, p.split))
