"""Measurements of the product itself, beside published weights, as long as they are of these very weights."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from detector.manifest import MANIFEST, Manifest
from train.run import write_json

PRODUCT = "product.json"
"""Beside published weights; made by `python -m train evaluate --keep`."""


def read_product(manifest: Manifest) -> dict[str, Any]:
    """ "evaluation" and "speed", as far as they are of this very set; empty where nothing was measured of it.

    Figures of files and bands are of a manifest, whose calibrations they depend on; speed is of the networks.
    """
    path = manifest.folder / PRODUCT
    if not path.is_file():
        return {}
    parts: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    belongs = {
        "evaluation": lambda part: part.get("manifest") == _digest(manifest),
        "speed": lambda part: part.get("networks") == networks_of(manifest),
    }
    return {name: part for name, part in parts.items() if belongs[name](part)}


def keep_evaluation(manifest: Manifest, evaluation: Mapping[str, Any]) -> None:
    """Keeps what `evaluate` measured of the set in its folder; speed that is known of it stays."""
    _write(manifest, evaluation={**evaluation, "manifest": _digest(manifest)})


def keep_speed(manifest: Manifest, bench: Mapping[str, Any]) -> bool:
    """Keeps what the benchmark measured; False where that was of other networks."""
    if bench.get("networks") != networks_of(manifest):
        return False
    _write(manifest, speed=bench)
    return True


def networks_of(manifest: Manifest) -> dict[str, str]:
    """Name of each network of a set -> SHA-256 of its weights."""
    return {name: network.sha256 for name, network in manifest.models.items()}


def _write(manifest: Manifest, **parts: Mapping[str, Any]) -> None:
    write_json(manifest.folder / PRODUCT, {**read_product(manifest), **parts})


def _digest(manifest: Manifest) -> str:
    return hashlib.sha256((manifest.folder / MANIFEST).read_bytes()).hexdigest()
