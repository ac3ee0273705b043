"""`python -m train confounds`: what else than traces tells a source of fakes from genuine pictures.

A small classifier sees size, codec, border or sharpness alone, never the picture. Where it does better than chance on
groups that it has not seen, so can a network, and its figure on that pair says little about traces. `--equal` measures
once more what is left in the pixels after one treatment of both classes.
"""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

from detector.faces.align import resize, sharpness
from detector.media import jpeg, read_image
from train.console import Bar, say
from train.data.datasets.pack import TABLE
from train.errors import DataError
from train.measure.metrics import auc
from train.run import write_csv

FAMILIES: dict[str, tuple[str, ...]] = {
    "size": ("face_px", "side_px"),
    "codec": ("quality", "jpeg", "webp", "video", "saved_again"),
    "border": ("outside",),
    "sharpness": ("laplacian", "own_laplacian", "blocks"),
}
"""What a classifier may see, by name; "all" sees everything."""
EQUAL = "sharpness, equal"
_SIDES = (72, 224)
_QUALITIES = (50, 90)
_LEAST = 12
_FOLDS = 5


@dataclass(frozen=True)
class Confounds:
    """Measure what size, codec, border and sharpness alone tell of the class, pair by pair."""

    data: Path = Path("data3")
    """Folder of `python -m train sources`."""
    equal: bool = False
    """Measure sharpness also after the same random reduction and JPEG of both classes."""
    most: int = 400
    """Faces of a class in a pair, drawn evenly over its groups."""
    seed: int = 0
    """Of draws, folds and treatment."""

    def __post_init__(self) -> None:
        if self.most < _LEAST:
            raise ValueError(f"most must be at least {_LEAST}")


@dataclass(frozen=True, slots=True)
class Pair:
    """A source of fakes and the genuine faces that stand beside it."""

    fake: str
    genuine: str
    rows: tuple[Mapping[str, str], ...]


def run(options: Confounds) -> Path:
    """Prints AUC by pair and family and writes them to confounds.csv in the folder, which is returned.

    Raises:
        DataError: the folder has no faces of both classes.
    """
    table = options.data / TABLE
    if not table.is_file():
        raise DataError(f"{options.data.name}/ has no {TABLE}: make it with `python -m train sources`")
    with table.open(newline="", encoding="utf-8") as handle:
        pairs = pairs_of(list(csv.DictReader(handle)), options.most, np.random.default_rng(options.seed))
    if not pairs:
        raise DataError(f"{options.data.name}/ has no pair of at least {_LEAST} genuine and {_LEAST} manipulated faces")
    families = [*FAMILIES, "all", *([EQUAL] if options.equal else [])]
    lines = []
    with Bar("Pairs") as bar:
        for done, pair in enumerate(pairs, 1):
            seen = np.array([features(row, options.data) for row in pair.rows])
            aucs = {name: tell(pair.rows, _columns(seen, name), options.seed) for name in (*FAMILIES, "all")}
            if options.equal:
                views = np.array([equal_features(row, options.data, options.seed) for row in pair.rows])
                aucs[EQUAL] = tell(pair.rows, views, options.seed)
            counts = [sum(row["label"] == label for row in pair.rows) for label in ("real", "fake")]
            lines.append((pair.fake, pair.genuine, *counts, *(f"{aucs[name]:.3f}" for name in families)))
            say("  ".join(str(cell) for cell in lines[-1]))
            bar.at(done, len(pairs))
    out = options.data / "confounds.csv"
    write_csv(out, ("manipulated", "genuine", "n_genuine", "n_manipulated", *families), lines)
    return out


def pairs_of(rows: Sequence[Mapping[str, str]], most: int, rng: np.random.Generator) -> list[Pair]:
    """Each manipulated source of a split with the genuine faces of its own slice, else with all of the split."""
    by_source: dict[tuple[str, str, str], list[Mapping[str, str]]] = defaultdict(list)
    for row in rows:
        by_source[row["split"], row["label"], row["slice"]].append(row)
    pairs = []
    for split, label, slice_name in sorted(by_source):
        if label != "fake":
            continue
        own = by_source.get((split, "real", slice_name), [])
        whole = [r for (s, what, _), some in sorted(by_source.items()) if (s, what) == (split, "real") for r in some]
        genuine, name = (own, slice_name) if len(own) >= _LEAST else (whole, f"all of {split}")
        fakes = by_source[split, label, slice_name]
        if min(len(fakes), len(genuine)) >= _LEAST:
            chosen = (*_evenly(genuine, most, rng), *_evenly(fakes, most, rng))
            pairs.append(Pair(f"{slice_name} ({split})", name, chosen))
    return pairs


