"""Calibration of videos on clips: calibration, edges, the strongest band. Pure functions.

Clips are few. So their edges are never below those of single faces, which rest on hundreds of persons, and they are
raised to Wilks' tolerance limit of the clips: the score that so few of n genuine persons exceed that at most the
promised share of all would, with 95 % confidence. Where n is too small for such a limit, nothing can be shown, and
the band is not given.

Many clips show persons whose faces trained the networks. A network knows those: its scores of them are better, and
more alike, than they would be elsewhere. They count all the same, with their scores moved and spread to the mean and
the spread of unknown persons, never to their favour; the whole difference is taken for bias, though a part of it may
be that those clips are easier.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from scipy.stats import binom
from sklearn.model_selection import StratifiedGroupKFold

from detector.aggregate import MIN_FRAMES, ClipRule, PersonScore, person_score
from detector.calibration import VIDEO_BAND_RATES, Calibration, FalseAlarmCurve
from detector.types import BANDS, Band, BandCap
from train.errors import DataError
from train.measure.calibrate import fit_calibration, rounded_up
from train.measure.metrics import group_draws, wilson

CONFIDENCE = 0.95
"""With which a band's promise must hold for genuine persons like those of the clips."""
FOLDS = 10
ROUNDS = 1000
FILES = 1000
"""Files that are composed of genuine persons, of each number."""
NUMBERS: Mapping[str, tuple[int, int]] = {"2-4": (2, 4), "5+": (5, 9)}
TAIL_RATES = (0.002, 0.001, 0.0005, 0.0001)
"""Rates that files with many persons need, written down with the rest: the tail of a curve goes on by a rule in units
of the logit, which a calibration on clips would stretch."""
MIN_COMPARED = 5
"""Persons of either kind without whom there is no difference to speak of between known and unknown ones."""
MIN_STRANGERS = 10
"""Genuine persons that no network was trained on: with fewer, what it remembers of the others cannot be measured."""


class OfPerson(Protocol):
    """Something that is divided so that no person is on both sides: a `ClipPerson`, or a clip."""

    @property
    def label(self) -> int: ...
    @property
    def person(self) -> str: ...


@dataclass(frozen=True, slots=True)
class ClipPerson:
    """One person followed through one labelled clip, as one choice scores it.

    Attributes:
        label: 1 = manipulated.
        source: slice of the clip.
        person: who it is; several clips may show the same.
        known: whether faces of this person trained a network.
        score: of the worst run, before any calibration on clips.
    """

    label: int
    source: str
    person: str
    known: bool
    score: PersonScore


def clip_persons(
    label: int, source: str, person: str, known: bool, logits: Iterable[np.ndarray]
) -> tuple[ClipPerson, ...]:
    """The persons of a clip: all of a genuine one; of a manipulated one the most suspicious, since no label says who.

    Args:
        logits: of each person that was followed, (N,) of the usable frames; with too few frames it is left out.
    """
    scores = [person_score(row, np.random.default_rng(0)) for row in logits if len(row) >= MIN_FRAMES]
    if label and scores:
        scores = [max(scores, key=lambda score: score.logit)]
    return tuple(ClipPerson(label, source, person, known, score) for score in scores)


