"""A set of weights in the making: networks in the form that ships, calibrated, combined, and one chosen as default.

Everything here is decided on validation; what test faces say comes afterwards (`train.recipes.publish`).
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from detector.calibration import Calibration, FalseAlarmCurve, edges
from detector.engine import Engine
from detector.ensemble import VOTES, golden_logits_of_members
from detector.errors import WeightsError
from detector.faces.align import crop_face
from detector.manifest import (
    MANIFEST,
    Data,
    Deletion,
    Environment,
    Limits,
    Manifest,
    TrainedEnsemble,
    TrainedNetwork,
    Training,
    WeightsFile,
    read_manifest,
)
from detector.media import read_image
from detector.models.registry import build, spec_of
from detector.results import Epoch, SourceAlarms, read_results
from detector.weights import golden_crops, save_network, save_parts, save_stacker
from train.console import say
from train.data.faces import FaceData
from train.data.samples import in_turns
from train.errors import DataError
from train.learn.start import load_start, weights_name
from train.measure import scoring
from train.measure.calibrate import alarms_by_source, fit_calibration, fit_curve
from train.measure.deletion import deletion_test
from train.measure.ensembles import Fitted, choose_default, fit_ensembles
from train.measure.kept_engine import KeptEngine
from train.run import Run, command_line

MEMBERS = "members.json"
"""In the folder of a reference run: the runs that it made."""
TERMS = "Research use; FFHQ: CC BY-NC-SA 4.0; FaceForensics++, DeepfakeTIMIT, LFW: research use"
_CHECKED = 64
"""Validation faces on which a run's own logits must be those of the weights that ship."""
_DELETED = 40
"""Manipulated validation faces of which parts are hidden."""
_ROUNDING = 0.05
"""How far weights rounded to float16 may move a logit, in the mean over those faces."""
_UNCALIBRATED = Calibration(1.0, 0.0), FalseAlarmCurve((0.5, 0.1), (0.0, 1.0))


@dataclass(frozen=True, slots=True)
class Member:
    """A network to publish: a finished run, or one that is published already.

    Attributes:
        title: how it is spoken of.
        architecture: a name of the registry.
        seed: by which splits were drawn.
        data: fingerprint of the data it was trained on.
        sources: split -> source -> genuine and manipulated faces.
        unseen: genuine sources of validation that never train.
        folder: of the run, or of the published set.
        record: the run's, empty for a published network.
        published: what the manifest says of it; None for a run.
        learning: its epochs.
    """

    title: str
    architecture: str
    seed: int
    data: str
    sources: Mapping[str, Mapping[str, tuple[int, int]]]
    unseen: tuple[str, ...]
    folder: Path
    record: Mapping[str, Any]
    published: TrainedNetwork | None
    learning: tuple[Epoch, ...]


@dataclass
class Built:
    """A calibrated set in a folder of its own, not yet measured on test.

    Attributes:
        folder: where its files are.
        data: what it was trained on.
        models, ensembles: as the manifest has them.
        learning: epochs of each network.
        default, reason, comparisons: the choice that ships as default, why, and against what.
        calibrated: validation logits of every choice; cross-validated where something was fitted.
        raw: SHA-256 of a network's weights -> its validation logits before calibration.
        by_source: of each choice, what every left-out source of validation shows at each band.
    """

    folder: Path
    data: Data
    models: dict[str, TrainedNetwork] = field(default_factory=dict)
    ensembles: dict[str, TrainedEnsemble] = field(default_factory=dict)
    learning: dict[str, tuple[Epoch, ...]] = field(default_factory=dict)
    default: str = ""
    reason: str = ""
    comparisons: list[dict[str, Any]] = field(default_factory=list)
    calibrated: dict[str, np.ndarray] = field(default_factory=dict)
    raw: dict[str, np.ndarray] = field(default_factory=dict)
    by_source: dict[str, Mapping[Any, SourceAlarms]] = field(default_factory=dict)

    def manifest(self, date: str = "", limits: Limits | None = None, test_scored: int = 0) -> Manifest:
        """The manifest as far as it is known."""
        return Manifest(
            folder=self.folder,
            date=date,
            default=self.default,
            default_reason=self.reason,
            test_scored=test_scored,
            limits=limits or Limits(0, 0),
            data=self.data,
            models=dict(self.models),
            ensembles=dict(self.ensembles),
        )

    def engines(self, name: str, cache: Path) -> list[Engine]:
        """Of the members of a choice, which keep in `cache` what they said."""
        manifest = self.manifest()
        return [KeptEngine(manifest, member, cache) for member in manifest.entry(name).members]