def _evenly(rows: Sequence[Mapping[str, str]], most: int, rng: np.random.Generator) -> list[Mapping[str, str]]:
    """At most so many rows, from all sources in turn, so that a large one does not speak for all."""
    queues: dict[str, list[Mapping[str, str]]] = defaultdict(list)
    for i in rng.permutation(len(rows)):
        queues[rows[i]["slice"]].append(rows[i])
    chosen: list[Mapping[str, str]] = []
    while len(chosen) < min(most, len(rows)):
        for name in sorted(queues):
            if queues[name] and len(chosen) < most:
                chosen.append(queues[name].pop())
    return chosen


def features(row: Mapping[str, str], folder: Path) -> list[float]:
    """Numbers of one face in the order of `FAMILIES`."""
    said = row["compression"]
    last = said.rpartition(">")[2]
    first = said.partition(">")[0]
    crop = read_image(folder / row["path"])
    return [
        np.log2(max(1.0, float(row["native_face_px"]))),
        np.log2(crop.shape[0]),
        float(first.removeprefix("jpeg:"))
        if first.startswith("jpeg:")
        else float(last.rpartition(":")[2] or 0)
        if last.startswith("jpeg:")
        else 0.0,
        float(first.startswith("jpeg")),
        float(first.startswith("webp")),
        float(first == "video"),
        float(">" in said),
        float(row["outside"]),
        *_pixels(crop),
    ]


def equal_features(row: Mapping[str, str], folder: Path, seed: int) -> list[float]:
    """Features of pixels after the treatment of both classes: reduced to a random side, JPEG of a random quality."""
    rng = np.random.default_rng([seed, int(row["blob"], 16) % 2**32])
    crop = read_image(folder / row["path"])
    side = min(crop.shape[0], round(float(np.exp(rng.uniform(*np.log(_SIDES))))))
    return _pixels(jpeg(resize(crop, side, side), int(rng.integers(*_QUALITIES))))


def _pixels(crop: np.ndarray) -> list[float]:
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    steps = np.abs(np.diff(grey, axis=1)).mean(axis=0)
    at_blocks = steps[7::8].mean() if len(steps) > 8 else steps.mean()
    return [
        float(np.log(sharpness(crop) + 1)),
        float(np.log(cv2.Laplacian(grey, cv2.CV_32F).var() + 1)),
        float(at_blocks / (steps.mean() + 1e-3)),
    ]


def _columns(seen: np.ndarray, name: str) -> np.ndarray:
    names = [feature for family in FAMILIES.values() for feature in family]
    wanted = names if name == "all" else FAMILIES[name]
    return seen[:, [names.index(feature) for feature in wanted]]


def tell(rows: Sequence[Mapping[str, str]], seen: np.ndarray, seed: int) -> float:
    """AUC of a spline regression on groups that it has not seen; .5 = it cannot tell.

    Args:
        rows: with labels and groups.
        seen: (N, features).
    """
    labels = np.array([int(row["label"] == "fake") for row in rows])
    groups = [row["group"] for row in rows]
    scores = np.zeros(len(rows))
    folds = min(_FOLDS, *(len({g for g, y in zip(groups, labels, strict=True) if y == label}) for label in (0, 1)))
    if folds < 2:
        # one group on a side: no group can be kept out, so rows are
        groups, folds = [str(i) for i in range(len(rows))], _FOLDS
    for fitted, left in StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(seen, labels, groups):
        if len(set(labels[fitted])) < 2:
            continue
        model = make_pipeline(
            SplineTransformer(n_knots=4, degree=2), LogisticRegression(C=0.3, class_weight="balanced", max_iter=500)
        )
        scores[left] = model.fit(seen[fitted], labels[fitted]).decision_function(seen[left])
    return auc(labels, scores)
