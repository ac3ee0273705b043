"""What a published set says of the data that its networks were trained on."""

from collections.abc import Mapping
from typing import Any

from detector.weights import Manifest


def fingerprint_of_networks(manifest: Manifest) -> str:
    """Of the data that the networks were trained on; empty where a manifest does not say."""
    return str(manifest.data.get("data", {}).get("fingerprint", ""))


def seed_of_networks(manifest: Manifest) -> int:
    """By which a plain folder of data was split."""
    first: Mapping[str, Any] = next(iter(manifest.models.values()), {})
    return int(first.get("training", {}).get("seed", 0))
