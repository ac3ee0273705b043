"""`python -m train temporal`: a network that reads one person's frames in order, and whether it beats their average.

Training and validation clips of videos.csv, and flickering self-blends of their genuine persons, train a head over a
published network's features (ResNet and LSTM by default). Every person's clips are scored by a head that saw none of
them. It helps if the head gains over the average of the same frames, and if the product's rule for persons (the worst
run of frames), with each frame raised by what the head adds, gains over that rule as it is. `temporal-publish` ships
what helps. Test clips are read only for `--test`, a look that is counted and decides nothing. Patches and features are
kept in the runs folder, and finished folds in the run's: a stopped run goes on with `--resume RUN`.

    runs/temporal-resnet18-lstm-<time>/
      folds/<number>.*         scores of the clips of each fold, and the head that gave them
      best.safetensors         the head, or with --unfreeze the whole network, trained on all clips in the end
      report/temporal.json, report/temporal.md
"""

import copy
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from detector.aggregate import person_score
from detector.calibration import Calibration
from detector.media import sha256_of
from detector.models.temporal import HEADS, ClipNetwork, InOrder
from detector.weights import Manifest, default_folder, load_network, read_manifest
from train.clips import person_folds
from train.data import clip_frames, flicker, self_blend
from train.data.clip_frames import Fit, PersonFrames, crops_of, person_frames, save_arrays
from train.data.datasets.clips import TABLE, Clip, person_of, read_clips
from train.data.flicker import flicker_blend
from train.data.samples import DataError, fingerprint
from train.data.sources import find_data_root, load_samples
from train.experiment import Run, environment, options_record, write_json, write_text
from train.loop import save_weights_file
from train.metrics import auc_interval
from train.progress import Bar, say
from train.recipes.clips import fingerprint_of_networks, reading_code, seed_of_networks
from train.temporal import (
    Fitting,
    Score,
    Strip,
    calibration_of,
    clip_scores,
    compare,
    fit_strips,
    fold_auc,
    helps,
    judge_strips,
    pooled,
    told,
)
from train.temporal_heads import FOLDS

AVERAGE, RULE, MODEL, SHUFFLED = "average of frames", "worst run of frames", "temporal", "temporal, frames shuffled"
SHIPPED = "temporal, worst run of frames"
"""As the product would judge: the rule for persons, on frames raised by what the head adds."""
_FACES_AT_ONCE = 32
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
    """Frames looked at of a clip, evenly spread; 0 = as many as the product looks at."""
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
    """Also score the test clips, once everything is decided: a look that is counted."""
    data_root: Path | None = None
    """Folder with the data that the networks were trained on, and its videos.csv; else $UNMASK_DATA, else data/."""
    weights_dir: Path | None = None
    """Published set; weights/ by default."""
    seed: int = 0
    runs_dir: Path = Path("runs")
    """Where run folders go, and the cache of patches and features."""
    resume: Path | None = None
    """A run folder to go on with, made with the same options."""

    def __post_init__(self) -> None:
        if self.network not in HEADS:
            raise ValueError(f"network is one of {', '.join(HEADS)}")
        if self.frames < 2 or self.folds < 2 or self.epochs < 1 or self.batch_size < 1:
            raise ValueError("frames and folds must be at least 2, epochs and batch_size at least 1")
        if min(self.size_px, self.max_frames, self.blends) < 0:
            raise ValueError("size_px, max_frames and blends cannot be negative")


@dataclass(frozen=True, slots=True)
class _Version:
    """Where the frames of a strip come from: a person of a clip, as it is (`blend` None) or one side of a blend."""

    frames: PersonFrames
    clip_key: str
    number: int
    blend: int | None
    twin: bool


@dataclass(frozen=True, slots=True)
class _Data:
    """Clips in which somebody was followed, their strips, and what is known of both."""

    clips: list[Clip]
    strips: list[Strip]
    versions: dict[str, _Version]
    known: np.ndarray
    left_out: int
    frames_key: str


