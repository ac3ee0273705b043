"""`python -m train heads`: heads on cached features, measured on whole sources that were left out.

Every fold of `train/data/folds.py` is kept out in turn, a head is fitted to the rest in seconds and scores what was
left out; then one head is fitted to all training faces and scores validation. The threshold is set as in use. Test
slices are never read. `python -m train features` fills the cache; faces that it lacks are left out, and counted.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from detector.calibration import edges
from train.console import say
from train.data.cached_faces import CachedFaces
from train.data.faces import FaceData
from train.data.folds import FOLDS, check_folds
from train.data.samples import Sample
from train.learn.confounds import FACTS, fit_confounds, picture_facts
from train.learn.heads import Choice, fit_choice
from train.learn.options import Folders
from train.measure.by_source import KEPT_BY, MIN_FACES
from train.measure.calibrate import fit_curve
from train.measure.selection import selection_intervals
from train.measure.tables import spanned, table
from train.options import Flat
from train.run import Run, environment, options_record, write_json, write_text
from train.studies.leave_out import without_fold
from train.studies.left_out_figures import BASELINE, Cell, cell_figures, page, summary
from train.studies.sweep import chosen

_BASE = Choice()


def _head(**changes: Any) -> Choice:
    return replace(_BASE, head=replace(_BASE.head, **changes))


CHOICES: dict[str, Choice] = {
    BASELINE: _BASE,
    "plain": replace(_BASE, views=("plain",)),
    "twins_10": replace(_BASE, twins=0.1),
    "twins_35": replace(_BASE, twins=0.35),
    "five": _head(layers=(5, 7, 9, 12, 25)),
    "last": _head(layers=(12,)),
    "all": _head(layers=tuple(range(26))),
    "c_003": _head(c=0.03),
    "c_3": _head(c=3.0),
    "spread_3": _head(spread=3.0),
    "spread_10": _head(spread=10.0),
    "history_3": _head(history=3.0),
    "two_class": replace(_BASE, one_class=0.3),
}
"""Name -> what differs from the baseline."""

CONFOUNDS = "size_and_codec"
"""One variant more: no head at all, but what size, JPEG tables and sharpness alone tell (`train.learn.confounds`)."""


@dataclass(frozen=True)
class Heads:
    """Fit heads on cached features without whole sources, and measure what each choice is worth."""

    features: Path
    """A network's folder that `features` filled."""
    variants: str = "all"
    """Names from CHOICES with commas, or all."""
    folders: Flat[Folders] = Folders()
    seed: int = 0


def run(options: Heads) -> Path:
    """The run's folder, which holds heads.json and heads.md."""
    names = chosen(options.variants, {**CHOICES, CONFOUNDS: None}, "variant")
    cached = CachedFaces.read(options.features, options.folders.data_root, options.seed, more=options.folders.more)
    check_folds(cached.data.train)
    record = Run.create(options.folders.runs_dir, "heads")
    record.write_record(recipe="heads", options=options_record(options), environment=environment())
    without = {fold: without_fold(cached.data, FOLDS[fold], options.seed) for fold in FOLDS}
    cells: dict[str, dict[str, Cell]] = {}
    validation: dict[str, dict[str, Any]] = {}
    for name in names:
        began = time.monotonic()
        fit = _fitting(cached, name)
        for fold, (rest, left) in without.items():
            cells.setdefault(name, {})[fold] = _cell(fit, rest, left.samples, left.own)
        logits = fit(cached.data.train)(cached.data.val)
        intervals = selection_intervals(cached.data.val, [logits], cached.data.unseen, np.random.default_rng(0))
        validation[name] = {k: v.to_dict() for k, v in intervals.items()}
        mean = np.mean([cell_figures(c)["auc"]["value"] for c in cells[name].values()])
        seconds = time.monotonic() - began
        say(f"{name}: left out {mean:.3f}, validation {validation[name]['score']['value']:.3f} ({seconds:.0f} s)")
    summed = summary(cells)
    figures = {name: {fold: cell_figures(cell) for fold, cell in row.items()} for name, row in cells.items()}
    write_json(record.folder / "heads.json", {"summary": summed, "figures": figures, "validation": validation})
    changes = {name: _changes(CHOICES[name]) if name in CHOICES else {"facts": len(FACTS)} for name in names}
    counts = f"{len(cached.data.train)} training and {len(cached.data.val)} validation faces"
    title = f"Heads on {options.features.name}: {counts}."
    write_text(
        record.folder / "heads.md",
        page(summed, figures, changes, title) + _validation_table(validation) + _sources_table(figures),
    )
    say((record.folder / "heads.md").read_text(encoding="utf-8"))
    return record.folder


Judge = Callable[[Sequence[Sample]], np.ndarray]
"""Samples to raw logits (N,)."""


def _fitting(cached: CachedFaces, name: str) -> Callable[[Sequence[Sample]], Judge]:
    """Training faces to what is fitted to them, by the variant of that name."""
    if name == CONFOUNDS:
        facts = {s.name: picture_facts(s) for s in cached.data.train + cached.data.val}
        return lambda train: fit_confounds(train, facts)

    def fit(train: Sequence[Sample]) -> Judge:
        head = fit_choice(cached, train, CHOICES[name])
        return lambda samples: head(cached.of(samples))

    return fit


def _cell(fit: Callable[[Sequence[Sample]], Judge], rest: FaceData, left: Sequence[Sample], own: int) -> Cell:
    began = time.monotonic()
    judge = fit(rest.train)
    curve = fit_curve(rest.val, judge(rest.val), rest.unseen)
    hours = (time.monotonic() - began) / 3600
    return Cell.of(left, own, judge(left), edges(curve)["strong"], hours)


def _changes(choice: Choice) -> dict[str, Any]:
    base, own = json.loads(json.dumps(asdict(_BASE))), json.loads(json.dumps(asdict(choice)))
    flat = {k: v for k, v in own.items() if k != "head" and v != base[k]}
    return {**flat, **{k: v for k, v in own["head"].items() if v != base["head"][k]}}


def _validation_table(validation: dict[str, dict[str, Any]]) -> str:
    columns = ("score", "auc_unseen", "tpr_at_2", "auc_slices")
    rows = [[name, *(spanned(row.get(k)) for k in columns)] for name, row in validation.items()]
    shown = table(["variant", "score", "unseen", "caught at 2 %", "slices"], rows)
    return "\n".join(["", "Validation, with 95 % intervals over groups.", "", *shown]) + "\n"


def _sources_table(figures: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """False alarms of every genuine source that was left out, at edges that validation set."""
    rows = []
    for name, by_fold in figures.items():
        counts = {
            source: row["genuine"]
            for cell in by_fold.values()
            for source, row in cell["by_source"].items()
            if row.get("genuine", (0, 0))[0] >= MIN_FACES
        }
        shares = {source: above / faces for source, (faces, above) in counts.items()}
        if shares:
            values, worst = np.array(list(shares.values())), max(shares, key=lambda s: shares[s])
            high = np.quantile(values, KEPT_BY, method="inverted_cdf")
            promised = (values <= 0.04).mean()
            rows.append(
                [
                    name,
                    len(shares),
                    f"{values.mean():.1%}",
                    f"{high:.1%}",
                    f"{shares[worst]:.1%} ({worst})",
                    f"{promised:.0%}",
                ]
            )
    head = ["variant", "sources", "mean", "nine of ten at most", "worst", "at most 4 %"]
    text = f"Genuine sources of at least {MIN_FACES} faces, each judged by a head and an edge that never saw it."
    return "\n".join(["", text, "", *table(head, rows)]) + "\n"