def members_of(folder: Path, target: Path) -> list[Member]:
    """A run's folder, those that a reference run lists, or a network that is published in `target`.

    Raises:
        DataError: it is none of these.
    """
    listed = folder / MEMBERS
    if listed.is_file():
        return [
            m
            for name in json.loads(listed.read_text(encoding="utf-8"))
            for m in members_of(folder.parent / name, target)
        ]
    if (folder / "best.safetensors").is_file():
        return [_of_run(folder)]
    name = str(folder)
    manifest = read_manifest(target) if (target / MANIFEST).is_file() else None
    if manifest is None or name not in manifest.models:
        known = f", and no published network ({', '.join(manifest.models)})" if manifest else ""
        raise DataError(f"{folder.name} is not a finished run: it has no best.safetensors{known}")
    network, results = manifest.models[name], read_results(manifest)
    return [
        Member(
            title=f"published {name}",
            architecture=network.architecture,
            seed=network.training.seed,
            data=manifest.data.fingerprint,
            sources=manifest.data.sources,
            unseen=manifest.data.unseen_val_sources,
            folder=target,
            record={},
            published=network,
            learning=results.curves.learning.get(name, ()) if results else (),
        )
    ]


def _of_run(folder: Path) -> Member:
    run = Run(folder)
    record = run.record()
    if record.get("recipe") == "temporal":
        raise DataError(f"{folder.name} is a run of `temporal`: the product judges frames one by one")
    if "train_hours" not in record:
        raise DataError(f"{folder.name} is not a finished run: go on with it by --resume")
    options, epochs = record["options"], run.events("epoch")
    return Member(
        title=folder.name,
        architecture=options["model"],
        seed=int(options["seed"]),
        data=record["data"],
        sources={split: {s: (g, m) for s, (g, m) in rows.items()} for split, rows in record["sources"].items()},
        unseen=tuple(record["unseen_val_sources"]),
        folder=folder,
        record=record,
        published=None,
        learning=tuple(
            Epoch(int(row["epoch"]), *(round(float(row[k]), 4) for k in ("loss", "accuracy", "score")))
            for row in epochs
        ),
    )


def build_set(
    staging: Path,
    members: Sequence[Member],
    data: FaceData,
    workers: int,
    cache: Path,
    pretrained: Path | None = None,
) -> Built:
    """Converts, calibrates and combines the members, and chooses the default.

    Args:
        staging: where files are written.
        members: what is to be published.
        data: that they were trained on.
        workers: processes that prepare pictures.
        cache: where networks keep what they said.
        pretrained: folder of the backbones under heads.
    """
    built = Built(staging, _data_of(members, data))
    for member in members:
        name = member.architecture
        if name in built.models:
            raise DataError(f"two networks {name}: a set holds each network once")
        built.models[name] = network = (
            _copied(staging, member) if member.published else converted(staging, member, pretrained)
        )
        built.learning[name] = member.learning
        built.default = name
        # not calibrated yet: the shipped, rounded weights are what is calibrated
        engine = KeptEngine(built.manifest(), name, cache)
        raw = _validation_logits(member, engine, data, workers)
        built.raw[network.sha256] = raw
        calibration = _rounded(fit_calibration(data.val, raw))
        built.calibrated[name] = calibration(raw)
        built.by_source[name] = alarms_by_source(data.val, built.calibrated[name], data.unseen)
        built.models[name] = replace(
            network,
            calibration=calibration,
            curve=fit_curve(data.val, built.calibrated[name], data.unseen),
            golden_logits=tuple(round(float(v), 4) for v in golden_logits(engine)),
            deletion=_deletion(engine, data),
        )
    if len(built.models) > 1:
        _combine(built, data)
    built.default, built.reason, built.comparisons = choose_default(
        data.val, built.calibrated, list(built.ensembles), data.unseen, np.random.default_rng(0)
    )
    return built


def _deletion(engine: Engine, data: FaceData) -> Deletion | None:
    """Whether this network's maps mark what counts, on manipulated validation faces of all sources in turn."""
    chosen = in_turns([s for s in data.val if s.label], _DELETED)[:_DELETED]
    crops = [crop_face(read_image(s.read()), data.faces[s.name], engine.size_px) for s in chosen]
    return deletion_test(engine.logits_and_cam, crops, np.random.default_rng(0))


def _data_of(members: Sequence[Member], data: FaceData) -> Data:
    """The data of all members together: of each source the most faces that one of them saw."""
    sources: dict[str, dict[str, tuple[int, int]]] = {}
    for member in members:
        for split, rows in member.sources.items():
            known = sources.setdefault(split, {})
            for source, (genuine, manipulated) in rows.items():
                g, m = known.get(source, (0, 0))
                known[source] = max(g, genuine), max(m, manipulated)
    return Data(
        fingerprint=data.fingerprint,
        terms=TERMS,
        sources=sources,
        unseen_val_sources=tuple(sorted({s for member in members for s in member.unseen})),
        edge_faces=sum(s.label == 0 and s.source in data.unseen for s in data.val),
        without_face=data.without_face,
    )


def _combine(built: Built, data: FaceData) -> None:
    """Adds every ensemble of the networks that are built."""
    names = list(built.models)
    logits = np.stack([built.calibrated[n] for n in names], axis=1)
    votes = [round(edges(built.models[n].curve)["strong"], 6) for n in names]
    for kind, fitted in fit_ensembles(data.val, logits, votes, data.unseen).items():
        built.calibrated[kind] = fitted.calibrated
        curve = fit_curve(data.val, fitted.calibrated, data.unseen)
        built.by_source[kind] = alarms_by_source(data.val, fitted.calibrated, data.unseen)
        built.ensembles[kind] = _ensemble(built.folder, fitted, tuple(names), curve)