def fit_clips(people: Sequence[ClipPerson], curve: FalseAlarmCurve) -> dict[str, Any]:
    """The manifest's section "clips" of one choice.

    Args:
        people: of training and validation clips.
        curve: false alarms of that choice on single faces.

    Raises:
        DataError: too few genuine persons to show even what "weak" promises.
    """
    genuine = [p for p in people if p.label == 0]
    persons = {p.person for p in genuine}
    needed = persons_needed(VIDEO_BAND_RATES["weak"])
    if len(persons) < needed or len({p.person for p in genuine if not p.known}) < MIN_STRANGERS:
        raise DataError(
            f"{len(persons)} genuine persons in clips cannot show what a video's band promises: {needed} are needed, "
            f"{MIN_STRANGERS} of them in no training picture"
        )
    moved = bias_corrected(people)
    runs = float(np.median([p.score.chances for p in genuine]))
    fitted = with_tail(clip_curve(genuine, moved[[p.label == 0 for p in people]], curve))
    calibration, about = choose_calibration(people, moved)
    alarms, files = false_alarms(genuine, curve, runs)
    cap = cap_of(len(persons), {"1": {b: row["rate"] for b, row in alarms.items()}, **files})
    return {
        "calibration": {"scale": calibration.scale, "offset": calibration.offset, **about},
        "curve": {
            "rates": list(fitted.rates),
            "logits": [rounded_up(float(v)) for v in calibration(np.array(fitted.logits))],
            "faces": [rounded_up(float(v)) for v in calibration(np.array(with_tail(curve).logits))],
        },
        "runs": runs,
        "cap": None
        if cap is None
        else {"band": cap.band, "reason": cap.reason, "persons": cap.persons, "needed": cap.needed},
        "false_alarms": alarms,
        "false_alarms_by_persons": files,
        "persons": {
            "genuine": len(persons),
            "genuine_unknown": len({p.person for p in genuine if not p.known}),
            "manipulated": len({p.person for p in people if p.label}),
            "followed": len(people),
            "sources": sorted({p.source for p in people}),
        },
        "known_bias": known_bias(people),
    }


def known_bias(people: Sequence[ClipPerson]) -> dict[str, dict[str, float]]:
    """The bias of scores of persons that were in training: how they change to count as those of unknown persons.

    Returns:
        "genuine" and "manipulated" -> "known", "unknown" (means over persons) and "spread": a known person's score x
        becomes unknown + spread * (x - known). Nothing moves to their favour: up if genuine, down if manipulated, apart
        and not together. Without `MIN_COMPARED` persons of both kinds nothing moves at all.
    """
    moves = {}
    for label, name in ((0, "genuine"), (1, "manipulated")):
        scores: dict[tuple[bool, str], list[float]] = {}
        for p in people:
            if p.label == label:
                scores.setdefault((p.known, p.person), []).append(p.score.logit)
        known, unknown = (
            [float(np.mean(v)) for (k, _), v in sorted(scores.items()) if k == kind] for kind in (True, False)
        )
        moves[name] = {"known": 0.0, "unknown": 0.0, "spread": 1.0}
        if min(len(known), len(unknown)) >= MIN_COMPARED:
            at, to = float(np.mean(known)), float(np.mean(unknown))
            width = float(np.std(known, ddof=1))
            moves[name] = {
                "known": round(at, 4),
                "unknown": round(max(at, to) if label == 0 else min(at, to), 4),
                "spread": round(max(1.0, float(np.std(unknown, ddof=1)) / width) if width > 0 else 1.0, 4),
            }
    return moves


def bias_corrected(people: Sequence[ClipPerson], moves: Mapping[str, Mapping[str, float]] | None = None) -> np.ndarray:
    """Scores (N,) with those of known persons moved.

    Args:
        moves: of `known_bias`; by default of these very people.
    """
    moves = known_bias(people) if moves is None else moves
    logits = []
    for p in people:
        move = moves["manipulated" if p.label else "genuine"]
        away = p.score.logit - move["known"]
        logits.append(move["unknown"] + move["spread"] * away if p.known else p.score.logit)
    return np.array(logits)


@lru_cache(maxsize=4096)
def tolerated(n: int, rate: float) -> int | None:
    """How many of n may exceed an edge that is to show a rate (Wilks, 1941); None if even none of n is not enough.

    The largest k with P(at most k of n exceed | their share is `rate`) <= 5 %: an edge that k of n exceed is with 95 %
    confidence exceeded by no larger share of all.
    """
    k = int(binom.ppf(1 - CONFIDENCE, n, rate))
    while k >= 0 and binom.cdf(k, n, rate) > 1 - CONFIDENCE:
        k -= 1
    return k if k >= 0 else None


def persons_needed(rate: float) -> int:
    """Genuine persons without whom no edge can show a rate: 29 for 10 %, 99 for 3 %, 598 for 0.5 %."""
    return math.ceil(math.log(1 - CONFIDENCE) / math.log(1 - rate))


