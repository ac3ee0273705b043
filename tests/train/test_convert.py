"""A set of manifest version 1 to this version: every figure is where it belongs now, and nothing is measured."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from detector.calibration import Calibration
from detector.manifest import read_manifest
from detector.results import Figure, read_results
from train.errors import DataError
from train.recipes.convert import Convert, run

INTERVAL = {"value": 0.9, "low": 0.8, "high": 0.95, "n": 20}
SLICE = {"genuine": 10, "manipulated": 10, "against": "own", "auc": INTERVAL, "confusion": [[9, 1], [2, 8]]}
ALARM = {"n": 50, "k": 1, "rate": 0.02, "low": 0.001, "high": 0.1}
FILES = {"files": 100, "weak": 0.1, "strong": 0.02, "very_strong": 0.0}


def entry() -> dict[str, Any]:
    """What networks and ensembles have in common."""
    return {
        "calibration": {"scale": 1.5, "offset": 0.25},
        "curve": {"rates": [0.5, 0.02], "logits": [-1.0, 1.0], "faces": 90, "sources": ["studio"]},
        "thresholds": {"weak": 0.5, "strong": 0.7, "very_strong": 0.9},
        "metrics": {"slices": {"swaps": SLICE}, "pooled": {"n": 20, "ece": 0.05, "brier": 0.1}},
        "false_alarms": {"strong": ALARM},
        "false_alarms_by_faces": {"2-4": FILES},
        "clips": {
            "calibration": {"scale": 1.0, "offset": 0.0, "chosen": "faces", "gain": None, "folds": 0},
            "curve": {"rates": [0.5, 0.02], "logits": [-1.0, 1.2], "faces": [-1.0, 1.0]},
            "runs": 4.0,
            "cap": {"band": "weak", "reason": "too_few_clips", "persons": 30, "needed": 149},
            "false_alarms": {"weak": ALARM},
            "false_alarms_by_persons": {"2-4": FILES},
            "persons": {"genuine": 30, "genuine_unknown": 9, "manipulated": 5, "followed": 40, "sources": ["clips"]},
            "memory": {"genuine": {"known": 0.0, "unknown": 0.0, "spread": 1.0}},
            "frames": 32,
        },
    }


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A folder with one network and an ensemble of it, as they were kept before."""
    data = b"weights"
    (tmp_path / "one.safetensors").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    training = {
        "run": "cnn-1", "command": "python -m train cnn", "seed": 3, "start": "scratch", "images_seen": 5, "hours": 0.5,
        "environment": {"python": "3.11", "torch": "2", "device": "cpu", "cpu_count": 2, "commit": "abc"},
        "sources": {"train": {"swaps": [5, 6]}}, "unseen_val_sources": ["studio"],
        "epochs": [{"epoch": 1, "loss": 0.5, "accuracy": 0.8, "score": 0.6}],
    }  # fmt: skip
    network = {
        "architecture": "resnet18", "file": "one.safetensors", "sha256": digest, "bytes": 7, "parameters": 11,
        "input_size_px": 192, "paper": "p", "licence_of_code": "l", "training": training, "golden_logits": [1.0],
        **entry(),
    }  # fmt: skip
    shrunk = {"auc": 0.9, "false_alarms": 0.02, "median_sharpness": 9.0, "low_sharpness": 3.0}
    manifest = {
        "manifest_version": 1, "date": "2026-11-22", "default": "average", "default_reason": "better", "test_scored": 2,
        "default_comparisons": [{"choice": "average", "against": "resnet18", "gain": INTERVAL, "better": True}],
        "validation": {"score": 0.8}, "validation_scores": {"resnet18": 0.7, "average": 0.8},
        "limits": {
            "min_face_px": 36, "min_sharpness": 16.1, "faces": 60, "as_they_came": shrunk,
            "by_size": [{"face_px": 20, **shrunk}], "by_blur": [{"blur_px": 2.0, **shrunk}],
        },
        "data": {"fingerprint": "f", "without_face": {"swaps": 1}, "terms": "research"},
        "models": {"resnet18": network},
        "ensembles": {
            "average": {
                "kind": "average", "members": ["resnet18"], "settings": {}, "golden_scores": [0.5], **entry()
            }
        },
    }  # fmt: skip
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    choice = {
        "kind": "average", "members": ["resnet18"], "parameters": 11, "megabytes": 0.1, "cpu_ms_a_face": 2.5,
        "slices": {"swaps": SLICE}, "accuracy_at_even_odds": {"swaps": INTERVAL}, "auc_minus_default": {},
        "robustness": {"blur": {**SLICE, "auc_lost": INTERVAL}}, "labels": {"age": {"60 and over": INTERVAL}},
        "pooled": {
            "n": 20, "ece": 0.05, "brier": 0.1, "auc": INTERVAL, "confusion": [[9, 1], [2, 8]],
            "roc": [[0.0, 0.1], [1.0, 1.0]], "reliability": [[0.1, 0.2, 0.5]],
        },
    }  # fmt: skip
    board = {"networks": {"resnet18": digest}, "labels": {}, "choices": {"average": choice, "resnet18": choice}}
    (tmp_path / "leaderboard.json").write_text(json.dumps(board))
    return tmp_path


def test_every_figure_is_where_it_belongs_now(old: Path) -> None:
    run(Convert(old))
    manifest = read_manifest(old)
    assert manifest.entry("default").members == ("resnet18",) and manifest.test_scored == 2
    network = manifest.models["resnet18"]
    assert network.calibration == Calibration(1.5, 0.25) and network.golden_logits == (1.0,)
    assert network.training.seed == 3 and manifest.data.sources == {"train": {"swaps": (5, 6)}}
    assert network.false_alarms["strong"].k == 1 and manifest.data.edge_faces == 90
    assert network.clips is not None and network.clips.cap is not None and network.clips.cap.needed == 149
    measured = read_results(manifest)
    assert measured is not None and set(measured.choices) == {"average", "resnet18"}
    choice = measured.choices["average"]
    interval = Figure(0.9, 0.8, 0.95, 20)
    assert choice.slices["swaps"].figures == {"auc": interval} and choice.slices["swaps"].confusion == ((9, 1), (2, 8))
    assert choice.changed["blur"].figures["auc_lost"] == interval == choice.even_odds["swaps"]
    assert choice.labels == {"age": {"60 and over": interval}} and choice.validation_score == 0.8
    assert choice.by_faces["2-4"]["weak"] == Figure(0.1, n=100) == choice.by_persons["2-4"]["weak"]
    curves = measured.curves
    assert curves.roc["average"] == ((0.0, 0.1), (1.0, 1.0)) and curves.learning["resnet18"][0].score == 0.6
    assert curves.limits is not None and curves.limits.by_size[0].face_px == 20 and curves.comparisons[0].better
    assert not (old / "leaderboard.json").exists() and (old / "cards" / "average.md").is_file()
    with pytest.raises(DataError, match="version 2"):
        run(Convert(old))


def test_a_leaderboard_of_other_networks_is_refused(old: Path, tmp_path: Path) -> None:
    board = json.loads((old / "leaderboard.json").read_text())
    (old / "leaderboard.json").write_text(json.dumps({**board, "networks": {"resnet18": "0"}}))
    before = (old / "manifest.json").read_bytes()
    with pytest.raises(DataError, match="other networks"):
        run(Convert(old))
    assert (old / "manifest.json").read_bytes() == before
