"""`python -m train convert`: a published set of manifest version 1 to version 2, without a test evaluation.

Nothing is measured: what the old manifest and its leaderboard said is written where it belongs now. The networks' files
stay as they are, and are checked against the manifest afterwards.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector.calibration import Calibration, FalseAlarmCurve
from detector.manifest import (
    MANIFEST,
    Data,
    Environment,
    Manifest,
    TrainedEnsemble,
    TrainedNetwork,
    Training,
    Videos,
    WeightsFile,
    default_folder,
    write_manifest,
)
from detector.results import Choice, ClipFit, Curves, Epoch, Results, write_results
from detector.weights import verified_weights
from train.console import say
from train.errors import DataError
from train.store import results
from train.store.documents import write_documents

_OLD, _LEADERBOARD = 1, "leaderboard.json"


@dataclass(frozen=True)
class Convert:
    """Bring a published set of an older version up to this one: same networks, same figures, other files."""

    weights_dir: Path | None = None
    """Published set; weights/ by default."""


def run(options: Convert) -> Manifest:
    """The manifest as it is written."""
    folder = options.weights_dir or default_folder()
    path = folder / MANIFEST
    if not path.is_file():
        raise DataError(f"{folder.name}/ has no {MANIFEST}: nothing to convert")
    old = json.loads(path.read_text(encoding="utf-8"))
    if old.get("manifest_version") != _OLD:
        raise DataError(f"{folder.name}/{MANIFEST} is of version {old.get('manifest_version')}, not {_OLD}")
    entries = {**old["models"], **old["ensembles"]}
    limits, limit_curves = results.limits(old["limits"])
    manifest = Manifest(
        folder=folder,
        date=old["date"],
        default=old["default"],
        default_reason=old.get("default_reason", ""),
        test_scored=old.get("test_scored", 0),
        limits=limits,
        data=_data(old),
        models={name: _network(record) for name, record in old["models"].items()},
        ensembles={name: _ensemble(record) for name, record in old["ensembles"].items()},
    )
    board = folder / _LEADERBOARD
    known = json.loads(board.read_text(encoding="utf-8")) if board.is_file() else {"choices": {}}
    if known["choices"] and known["networks"] != {name: n.sha256 for name, n in manifest.models.items()}:
        raise DataError(f"{folder.name}/{_LEADERBOARD} is of other networks than the manifest: restore both from git")
    choices = {
        name: _choice(choice, entries[name], old["validation_scores"][name])
        for name, choice in known["choices"].items()
    }
    curves = Curves(
        networks={name: network.sha256 for name, network in manifest.models.items()},
        roc={n: _pairs(c["pooled"]["roc"]) for n, c in known["choices"].items()},
        reliability={n: _triples(c["pooled"]["reliability"]) for n, c in known["choices"].items()},
        learning={
            n: tuple(Epoch(int(e["epoch"]), e["loss"], e["accuracy"], e["score"]) for e in r["training"]["epochs"])
            for n, r in old["models"].items()
        },
        limits=limit_curves,
        comparisons=results.gains(old.get("default_comparisons", [])),
        validation=old.get("validation", {}),
        labelled=results.labelled(known.get("labels", {})),
        clips={name: _videos(record["clips"])[1] for name, record in entries.items() if "clips" in record},
    )
    for name in manifest.models:
        verified_weights(manifest, name)
    write_results(folder, Results(choices, curves))
    write_manifest(folder, manifest)
    board.unlink(missing_ok=True)
    write_documents(manifest)
    say(f"{folder.name}/ is of this version now; nothing was measured.")
    return manifest


def _network(record: Mapping[str, Any]) -> TrainedNetwork:
    training = record["training"]
    where = training["environment"]
    same = ("architecture", "file", "sha256", "bytes", "parameters", "input_size_px", "paper", "licence_of_code")
    return TrainedNetwork(
        **{k: record[k] for k in same},
        training=Training(
            **{k: training[k] for k in ("run", "command", "seed", "start", "images_seen", "hours")},
            environment=Environment(**{"amp": False, **where}),
        ),
        golden_logits=tuple(record["golden_logits"]),
        **_common(record),
    )


def _ensemble(record: Mapping[str, Any]) -> TrainedEnsemble:
    return TrainedEnsemble(
        kind=record["kind"],
        members=tuple(record["members"]),
        golden_scores=tuple(record["golden_scores"]),
        settings=record["settings"],
        edges=tuple(record.get("edges", ())),
        weights=tuple(record.get("weights", ())),
        stacker=WeightsFile(record["file"], record["sha256"], record["bytes"]) if "file" in record else None,
        **_common(record),
    )


def _common(record: Mapping[str, Any]) -> dict[str, Any]:
    curve = record["curve"]
    return {
        "calibration": Calibration(**record["calibration"]),
        "curve": FalseAlarmCurve(tuple(curve["rates"]), tuple(curve["logits"])),
        "false_alarms": results.shares(record.get("false_alarms", {})),
        "clips": _videos(record["clips"])[0] if "clips" in record else None,
    }


def _videos(section: Mapping[str, Any]) -> tuple[Videos, ClipFit]:
    """The rule for videos, and what it was read from; version 1 called the known bias a memory."""
    return results.videos({**section, "known_bias": section["memory"]})


def _data(old: Mapping[str, Any]) -> Data:
    records = list(old["models"].values())
    sources, unseen = (records[0]["training"][k] for k in ("sources", "unseen_val_sources"))
    if any(r["training"]["sources"] != sources or r["training"]["unseen_val_sources"] != unseen for r in records):
        raise DataError("these networks saw different sources, which a manifest cannot say any more: publish them")
    return Data(
        fingerprint=old["data"]["fingerprint"],
        terms=old["data"]["terms"],
        sources={split: {s: (g, m) for s, (g, m) in rows.items()} for split, rows in sources.items()},
        unseen_val_sources=tuple(unseen),
        edge_faces=records[0]["curve"]["faces"],
        without_face=old["data"]["without_face"],
    )


def _choice(entry: Mapping[str, Any], record: Mapping[str, Any], score: float) -> Choice:
    clips = record.get("clips", {})
    return Choice(
        **{k: entry[k] for k in ("parameters", "megabytes", "cpu_ms_a_face")},
        validation_score=score,
        slices={title: results.measured(row) for title, row in entry["slices"].items()},
        pooled=results.pooled(entry["pooled"]),
        even_odds=results.figures(entry["accuracy_at_even_odds"]),
        against_default=results.figures(entry["auc_minus_default"]),
        changed={title: results.measured(row) for title, row in entry["robustness"].items()},
        labels={title: results.figures(rows) for title, rows in entry["labels"].items()},
        by_faces=results.in_made_files(record.get("false_alarms_by_faces", {})),
        by_persons=results.in_made_files(clips.get("false_alarms_by_persons", {})),
    )


def _pairs(points: list[list[float]]) -> tuple[tuple[float, float], ...]:
    return tuple((x, y) for x, y in points)


def _triples(points: list[list[float]]) -> tuple[tuple[float, float, float], ...]:
    return tuple((x, y, weight) for x, y, weight in points)
