"""Judging clips by frames in order, and whether that beats the average of frames. No files are read or written here.

Whether it does is decided on persons whose clips took no part in training (grouped folds), by how well manipulated
clips are told from genuine ones of the same slice: across slices, a head could win by knowing the look of a data set
all of whose clips are genuine.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from train.data.datasets.clips import Clip
from train.errors import DataError
from train.learn.loop import lr_factor
from train.measure.calibrate import fit_calibration
from train.measure.clips import person_folds
from train.measure.metrics import (
    MIN_GROUPS,
    auc,
    auc_draws,
    bootstrapped,
    brier,
    ece,
    group_draws,
    source_balanced_weights,
)
from train.temporal.networks import frame_windows

ROUNDS = 2000
WARMUP = 0.1
"""Share of the steps over which the learning rate rises."""


@dataclass(frozen=True, slots=True)
class Track:
    """One person's frames in one clip, or a version of them that was made.

    Attributes:
        key: unique name.
        label: 1 = manipulated.
        source: slice of the clip, and how it was made if it was.
        person: who it is.
        clip: row of the clip it is from.
        made: whether it was made, so that it can train but never judge.
        length: frames.
    """

    key: str
    label: int
    source: str
    person: str
    clip: int
    made: bool
    length: int


Score = Callable[[Sequence[Track], Sequence[np.ndarray]], Tensor]
"""Tracks and the rows of frames that are to be seen of each, in that order -> one logit each, (N,)."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """How a network is fitted to tracks."""

    frames: int
    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    seed: int


def fit_tracks(parameters: Iterable[nn.Parameter], score: Score, tracks: Sequence[Track], options: Fitting) -> float:
    """Fits parameters so that `score` tells tracks apart; returns the mean loss of the last epoch.

    Every epoch sees a window of each track at random; both classes, and sources within them by the root of their size,
    weigh alike. There is no early stop: nothing that is left out may choose the epoch.
    """
    rng = np.random.default_rng(options.seed)
    torch.manual_seed(options.seed)
    labels = np.array([s.label for s in tracks])
    if len(np.unique(labels)) < 2:
        raise DataError("genuine and manipulated clips are needed to train on")
    weights = source_balanced_weights(labels, [s.source for s in tracks]) * len(tracks)
    trained = [p for p in parameters if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=options.lr, weight_decay=options.weight_decay)
    steps = options.epochs * -(-len(tracks) // options.batch_size)
    warmup = int(WARMUP * steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: lr_factor(step, steps, warmup))
    losses: list[float] = []
    for _ in range(options.epochs):
        losses = []
        order = rng.permutation(len(tracks))
        for batch in np.array_split(order, -(-len(tracks) // options.batch_size)):
            chosen = [tracks[i] for i in batch]
            starts = [int(rng.integers(max(1, s.length - options.frames + 1))) for s in chosen]
            rows = [np.arange(a, min(s.length, a + options.frames)) for s, a in zip(chosen, starts, strict=True)]
            logits = score(chosen, rows)
            target = torch.tensor(labels[batch], dtype=torch.float32, device=logits.device)
            weight = torch.tensor(weights[batch], dtype=torch.float32, device=logits.device)
            loss = nn.functional.binary_cross_entropy_with_logits(logits, target, weight)
            if not torch.isfinite(loss):
                raise FloatingPointError(f"the loss is {loss.item()}: lower the learning rate")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(trained, 5.0)
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
    return float(np.mean(losses))


@torch.no_grad()
def judge_tracks(
    score: Score, tracks: Sequence[Track], frames: int, shuffle: np.random.Generator | None = None
) -> np.ndarray:
    """Mean logit of each track over its windows, (N,).

    Args:
        shuffle: puts each track's frames in a random order first: what is lost by it came from their order.
    """
    logits = []
    for track in tracks:
        order = np.arange(track.length) if shuffle is None else shuffle.permutation(track.length)
        rows = [order[window] for window in frame_windows(track.length, frames)]
        logits.append(float(score([track] * len(rows), rows).mean()))
    return np.array(logits)


def clip_scores(tracks: Sequence[Track], logits: np.ndarray) -> dict[int, float]:
    """Row of each clip -> the logit of its most suspicious person, as a video is judged."""
    by_clip: dict[int, float] = {}
    for track, logit in zip(tracks, logits.tolist(), strict=True):
        by_clip[track.clip] = max(logit, by_clip.get(track.clip, logit))
    return by_clip


def judged_slices(clips: Sequence[Clip]) -> list[str]:
    """Slices with at least `MIN_GROUPS` persons of each class."""
    persons: dict[tuple[str, int], set[str]] = {}
    for clip in clips:
        persons.setdefault((clip.source, clip.label), set()).add(clip.person)
    sources = sorted({c.source for c in clips})
    return [s for s in sources if min(len(persons.get((s, label), ())) for label in (0, 1)) >= MIN_GROUPS]


def slice_aucs(
    clips: Sequence[Clip], scores: np.ndarray, draws: np.ndarray, names: Sequence[str]
) -> dict[str, np.ndarray]:
    """AUC within each slice of these names, of each bootstrap draw: name -> (rounds,).

    Args:
        clips: N of them.
        scores: (N,).
        draws: (rounds, N) of `group_draws`.
    """
    labels, sources = np.array([c.label for c in clips]), np.array([c.source for c in clips])
    return {
        name: auc_draws(labels[sources == name], scores[sources == name], draws[:, sources == name]) for name in names
    }


def compare(
    clips: Sequence[Clip], scores: Mapping[str, np.ndarray], new: str, old: Sequence[str], seed: int = 0
) -> dict[str, Any] | None:
    """AUC within slices of each way to score clips, and what the new one gains over each old one, on the same draws.

    Args:
        clips: N of them.
        scores: name -> (N,).
        new: the name that is compared.
        old: names it is compared to.

    Returns:
        "auc" and "gain": name -> `Interval` as a dict; "slices": name -> slice -> AUC; None where no slice has persons
        enough of both classes.
    """
    names = judged_slices(clips)
    if not names:
        return None
    strata = np.array([f"{c.source}/{c.label}" for c in clips])
    draws = group_draws([c.person for c in clips], strata, np.random.default_rng(seed), ROUNDS)
    once = np.ones((1, len(clips)), np.int64)
    points = {
        name: {s: float(v[0]) for s, v in slice_aucs(clips, row, once, names).items()} for name, row in scores.items()
    }
    means = {name: float(np.mean(list(by_slice.values()))) for name, by_slice in points.items()}
    drawn = {name: np.mean(list(slice_aucs(clips, row, draws, names).values()), axis=0) for name, row in scores.items()}
    n = sum(c.source in names for c in clips)
    return {
        "auc": {name: bootstrapped(means[name], drawn[name], n).to_dict() for name in scores},
        "gain": {name: bootstrapped(means[new] - means[name], drawn[new] - drawn[name], n).to_dict() for name in old},
        "slices": {name: {s: round(v, 4) for s, v in by_slice.items()} for name, by_slice in points.items()},
    }


def pooled(clips: Sequence[Clip]) -> list[Clip]:
    """The clips as if of one slice: more of them can be compared, but a head may win by knowing the slices."""
    return [replace(c, source="all slices") for c in clips]


def helps(compared: Mapping[str, Any] | None) -> bool:
    """Whether every gain is beyond chance: the paired interval lies above zero."""
    return compared is not None and all(g["low"] is not None and g["low"] > 0 for g in compared["gain"].values())


def calibration_of(clips: Sequence[Clip], scores: np.ndarray, folds: int) -> dict[str, Any]:
    """Platt scaling of clips' scores, and how good it is on persons that took no part in it.

    Returns:
        "scale" and "offset"; "brier" and "ece" of held-out persons, classes and slices weighed. None for all where the
        scores do not rise with manipulation.
    """
    labels, sources = np.array([c.label for c in clips]), [c.source for c in clips]
    probs = np.zeros(len(clips))
    try:
        whole = fit_calibration(clips, scores)
        for inside, outside in person_folds(clips, folds):
            fitted = fit_calibration([clips[i] for i in inside], scores[inside])
            probs[outside] = 1 / (1 + np.exp(-fitted(scores[outside])))
    except DataError:
        return dict.fromkeys(("scale", "offset", "brier", "ece"))
    weights = source_balanced_weights(labels, sources)
    return {
        "scale": round(whole.scale, 6),
        "offset": round(whole.offset, 6),
        "brier": round(brier(labels, probs, weights), 4),
        "ece": round(ece(labels, probs, weights, bins=10), 4),
    }


def fold_auc(clips: Sequence[Clip], scores: np.ndarray) -> float | None:
    """AUC over all clips of a fold; None where it lacks a class."""
    labels = np.array([c.label for c in clips])
    return None if len(np.unique(labels)) < 2 else round(auc(labels, scores), 4)
