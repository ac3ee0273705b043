"""The data that the networks of a published set were trained on, as far as it says."""

from detector.manifest import Manifest


def fingerprint_of_networks(manifest: Manifest) -> str:
    """Of the data that the networks were trained on; empty where a manifest does not say."""
    return manifest.data.fingerprint


def seed_of_networks(manifest: Manifest) -> int:
    """By which a plain folder of data was split."""
    return next((network.training.seed for network in manifest.models.values()), 0)
