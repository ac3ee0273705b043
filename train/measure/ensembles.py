"""Combinations of frozen networks, fitted on their validation logits alone: nothing is trained again.

What is fitted (weights of votes, the stacked classifier) is judged and calibrated by scores that each face got from a
fit without its group, and settings are chosen by a further cross-validation inside each fit: a face never votes on
how it is scored itself.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from detector.calibration import Calibration
from detector.ensemble import Ensemble, Kind, Stacker
from train.console import say
from train.data.samples import Sample
from train.errors import DataError
from train.measure.calibrate import fit_calibration
from train.measure.metrics import Interval, source_balanced_weights
from train.measure.selection import paired_gain, selection_figures
from train.measure.tables import between

ORDER: tuple[Kind, ...] = ("average", "majority", "weighted_majority", "stacking")
"""From the simplest on: a later one is preferred only for a gain that is no chance."""
MIN_VOTERS = 3
"""Two networks have no majority."""
FOLDS = 5
INNER_FOLDS = 3
POWERS = (0.5, 1.0, 2.0)
"""How strongly votes weigh by how good their network is, chosen by cross-validation."""

_KERNELS: tuple[dict[str, Any], ...] = (
    {"kernel": "linear", "C": 0.1},
    *({"kernel": "rbf", "C": c, "gamma": g} for c, g in product((0.3, 3.0), (0.1, 0.5))),
)
_NO_CALIBRATION = Calibration(1.0, 0.0)

Setting = dict[str, Any]
Fit = Callable[[np.ndarray, Setting], Ensemble]
"""Rows to fit on and a setting -> a combination that is not calibrated yet."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A combination fitted on all of validation.

    Attributes:
        ensemble: calibrated.
        settings: what cross-validation chose.
        calibrated: (N,) cross-validated, calibrated logits of the validation faces: what it is judged by.
    """

    ensemble: Ensemble
    settings: Setting
    calibrated: np.ndarray


def fit_ensembles(
    samples: Sequence[Sample], logits: np.ndarray, edges: Sequence[float], unseen: set[str]
) -> dict[Kind, Fitted]:
    """Every combination of the members, calibrated; one that cannot be fitted or learned nothing is left out.

    Args:
        samples: N faces of validation.
        logits: (N, M) calibrated logits of the members, M >= 2.
        edges: (M,) strong edges of the members, above which they vote.
        unseen: sources of genuine faces that trained nothing.
    """
    members = logits.shape[1]
    labels = np.array([s.label for s in samples])
    plain = Ensemble("average", members, _NO_CALIBRATION)
    fits: dict[Kind, tuple[Fit, list[Setting]]] = {"average": (lambda rows, setting: plain, [{}])}
    if members >= MIN_VOTERS:
        vote = Ensemble("majority", members, _NO_CALIBRATION, edges=tuple(edges))
        votes = vote.votes(logits)

        def weighted(rows: np.ndarray, setting: Setting) -> Ensemble:
            weights = vote_weights(votes[rows], labels[rows], setting["power"])
            return Ensemble("weighted_majority", members, _NO_CALIBRATION, edges=vote.edges, weights=weights)

        fits["majority"] = (lambda rows, setting: vote, [{}])
        fits["weighted_majority"] = (weighted, [{"power": p} for p in POWERS])

    def stacked(rows: np.ndarray, setting: Setting) -> Ensemble:
        stacker = fit_stacker([samples[i] for i in rows], logits[rows], setting)
        return Ensemble("stacking", members, _NO_CALIBRATION, stacker=stacker)

    # components from few to many, so that of equals the simpler is taken
    dimensions = range(1, members + 1)
    fits["stacking"] = (stacked, [{"components": d, **k} for d, k in product(dimensions, _KERNELS)])
    fitted: dict[Kind, Fitted] = {}
    for kind in ORDER:
        if kind in fits:
            say(f"Fitting {kind.replace('_', ' ')} on {len(samples)} validation faces")
            try:
                fitted[kind] = _fitted(samples, logits, unseen, *fits[kind])
            except DataError as error:
                # the networks themselves may well be published
                say(f"{kind.replace('_', ' ')} is left out: {error}")
    return fitted


def fit_stacker(samples: Sequence[Sample], logits: np.ndarray, setting: Setting) -> Stacker:
    """Standardisation, PCA and SVC on the samples' logits (N, M), classes and sources weighed.

    Args:
        setting: `components`, and SVC's `kernel`, `C` and, for a radial kernel, `gamma`.
    """
    return export(fit_pipeline(samples, logits, setting), logits)


def fit_pipeline(samples: Sequence[Sample], logits: np.ndarray, setting: Setting) -> Pipeline:
    """The same as scikit-learn's own objects."""
    labels = np.array([s.label for s in samples])
    options = {k: v for k, v in setting.items() if k != "components"}
    pipeline = Pipeline(
        [("scale", StandardScaler()), ("pca", PCA(setting["components"], svd_solver="full")), ("svc", SVC(**options))]
    )
    weights = source_balanced_weights(labels, [s.source for s in samples]) * len(labels)
    return pipeline.fit(logits, labels, svc__sample_weight=weights)


