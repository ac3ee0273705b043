"""The store of trained networks, both directions: verify and load, write. What is in it, the manifest says."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays
from safetensors.torch import load as load_tensors
from safetensors.torch import save_file
from torch import nn

from detector.calibration import Calibration
from detector.ensemble import Ensemble, Stacker
from detector.errors import WeightsError
from detector.manifest import Manifest, TrainedNetwork, WeightsFile, read_manifest
from detector.models.int8 import dequantised, quantised
from detector.models.registry import Network, build


def list_models(folder: Path | None = None) -> tuple[str, ...]:
    """Names that `Detector(models=...)` takes, the default first."""
    return read_manifest(folder).names()


def verified_weights(manifest: Manifest, name: str) -> str:
    """A name for what all files of a published network hold together: its SHA-256, if it is one file.

    Raises:
        WeightsError: a file is missing or damaged.
    """
    parts = manifest.models[name].files
    for part in parts:
        _verified(manifest.folder, part)
    return "+".join(part.sha256 for part in parts)


def load_network(manifest: Manifest, name: str) -> Network:
    """A published network, verified, in float32 and evaluation mode.

    Raises:
        WeightsError: the file is missing, damaged, or fits another architecture.
    """
    published = manifest.models[name]
    network = build(published.architecture)
    try:
        tensors: dict[str, torch.Tensor] = {}
        for part in published.files:
            tensors |= dequantised(load_tensors(_verified(manifest.folder, part)))
        network.load_state_dict({k: _as_float(v) for k, v in tensors.items()}, strict=True)
    except (SafetensorError, RuntimeError) as error:
        raise WeightsError(f"weights/{published.file} does not fit {published.architecture}: {error}") from error
    return network.eval().to(memory_format=torch.channels_last)


def load_ensemble(manifest: Manifest, name: str) -> Ensemble:
    """How a choice combines its members; a network alone is a combination of one.

    Raises:
        UnknownModelError: no such network or ensemble was published.
        WeightsError: the entry is incomplete, or the file of a stacked classifier is missing or damaged.
    """
    entry = manifest.entry(name)
    published = entry.published
    if isinstance(published, TrainedNetwork):
        # a network's engine calibrates by itself
        return Ensemble("network", 1, Calibration(1.0, 0.0))
    try:
        stacker = None
        if published.kind == "stacking":
            if published.stacker is None:
                raise ValueError("it names no file of a stacked classifier")
            stacker = Stacker.from_arrays(load_arrays(_verified(manifest.folder, published.stacker)))
        return Ensemble(
            kind=published.kind,
            members=len(entry.members),
            calibration=entry.calibration,
            edges=published.edges,
            weights=published.weights,
            stacker=stacker,
        )
    except (SafetensorError, ValueError) as error:
        raise WeightsError(f"ensemble {entry.name!r} is not complete: {error}. Fetch weights/ again.") from error


def save_stacker(stacker: Stacker, path: Path) -> WeightsFile:
    """Writes a stacked classifier, whole or not at all; returns what the manifest says of the file."""
    data = save_arrays({name: np.ascontiguousarray(array) for name, array in stacker.arrays().items()})
    partial = path.with_suffix(".partial")
    partial.write_bytes(data)
    partial.replace(path)
    return WeightsFile(path.name, hashlib.sha256(data).hexdigest(), len(data))


def save_network(network: nn.Module, path: Path) -> WeightsFile:
    """Writes weights as float16 safetensors, whole or not at all; returns what the manifest says of the file."""
    return _save_halves(network.state_dict(), path)


def save_parts(network: Network, folder: Path, frozen: str) -> tuple[WeightsFile, WeightsFile]:
    """Writes a network whose backbone is frozen as two files, so that new training replaces a few kilobytes.

    Args:
        network: to write.
        folder: where to; files that are there are replaced.
        frozen: how the names of the backbone's tensors begin. Its matrices are stored as 8-bit integers.

    Returns:
        What the manifest says of its own file, and of the backbone's.
    """
    state = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    file, backbone = f"{network.name}.safetensors", f"{network.name}.int8.safetensors"
    return (
        _save_halves({k: v for k, v in state.items() if not k.startswith(frozen)}, folder / file),
        _save(quantised({k: v for k, v in state.items() if k.startswith(frozen)}), folder / backbone),
    )


def _save_halves(state: Mapping[str, torch.Tensor], path: Path) -> WeightsFile:
    tensors = {
        k: (v.detach().half() if v.is_floating_point() else v.detach()).cpu().contiguous() for k, v in state.items()
    }
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise WeightsError(f"{key} does not fit into float16")
    return _save(tensors, path)


def _save(tensors: dict[str, torch.Tensor], path: Path) -> WeightsFile:
    partial = path.with_suffix(".partial")
    save_file(tensors, partial)
    data = partial.read_bytes()
    partial.replace(path)
    return WeightsFile(path.name, hashlib.sha256(data).hexdigest(), len(data))


def golden_crops(size_px: int, n: int = 4) -> torch.Tensor:
    """Made pictures (n, 3, S, S) in [0, 1] whose logits are stored with each network to prove that it loads right.

    Smooth colour fields by plain arithmetic: the same on every machine and version.
    """
    axis = torch.linspace(0, 1, size_px, dtype=torch.float64)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    waves = [
        torch.stack([torch.sin((3 + i + c) * x * 3.1 + i) * torch.cos((2 + c) * y * 4.7 - i) for c in range(3)])
        for i in range(n)
    ]
    return (torch.stack(waves) * 0.5 + 0.5).float()


def _verified(folder: Path, part: WeightsFile) -> bytes:
    """The bytes of a file, which must be those that were published."""
    try:
        data = (folder / part.file).read_bytes()
    except OSError as error:
        raise WeightsError(f"weights/{part.file} is missing: fetch the whole repository.") from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != part.sha256:
        raise WeightsError(
            f"weights/{part.file} is damaged or of another version: SHA-256 is {digest[:12]}, expected "
            f"{part.sha256[:12]}. Fetch it again."
        )
    return data


def _as_float(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
