"""`python -m train heads`: heads on cached features, measured on whole sources that were left out.

Every fold of `train/data/folds.py` is kept out in turn, a head is fitted to the rest in seconds and scores what was
left out; then one head is fitted to all training faces and scores validation. The threshold is set as in use. Test
slices are never read. `python -m train features` fills the cache; faces that it lacks are left out, and counted.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from detector.calibration import edges
from train.console import say
from train.data.batches import source_weights
from train.data.detections import picture_key
from train.data.faces import FaceData
from train.data.feature_cache import FeatureCache
from train.data.folds import FOLDS, check_folds
from train.data.samples import Sample, fingerprint, unseen_sources
from train.data.sources import find_data_root, load_samples
from train.learn.heads import HeadOptions, LinearHead, fit_head, unit
from train.measure.calibrate import fit_curve
from train.measure.selection import selection_intervals
from train.run import Run, environment, options_record, write_json, write_text
from train.studies.leave_out import without_fold
from train.studies.left_out_figures import BASELINE, Cell, cell_figures, summary, table


@dataclass(frozen=True)
class Choice:
    """What a head is fitted to, and how.

    Attributes:
        head: of the fit.
        views: of training faces, each with its self-blended twins where they are cached.
        twins: share of the manipulated half that are self-blended twins.
        one_class: weight of sources that hold one class only, which teach the source as well as the class.
    """

    head: HeadOptions = field(default_factory=HeadOptions)
    views: tuple[str, ...] = ("plain", "augmented-0")
    twins: float = 0.35
    one_class: float = 1.0


_BASE = Choice()


def _head(**changes: Any) -> Choice:
    return replace(_BASE, head=replace(_BASE.head, **changes))


CHOICES: dict[str, Choice] = {
    BASELINE: _BASE,
    "plain": replace(_BASE, views=("plain",), twins=0.0),
    "no_twins": replace(_BASE, twins=0.0),
    "twins_20": replace(_BASE, twins=0.2),
    "twins_50": replace(_BASE, twins=0.5),
    "last": _head(layers=(12,)),
    "late": _head(layers=(9, 10, 11, 12)),
    "early": _head(layers=(3, 4, 5, 6)),
    "all_class": _head(layers=tuple(range(13))),
    "all": _head(layers=tuple(range(26))),
    "wide": _head(layers=(3, 5, 7, 9, 12, 16, 19, 22, 25)),
    "c_003": _head(c=0.003),
    "c_01": _head(c=0.01),
    "c_1": _head(c=0.1),
    "spread_3": _head(spread=3.0),
    "spread_10": _head(spread=10.0),
    "spread_30": _head(spread=30.0),
    "history_3": _head(history=3.0),
    "history_10": _head(history=10.0),
    "both_10": _head(spread=10.0, history=10.0),
    "two_class": replace(_BASE, one_class=0.3),
}
"""Name -> what differs from the baseline."""


@dataclass(frozen=True)
class Heads:
    """Fit heads on cached features without whole sources, and measure what each choice is worth."""

    features: Path
    """A network's folder that `features` filled."""
    variants: str = "all"
    """Names from CHOICES with commas, or all."""
    data_root: Path | None = None
    """Folder with the data; else $UNMASK_DATA, else data/."""
    runs_dir: Path = Path("runs")
    """Where the report goes."""
    seed: int = 0


@dataclass
class CachedFaces:
    """Faces that have features, and their features by view, (N, 26, 768) float16 in the order of `place`."""

    data: FaceData
    keys: dict[str, str]
    views: dict[str, np.ndarray]
    place: dict[str, dict[str, int]]

    @classmethod
    def read(
        cls, folder: Path, data_root: Path | None, seed: int, splits: Sequence[str] = ("train", "val")
    ) -> "CachedFaces":
        """Faces of these splits whose plain view is cached; other views as far as they are there."""
        samples = [s for s in load_samples(find_data_root(data_root), seed) if s.split in splits]
        keys = {s.name: picture_key(s) for s in samples}
        views, place = {}, {}
        for view in sorted(p.name for p in folder.iterdir() if p.is_dir()):
            cache = FeatureCache.read(folder / view)
            views[view] = cache.rows(cache.keys)
            place[view] = {k: i for i, k in enumerate(cache.keys)}
        kept = [s for s in samples if keys[s.name] in place["plain"]]
        data = FaceData(
            train=[s for s in kept if s.split == "train"],
            val=[s for s in kept if s.split == "val"],
            test=[s for s in kept if s.split == "test"],
            faces={},
            unseen=unseen_sources(samples, "val"),
            fingerprint=fingerprint(samples),
            without_face={},
        )
        say(
            f"{len(kept)} of {len(samples)} faces have features: {len(data.train)} to train on, {len(data.val)} to "
            f"validate"
        )
        return cls(data, keys, views, place)

    def of(self, samples: Sequence[Sample], view: str = "plain") -> np.ndarray:
        """Features of samples that have them, (N, 26, 768)."""
        return self.views[view][[self.place[view][self.keys[s.name]] for s in samples]]

    def having(self, samples: Sequence[Sample], view: str) -> list[Sample]:
        """Those samples that have features of a view."""
        known = self.place.get(view, {})
        return [s for s in samples if self.keys[s.name] in known]