def clip_curve(genuine: Sequence[ClipPerson], logits: np.ndarray, faces: FalseAlarmCurve) -> FalseAlarmCurve:
    """Edges for a person of a clip: those of faces, or the tolerance limit of these persons where that is higher.

    Below the smallest rate that so few persons can show, the edges stay as far above those of faces as they are there:
    a tail from the clips' own quantiles let composed files alarm too often (measured: 13 % and 25 % for "weak").

    Args:
        genuine: N scores of genuine persons; one person's together count as one.
        logits: (N,) their scores, bias-corrected.
        faces: edges of single faces.
    """
    counts: dict[str, int] = {}
    for p in genuine:
        counts[p.person] = counts.get(p.person, 0) + 1
    order = np.argsort(-logits, kind="stable")
    mass = np.cumsum([1 / counts[genuine[i].person] for i in order])
    lift, lifted = 0.0, []
    rates = tuple(sorted({*faces.rates, *VIDEO_BAND_RATES.values()}, reverse=True))
    for rate in rates:
        edge = faces.edge(rate)
        k = tolerated(len(counts), rate)
        if k is not None:
            # the score itself does not exceed an edge that is set on it
            at = min(int(np.searchsorted(mass, k + 1e-9, side="right")), len(order) - 1)
            lift = max(0.0, float(logits[order[at]]) - edge)
        lifted.append(edge + lift)
    return FalseAlarmCurve(rates, tuple(np.maximum.accumulate(lifted).tolist()))


def with_tail(curve: FalseAlarmCurve) -> FalseAlarmCurve:
    """The same edges, with those at `TAIL_RATES` spelled out."""
    more = [rate for rate in TAIL_RATES if rate < curve.rates[-1]]
    return FalseAlarmCurve((*curve.rates, *more), (*curve.logits, *(curve.edge(rate) for rate in more)))


def choose_calibration(people: Sequence[ClipPerson], logits: np.ndarray) -> tuple[Calibration, dict[str, Any]]:
    """Platt scaling of persons' scores, if it is better beyond chance than the calibration of faces as it is.

    Judged by log loss on persons that were left out (grouped cross-validation), both classes and every person within
    them weighed alike, with a paired bootstrap over persons.

    Args:
        logits: (N,) scores of the people, bias-corrected.

    Returns:
        The calibration, and what decided: "chosen", "gain" in nats with its 95 % interval, "folds".
    """
    same = Calibration(1.0, 0.0)
    labels = np.array([p.label for p in people])
    smallest = min(len({p.person for p in people if p.label == c}) for c in (0, 1))
    folds = min(FOLDS, smallest)
    if folds < 2:
        return same, {"chosen": "faces", "gain": None, "folds": 0}
    platt = np.zeros(len(people))
    for inside, outside in person_folds(people, folds):
        try:
            fitted = fit_calibration([people[i] for i in inside], logits[inside])
        except DataError:  # it does not rise on these persons: faces know better
            return same, {"chosen": "faces", "gain": None, "folds": folds}
        platt[outside] = fitted(logits[outside])
    weights = _person_weights(people)
    gains = (_log_loss(labels, logits) - _log_loss(labels, platt)) * weights
    draws = group_draws([p.person for p in people], labels, np.random.default_rng(0), ROUNDS)
    drawn = (draws @ gains) / (draws @ weights)
    low, high = np.quantile(drawn, [0.025, 0.975])
    better = bool(low > 0)
    about = {
        "chosen": "clips" if better else "faces",
        "gain": {"value": round(float(gains.sum()), 4), "low": round(float(low), 4), "high": round(float(high), 4)},
        "folds": folds,
    }
    if not better:
        return same, about
    fitted = fit_calibration(people, logits)
    return Calibration(round(fitted.scale, 6), round(fitted.offset, 6)), about


