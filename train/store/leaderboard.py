"""The long tables of a set: every choice on every test slice, its curves, robustness and cost.

Networks see the test faces once: their logits are kept (`KeptScores`) and ship beside the weights, and every table, now
or later, is made from them.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from detector.calibration import Calibration, sigmoid, thresholds
from detector.engine import Engine
from detector.manifest import Manifest
from detector.models.registry import Network
from detector.results import Choice, Curves, Figure, LabelledSource, Measured
from detector.weights import golden_crops, load_ensemble, load_network
from train.console import say
from train.data.faces import FaceData
from train.data.samples import Sample, unseen_sources
from train.measure import plots, scoring
from train.measure.even_odds import slices_at_even_odds
from train.measure.kept_engine import KeptEngine
from train.measure.metrics import (
    Interval,
    auc,
    auc_draws,
    bootstrapped,
    class_balanced_weights,
    enough_groups,
    group_draws,
)
from train.measure.resaved import held_figures, resaved_logits
from train.measure.robustness import UNCHANGED, changed_logits, drawn_faces
from train.measure.slices import (
    LABELS_WORTH,
    false_alarms_by_faces,
    false_alarms_by_labels,
    figures,
    opponents,
    slice_figures,
    slice_rows,
)
from train.store import results
from train.store.kept_scores import KeptScores, digest, key

EXTRA_PACK = "faces-extra"
"""The pack of many small slices, which are also reported pooled."""
LABELLED = "utkface"
"""The source whose names say age and ethnicity."""
TEST, CHANGED, RESAVED = "test", "changed/", "resaved/"


def scores_on_test(
    manifest: Manifest, data: FaceData, runs_dir: Path, shipped: Path, workers: int
) -> tuple[KeptScores, bool]:
    """Raw logits of every network on what only tests, and whether this was a test evaluation.

    They are kept in the runs folder: the same networks on the same data are not scored twice, however they are
    calibrated and combined.

    Args:
        manifest: of the networks; its limits say which faces of re-saved copies can be judged.
        data: whose test faces are scored.
        runs_dir: where they are kept.
        shipped: a file beside published weights, which may hold them as well.
        workers: processes that prepare pictures.
    """
    models = {n: m.sha256 for n, m in manifest.models.items()}
    of = digest(json.dumps([data.fingerprint, models], sort_keys=True))
    here = runs_dir / "scores" / f"{of}.npz"
    for path in (here, shipped):
        known = KeptScores.load(path, of)
        if known is not None:
            say(f"Test logits of these networks are known ({path.name}): no new test evaluation")
            return known, False
    names = list(manifest.models)
    engines = [KeptEngine(manifest, name, runs_dir / "cache") for name in names]

    def scored(samples: Sequence[Sample], title: str) -> tuple[list[str], np.ndarray]:
        columns = [scoring.score(e, samples, data.faces, workers, f"{title}, {e.name}") for e in engines]
        return [key(s) for s in samples], np.stack(columns, axis=1)

    sets = {TEST: scored(data.test, "test")}
    # the same faces for all networks; a second seed would be a second evaluation
    drawn = drawn_faces(data.test, np.random.default_rng(0))
    for change, logits in changed_logits(drawn, data.faces, engines).items():
        sets[CHANGED + change] = ([key(s) for s in drawn], logits)
    for change, logits in resaved_logits(drawn, data.faces, engines, manifest.limits).items():
        sets[RESAVED + change] = ([key(s) for s in drawn], logits)
    labelled, _ = labelled_faces(data, manifest)
    if labelled:
        sets[LABELLED] = scored(labelled, LABELLED)
    scores = KeptScores(of, tuple(names), sets)
    scores.save(here)
    return scores, True


def calibration_of(manifest: Manifest, network: str) -> Calibration:
    """How a network by itself is calibrated."""
    return manifest.models[network].calibration


def member_logits(manifest: Manifest, scores: KeptScores, title: str) -> dict[str, np.ndarray]:
    """Network -> (N,) logits of a kept set, as the manifest calibrates them."""
    return {name: calibration_of(manifest, name)(raw) for name, raw in scores.logits(title).items()}


def choice_logits(manifest: Manifest, members: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """Calibrated logits (N,) of a choice from those of its members."""
    names = manifest.entry(name).members
    return load_ensemble(manifest, name)(np.stack([members[m] for m in names], axis=1))


def fresh_sources(data: FaceData) -> set[str]:
    """Sources of genuine test faces that neither trained anything nor set the edges of the bands."""
    unseen = unseen_sources(data.train + data.val + data.test, "test")
    return {s for s in unseen if s not in data.unseen}


def small_sources(samples: Sequence[Sample]) -> set[str]:
    """Sources of the pack of small slices."""
    return {s.source for s in samples if s.path.stem == EXTRA_PACK}


def labelled_faces(data: FaceData, manifest: Manifest) -> tuple[list[Sample], bool]:
    """Faces with labels of age and ethnicity, and whether any network was trained on that source.

    Where one was, only the test faces count.
    """
    trained = LABELLED in manifest.data.sources.get("train", {})
    pool = data.test if trained else data.train + data.val + data.test
    return [s for s in pool if s.source == LABELLED], trained


def board(manifest: Manifest, data: FaceData, scores: KeptScores) -> tuple[dict[str, Choice], Curves]:
    """Everything that test faces say of a set: every choice, and its curves."""
    every = data.train + data.val + data.test
    test = scores.samples(TEST, every)
    members = member_logits(manifest, scores, TEST)
    logits = {name: choice_logits(manifest, members, name) for name in manifest.names()}
    cost = {name: _cost(manifest, name) for name in manifest.models}
    fresh, small = fresh_sources(data), small_sources(data.test)
    choices, roc, reliability = {}, {}, {}
    for name in manifest.names():
        entry = manifest.entry(name)
        figures = slice_figures(test, logits[name], entry.curve, fresh, small)
        roc[name] = tuple((x, y) for x, y in figures["pooled"]["roc"])
        reliability[name] = tuple((x, y, weight) for x, y, weight in figures["pooled"]["reliability"])
        choices[name] = replace(
            _choice_of_cost([cost[m] for m in entry.members]),
            slices={title: results.measured(row) for title, row in figures["slices"].items()},
            pooled=results.pooled(figures["pooled"]),
            even_odds=_at_even_odds(test, logits[name]),
            against_default=_against_default(test, logits, name, manifest.default, fresh, small),
            changed=_changed(manifest, scores, every, name),
            labels=_labels(manifest, scores, every, name),
            by_faces=results.in_made_files(false_alarms_by_faces(test, logits[name], entry.curve, fresh)),
            resaved=_resaved(manifest, scores, every, name),
        )
    curves = Curves(
        networks={name: network.sha256 for name, network in manifest.models.items()},
        roc=roc,
        reliability=reliability,
        labelled=_about_labels(manifest, data, scores),
        resaved_faces="test" if any(choice.resaved for choice in choices.values()) else None,
    )
    return choices, curves


def resaved_on_validation(manifest: Manifest, data: FaceData) -> dict[str, dict[str, dict[str, Figure]]]:
    """Choice -> `Choice.resaved`, of validation faces: for a set whose test faces were scored without such copies.

    It is no test evaluation. Validation chose the networks and set the edges of the bands, so test faces say more.
    """
    drawn = drawn_faces(data.val, np.random.default_rng(0))
    engines = [Engine(manifest, name) for name in manifest.models]
    logits = resaved_logits(drawn, data.faces, engines, manifest.limits)
    keys = [key(s) for s in drawn]
    scores = KeptScores("", tuple(manifest.models), {RESAVED + change: (keys, rows) for change, rows in logits.items()})
    return {name: _resaved(manifest, scores, drawn, name) for name in manifest.names()}


def cost_alone(manifest: Manifest) -> tuple[dict[str, Choice], Curves]:
    """The choices of a set that no test face measured."""
    cost = {name: _cost(manifest, name) for name in manifest.models}
    choices = {name: _choice_of_cost([cost[m] for m in manifest.entry(name).members]) for name in manifest.names()}
    return choices, Curves(networks={name: network.sha256 for name, network in manifest.models.items()})


def write_plots(manifest: Manifest, data: FaceData, scores: KeptScores, folder: Path) -> None:
    """Confusion matrix, ROC and reliability diagram of every choice on all test faces, as PNG files."""
    labels = np.array([s.label for s in scores.samples(TEST, data.test)])
    members = member_logits(manifest, scores, TEST)
    for name in manifest.names():
        logits = choice_logits(manifest, members, name)
        flagged = sigmoid(logits) > thresholds(manifest.entry(name).curve).strong
        title = f"{name}, {len(labels)} test faces"
        plots.confusion_matrix(labels, flagged, folder / f"{name}-confusion_matrix.png", title)
        plots.roc(labels, logits, folder / f"{name}-roc.png", title)
        weights = class_balanced_weights(labels)
        plots.reliability_diagram(labels, sigmoid(logits), weights, folder / f"{name}-reliability.png", title)


def cpu_ms_a_face(network: Network, size_px: int, batch: int = 16, rounds: int = 3) -> float:
    """Processor time of a network for one face, in ms: torch, float32, in batches; time of waiting does not count."""
    network = network.cpu().float().eval().to(memory_format=torch.channels_last)
    crops = golden_crops(size_px, batch).to(memory_format=torch.channels_last)
    seconds = []
    with torch.inference_mode():
        network(crops)
        for _ in range(rounds):
            start = time.process_time()
            network(crops)
            seconds.append(time.process_time() - start)
    return 1000 * min(seconds) / batch


def _cost(manifest: Manifest, name: str) -> tuple[int, float, float]:
    """Parameters, megabytes, and processor time of a face in ms."""
    network = manifest.models[name]
    return (
        network.parameters,
        sum(part.bytes for part in network.files) / 1e6,
        cpu_ms_a_face(load_network(manifest, name), network.input_size_px),
    )


def _choice_of_cost(costs: Sequence[tuple[int, float, float]]) -> Choice:
    parameters, megabytes, milliseconds = (sum(column) for column in zip(*costs, strict=True))
    return Choice(int(parameters), round(megabytes, 3), round(milliseconds, 3))


def _at_even_odds(test: Sequence[Sample], logits: np.ndarray) -> dict[str, Figure]:
    """Slices with both classes only: among all genuine faces of the split an accuracy says little of the others."""
    slices = slices_at_even_odds(test, logits)
    return {s: results.figure(row["accuracy"]) for s, row in slices.items() if row["against"] == "own"}


def _against_default(
    test: Sequence[Sample], logits: Mapping[str, np.ndarray], name: str, default: str, fresh: set[str], small: set[str]
) -> dict[str, Figure]:
    """AUC of a choice minus the default's, paired bootstrap over groups: of each slice, and of "all" test faces."""
    if name == default:
        return {}
    labels = np.array([s.label for s in test])
    rows = {"all": np.ones(len(test), bool), **slice_rows(test, fresh, small)}
    picked = {t: opponents(labels, r) for t, r in rows.items() if (labels[r] == 1).any()}
    return results.figures({t: paired_auc(test, logits[name], logits[default], r) for t, r in picked.items()})


