"""`python -m train publish RUN...`: trained networks and their ensembles to `weights/`, if better on validation."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro
from safetensors.torch import load_file

from detector.calibration import Calibration, edges, thresholds
from detector.engine import Engine
from detector.ensemble import VOTES, golden_logits_of_members
from detector.errors import WeightsError
from detector.models.registry import build, spec_of
from detector.weights import (
    LEADERBOARD,
    MANIFEST,
    MANIFEST_VERSION,
    Manifest,
    default_folder,
    golden_crops,
    load_ensemble,
    read_manifest,
    save_network,
    save_parts,
    save_stacker,
    write_manifest,
)
from train.console import say
from train.data.datasets.clips import read_clips
from train.data.faces import FaceData, load_faces
from train.data.sources import find_data_root
from train.errors import DataError
from train.learn.start import find_pretrained, load_start, weights_name
from train.measure import scoring
from train.measure.calibrate import alarms_by_source, fit_calibration, fit_curve
from train.measure.ensembles import Fitted, choose_default, fit_ensembles
from train.measure.limits import measure_limits
from train.measure.selection import selection_figures
from train.measure.slices import false_alarms, false_alarms_by_faces
from train.recipes.clips import SECTION, clip_sections, with_sections
from train.run import Run, command_line
from train.store.cards import write_cards
from train.store.kept_scores import TEST_SCORES, KeptScores
from train.store.leaderboard import (
    KEPT,
    TEST,
    board,
    choice_logits,
    fresh_sources,
    member_logits,
    scores_on_test,
    write_board,
)
from train.store.staging import files_of, install, staging_in

MEMBERS = "members.json"
_NO_CURVE = {"rates": [0.5, 0.1], "logits": [0.0, 1.0]}
_MEASURED = ("metrics", "false_alarms", "false_alarms_by_faces", SECTION)
"""What is measured anew of a network that was published before."""
_CHECKED = 64
"""Validation faces on which a run's own logits must be those of the weights that ship."""
_ROUNDING = 0.05
"""How far weights rounded to float16 may move a logit, in the mean over those faces."""


@dataclass(frozen=True)
class Publish:
    """Calibrate finished runs and their ensembles, compare them with what is published, and publish if better."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Run folders of `cnn`, one folder of the reference run, or names of published networks that are to stay."""
    force: bool = False
    """Publish even if the set is not better on validation."""
    data_root: Path | None = None
    """Folder with the data that the runs were trained on; else $UNMASK_DATA, else data/."""
    weights_dir: Path | None = None
    """Where to publish; weights/ by default."""
    pretrained: Path | None = None
    """Folder of the backbones under runs of `head`; else $UNMASK_PRETRAINED, else pretrained/ beside the data."""
    runs_dir: Path = Path("runs")
    """Where the cache of found faces is, and test logits until they are published."""
    workers: int = 2
    """Processes that prepare pictures."""


def run(options: Publish) -> bool:
    """True if the set was published."""
    target = options.weights_dir or default_folder()
    members = [member for folder in options.runs for member in _members(folder, target)]
    if not members:
        raise DataError("name at least one run folder, or a published network")
    target.mkdir(parents=True, exist_ok=True)
    data = load_faces(options.data_root, options.runs_dir, members[0].seed, options.workers)
    for member in members:
        if member.data != data.fingerprint:
            raise DataError(f"{member.title} was trained on other data or splits than these: train it again")
    with staging_in(target) as folder:
        pretrained = find_pretrained(options.pretrained, find_data_root(options.data_root))
        built = _stage(folder, members, data, options.workers, pretrained)
        new = selection_figures(data.val, built.calibrated[built.default], data.unseen)
        old = _published_figures(target, data, options.workers, built.raw)
        _show(old, new)
        say(f"Default: {built.default}: {built.reason}.")
        if old is not None and new["score"] <= old["score"] and not options.force:
            say("The published set stays: the new one is not better on validation (--force publishes all the same).")
            return False
        manifest = _measured(built, data, options, _looks(target), new)
        manifest = _with_clips(built.folder, manifest, data, options)
        install(built.folder, target, manifest)
    write_cards(read_manifest(target))
    say(f"Published {manifest['default']} of {', '.join(manifest['models'])} into {target.name}/.")
    return True


@dataclass(frozen=True, slots=True)
class _Member:
    """A network to publish: a finished run, or one that is published already."""

    title: str
    architecture: str
    seed: int
    data: str
    """Fingerprint of the data it was trained on."""
    folder: Path
    """Of the run, or of the published set."""
    record: dict[str, Any]
    """The run's, or the manifest's."""
    published: bool


