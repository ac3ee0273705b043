"""`python -m train publish RUN`: trained networks to `weights/`, if the set beats the published one on validation."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro
from safetensors.torch import load_file

from detector.calibration import average_logit, edges, thresholds
from detector.engine import Engine
from detector.errors import WeightsError
from detector.models.registry import build, spec_of
from detector.types import Face
from detector.weights import (
    MANIFEST,
    MANIFEST_VERSION,
    Entry,
    Manifest,
    default_folder,
    golden_crops,
    read_manifest,
    save_network,
    write_manifest,
)
from train.calibrate import fit_calibration, fit_curve
from train.cards import write_cards
from train.data.batches import eval_crops
from train.data.samples import DataError, Sample, unseen_sources
from train.evaluate import false_alarms, false_alarms_by_faces, slice_figures
from train.experiment import Run
from train.limits import measure_limits
from train.progress import Bar, say
from train.recipes.cnn import FaceData, load_faces
from train.selection import selection_figures

AVERAGE = "average"
MEMBERS = "members.json"
EXTRA_PACK = "faces-extra"
"""The pack of many small slices, which are also reported pooled."""
_CHUNK = 256
_NO_CURVE = {"rates": [0.5, 0.1], "logits": [0.0, 1.0]}


@dataclass(frozen=True)
class Publish:
    """Calibrate finished runs, compare them with what is published, and publish if better."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Run folders of `cnn`, or one folder of the reference run."""
    force: bool = False
    """Publish even if the set is not better on validation."""
    data_root: Path | None = None
    """Folder with the data that the runs were trained on; else $UNMASK_DATA, else data/."""
    weights_dir: Path | None = None
    """Where to publish; weights/ by default."""
    runs_dir: Path = Path("runs")
    """Where the cache of found faces is."""
    workers: int = 2
    """Processes that prepare pictures."""


def run(options: Publish) -> bool:
    """True if the set was published."""
    folders = [member for folder in options.runs for member in _members(folder)]
    if not folders:
        raise DataError("name at least one run folder")
    records = [Run(folder).record() for folder in folders]
    target = options.weights_dir or default_folder()
    target.mkdir(parents=True, exist_ok=True)
    data = load_faces(options.data_root, options.runs_dir, int(records[0]["options"]["seed"]), options.workers)
    for folder, record in zip(folders, records, strict=True):
        if record["data"] != data.fingerprint:
            raise DataError(f"{folder.name} was trained on other data or splits than these: train it again")
    with tempfile.TemporaryDirectory(dir=target, prefix=".publishing-") as name:
        staging = Path(name)
        built = _stage(staging, folders, records, data, options.workers)
        new = selection_figures(data.val, built.calibrated[built.default], data.unseen)
        old = _published_figures(target, data, options.workers)
        _show(old, new)
        if old is not None and new["score"] <= old["score"] and not options.force:
            say("The published set stays: the new one is not better on validation (--force publishes all the same).")
            return False
        manifest = _measured(built, data, options.workers, _looks(target), new)
        _install(staging, target, manifest)
    write_cards(read_manifest(target))
    say(f"Published {manifest['default']} of {', '.join(manifest['models'])} into {target.name}/.")
    return True


@dataclass
class _Built:
    """A calibrated set in a folder of its own, not yet measured on test."""

    folder: Path
    models: dict[str, dict[str, Any]]
    ensembles: dict[str, dict[str, Any]]
    default: str
    calibrated: dict[str, np.ndarray]
    """Validation logits of every choice."""

    def manifest(self) -> Manifest:
        return Manifest(self.folder, {"models": self.models, "ensembles": self.ensembles, "default": self.default})

    def engines(self, name: str) -> list[Engine]:
        return [Engine(self.manifest(), member) for member in self.manifest().entry(name).members]


def _members(folder: Path) -> list[Path]:
    """A run's folder, or those that a reference run lists."""
    listed = folder / MEMBERS
    if listed.is_file():
        return [folder.parent / name for name in json.loads(listed.read_text())]
    if not (folder / "best.safetensors").is_file():
        raise DataError(f"{folder.name} is not a finished run: it has no best.safetensors")
    return [folder]


def _stage(
    staging: Path, folders: Sequence[Path], records: Sequence[dict[str, Any]], data: FaceData, workers: int
) -> _Built:
    models: dict[str, dict[str, Any]] = {}
    calibrated: dict[str, np.ndarray] = {}
    for folder, record in zip(folders, records, strict=True):
        architecture = record["options"]["model"]
        if architecture in models:
            raise DataError(f"two runs of {architecture}: a set holds each network once")
        network = build(architecture)
        network.load_state_dict(load_file(folder / "best.safetensors"), strict=True)
        file = f"{architecture}.safetensors"
        digest, size = save_network(network, staging / file)
        spec = spec_of(architecture)
        models[architecture] = {
            "architecture": architecture,
            "file": file,
            "sha256": digest,
            "bytes": size,
            "parameters": sum(p.numel() for p in network.parameters()),
            "input_size_px": record["options"]["size_px"],
            # provisional: the shipped, rounded weights are what is calibrated
            "calibration": {"scale": 1.0, "offset": 0.0},
            "curve": _NO_CURVE,
            "paper": spec.paper,
            "licence_of_code": spec.licence,
            "training": _training(folder, record),
        }
        engine = Engine(Manifest(staging, {"models": models, "ensembles": {}, "default": architecture}), architecture)
        raw = score(engine, data.val, data.faces, workers, f"validation, {architecture}")
        calibration = fit_calibration(data.val, raw)
        calibrated[architecture] = calibration(raw)
        models[architecture] |= {
            "calibration": {"scale": round(calibration.scale, 6), "offset": round(calibration.offset, 6)},
            **_curve(data, calibrated[architecture]),
            "golden_logits": [round(float(v), 4) for v in golden_logits(engine)],
        }
    ensembles: dict[str, dict[str, Any]] = {}
    default = next(iter(models))
    if len(models) > 1:
        mean = average_logit(np.stack([calibrated[m] for m in models], axis=1))
        calibration = fit_calibration(data.val, mean)
        calibrated[AVERAGE] = calibration(mean)
        ensembles[AVERAGE] = {
            "members": list(models),
            "calibration": {"scale": round(calibration.scale, 6), "offset": round(calibration.offset, 6)},
            **_curve(data, calibrated[AVERAGE]),
        }
        # the default is the choice with the best validation score, the cheaper one when it is as good
        scores = {n: selection_figures(data.val, c, data.unseen)["score"] for n, c in calibrated.items()}
        default = max(scores, key=lambda n: scores[n])
    return _Built(staging, models, ensembles, default, calibrated)


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
    }


