"""`python -m train temporal`: a network that reads one person's frames in order, and whether it beats their average.

Training and validation clips of videos.csv, and flickering self-blends of their genuine persons, train a head over a
published network's features (ResNet and LSTM by default). Every person's clips are scored by a head that saw none of
them. It helps if the head gains over the average of the same frames, and if the product's rule for persons (the worst
run of frames), with each frame raised by what the head adds, gains over that rule as it is. None has helped yet, so the
product judges frames one by one. Test clips are read only for `--test`, which is counted and decides nothing. Patches
and features are kept in the runs folder, and finished folds in the run's: a stopped run goes on with `--resume RUN`.

    runs/temporal-resnet18-lstm-<time>/
      folds/<number>.*         scores of the clips of each fold, and the head that gave them
      best.safetensors         the head, or with --unfreeze the whole network, trained on all clips in the end
      report/temporal.json, report/temporal.md
"""

import copy
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from detector.manifest import Manifest, default_folder, read_manifest
from detector.weights import load_network
from train.console import say
from train.data.datasets.clips import TABLE, Clip, person_of, read_clips
from train.data.samples import fingerprint
from train.data.sources import find_data_root, load_samples
from train.errors import DataError
from train.learn.loop import save_weights_file
from train.learn.options import Folders
from train.measure.clips import person_folds
from train.measure.metrics import auc_interval
from train.options import Flat
from train.run import Run, device, environment, options_record, write_json, write_text
from train.store.published import fingerprint_of_networks, seed_of_networks
from train.temporal.judge import (
    Fitting,
    Score,
    Track,
    calibration_of,
    clip_scores,
    compare,
    fit_tracks,
    fold_auc,
    helps,
    judge_tracks,
    pooled,
)
from train.temporal.networks import HEADS, ClipNetwork, InOrder
from train.temporal.report import AVERAGE, MODEL, RULE, SHIPPED, SHUFFLED, in_words
from train.temporal.tracks import ClipData, Embedded, features_folder, read_tracks, whole_score

FOLDS = "folds"
"""Folder of a run: of each fold the clips' scores and the head that gave them."""
_SHUFFLES = 4
_EVERY_SLICE = "all test clips"


@dataclass(frozen=True)
class Temporal:
    """Train a network over frames in order, on clips and flickering self-blends; measure what it gains."""

    network: Literal["lstm", "conv"] = "lstm"
    """What reads the sequence: a recurrent network, or convolutions over time."""
    model: str = "resnet18"
    """The published network whose features it reads."""
    frames: int = 16
    """Frames that are seen together; longer clips are judged by the mean of windows that overlap."""
    size_px: int = 0
    """Side of the crops; 0 = as the network was trained."""
    max_frames: int = 0
    """Frames judged of a clip, evenly spread; 0 = as many as the product judges."""
    blends: int = 2
    """Flickering self-blends of each genuine person; each trains with its genuine partner."""
    folds: int = 5
    """Of the cross-validation over persons."""
    epochs: int = 30
    """Passes over the clips; there is no early stop."""
    batch_size: int = 16
    """Clips a step."""
    lr: float = 1e-3
    """Highest learning rate; with --unfreeze the backbone wants some 1e-5."""
    weight_decay: float = 0.02
    """Of AdamW."""
    unfreeze: bool = False
    """Train the backbone too, from frames and not from kept features: a GPU is needed to see the end of it."""
    test: bool = False
    """Also score the test clips, once everything is decided: an evaluation that is counted."""
    folders: Flat[Folders] = Folders()
    """Of the data that the networks were trained on, with its videos.csv."""
    weights_dir: Path | None = None
    """Published set; weights/ by default."""
    seed: int = 0
    resume: Path | None = None
    """A run folder to go on with, made with the same options."""

    def __post_init__(self) -> None:
        if self.network not in HEADS:
            raise ValueError(f"network is one of {', '.join(HEADS)}")
        if self.frames < 2 or self.folds < 2 or self.epochs < 1 or self.batch_size < 1:
            raise ValueError("frames and folds must be at least 2, epochs and batch_size at least 1")
        if min(self.size_px, self.max_frames, self.blends) < 0:
            raise ValueError("size_px, max_frames and blends cannot be negative")