def fit_choice(cached: CachedFaces, train: Sequence[Sample], choice: Choice) -> LinearHead:
    """The head of a choice, fitted to training faces."""
    features: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    sources: list[str] = []

    def add(samples: Sequence[Sample], view: str, label: int, share: float) -> None:
        if samples and share > 0:
            features.append(cached.of(samples, view))
            labels.append(np.full(len(samples), label))
            weights.append(share * _weights(samples, mixed, choice.one_class))
            sources.extend(s.source for s in samples)

    by_source: dict[str, set[int]] = {}
    for s in train:
        by_source.setdefault(s.source, set()).add(s.label)
    mixed = {source for source, found in by_source.items() if len(found) == 2}
    for view in choice.views:
        some = cached.having(train, view)
        genuine, fake = ([s for s in some if s.label == label] for label in (0, 1))
        twin_view = view.replace("augmented", "twin")
        blended = cached.having(genuine, twin_view) if twin_view != view else []
        twins = choice.twins if blended else 0.0
        add(genuine, view, 0, 0.5)
        add(fake, view, 1, 0.5 * (1 - twins))
        add(blended, twin_view, 1, 0.5 * twins)
    histories = None
    if choice.head.history:
        pairs = cached.having([s for s in train if s.label == 0], "augmented-0")
        histories = unit(cached.of(pairs, "augmented-0")) - unit(cached.of(pairs, "plain"))
    return fit_head(
        np.concatenate(features), np.concatenate(labels), np.concatenate(weights), sources, choice.head, histories
    )


def _weights(samples: Sequence[Sample], mixed: set[str], one_class: float) -> np.ndarray:
    found = source_weights(samples, range(len(samples)))
    found = found * np.array([1.0 if s.source in mixed else one_class for s in samples])
    return np.asarray(found / found.sum())


def run(options: Heads) -> Path:
    """The run's folder, which holds heads.json and heads.md."""
    names = list(CHOICES) if options.variants == "all" else options.variants.split(",")
    unknown = sorted(set(names) - set(CHOICES))
    if unknown:
        raise ValueError(f"no variant {', '.join(unknown)}; there are: {', '.join(CHOICES)}")
    cached = CachedFaces.read(options.features, options.data_root, options.seed)
    check_folds(cached.data.train)
    record = Run.create(options.runs_dir, "heads")
    record.write_record(recipe="heads", options=options_record(options), environment=environment())
    without = {fold: without_fold(cached.data, FOLDS[fold], options.seed) for fold in FOLDS}
    cells: dict[str, dict[str, Cell]] = {}
    validation: dict[str, dict[str, Any]] = {}
    for name in names:
        choice, began = CHOICES[name], time.monotonic()
        for fold, (rest, left) in without.items():
            cells.setdefault(name, {})[fold] = _cell(cached, choice, rest, left.samples, left.own)
        head = fit_choice(cached, cached.data.train, choice)
        logits = head(cached.of(cached.data.val))
        intervals = selection_intervals(cached.data.val, [logits], cached.data.unseen, np.random.default_rng(0))
        validation[name] = {k: v.to_dict() for k, v in intervals.items()}
        mean = np.mean([cell_figures(c)["auc"]["value"] for c in cells[name].values()])
        seconds = time.monotonic() - began
        say(f"{name}: left out {mean:.3f}, validation {validation[name]['score']['value']:.3f} ({seconds:.0f} s)")
    summed = summary(cells)
    figures = {name: {fold: cell_figures(cell) for fold, cell in row.items()} for name, row in cells.items()}
    write_json(record.folder / "heads.json", {"summary": summed, "figures": figures, "validation": validation})
    changes = {name: _changes(CHOICES[name]) for name in names}
    counts = f"{len(cached.data.train)} training and {len(cached.data.val)} validation faces"
    title = f"Heads on {options.features.name}: {counts}."
    write_text(record.folder / "heads.md", table(summed, figures, changes, title) + _validation_table(validation))
    say((record.folder / "heads.md").read_text())
    return record.folder


def _cell(cached: CachedFaces, choice: Choice, rest: FaceData, left: Sequence[Sample], own: int) -> Cell:
    began = time.monotonic()
    head = fit_choice(cached, rest.train, choice)
    curve = fit_curve(rest.val, head(cached.of(rest.val)), rest.unseen)
    hours = (time.monotonic() - began) / 3600
    return Cell.of(left, own, head(cached.of(left)), edges(curve)["strong"], hours)


def _changes(choice: Choice) -> dict[str, Any]:
    base, own = json.loads(json.dumps(asdict(_BASE))), json.loads(json.dumps(asdict(choice)))
    flat = {k: v for k, v in own.items() if k != "head" and v != base[k]}
    return {**flat, **{k: v for k, v in own["head"].items() if v != base["head"][k]}}


def _validation_table(validation: dict[str, dict[str, Any]]) -> str:
    lines = [
        "",
        "Validation, with 95 % intervals over groups.",
        "",
        "| variant | score | unseen | caught at 2 % | slices |",
        "|---|---|---|---|---|",
    ]
    for name, row in validation.items():
        shown = [_shown(row.get(k)) for k in ("score", "auc_unseen", "tpr_at_2", "auc_slices")]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def _shown(row: dict[str, Any] | None) -> str:
    return "" if row is None else f"{row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