def person_folds(people: Sequence[OfPerson], folds: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(kept, left out) indices of each fold; no person is in both, and every fold has its share of both classes."""
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    labels = [p.label for p in people]
    return list(splitter.split(np.zeros(len(people)), labels, [p.person for p in people]))


def false_alarms(
    genuine: Sequence[ClipPerson], faces: FalseAlarmCurve, runs: float
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, float]]]:
    """How often genuine files reach each band when their persons took no part in its edges.

    Returns:
        Of single persons: band -> n persons, k of them (a person with several clips by his share), rate, Wilson
        interval. Of files composed of several persons, drawn at random: number of persons -> "files" and band -> rate.
        Those files are no new evidence, so they have no interval.
    """
    by_person: dict[str, list[int]] = {}
    for i, p in enumerate(genuine):
        by_person.setdefault(p.person, []).append(i)
    names = sorted(by_person)
    single = np.zeros(len(genuine), int)
    for name in names:
        bands = _held_out(genuine, faces, runs, [[i] for i in by_person[name]])
        single[by_person[name]] = bands
    alarms: dict[str, dict[str, Any]] = {}
    for band in VIDEO_BAND_RATES:
        hits = single >= BANDS.index(band)
        # persons weigh alike here, however many clips there are of them
        share = float(np.mean([hits[rows].mean() for rows in by_person.values()]))
        lowest, highest = wilson(share * len(names), len(names))
        alarms[band] = {
            "n": len(names),
            "k": round(share * len(names), 2),
            "rate": round(share, 4),
            "low": round(lowest, 4),
            "high": round(highest, 4),
        }
    rng = np.random.default_rng(0)
    files: dict[str, dict[str, float]] = {}
    for title, (low, high) in NUMBERS.items():
        if len(names) <= high:
            continue
        bands = []
        for _ in range(FILES):
            chosen = rng.choice(len(names), int(rng.integers(low, high + 1)), replace=False)
            rows = [int(rng.choice(by_person[names[i]])) for i in chosen]
            bands += _held_out(genuine, faces, runs, [rows])
        files[title] = {
            "files": FILES,
            **{b: round(float(np.mean(np.array(bands) >= BANDS.index(b))), 4) for b in VIDEO_BAND_RATES},
        }
    return alarms, files


def cap_of(persons: int, rates: Mapping[str, Mapping[str, float]]) -> BandCap | None:
    """The strongest band whose promise was shown, with all weaker ones; None if that is the strongest of all.

    Shown means: there are persons enough for a tolerance limit, and no more than the promised share of files with one,
    few and many genuine persons reached the band.

    Args:
        persons: genuine persons in clips.
        rates: persons in a file -> band -> share of genuine files that reach it.
    """
    shown: Band = "little"
    for band, promise in VIDEO_BAND_RATES.items():
        needed = persons_needed(promise)
        if persons < needed:
            return BandCap(shown, "too_few_clips", persons, needed)
        if any(row[band] > promise for row in rates.values()):
            return BandCap(shown, "too_many_alarms", persons, None)
        shown = band
    return None


def _held_out(
    genuine: Sequence[ClipPerson], faces: FalseAlarmCurve, runs: float, files: Sequence[Sequence[int]]
) -> list[int]:
    """Index into `BANDS` of each file (rows of `genuine`), with edges from all persons who are in none of the files."""
    left = {genuine[i].person for rows in files for i in rows}
    rest = [p for p in genuine if p.person not in left]
    moves = known_bias(rest)
    rule = ClipRule(Calibration(1.0, 0.0), clip_curve(rest, bias_corrected(rest, moves), faces), runs, None)
    bands = []
    for rows in files:
        seen = [genuine[i] for i in rows]
        chances = rule.chances([p.score for p in seen])
        bands.append(BANDS.index(rule.band(float(bias_corrected(seen, moves).max()), chances)))
    return bands


def _person_weights(people: Sequence[ClipPerson]) -> np.ndarray:
    """(N,) weights that sum to 1: both classes alike, and every person within a class."""
    keys = [(p.label, p.person) for p in people]
    persons = {label: len({k for k in keys if k[0] == label}) for label in (0, 1)}
    weights = np.array([1 / (persons[key[0]] * keys.count(key)) for key in keys])
    return np.asarray(weights / weights.sum())


def _log_loss(labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """-log of the probability that was given to what is true, (N,)."""
    return np.logaddexp(0.0, np.where(labels == 1, -logits, logits))