def paired_auc(samples: Sequence[Sample], new: np.ndarray, old: np.ndarray, rows: np.ndarray) -> dict[str, Any]:
    """AUC of `new` minus that of `old` (N,) on the picked rows (N,) bool, both on the same draws of groups."""
    labels = np.array([s.label for s in samples])[rows]
    groups = np.array([s.group for s in samples])[rows].tolist()
    point = auc(labels, new[rows]) - auc(labels, old[rows])
    if not enough_groups(labels, groups):
        return Interval(point, None, None, len(labels)).to_dict()
    draws = group_draws(groups, labels, np.random.default_rng(0))
    values = auc_draws(labels, new[rows], draws) - auc_draws(labels, old[rows], draws)
    return bootstrapped(point, values, len(labels)).to_dict()


def _changed(manifest: Manifest, scores: KeptScores, known: Sequence[Sample], name: str) -> dict[str, Measured]:
    """Change -> figures on the changed faces, with the loss of AUC against the same faces as they came."""
    curve = manifest.entry(name).curve
    titles = [t for t in scores.sets if t.startswith(CHANGED)]
    logits = {
        t.removeprefix(CHANGED): choice_logits(manifest, member_logits(manifest, scores, t), name) for t in titles
    }
    if not titles:
        return {}
    samples = scores.samples(titles[0], known)
    every = np.ones(len(samples), bool)
    by_change = {}
    for change, values in logits.items():
        row = figures(samples, values, curve, every)
        if change != UNCHANGED:
            row["auc_lost"] = paired_auc(samples, logits[UNCHANGED], values, every)
        by_change[change] = results.measured(row)
    return by_change


