"""Measures how many self-blended pairs a core makes: `python -m tests.bench.sbi`.

A pair is a genuine face and its blended twin in pictures of 256 x 256, made from the portrait in `app/samples`. Times
are processor time of one thread, so that a busy machine does not change them much. The first rows make the two sides of
a pair from a decoded picture; the last goes from the picture file to two training crops with framing and degradation.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import tyro
from PIL import Image
from rich.console import Console
from rich.table import Table

from detector.faces.detect import FaceDetector
from detector.types import Face
from tests.bench.files import HEAD, PORTRAIT
from train.data.augment import Augmentation
from train.data.batches import Draw, TrainFaces
from train.data.samples import Sample
from train.data.self_blend import genuine_side, self_blend

SIZE_PX = 256
GOAL_PER_S = 200


@dataclass(frozen=True)
class Options:
    """Measure how many self-blended pairs a second one core makes."""

    pairs: int = 400
    """Pairs in each timed round."""
    rounds: int = 5
    """Timed rounds; the median is reported."""

    def __post_init__(self) -> None:
        if self.pairs < 1 or self.rounds < 1:
            raise ValueError("pairs and rounds must be at least 1")


def portrait(*, mirrored: bool = False) -> np.ndarray:
    """The astronaut's head with some room around it: (256, 256, 3) uint8 RGB."""
    x0, y0, x1, y1 = HEAD
    side = max(x1 - x0, y1 - y0)
    with Image.open(PORTRAIT) as image:
        square = image.convert("RGB").crop((x0, max(0, y0 - 8), x0 + side, max(0, y0 - 8) + side))
        pixels = np.asarray(square.resize((SIZE_PX, SIZE_PX), Image.Resampling.LANCZOS))
    return np.ascontiguousarray(pixels[:, ::-1] if mirrored else pixels)


def pairs_per_second(make: Callable[[int], object], pairs: int, rounds: int) -> list[float]:
    """Pairs in a second of processor time, of each round; `make` takes the number of the pair."""
    make(0)
    rates = []
    for turn in range(rounds):
        start = time.process_time()
        for number in range(pairs):
            make(turn * pairs + number)
        rates.append(pairs / (time.process_time() - start))
    return rates


def measure(options: Options, folder: Path) -> dict[str, list[float]]:
    """What was made -> pairs a second of each round."""
    image, other = portrait(), portrait(mirrored=True)
    faces = [found[0] for found in FaceDetector().detect([image, other])]
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=85)
    (folder / "a.jpg").write_bytes(buffer.getvalue())
    sample = Sample(folder / "a.jpg", None, "a", 0, "portrait", "a", "none", "train")

    def pair(number: int) -> object:
        # a new one each time: it keeps decoded pictures, and a pair decodes its own once
        made = TrainFaces([sample], {"a": faces[0]}, 160, Augmentation())
        return made[Draw(0, number, paired=True)], made[Draw(0, number, twin=True)]

    def blend(donor: tuple[np.ndarray, Face] | None) -> Callable[[int], object]:
        def make(number: int) -> object:
            genuine = genuine_side(image, faces[0], np.random.default_rng(number))
            return genuine, self_blend(image, faces[0], np.random.default_rng(number), donor=donor)

        return make

    jobs = {
        "a face blended with itself": blend(None),
        "a face blended with another": blend((other, faces[1])),
        "two training crops, from file": pair,
    }
    return {name: pairs_per_second(job, options.pairs, options.rounds) for name, job in jobs.items()}


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    cv2.setNumThreads(1)
    with TemporaryDirectory(prefix="unmask-bench-") as folder:
        figures = measure(options, Path(folder))
    table = Table(f"pairs a second and core, {SIZE_PX} px", "median", "slowest", "fastest", "goal")
    for name, rates in figures.items():
        shown = [f"{value:.0f}" for value in (statistics.median(rates), min(rates), max(rates))]
        table.add_row(name, *shown, str(GOAL_PER_S) if "blended" in name else "")
    Console().print(table)


if __name__ == "__main__":
    main()