@dataclass
class _Built:
    """A calibrated set in a folder of its own, not yet measured on test."""

    folder: Path
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    ensembles: dict[str, dict[str, Any]] = field(default_factory=dict)
    default: str = ""
    reason: str = ""
    comparisons: list[dict[str, Any]] = field(default_factory=list)
    calibrated: dict[str, np.ndarray] = field(default_factory=dict)
    """Validation logits of every choice; cross-validated where something was fitted."""
    raw: dict[str, np.ndarray] = field(default_factory=dict)
    """SHA-256 of a network's weights -> its validation logits before calibration."""

    def manifest(self, **more: Any) -> Manifest:
        return Manifest(
            self.folder, {**more, "models": self.models, "ensembles": self.ensembles, "default": self.default}
        )

    def engines(self, name: str) -> list[Engine]:
        return [Engine(self.manifest(), member) for member in self.manifest().entry(name).members]


def _members(folder: Path, target: Path) -> list[_Member]:
    """A run's folder, those that a reference run lists, or a network that is published."""
    listed = folder / MEMBERS
    if listed.is_file():
        return [m for name in json.loads(listed.read_text()) for m in _members(folder.parent / name, target)]
    if (folder / "best.safetensors").is_file():
        record = Run(folder).record()
        if record.get("recipe") == "temporal":
            raise DataError(f"{folder.name} is a run of `temporal`: the product judges frames one by one")
        if "train_hours" not in record:
            raise DataError(f"{folder.name} is not a finished run: go on with it by --resume")
        options = record["options"]
        return [_Member(folder.name, options["model"], int(options["seed"]), record["data"], folder, record, False)]
    name = str(folder)
    published = read_manifest(target) if (target / MANIFEST).is_file() else None
    if published is None or name not in published.models:
        known = f", and no published network ({', '.join(published.models)})" if published else ""
        raise DataError(f"{folder.name} is not a finished run: it has no best.safetensors{known}")
    found = dict(published.models[name])
    seed, fingerprint = int(found["training"]["seed"]), published.data["data"]["fingerprint"]
    return [_Member(f"published {name}", found["architecture"], seed, fingerprint, target, found, True)]


def _stage(staging: Path, members: Sequence[_Member], data: FaceData, workers: int, pretrained: Path | None) -> _Built:
    built = _Built(staging)
    for member in members:
        name = member.architecture
        if name in built.models:
            raise DataError(f"two networks {name}: a set holds each network once")
        built.models[name] = _kept(staging, member) if member.published else _converted(staging, member, pretrained)
        built.default = name
        record = built.models[name]
        # provisional: the shipped, rounded weights are what is calibrated
        record |= {"calibration": {"scale": 1.0, "offset": 0.0}, "curve": _NO_CURVE}
        engine = Engine(built.manifest(), name)
        raw = _validation_logits(member, engine, data, workers)
        built.raw[record["sha256"]] = raw
        calibration = _rounded(fit_calibration(data.val, raw))
        built.calibrated[name] = calibration(raw)
        record |= {
            "calibration": {"scale": calibration.scale, "offset": calibration.offset},
            **_curve(data, built.calibrated[name]),
            "golden_logits": [round(float(v), 4) for v in golden_logits(engine)],
        }
    if len(built.models) > 1:
        _combine(built, data)
    built.default, built.reason, built.comparisons = choose_default(
        data.val, built.calibrated, list(built.ensembles), data.unseen, np.random.default_rng(0)
    )
    return built


def _combine(built: _Built, data: FaceData) -> None:
    """Adds every ensemble of the networks that are built."""
    names = list(built.models)
    logits = np.stack([built.calibrated[n] for n in names], axis=1)
    manifest = built.manifest()
    votes = [round(edges(manifest.entry(n).curve)["strong"], 6) for n in names]
    for kind, fitted in fit_ensembles(data.val, logits, votes, data.unseen).items():
        built.calibrated[kind] = fitted.calibrated
        built.ensembles[kind] = {
            "kind": kind,
            "members": names,
            **_fitted_record(built.folder, kind, fitted),
            **_curve(data, fitted.calibrated),
        }


def _fitted_record(staging: Path, kind: str, fitted: Fitted) -> dict[str, Any]:
    ensemble = fitted.ensemble
    found: dict[str, Any] = {"settings": fitted.settings}
    if ensemble.kind in VOTES:
        found["edges"] = list(ensemble.edges)
    if ensemble.weights:
        found["weights"] = list(ensemble.weights)
    if ensemble.stacker is not None:
        file = f"{kind}.safetensors"
        digest, size = save_stacker(ensemble.stacker, staging / file)
        found |= {"file": file, "sha256": digest, "bytes": size}
    golden = ensemble(golden_logits_of_members(ensemble.members))
    return {
        **found,
        "calibration": {"scale": ensemble.calibration.scale, "offset": ensemble.calibration.offset},
        "golden_scores": [round(float(v), 4) for v in golden],
    }