def run(options: Temporal) -> Path:
    """The run's folder."""
    began = time.monotonic()
    manifest = read_manifest(options.weights_dir or default_folder())
    if options.model not in manifest.models:
        raise ValueError(f"no network {options.model!r} was published; there are: {', '.join(manifest.models)}")
    root = find_data_root(options.folders.data_root)
    every = read_clips(root)
    clips = [c for c in every if c.split != "test"]
    if not clips:
        raise DataError(f"{root.name}/ has no {TABLE} with training and validation clips")
    samples = load_samples(root, seed_of_networks(manifest))
    if fingerprint_of_networks(manifest) not in ("", fingerprint(samples)):
        raise DataError("the published networks were trained on other data or splits than these: publish them anew")
    settings = {
        **{k: v for k, v in options_record(options).items() if k not in ("resume", "test")},
        "backbone": manifest.models[options.model].sha256,
        "data": fingerprint(samples),
    }
    name = f"temporal-{options.model}-{options.network}"
    record = Run.begin("temporal", options.folders.runs_dir, name, options.resume, settings)
    record.write_record(recipe="temporal", settings=dict(settings), environment=environment())
    say(f"into {record.folder.name}/ (`--resume` goes on with it)")
    known = {person_of(s.group) for s in samples if s.split == "train"}
    data = read_tracks(clips, manifest, known, _cache(options), options.max_frames, options.blends)
    embedded = _embedded(options, manifest, data)
    # what is made trains from kept features, or is made anew at every step
    wanted = [s for s in data.tracks if not (options.unfreeze and s.made)]
    embedded.load_all(wanted)
    record.log("features", tracks=len(wanted), seconds=round(time.monotonic() - began, 1))
    _cross_validate(options, manifest, record, data, embedded)
    figures = _figures(options, record, data, embedded)
    trained = _train(options, manifest, data, embedded, data.tracks, options.seed)
    save_weights_file(trained.network if options.unfreeze else trained.network.head, record.best)
    record.log("final", loss=round(trained.loss, 5), seconds=round(time.monotonic() - began, 1))
    figures["final_loss"] = round(trained.loss, 5)
    if options.test:
        figures["test"] = _on_test(options, manifest, record, [c for c in every if c.split == "test"], trained)
    write_json(record.report / "temporal.json", figures)
    write_text(
        record.report / "temporal.md",
        in_words(figures, options.model, options.network, options.folds, options.unfreeze),
    )
    say((record.report / "temporal.md").read_text(encoding="utf-8"))
    return record.folder


def _size(options: Temporal, manifest: Manifest) -> int:
    return options.size_px or manifest.models[options.model].input_size_px


def _cache(options: Temporal) -> Path:
    return options.folders.runs_dir / "cache"


def _embedded(options: Temporal, manifest: Manifest, data: ClipData) -> Embedded:
    """Features of the tracks by the published backbone."""
    size_px = _size(options, manifest)
    folder = features_folder(_cache(options), manifest, options.model, size_px, data.frames_key)
    return Embedded(_build(options, manifest), data, size_px, folder)


def _build(options: Temporal, manifest: Manifest) -> ClipNetwork:
    """The published backbone and a new head, the same for the same seed."""
    torch.manual_seed(options.seed)
    calibration = manifest.models[options.model].calibration
    network = ClipNetwork(load_network(manifest, options.model), calibration, options.network, _size(options, manifest))
    for parameter in network.network.parameters():
        parameter.requires_grad_(options.unfreeze)
    return network.to(device())


@dataclass(frozen=True, slots=True)
class _Trained:
    network: ClipNetwork
    score: Score
    loss: float


def _train(
    options: Temporal, manifest: Manifest, data: ClipData, embedded: Embedded, tracks: Sequence[Track], seed: int
) -> _Trained:
    """A new network fitted to these tracks."""
    network = _build(options, manifest)
    score = whole_score(network, data, _size(options, manifest)) if options.unfreeze else embedded.score(network)
    fitting = Fitting(options.frames, options.epochs, options.batch_size, options.lr, options.weight_decay, seed)
    network.train()
    loss = fit_tracks(network.parameters(), score, _labelled(tracks, embedded), fitting)
    network.eval()
    return _Trained(network, score, loss)


