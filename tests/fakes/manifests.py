"""Published sets for tests: what a test does not name is invented."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detector.calibration import Calibration, FalseAlarmCurve
from detector.manifest import Data, Environment, Limits, Manifest, TrainedEnsemble, TrainedNetwork, Training

_WHERE = Environment(python="3.11", torch="2", device="cpu", cpu_count=1, commit="0", amp=False)
CURVE = FalseAlarmCurve((0.5, 0.1, 0.02, 0.005), (-1.0, 0.0, 1.0, 2.0))


def network(architecture: str = "resnet18", **named: Any) -> TrainedNetwork:
    values = {
        "architecture": architecture,
        "file": f"{architecture}.safetensors",
        "sha256": "0",
        "bytes": 20_000_000,
        "parameters": 11_000_000,
        "input_size_px": 64,
        "paper": "none",
        "licence_of_code": "none",
        "training": Training("cnn-1", "python -m train cnn", 0, "scratch", 1, 0.1, _WHERE),
        "calibration": Calibration(1.0, 0.0),
        "curve": CURVE,
        "golden_logits": (0.0,),
    }
    return TrainedNetwork(**{**values, **named})


def ensemble(members: tuple[str, ...], kind: str = "average", **named: Any) -> TrainedEnsemble:
    values = {"kind": kind, "members": members, "calibration": Calibration(1.0, 0.0), "curve": CURVE}
    return TrainedEnsemble(**{**values, "golden_scores": (), **named})


def manifest(
    folder: Path,
    models: Mapping[str, TrainedNetwork],
    ensembles: Mapping[str, TrainedEnsemble] | None = None,
    **named: Any,
) -> Manifest:
    values = {
        "folder": folder,
        "date": "2026-12-02",
        "default": next(iter({**(ensembles or {}), **models})),
        "default_reason": "it is the only one",
        "test_scored": 1,
        "limits": Limits(24, 0.0),
        "data": Data(fingerprint="0", terms="none"),
        "models": dict(models),
        "ensembles": dict(ensembles or {}),
    }
    return Manifest(**{**values, **named})