def _converted(staging: Path, member: _Member, pretrained: Path | None) -> dict[str, Any]:
    """A run's network in the form that ships, and its entry."""
    network = build(member.architecture)
    spec = spec_of(member.architecture)
    trained = load_file(member.folder / "best.safetensors")
    if spec.frozen is None:
        network.load_state_dict(trained, strict=True)
        file = f"{member.architecture}.safetensors"
        digest, size = save_network(network, staging / file)
        files: dict[str, Any] = {"file": file, "sha256": digest, "bytes": size}
    else:
        start = member.record["features"]["weights"]
        if weights_name(member.architecture, pretrained, start) != start:
            raise DataError(f"{member.title} was trained on another backbone than the one in --pretrained")
        load_start(network, "online" if start == "online" else "file", pretrained)
        network.load_state_dict({**network.state_dict(), **trained}, strict=True)
        files = save_parts(network, staging, spec.frozen)
    return {
        "architecture": member.architecture,
        **files,
        "parameters": sum(p.numel() for p in network.parameters()),
        "input_size_px": member.record["options"]["size_px"],
        "paper": spec.paper,
        "licence_of_code": spec.licence,
        "training": _training(member.folder, member.record),
    }


def _kept(staging: Path, member: _Member) -> dict[str, Any]:
    """A published network as it is, and what its entry says apart from measurements."""
    record = {k: v for k, v in member.record.items() if k not in _MEASURED}
    for file in files_of(record):
        try:
            shutil.copyfile(member.folder / file, staging / file)
        except OSError as error:
            raise WeightsError(f"weights/{file} is missing: fetch the whole repository.") from error
    return record


def _validation_logits(member: _Member, engine: Engine, data: FaceData, workers: int) -> np.ndarray:
    """Raw validation logits (N,) of the weights that ship.

    A run has written its own. They are taken if they cover these faces and if, on some of them, the rounded weights
    say the same; else all faces are scored.
    """
    path = member.folder / "val_logits.npz"
    if not member.published and path.is_file():
        with np.load(path, allow_pickle=False) as stored:
            known = dict(zip(stored["names"].tolist(), stored["logits"].tolist(), strict=True))
        if all(s.name in known for s in data.val):
            found = np.array([known[s.name] for s in data.val])
            rows = np.unique(np.linspace(0, len(data.val) - 1, min(_CHECKED, len(data.val))).astype(int))
            some = [data.val[i] for i in rows]
            again = scoring.score(engine, some, data.faces, workers, f"a part of validation, {engine.name}")
            if np.abs(again - found[rows]).mean() <= _ROUNDING:
                return found
            say(f"{member.title}: the logits it wrote are not those of its weights; scoring validation anew")
    return scoring.score(engine, data.val, data.faces, workers, f"validation, {engine.name}")


def _rounded(calibration: Calibration) -> Calibration:
    """As the manifest holds it, so that what is measured is what ships."""
    return Calibration(round(calibration.scale, 6), round(calibration.offset, 6))


def golden_logits(engine: Engine) -> np.ndarray:
    """Raw logits of the made pictures, which prove later that a network loads right."""
    with torch.inference_mode():
        return engine.network(golden_crops(engine.size_px)).numpy()  # type: ignore[no-any-return]


def _curve(data: FaceData, calibrated: np.ndarray) -> dict[str, Any]:
    curve = fit_curve(data.val, calibrated, data.unseen)
    genuine = [s for s in data.val if s.label == 0 and s.source in data.unseen]
    return {
        "curve": {
            "rates": list(curve.rates),
            "logits": list(curve.logits),
            "faces": len(genuine),
            "sources": sorted({s.source for s in genuine}),
        },
        "thresholds": thresholds(curve).to_dict(),
        "alarms_by_source": alarms_by_source(data.val, calibrated, data.unseen),
    }


def _published_figures(
    target: Path, data: FaceData, workers: int, known: dict[str, np.ndarray]
) -> dict[str, float] | None:
    """What the published default reaches on the same validation faces; None if there is nothing published.

    One that was fitted on these very faces (stacking, weighted votes) is judged too well here: a new set has to beat it
    all the same.

    Args:
        known: SHA-256 of weights -> raw validation logits that need not be computed again.
    """
    if not (target / MANIFEST).is_file():
        return None
    try:
        manifest = read_manifest(target)
        members = {}
        for name in manifest.entry("default").members:
            record = manifest.models[name]
            if record["sha256"] in known:
                members[name] = Calibration(**record["calibration"])(known[record["sha256"]])
            else:
                members[name] = scoring.score(
                    Engine(manifest, name), data.val, data.faces, workers, f"published {name}"
                )
        logits = choice_logits(manifest, members, manifest.default)
    except WeightsError as error:
        raise DataError(f"what is published cannot be compared: {error} (remove it, or restore it from git)") from error
    return selection_figures(data.val, logits, data.unseen)