def _labelled(tracks: Sequence[Track], embedded: Embedded) -> list[Track]:
    """Tracks whose label is known: of a manipulated clip the most suspicious person, since no label says who."""
    best: dict[int, Track] = {}
    for s in tracks:
        if s.label and not s.made:
            before = best.get(s.clip)
            if before is None or embedded.logits(s).mean() > embedded.logits(before).mean():
                best[s.clip] = s
    return [s for s in tracks if not s.label or s.made or best[s.clip] is s]


def _reader(trained: "_Trained", options: Temporal) -> InOrder:
    """The head as the product runs it, on the CPU."""
    return InOrder(copy.deepcopy(trained.network.head).cpu(), options.frames)


def _on_test(
    options: Temporal, manifest: Manifest, record: Run, clips: Sequence[Clip], trained: _Trained
) -> dict[str, Any]:
    """Figures of the final network on the test clips, slice by slice, beside the average of the same frames."""
    if not clips:
        raise DataError(f"{TABLE} has no test clips")
    number = record.count_test_evaluation("test clips")
    data = read_tracks(clips, manifest, set(), _cache(options), options.max_frames, blends=0)
    embedded = _embedded(options, manifest, data)
    embedded.load_all(data.tracks)
    score = (
        whole_score(trained.network, data, _size(options, manifest))
        if options.unfreeze
        else embedded.score(trained.network)
    )
    values = {
        MODEL: judge_tracks(score, data.tracks, options.frames),
        AVERAGE: np.array([embedded.logits(s).mean() for s in data.tracks]),
        RULE: np.array([embedded.rule(s) for s in data.tracks]),
    }
    if not options.unfreeze:
        reader = _reader(trained, options)
        values[SHIPPED] = np.array([embedded.rule(s, reader) for s in data.tracks])
    scores = {name: clip_scores(data.tracks, by_clip) for name, by_clip in values.items()}
    rows: dict[str, Any] = {}
    for source in (*sorted({c.source for c in data.clips}), _EVERY_SLICE):
        picked = [i for i, c in enumerate(data.clips) if source in (c.source, _EVERY_SLICE)]
        labels = np.array([data.clips[i].label for i in picked])
        rows[source] = {"genuine": int((labels == 0).sum()), "manipulated": int((labels == 1).sum())}
        if len(np.unique(labels)) == 2:
            persons = [data.clips[i].person for i in picked]
            rows[source]["auc"] = {
                name: auc_interval(
                    labels, np.array([by_clip[i] for i in picked]), persons, np.random.default_rng(0)
                ).to_dict()
                for name, by_clip in scores.items()
            }
    return {"looks": number, "without_a_person": data.left_out, "slices": rows}


def _fold_file(record: Run, number: int) -> Path:
    return record.folder / FOLDS / f"{number}.json"


def _cross_validate(options: Temporal, manifest: Manifest, record: Run, data: ClipData, embedded: Embedded) -> None:
    """Scores each fold's clips by a network that saw none of its persons; finished folds are left as they are."""
    (record.folder / FOLDS).mkdir(exist_ok=True)
    for number, (inside, outside) in enumerate(_folds(options, data), 1):
        if _fold_file(record, number).is_file():
            continue
        began = time.monotonic()
        train, judge = set(inside.tolist()), set(outside.tolist())
        trained = _train(
            options, manifest, data, embedded, [s for s in data.tracks if s.clip in train], options.seed + number
        )
        tracks = [s for s in data.tracks if s.clip in judge and not s.made]
        scores = clip_scores(tracks, judge_tracks(trained.score, tracks, options.frames))
        rng = np.random.default_rng([options.seed, number])
        shuffled = clip_scores(
            tracks,
            np.mean([judge_tracks(trained.score, tracks, options.frames, rng) for _ in range(_SHUFFLES)], axis=0),
        )
        row = {
            "clips": [data.clips[i].name for i in sorted(judge)],
            MODEL: [round(scores[i], 5) for i in sorted(judge)],
            SHUFFLED: [round(shuffled[i], 5) for i in sorted(judge)],
        }
        if not options.unfreeze:
            reader = _reader(trained, options)
            shipped = clip_scores(tracks, np.array([embedded.rule(s, reader) for s in tracks]))
            row[SHIPPED] = [round(shipped[i], 5) for i in sorted(judge)]
            # for the calibration of videos, if a head is to ship
            save_weights_file(trained.network.head, _fold_file(record, number).with_suffix(".safetensors"))
        write_json(_fold_file(record, number), row)
        seconds = round(time.monotonic() - began, 1)
        record.log("fold", fold=number, clips=len(judge), loss=round(trained.loss, 5), seconds=seconds)
        say(f"fold {number} of {options.folds}: {len(judge)} clips scored, {seconds:.0f} s")