def _ensemble(staging: Path, fitted: Fitted, names: tuple[str, ...], curve: FalseAlarmCurve) -> TrainedEnsemble:
    ensemble = fitted.ensemble
    stacker = ensemble.stacker
    return TrainedEnsemble(
        kind=ensemble.kind,
        members=names,
        calibration=ensemble.calibration,
        curve=curve,
        golden_scores=tuple(round(float(v), 4) for v in ensemble(golden_logits_of_members(ensemble.members))),
        settings=fitted.settings,
        edges=ensemble.edges if ensemble.kind in VOTES else (),
        weights=ensemble.weights,
        stacker=None if stacker is None else save_stacker(stacker, staging / f"{ensemble.kind}.safetensors"),
    )


def converted(staging: Path, member: Member, pretrained: Path | None) -> TrainedNetwork:
    """A run's network in the form that ships, not calibrated."""
    network = build(member.architecture)
    spec = spec_of(member.architecture)
    trained = load_file(member.folder / "best.safetensors")
    backbone: WeightsFile | None = None
    if spec.frozen is None:
        network.load_state_dict(trained, strict=True)
        own = save_network(network, staging / f"{member.architecture}.safetensors")
    else:
        start = member.record["features"]["weights"]
        if weights_name(member.architecture, pretrained, start) != start:
            raise DataError(f"{member.title} was trained on another backbone than the one in --pretrained")
        load_start(network, "online" if start == "online" else "file", pretrained)
        network.load_state_dict({**network.state_dict(), **trained}, strict=True)
        own, backbone = save_parts(network, staging, spec.frozen)
    calibration, curve = _UNCALIBRATED
    return TrainedNetwork(
        architecture=member.architecture,
        file=own.file,
        sha256=own.sha256,
        bytes=own.bytes,
        backbone=backbone,
        parameters=sum(p.numel() for p in network.parameters()),
        input_size_px=member.record["options"]["size_px"],
        paper=spec.paper,
        licence_of_code=spec.licence,
        training=_training(member),
        calibration=calibration,
        curve=curve,
        golden_logits=(),
    )


def _copied(staging: Path, member: Member) -> TrainedNetwork:
    """A published network as it is, without what is measured anew."""
    if member.published is None:
        raise ValueError(f"{member.title} is not published")
    for part in member.published.files:
        try:
            shutil.copyfile(member.folder / part.file, staging / part.file)
        except OSError as error:
            raise WeightsError(f"weights/{part.file} is missing: fetch the whole repository.") from error
    calibration, curve = _UNCALIBRATED
    return replace(member.published, calibration=calibration, curve=curve, false_alarms={}, clips=None)


def _training(member: Member) -> Training:
    record = member.record
    options, where = record["options"], record["environment"]
    return Training(
        run=member.folder.name,
        command=record.get("command") or command_line(record["recipe"], options),
        seed=options["seed"],
        start=record["start"],
        images_seen=record["images_planned"] * len(member.learning) // options["epochs"],
        hours=record["train_hours"],
        environment=Environment(
            where["python"],
            where["torch"],
            where["device"],
            where["cpu_count"],
            where["commit"],
            bool(where.get("amp", False)),
            int(where.get("processes", 1)),
        ),
    )


def _validation_logits(member: Member, engine: Engine, data: FaceData, workers: int) -> np.ndarray:
    """Raw validation logits (N,) of the weights that ship.

    A run has written its own. They are taken if they cover these faces and if, on some of them, the rounded weights
    say the same; else all faces are scored.
    """
    path = member.folder / "val_logits.npz"
    if member.published is None and path.is_file():
        with np.load(path, allow_pickle=False) as stored:
            known = dict(zip(stored["names"].tolist(), stored["logits"].tolist(), strict=True))
        if all(s.name in known for s in data.val):
            written = np.array([known[s.name] for s in data.val])
            rows = np.unique(np.linspace(0, len(data.val) - 1, min(_CHECKED, len(data.val))).astype(int))
            some = [data.val[i] for i in rows]
            again = scoring.score(engine, some, data.faces, workers, f"a part of validation, {engine.name}")
            if np.abs(again - written[rows]).mean() <= _ROUNDING:
                return written
            say(f"{member.title}: the logits it wrote are not those of its weights; scoring validation anew")
    return scoring.score(engine, data.val, data.faces, workers, f"validation, {engine.name}")


def _rounded(calibration: Calibration) -> Calibration:
    """As the manifest holds it, so that what is measured is what ships."""
    return Calibration(round(calibration.scale, 6), round(calibration.offset, 6))


def golden_logits(engine: Engine) -> np.ndarray:
    """Raw logits of the made pictures, which prove later that a network loads right."""
    with torch.inference_mode():
        return engine.network(golden_crops(engine.size_px)).numpy()  # type: ignore[no-any-return]