def _resaved(
    manifest: Manifest, scores: KeptScores, known: Sequence[Sample], name: str
) -> dict[str, dict[str, Figure]]:
    """How often bands change in copies that are saved anew; empty where such copies were not scored."""
    titles = [t for t in scores.sets if t.startswith(RESAVED)]
    if not titles:
        return {}
    logits = {}
    for title in titles:
        members = member_logits(manifest, scores, title)
        judged = ~np.isnan(next(iter(members.values())))
        values = np.full(len(judged), np.nan)
        values[judged] = choice_logits(manifest, {m: by_row[judged] for m, by_row in members.items()}, name)
        logits[title.removeprefix(RESAVED)] = values
    by_row = held_figures(scores.samples(titles[0], known), logits, manifest.entry(name).curve)
    return {row: results.figures(inside) for row, inside in by_row.items()}


def _labels(manifest: Manifest, scores: KeptScores, known: Sequence[Sample], name: str) -> dict[str, dict[str, Figure]]:
    if LABELLED not in scores.sets:
        return {}
    samples = scores.samples(LABELLED, known)
    logits = choice_logits(manifest, member_logits(manifest, scores, LABELLED), name)
    by_label = false_alarms_by_labels(samples, logits, manifest.entry(name).curve)
    return {title: results.figures(rows) for title, rows in by_label.items()}


def _about_labels(manifest: Manifest, data: FaceData, scores: KeptScores) -> LabelledSource | None:
    if LABELLED not in scores.sets:
        return None
    _, trained = labelled_faces(data, manifest)
    return LabelledSource(
        source=LABELLED,
        faces=len(scores.sets[LABELLED][0]),
        trained_on=trained,
        set_edges=LABELLED in data.unseen,
        worth=LABELS_WORTH,
    )