def _folds(options: Temporal, data: ClipData) -> list[tuple[np.ndarray, np.ndarray]]:
    fewest = min(len({c.person for c in data.clips if c.label == label}) for label in (0, 1))
    if fewest < options.folds:
        raise DataError(f"{fewest} persons of one class cannot be divided into {options.folds} folds")
    return person_folds(data.clips, options.folds)


def _figures(options: Temporal, record: Run, data: ClipData, embedded: Embedded) -> dict[str, Any]:
    """Figures of the folds, of persons that took no part in what scored them."""
    own = [s for s in data.tracks if not s.made]
    logits = [embedded.logits(s) for s in own]
    average = clip_scores(own, np.array([row.mean() for row in logits]))
    rule = clip_scores(own, np.array([embedded.rule(s) for s in own]))
    # a backbone that was trained along has other logits: it cannot be added to the product's
    shown = (MODEL, SHUFFLED) if options.unfreeze else (MODEL, SHUFFLED, SHIPPED)
    scores = {
        MODEL: np.zeros(len(data.clips)),
        AVERAGE: np.array([average[i] for i in range(len(data.clips))]),
        RULE: np.array([rule[i] for i in range(len(data.clips))]),
        **{name: np.zeros(len(data.clips)) for name in shown if name != MODEL},
    }
    by_fold = []
    for number, (_, outside) in enumerate(_folds(options, data), 1):
        row = json.loads(_fold_file(record, number).read_text(encoding="utf-8"))
        rows = sorted(outside.tolist())
        for name in shown:
            scores[name][rows] = row[name]
        judged = [data.clips[i] for i in rows]
        by_fold.append(
            {
                "fold": number,
                "clips": len(rows),
                "persons": sorted({c.person for c in judged}),
                "auc": {name: fold_auc(judged, by_clip[rows]) for name, by_clip in scores.items()},
            }
        )
    everyone = compare(data.clips, scores, MODEL, (AVERAGE, RULE, SHUFFLED), options.seed)
    across = compare(pooled(data.clips), scores, MODEL, (AVERAGE, RULE, SHUFFLED), options.seed)
    shipped = None if options.unfreeze else compare(data.clips, scores, SHIPPED, (RULE,), options.seed)
    new = np.flatnonzero(~data.known)
    strangers = compare(
        [data.clips[i] for i in new],
        {name: by_clip[new] for name, by_clip in scores.items()},
        MODEL,
        (AVERAGE, RULE),
        options.seed,
    )
    return {
        "clips": {
            "used": len(data.clips),
            "manipulated": sum(c.label for c in data.clips),
            "persons": len({c.person for c in data.clips}),
            "in_training_pictures": int(data.known.sum()),
            "without_a_person": data.left_out,
            "made": sum(s.made for s in data.tracks),
        },
        "folds": by_fold,
        "everyone": everyone,
        "across_slices": across,
        "strangers": strangers,
        "calibration": calibration_of(data.clips, scores[MODEL], options.folds),
        "shipped": shipped,
        "helps": _helps(everyone, shipped),
    }


def _helps(everyone: Mapping[str, Any] | None, shipped: Mapping[str, Any] | None) -> bool:
    """Beyond chance better than the average of frames, and as the product would judge, better than it judges now."""
    if everyone is None:
        return False
    over_rule = everyone["gain"] if shipped is None else shipped["gain"]
    return helps({"gain": {AVERAGE: everyone["gain"][AVERAGE], RULE: over_rule[RULE]}})