def export(pipeline: Pipeline, logits: np.ndarray) -> Stacker:
    """A fitted pipeline as plain arrays, bounded by the logits (N, M) that it was fitted on."""
    scale, pca, svc = (pipeline.named_steps[name] for name in ("scale", "pca", "svc"))
    linear = svc.kernel == "linear"
    return Stacker(
        low=logits.min(axis=0),
        high=logits.max(axis=0),
        mean=scale.mean_,
        scale=scale.scale_,
        centre=pca.mean_,
        components=pca.components_,
        vectors=svc.coef_ if linear else svc.support_vectors_,
        coefficients=np.ones(1) if linear else svc.dual_coef_[0],
        intercept=np.asarray(svc.intercept_, np.float64),
        gamma=np.zeros(1) if linear else np.array([svc.gamma], np.float64),
    )


def vote_weights(votes: np.ndarray, labels: np.ndarray, power: float) -> tuple[float, ...]:
    """Weights of votes (N, M): log-odds of each network's balanced accuracy, the best for independent votes (Nitzan and
    Paroush, 1982), to the given power; they add up to 1. Networks no better than a guess get none."""
    odds = []
    for column in votes.T:
        right = (float((column[labels == c] == bool(c)).mean()) for c in (0, 1))
        accuracy = min(max(sum(right) / 2, 0.5), 0.999)
        odds.append(math.log(accuracy / (1 - accuracy)) ** power)
    total = sum(odds)
    if total == 0:
        return tuple(1 / len(odds) for _ in odds)
    return tuple(round(o / total, 6) for o in odds)


def choose_default(
    samples: Sequence[Sample],
    calibrated: dict[str, np.ndarray],
    ensembles: Sequence[str],
    unseen: set[str],
    rng: np.random.Generator,
) -> tuple[str, str, list[dict[str, Any]]]:
    """The choice that ships as default, why, and the comparisons behind it.

    It starts from the best single network and goes on to a combination, from the simplest to the most complicated, only
    where the paired interval of its gain on the validation score excludes zero.

    Args:
        calibrated: name -> (N,) validation logits, cross-validated where something was fitted.
        ensembles: names of the combinations among them, simplest first.
    """
    scores = {n: selection_figures(samples, c, unseen)["score"] for n, c in calibrated.items()}
    chosen = best = max((n for n in calibrated if n not in ensembles), key=lambda n: scores[n])
    reason = f"{best} has the highest validation score of the single networks ({scores[best]:.3f})"
    rows: list[dict[str, Any]] = []
    for name in ensembles:
        gain: Interval = paired_gain(samples, calibrated[name], calibrated[chosen], unseen, rng)
        better = gain.low is not None and gain.low > 0
        rows.append({"choice": name, "against": chosen, "gain": gain.to_dict(), "better": better})
        if better:
            chosen = name
    if chosen != best:
        won = next(r for r in rows if r["choice"] == chosen)
        reason = f"{chosen} gains {_range(won['gain'])} on the validation score of {won['against']}"
    lost = [f"{r['choice']} ({_range(r['gain'])})" for r in rows if not r["better"]]
    if lost:
        reason += f"; no gain beyond chance: {', '.join(lost)}"
    return chosen, reason, rows


def _range(gain: dict[str, Any]) -> str:
    return f"{gain['value']:+.3f}, 95 % interval {between(gain['low'], gain['high'], '+.3f')}"


def _fitted(
    samples: Sequence[Sample], logits: np.ndarray, unseen: set[str], fit: Fit, settings: Sequence[Setting]
) -> Fitted:
    every = np.arange(len(samples))
    if settings == [{}]:
        # nothing is fitted: there is nothing to keep a face out of
        scores = fit(every, {}).score(logits)
    else:
        scores = np.zeros(len(samples))
        for held in _folds(samples, every, FOLDS):
            rows = np.setdiff1d(every, held)
            scores[held] = fit(rows, _best(samples, logits, unseen, fit, settings, rows)).score(logits[held])
    chosen = _best(samples, logits, unseen, fit, settings, every)
    exact = fit_calibration(samples, scores)
    calibration = Calibration(round(exact.scale, 6), round(exact.offset, 6))
    return Fitted(replace(fit(every, chosen), calibration=calibration), chosen, calibration(scores))


def _best(
    samples: Sequence[Sample],
    logits: np.ndarray,
    unseen: set[str],
    fit: Fit,
    settings: Sequence[Setting],
    rows: np.ndarray,
) -> Setting:
    """The setting with the best cross-validated score on the given rows; of equals the first."""
    if len(settings) == 1:
        return settings[0]
    folds = _folds(samples, rows, INNER_FOLDS)
    inside = [samples[i] for i in rows]
    figures = []
    for setting in settings:
        scores = np.zeros(len(samples))
        for held in folds:
            scores[held] = fit(np.setdiff1d(rows, held), setting).score(logits[held])
        figures.append(selection_figures(inside, scores[rows], unseen)["score"])
    return settings[int(np.argmax(figures))]


def _folds(samples: Sequence[Sample], rows: np.ndarray, most: int) -> list[np.ndarray]:
    """Parts of the rows, no group in two, both classes in each."""
    labels = np.array([samples[i].label for i in rows])
    groups = np.array([samples[i].group for i in rows])
    count = min(most, *(len(set(groups[labels == c])) for c in (0, 1)))
    if count < 2:
        raise DataError("validation has too few groups of a class to combine networks: two at least")
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=0)
    return [rows[held] for _, held in splitter.split(rows, labels, groups)]