def score(engine: Engine, samples: Sequence[Sample], faces: dict[str, Face], workers: int, title: str) -> np.ndarray:
    """Calibrated logits (N,) of samples, by the very engine that the product runs."""
    parts = []
    with Bar(f"Scoring {title}") as bar:
        for i in range(0, len(samples), _CHUNK):
            crops = eval_crops(samples[i : i + _CHUNK], faces, engine.size_px, workers)
            parts.append(engine.logits(list(crops.permute(0, 2, 3, 1).numpy())))
            bar.at(i, len(samples))
    return np.concatenate(parts)


def choice_logits(manifest: Manifest, members: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Calibrated logits of a choice from those of its members."""
    entry = manifest.entry(name)
    if entry.members == (name,):
        return members[name]
    return entry.calibration(average_logit(np.stack([members[m] for m in entry.members], axis=1)))


def _published_figures(target: Path, data: FaceData, workers: int) -> dict[str, float] | None:
    """What the published default reaches on the same validation faces; None if there is nothing published."""
    if not (target / MANIFEST).is_file():
        return None
    try:
        manifest = read_manifest(target)
        entry = manifest.entry("default")
        members = {
            m: score(Engine(manifest, m), data.val, data.faces, workers, f"published {m}") for m in entry.members
        }
    except WeightsError as error:
        raise DataError(f"what is published cannot be compared: {error} (remove it, or restore it from git)") from error
    return selection_figures(data.val, choice_logits(manifest, members, entry.name), data.unseen)


def _show(old: dict[str, float] | None, new: dict[str, float]) -> None:
    say(f"{'validation':28} {'published':>10} {'new':>10}")
    for key, value in new.items():
        before = f"{old[key]:10.3f}" if old and key in old else f"{'-':>10}"
        say(f"{key:28} {before} {value:10.3f}")


def _looks(target: Path) -> int:
    """How often test slices were scored for sets that were published here before."""
    return int(read_manifest(target).data.get("test_scored", 0)) if (target / MANIFEST).is_file() else 0


def _measured(built: _Built, data: FaceData, workers: int, looks: int, validation: dict[str, float]) -> dict[str, Any]:
    """The manifest, with limits from validation and figures from the one look at test."""
    manifest = built.manifest()
    default = manifest.entry(built.default)
    edge = edges(default.curve)["strong"]
    say("Measuring how small and how blurred a face may be")
    limits = measure_limits(data.val, data.faces, built.engines(built.default), default, edge)
    if data.test:
        unseen = unseen_sources(data.train + data.val + data.test, "test")
        small = {s.source for s in data.test if s.path.stem == EXTRA_PACK}
        members = {m: score(Engine(manifest, m), data.test, data.faces, workers, f"test, {m}") for m in built.models}
        for name in (*built.models, *built.ensembles):
            entry: Entry = manifest.entry(name)
            logits = choice_logits(manifest, members, name)
            record = built.ensembles.get(name) or built.models[name]
            # sources whose validation faces set the edges are seen; only the rest is unseen
            fresh = {s for s in unseen if s not in data.unseen}
            record["metrics"] = slice_figures(data.test, logits, entry.curve, fresh, small)
            record["false_alarms"] = false_alarms(data.test, logits, entry.curve, fresh)
            record["false_alarms_by_faces"] = false_alarms_by_faces(data.test, logits, entry.curve, fresh)
    return {
        "manifest_version": MANIFEST_VERSION,
        "date": datetime.now(UTC).date().isoformat(),
        "default": built.default,
        "test_scored": looks + bool(data.test),
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


def _training(folder: Path, record: dict[str, Any]) -> dict[str, Any]:
    epochs = Run(folder).events("epoch")
    return {
        "run": folder.name,
        "command": "python -m train cnn "
        + " ".join(f"--{k} {v}" for k, v in record["options"].items() if v is not None),
        "seed": record["options"]["seed"],
        "start": record["start"],
        "images_seen": record["images_planned"] * len(epochs) // record["options"]["epochs"],
        "hours": record["train_hours"],
        "environment": record["environment"],
        "sources": record["sources"],
        "unseen_val_sources": record["unseen_val_sources"],
        "epochs": [{k: round(float(row[k]), 4) for k in ("epoch", "loss", "accuracy", "score")} for row in epochs],
    }


def _install(staging: Path, target: Path, manifest: dict[str, Any]) -> None:
    """Moves a complete set into place, the manifest last, and removes weights that it does not name."""
    for record in manifest["models"].values():
        (staging / record["file"]).replace(target / record["file"])
    write_manifest(target, manifest)
    named = {record["file"] for record in manifest["models"].values()}
    for path in target.glob("*.safetensors"):
        if path.name not in named:
            path.unlink()