def _show(old: dict[str, float] | None, new: dict[str, float]) -> None:
    say(f"{'validation':28} {'published':>10} {'new':>10}")
    for key, value in new.items():
        before = f"{old[key]:10.3f}" if old and key in old else f"{'-':>10}"
        say(f"{key:28} {before} {value:10.3f}")


def _looks(target: Path) -> int:
    """How often test slices were scored for sets that were published here before."""
    return int(read_manifest(target).data.get("test_scored", 0)) if (target / MANIFEST).is_file() else 0


def _measured(
    built: _Built, data: FaceData, options: Publish, looks: int, validation: dict[str, float]
) -> dict[str, Any]:
    """The manifest, with limits from validation and figures from the one look at test; writes the leaderboard."""
    date = datetime.now(UTC).date().isoformat()
    manifest = built.manifest(date=date)
    edge = edges(manifest.entry(built.default).curve)["strong"]
    say("Measuring how small and how blurred a face may be")
    ensemble = load_ensemble(manifest, built.default)
    limits = measure_limits(data.val, data.faces, built.engines(built.default), ensemble, edge)
    if data.test:
        shipped = (options.weights_dir or default_folder()) / TEST_SCORES
        scores, looked = scores_on_test(manifest, data, options.runs_dir, shipped, options.workers)
        looks += looked
        scores.save(built.folder / TEST_SCORES)
        found = board(manifest, data, scores)
        write_board({**found, "test_scored": looks}, built.folder / LEADERBOARD)
        _add_figures(built, manifest, data, scores, found)
    return {
        "manifest_version": MANIFEST_VERSION,
        "date": date,
        "default": built.default,
        "default_reason": built.reason,
        "default_comparisons": built.comparisons,
        "test_scored": looks,
        "validation": {k: round(v, 4) for k, v in validation.items()},
        "validation_scores": {
            n: round(selection_figures(data.val, c, data.unseen)["score"], 4) for n, c in built.calibrated.items()
        },
        "limits": limits,
        "data": {
            "fingerprint": data.fingerprint,
            "without_face": data.without_face,
            "terms": "Research use; FFHQ: CC BY-NC-SA 4.0; FaceForensics++, DeepfakeTIMIT, LFW: research use",
        },
        "models": built.models,
        "ensembles": built.ensembles,
    }


def _with_clips(staging: Path, manifest: dict[str, Any], data: FaceData, options: Publish) -> dict[str, Any]:
    """The manifest with what training and validation clips showed; as it is where there are none or too few."""
    clips = read_clips(find_data_root(options.data_root))
    if not clips:
        return manifest
    write_manifest(staging, manifest)
    try:
        sections = clip_sections(read_manifest(staging), clips, {s.group for s in data.train}, options.runs_dir)
    except DataError as error:
        say(f"Videos stay uncalibrated: {error}.")
        return manifest
    return with_sections(manifest, sections)


def _add_figures(built: _Built, manifest: Manifest, data: FaceData, scores: KeptScores, found: dict[str, Any]) -> None:
    """What the manifest keeps of the test slices, for cards, README and app."""
    fresh = fresh_sources(data)
    members = member_logits(manifest, scores, TEST)
    for name, choice in found["choices"].items():
        curve = manifest.entry(name).curve
        logits = choice_logits(manifest, members, name)
        record = built.ensembles.get(name) or built.models[name]
        record["metrics"] = {
            "slices": {t: {k: row[k] for k in KEPT if k in row} for t, row in choice["slices"].items()},
            "pooled": {k: choice["pooled"][k] for k in ("n", "ece", "brier")},
        }
        record["false_alarms"] = false_alarms(data.test, logits, curve, fresh)
        record["false_alarms_by_faces"] = false_alarms_by_faces(data.test, logits, curve, fresh)


def _training(folder: Path, record: dict[str, Any]) -> dict[str, Any]:
    epochs = Run(folder).events("epoch")
    return {
        "run": folder.name,
        "command": command_line(record["recipe"], record["options"]),
        "seed": record["options"]["seed"],
        "start": record["start"],
        "images_seen": record["images_planned"] * len(epochs) // record["options"]["epochs"],
        "hours": record["train_hours"],
        "environment": record["environment"],
        "sources": record["sources"],
        "unseen_val_sources": record["unseen_val_sources"],
        "epochs": [{k: round(float(row[k]), 4) for k in ("epoch", "loss", "accuracy", "score")} for row in epochs],
    }