def run(options: Temporal) -> Path:
    """The run's folder."""
    began = time.monotonic()
    manifest = read_manifest(options.weights_dir or default_folder())
    if options.model not in manifest.models:
        raise ValueError(f"no network {options.model!r} was published; there are: {', '.join(manifest.models)}")
    root = find_data_root(options.data_root)
    every = read_clips(root)
    clips = [c for c in every if c.split != "test"]
    if not clips:
        raise DataError(f"{root.name}/ has no {TABLE} with training and validation clips")
    samples = load_samples(root, seed_of_networks(manifest))
    if fingerprint_of_networks(manifest) not in ("", fingerprint(samples)):
        raise DataError("the published networks were trained on other data or splits than these: publish them anew")
    settings = {
        **{k: v for k, v in options_record(options).items() if k not in ("resume", "test")},
        "backbone": manifest.models[options.model]["sha256"],
        "data": fingerprint(samples),
    }
    record = _open(options, settings)
    say(f"into {record.folder.name}/ (`--resume` goes on with it)")
    data = _read(options, manifest, clips, {person_of(s.group) for s in samples if s.split == "train"})
    network = _build(options, manifest)
    size = _size(options, manifest)
    kept = _Embedded(network, data, size, _features_folder(options, manifest, data.frames_key))
    # what is made trains from kept features, or is made anew at every step
    wanted = [s for s in data.strips if not (options.unfreeze and s.made)]
    kept.load_all(wanted)
    record.log("features", strips=len(wanted), seconds=round(time.monotonic() - began, 1))
    _cross_validate(options, manifest, record, data, kept)
    found = _figures(options, record, data, kept)
    trained = _train(options, manifest, data, kept, data.strips, options.seed)
    save_weights_file(trained.network if options.unfreeze else trained.network.head, record.best)
    record.log("final", loss=round(trained.loss, 5), seconds=round(time.monotonic() - began, 1))
    found["final_loss"] = round(trained.loss, 5)
    if options.test:
        found["test"] = _on_test(options, manifest, record, [c for c in every if c.split == "test"], trained)
    write_json(record.report / "temporal.json", found)
    write_text(record.report / "temporal.md", _text(options, found))
    say((record.report / "temporal.md").read_text())
    return record.folder


def _open(options: Temporal, settings: Mapping[str, Any]) -> Run:
    if options.resume is None:
        record = Run.create(options.runs_dir, f"temporal-{options.model}-{options.network}")
    else:
        record = Run(options.resume)
        before = record.record().get("settings")
        if before is None:
            raise DataError(f"{record.folder.name} is not a run of temporal")
        differing = sorted(k for k in settings.keys() | before.keys() if settings.get(k) != before.get(k))
        if differing:
            raise DataError(
                f"{record.folder.name} was made with other {', '.join(differing)}: give the same, or start a new run"
            )
    record.write_record(recipe="temporal", settings=dict(settings), environment=environment())
    return record


def _size(options: Temporal, manifest: Manifest) -> int:
    return options.size_px or int(manifest.models[options.model]["input_size_px"])


def _build(options: Temporal, manifest: Manifest) -> ClipNetwork:
    """The published backbone and a new head, the same for the same seed."""
    torch.manual_seed(options.seed)
    calibration = Calibration(**manifest.models[options.model]["calibration"])
    network = ClipNetwork(load_network(manifest, options.model), calibration, options.network, _size(options, manifest))
    for parameter in network.network.parameters():
        parameter.requires_grad_(options.unfreeze)
    return network.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))


def _read(options: Temporal, manifest: Manifest, clips: Sequence[Clip], known: set[str]) -> _Data:
    """Follows the persons of all clips, or takes them from the cache, and lists what can train and judge."""
    # video packages, which a machine that only trains may lack
    from detector.pipeline import MAX_FRAMES, video_faces

    frames = options.max_frames or MAX_FRAMES
    fit = Fit(manifest.min_face_px, manifest.min_sharpness)
    frames_key = _frames_key(fit, frames)
    folder = options.runs_dir / "cache" / f"clip-frames-{frames_key}"
    finder = video_faces()
    shown: list[Clip] = []
    strips: list[Strip] = []
    versions: dict[str, _Version] = {}
    with Bar("Clips through the product") as bar:
        for done, clip in enumerate(clips, 1):
            key = sha256_of(clip.path)[:24]
            persons = person_frames(clip.path, finder, fit, frames, folder / f"{key}.npz")
            for number, person in enumerate(persons):
                # only what is known to be genuine can be blended
                for blend in (None, *range(0 if clip.label else options.blends)):
                    for twin in (False,) if blend is None else (True, False):
                        made = "" if blend is None else f"+{'twin' if twin else 'partner'}"
                        name = f"{key}-{number}" + ("" if blend is None else f"{made}{blend}")
                        label = clip.label if blend is None else int(twin)
                        source = clip.source + ("" if blend is None else "+blend")
                        length = len(person.faces)
                        row = Strip(name, label, source, clip.person, len(shown), blend is not None, length)
                        strips.append(row)
                        versions[name] = _Version(person, key, number, blend, twin)
            if persons:
                shown.append(clip)
            bar.at(done, len(clips))
    # the same file may be listed under two names
    strips = list({s.key: s for s in strips}.values())
    kept = sorted({s.clip for s in strips})
    place = {old: new for new, old in enumerate(kept)}
    strips = [Strip(**{**asdict(s), "clip": place[s.clip]}) for s in strips]
    judged = [shown[i] for i in kept]
    known_rows = np.array([c.person in known for c in judged], bool)
    return _Data(judged, strips, versions, known_rows, len(clips) - len(judged), frames_key)


def _frames_key(fit: Fit, frames: int) -> str:
    said = [asdict(fit), frames, clip_frames.PATCH, clip_frames.PATCH_PX, reading_code()]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:10]


def _features_folder(options: Temporal, manifest: Manifest, frames_key: str) -> Path:
    """Where features of this very network, of these frames and blends, are kept."""
    digest = hashlib.sha256(frames_key.encode())
    for module in (flicker, self_blend, clip_frames):
        digest.update(Path(str(module.__file__)).read_bytes())
    record = manifest.models[options.model]
    digest.update(json.dumps([record["sha256"], record["calibration"], _size(options, manifest)]).encode())
    return options.runs_dir / "cache" / f"clip-features-{digest.hexdigest()[:10]}"


class _Embedded:
    """Features and calibrated logits of strips' frames, by the published backbone; kept on disk."""

    def __init__(self, network: ClipNetwork, data: _Data, size_px: int, folder: Path) -> None:
        self._network, self._data, self._size, self._folder = network, data, size_px, folder
        self._device = next(network.parameters()).device
        self._found: dict[str, tuple[Tensor, Tensor]] = {}

    def load_all(self, strips: Sequence[Strip]) -> None:
        """As `load` for each."""
        with Bar("Features of frames") as bar:
            for done, strip in enumerate(strips, 1):
                self.load(strip)
                bar.at(done, len(strips))

    def load(self, strip: Strip) -> None:
        """Takes a strip's features from the disk, or computes and keeps them."""
        path = self._folder / f"{strip.key}.npz"
        if not path.is_file():
            version = self._data.versions[strip.key]
            # both sides of a blend are made at once
            for key, crops in _crops(version, self._size, strip.key).items():
                self._keep(self._folder / f"{key}.npz", crops)
        with np.load(path) as kept:
            self._found[strip.key] = torch.from_numpy(kept["features"]), torch.from_numpy(kept["logits"])

    @torch.inference_mode()
    def _keep(self, path: Path, crops: np.ndarray) -> None:
        parts = [
            self._network.embed(_as_floats(torch.from_numpy(part).to(self._device)))
            for part in np.array_split(crops, -(-len(crops) // _FACES_AT_ONCE))
        ]
        features, logits = (torch.cat([p[i] for p in parts]).float().cpu().numpy() for i in (0, 1))
        save_arrays(path, {"features": features, "logits": logits})

    def logits(self, strip: Strip) -> np.ndarray:
        """Of the frames, (T,) calibrated."""
        return self._found[strip.key][1].double().numpy()

    def rule(self, strip: Strip, reader: InOrder | None = None) -> float:
        """A strip's logit by the product's rule for persons; with a reader, of frames raised by what that adds."""
        logits = self.logits(strip)
        if reader is not None:
            logits = logits + reader.added(self._found[strip.key][0].numpy())
        return person_score(logits, np.random.default_rng(0)).logit

    def score(self, network: ClipNetwork) -> Score:
        """How a head over these features scores windows."""

        def score(strips: Sequence[Strip], rows: Sequence[np.ndarray]) -> Tensor:
            picked = [[part[row] for part in self._found[s.key]] for s, row in zip(strips, rows, strict=True)]
            features, logits = (
                nn.utils.rnn.pad_sequence([p[i] for p in picked], batch_first=True).to(self._device) for i in (0, 1)
            )
            lengths = torch.tensor([len(row) for row in rows], device=self._device)
            found: Tensor = network.head(features, logits, lengths)
            return found

        return score


def _whole_score(network: ClipNetwork, data: _Data, size_px: int) -> Score:
    """How a whole network scores windows, from their crops."""
    device = next(network.parameters()).device

    def score(strips: Sequence[Strip], rows: Sequence[np.ndarray]) -> Tensor:
        made = {s.key: _crops(data.versions[s.key], size_px, s.key)[s.key] for s in strips}
        picked = [torch.from_numpy(made[s.key][row]) for s, row in zip(strips, rows, strict=True)]
        clips = nn.utils.rnn.pad_sequence(picked, batch_first=True).to(device)
        lengths = torch.tensor([len(row) for row in rows], device=device)
        found: Tensor = network(_as_floats(clips), lengths)
        return found

    return score


def _as_floats(crops: Tensor) -> Tensor:
    """(..., S, S, 3) uint8 to (..., 3, S, S) float32 in [0, 1]."""
    return crops.movedim(-1, -3).float() / 255


def _crops(version: _Version, size_px: int, key: str) -> dict[str, np.ndarray]:
    """Name of a strip -> its crops (T, S, S, 3) uint8; of a blend, both its sides."""
    person = version.frames
    if version.blend is None:
        return {key: person.crops(size_px)}
    rng = np.random.default_rng([int(version.clip_key, 16), version.number, version.blend])
    sides = flicker_blend(person.pictures(), person.faces, rng)
    stem = f"{version.clip_key}-{version.number}"
    return {
        f"{stem}+{side}{version.blend}": crops_of(pictures, person.faces, size_px)
        for side, pictures in zip(("twin", "partner"), sides, strict=True)
    }


@dataclass(frozen=True, slots=True)
class _Trained:
    network: ClipNetwork
    score: Score
    loss: float


def _train(
    options: Temporal, manifest: Manifest, data: _Data, kept: _Embedded, strips: Sequence[Strip], seed: int
) -> _Trained:
    """A new network fitted to these strips."""
    network = _build(options, manifest)
    score = _whole_score(network, data, _size(options, manifest)) if options.unfreeze else kept.score(network)
    fitting = Fitting(options.frames, options.epochs, options.batch_size, options.lr, options.weight_decay, seed)
    network.train()
    loss = fit_strips(network.parameters(), score, _labelled(strips, kept), fitting)
    network.eval()
    return _Trained(network, score, loss)


def _labelled(strips: Sequence[Strip], kept: _Embedded) -> list[Strip]:
    """Strips whose label is known: of a manipulated clip the most suspicious person, since no label says who."""
    best: dict[int, Strip] = {}
    for s in strips:
        if s.label and not s.made:
            before = best.get(s.clip)
            if before is None or kept.logits(s).mean() > kept.logits(before).mean():
                best[s.clip] = s
    return [s for s in strips if not s.label or s.made or best[s.clip] is s]


def _reader(trained: "_Trained", options: Temporal) -> InOrder:
    """The head as the product runs it, on the CPU."""
    return InOrder(copy.deepcopy(trained.network.head).cpu(), options.frames)


def _on_test(
    options: Temporal, manifest: Manifest, record: Run, clips: Sequence[Clip], trained: _Trained
) -> dict[str, Any]:
    """What the final network makes of the test clips, slice by slice, beside the average of the same frames."""
    if not clips:
        raise DataError(f"{TABLE} has no test clips")
    looks = int(record.record().get("test_looks", 0)) + 1
    record.write_record(test_looks=looks)
    say(f"look number {looks} of this run at the test clips")
    data = _read(replace(options, blends=0), manifest, clips, set())
    kept = _Embedded(
        _build(options, manifest), data, _size(options, manifest), _features_folder(options, manifest, data.frames_key)
    )
    kept.load_all(data.strips)
    score = (
        _whole_score(trained.network, data, _size(options, manifest))
        if options.unfreeze
        else kept.score(trained.network)
    )
    values = {
        MODEL: judge_strips(score, data.strips, options.frames),
        AVERAGE: np.array([kept.logits(s).mean() for s in data.strips]),
        RULE: np.array([kept.rule(s) for s in data.strips]),
    }
    if not options.unfreeze:
        reader = _reader(trained, options)
        values[SHIPPED] = np.array([kept.rule(s, reader) for s in data.strips])
    scores = {name: clip_scores(data.strips, found) for name, found in values.items()}
    rows: dict[str, Any] = {}
    for source in (*sorted({c.source for c in data.clips}), _EVERY_SLICE):
        picked = [i for i, c in enumerate(data.clips) if source in (c.source, _EVERY_SLICE)]
        labels = np.array([data.clips[i].label for i in picked])
        rows[source] = {"genuine": int((labels == 0).sum()), "manipulated": int((labels == 1).sum())}
        if len(np.unique(labels)) == 2:
            persons = [data.clips[i].person for i in picked]
            rows[source]["auc"] = {
                name: auc_interval(
                    labels, np.array([found[i] for i in picked]), persons, np.random.default_rng(0)
                ).to_dict()
                for name, found in scores.items()
            }
    return {"looks": looks, "without_a_person": data.left_out, "slices": rows}


def _fold_file(record: Run, number: int) -> Path:
    return record.folder / FOLDS / f"{number}.json"


def _cross_validate(options: Temporal, manifest: Manifest, record: Run, data: _Data, kept: _Embedded) -> None:
    """Scores each fold's clips by a network that saw none of its persons; finished folds are left as they are."""
    (record.folder / FOLDS).mkdir(exist_ok=True)
    for number, (inside, outside) in enumerate(_folds(options, data), 1):
        if _fold_file(record, number).is_file():
            continue
        began = time.monotonic()
        train, judge = set(inside.tolist()), set(outside.tolist())
        trained = _train(
            options, manifest, data, kept, [s for s in data.strips if s.clip in train], options.seed + number
        )
        strips = [s for s in data.strips if s.clip in judge and not s.made]
        scores = clip_scores(strips, judge_strips(trained.score, strips, options.frames))
        rng = np.random.default_rng([options.seed, number])
        shuffled = clip_scores(
            strips,
            np.mean([judge_strips(trained.score, strips, options.frames, rng) for _ in range(_SHUFFLES)], axis=0),
        )
        row = {
            "clips": [data.clips[i].name for i in sorted(judge)],
            MODEL: [round(scores[i], 5) for i in sorted(judge)],
            SHUFFLED: [round(shuffled[i], 5) for i in sorted(judge)],
        }
        if not options.unfreeze:
            reader = _reader(trained, options)
            shipped = clip_scores(strips, np.array([kept.rule(s, reader) for s in strips]))
            row[SHIPPED] = [round(shipped[i], 5) for i in sorted(judge)]
            # for the calibration of videos, if the head ships
            save_weights_file(trained.network.head, _fold_file(record, number).with_suffix(".safetensors"))
        write_json(_fold_file(record, number), row)
        seconds = round(time.monotonic() - began, 1)
        record.log("fold", fold=number, clips=len(judge), loss=round(trained.loss, 5), seconds=seconds)
        say(f"fold {number} of {options.folds}: {len(judge)} clips scored, {seconds:.0f} s")


def _folds(options: Temporal, data: _Data) -> list[tuple[np.ndarray, np.ndarray]]:
    fewest = min(len({c.person for c in data.clips if c.label == label}) for label in (0, 1))
    if fewest < options.folds:
        raise DataError(f"{fewest} persons of one class cannot be divided into {options.folds} folds")
    return person_folds(data.clips, options.folds)


def _figures(options: Temporal, record: Run, data: _Data, kept: _Embedded) -> dict[str, Any]:
    """What the folds showed, of persons that took no part in what scored them."""
    own = [s for s in data.strips if not s.made]
    logits = [kept.logits(s) for s in own]
    average = clip_scores(own, np.array([row.mean() for row in logits]))
    rule = clip_scores(own, np.array([kept.rule(s) for s in own]))
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
        row = json.loads(_fold_file(record, number).read_text())
        rows = sorted(outside.tolist())
        for name in shown:
            scores[name][rows] = row[name]
        judged = [data.clips[i] for i in rows]
        by_fold.append(
            {
                "fold": number,
                "clips": len(rows),
                "persons": sorted({c.person for c in judged}),
                "auc": {name: fold_auc(judged, found[rows]) for name, found in scores.items()},
            }
        )
    everyone = compare(data.clips, scores, MODEL, (AVERAGE, RULE, SHUFFLED), options.seed)
    across = compare(pooled(data.clips), scores, MODEL, (AVERAGE, RULE, SHUFFLED), options.seed)
    shipped = None if options.unfreeze else compare(data.clips, scores, SHIPPED, (RULE,), options.seed)
    new = np.flatnonzero(~data.known)
    strangers = compare(
        [data.clips[i] for i in new],
        {name: found[new] for name, found in scores.items()},
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
            "made": sum(s.made for s in data.strips),
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


def _text(options: Temporal, found: Mapping[str, Any]) -> str:
    clips, everyone, strangers, across = (found[k] for k in ("clips", "everyone", "strangers", "across_slices"))
    lines = [
        f"# {options.model} with a temporal head ({options.network})",
        "",
        f"{clips['used']} training and validation clips of {clips['persons']} persons, {clips['manipulated']} of them "
        f"manipulated ({clips['without_a_person']} more without a person that could be judged), and {clips['made']} "
        f"made strips of frames for training. {options.folds} folds that share no person; test clips were not read.",
        f"Persons of {clips['in_training_pictures']} of the clips are in pictures that trained the backbone: it knows "
        f"them, so that the average of frames does better here than on strangers, and a gain is harder to show.",
        "",
        "| fold | clips | persons | " + " | ".join((MODEL, AVERAGE, RULE, SHUFFLED)) + " |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in found["folds"]:
        cells = ["" if v is None else f"{v:.3f}" for v in (row["auc"][n] for n in (MODEL, AVERAGE, RULE, SHUFFLED))]
        lines.append(f"| {row['fold']} | {row['clips']} | {len(row['persons'])} | {' | '.join(cells)} |")
    lines += ["", "AUC of a fold is over all its clips; what follows is the mean over slices with both classes.", ""]
    if everyone is None:
        lines.append("No slice has persons enough of both classes: no gain can be shown.")
    else:
        lines += ["| held-out clips | AUC (95 % interval) | " + " | ".join(everyone["slices"][MODEL]) + " |"]
        lines += ["|---|---|" + "---|" * len(everyone["slices"][MODEL])]
        for name, interval in everyone["auc"].items():
            of_slices = " | ".join(f"{v:.3f}" for v in everyone["slices"][name].values())
            lines.append(f"| {name} | {told(interval)} | {of_slices} |")
        lines += ["", *(f"Gain over {name}: {told(gain)}." for name, gain in everyone["gain"].items())]
        if found["shipped"] is not None:
            lines.append(f"Gain of {SHIPPED} over {RULE}: {told(found['shipped']['gain'][RULE])}.")
    if across is not None:
        lines.append(
            f"Across slices, which decides nothing since a head may know the slices: AUC {told(across['auc'][MODEL])}, "
            f"average of frames {told(across['auc'][AVERAGE])}, gain {told(across['gain'][AVERAGE])}."
        )
    if strangers is None:
        lines.append("Persons in no training picture are too few in every slice to be compared by themselves.")
    else:
        lines += [
            f"Of persons in no training picture, gain over {name}: {told(gain)}."
            for name, gain in strangers["gain"].items()
        ]
    calibration = found["calibration"]
    if calibration["scale"] is None:
        lines.append("No calibration: scores do not rise with manipulation.")
    else:
        lines.append(
            f"Calibrated on held-out scores: scale {calibration['scale']:.3f}, offset {calibration['offset']:.3f}; "
            f"Brier score {calibration['brier']:.3f} and calibration error {calibration['ece']:.3f} of persons that "
            f"took no part in it."
        )
    lines += ["", f"**{_verdict(found['helps'], options.unfreeze)}**", ""]
    if "test" in found:
        names = (AVERAGE, MODEL, RULE) if options.unfreeze else (AVERAGE, MODEL, RULE, SHIPPED)
        lines += [f"Test clips, look number {found['test']['looks']} (AUC of clips, 95 % interval over persons):", ""]
        lines += ["| slice | genuine | manipulated | " + " | ".join(names) + " |", "|---" * (3 + len(names)) + "|"]
        for source, row in found["test"]["slices"].items():
            cells = [told(row["auc"][name]) if "auc" in row else "one class only" for name in names]
            lines.append(f"| {source} | {row['genuine']} | {row['manipulated']} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def _verdict(better: bool, unfrozen: bool) -> str:
    if not better:
        return (
            "It is not shipped: the paired interval of the gain over the average of frames or over the product's rule "
            "reaches zero or below."
        )
    said = (
        "It helps: both paired intervals of the gain, over the average of frames and over the product's rule, lie "
        "above zero. "
    )
    if unfrozen:
        return said + "Its backbone is no longer the published network, so that it cannot be added to that."
    return said + "`python -m train temporal-publish RUN` ships it."
