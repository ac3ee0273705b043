"""The store of trained networks, both directions: verify and load, write.

`weights/manifest.json` says what was trained (data); `detector.models.registry` what can be built (code).

    models      name -> architecture, file, sha256, bytes, input_size_px, calibration, curve, false_alarms, metrics, ...
                of a network on a frozen backbone: backbone, that one's file, sha256 and bytes
    ensembles   name -> kind, members, calibration, curve, edges and weights of a vote, file and sha256 of a stacked
                classifier, golden_scores, false_alarms, metrics, ...
                of both: clips, what genuine videos showed, by `python -m train clips` (absent: not measured)
    limits      smallest face and least sharpness that get a verdict, with the measurements behind them
    default     the name that `Detector()` uses

`weights/leaderboard.json`, if there is one, holds the long tables and curves behind the metrics. The manifest is
written last, so that its existence means that everything it names is complete.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays
from safetensors.torch import load as load_tensors
from safetensors.torch import save_file
from torch import nn

from detector.aggregate import ClipRule
from detector.calibration import Calibration, FalseAlarmCurve
from detector.ensemble import Ensemble, Stacker
from detector.errors import UnknownModelError, WeightsError
from detector.models.int8 import dequantised, quantised
from detector.models.registry import Network, build
from detector.types import BandCap

MANIFEST = "manifest.json"
LEADERBOARD = "leaderboard.json"
MANIFEST_VERSION = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One choice of `Detector(models=...)`: a network alone, or an ensemble of networks.

    Attributes:
        name: as in the manifest.
        members: names of networks; a network alone is its own only member.
        calibration: for an ensemble, applied to what it makes of its members' calibrated logits.
        curve: false alarms of this choice on genuine faces of unseen validation sources.
        clips: how the persons of a video are judged.
        record: everything else that the manifest says.
    """

    name: str
    members: tuple[str, ...]
    calibration: Calibration
    curve: FalseAlarmCurve
    clips: ClipRule
    record: Mapping[str, Any]

    @property
    def false_alarms(self) -> Mapping[str, Mapping[str, Any]]:
        """Band -> n, k, rate, low, high on genuine media of sources that neither trained nor tuned anything."""
        return self.record.get("false_alarms", {})  # type: ignore[no-any-return]

    @property
    def clip_false_alarms(self) -> Mapping[str, Mapping[str, Any]]:
        """The same on genuine persons of clips, each judged without having set an edge; empty where not measured."""
        return self.record.get("clips", {}).get("false_alarms", {})  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Manifest:
    """A published set of weights."""

    folder: Path
    data: Mapping[str, Any]

    @property
    def date(self) -> str:
        return str(self.data["date"])

    @property
    def default(self) -> str:
        return str(self.data["default"])

    @property
    def models(self) -> Mapping[str, Mapping[str, Any]]:
        return self.data["models"]  # type: ignore[no-any-return]

    @property
    def ensembles(self) -> Mapping[str, Mapping[str, Any]]:
        return self.data["ensembles"]  # type: ignore[no-any-return]

    @property
    def min_face_px(self) -> float:
        return float(self.data["limits"]["min_face_px"])

    @property
    def min_sharpness(self) -> float:
        return float(self.data["limits"]["min_sharpness"])

    def names(self) -> tuple[str, ...]:
        """Everything that `Detector(models=...)` takes, the default first."""
        rest = [n for n in (*self.ensembles, *self.models) if n != self.default]
        return (self.default, *rest)

    def entry(self, name: str) -> Entry:
        """A choice by name; "default" is the default.

        Raises:
            UnknownModelError: no such network or ensemble was published.
            WeightsError: an ensemble names a network that the manifest lacks, or what it says of videos is damaged.
        """
        name = self.default if name == "default" else name
        record = self.ensembles.get(name) or self.models.get(name)
        if record is None:
            raise UnknownModelError(f"no weights for {name!r}; published: {', '.join(self.names())}")
        members = tuple(record.get("members", (name,)))
        missing = [m for m in members if m not in self.models]
        if missing:
            raise WeightsError(f"ensemble {name!r} needs {', '.join(missing)}, which the manifest does not list")
        curve = _curve(record["curve"])
        return Entry(
            name=name,
            members=members,
            calibration=Calibration(**record["calibration"]),
            curve=curve,
            clips=_clip_rule(name, record, curve),
            record=record,
        )

    def leaderboard(self) -> Mapping[str, Any] | None:
        """The long tables of this very set; None where there are none, or they belong to another set."""
        try:
            data = json.loads((self.folder / LEADERBOARD).read_text())
        except (OSError, ValueError):
            return None  # a page without its long tables is better than no page
        of = {name: record.get("sha256") for name, record in self.models.items()}
        return data if isinstance(data, dict) and data.get("networks") == of else None


def default_folder() -> Path:
    """The `weights/` folder of the checkout that this package is installed from."""
    return Path(__file__).resolve().parent.parent / "weights"


def read_manifest(folder: Path | None = None) -> Manifest:
    """The published set in a folder, `weights/` by default.

    Raises:
        WeightsError: there is none, or it cannot be read.
    """
    folder = folder or default_folder()
    path = folder / MANIFEST
    try:
        data = json.loads(path.read_text())
    except FileNotFoundError:
        raise WeightsError(
            f"There are no weights: {folder.name}/{MANIFEST} is missing. Fetch the whole repository, or run "
            f"`python -m train`."
        ) from None
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder.name}/{MANIFEST} cannot be read ({error}). Fetch it again.") from error
    if data.get("manifest_version") != MANIFEST_VERSION:
        raise WeightsError(f"{folder.name}/{MANIFEST} has another version than this program: update both together.")
    return Manifest(folder, data)


def list_models(folder: Path | None = None) -> tuple[str, ...]:
    """Names that `Detector(models=...)` takes, the default first."""
    return read_manifest(folder).names()


def verified_weights(manifest: Manifest, name: str) -> str:
    """A name for what all files of a published network hold together: its SHA-256, if it is one file.

    Raises:
        WeightsError: a file is missing or damaged.
    """
    parts = _parts(manifest.models[name])
    for part in parts:
        _verified(manifest.folder, part)
    return "+".join(str(part["sha256"]) for part in parts)


def load_network(manifest: Manifest, name: str) -> Network:
    """A published network, verified, in float32 and evaluation mode.

    Raises:
        WeightsError: the file is missing, damaged, or fits another architecture.
    """
    record = manifest.models[name]
    network = build(record["architecture"])
    try:
        found: dict[str, torch.Tensor] = {}
        for part in _parts(record):
            found |= dequantised(load_tensors(_verified(manifest.folder, part)))
        network.load_state_dict({k: _as_float(v) for k, v in found.items()}, strict=True)
    except (SafetensorError, RuntimeError) as error:
        raise WeightsError(f"weights/{record['file']} does not fit {record['architecture']}: {error}") from error
    return network.eval().to(memory_format=torch.channels_last)


def load_ensemble(manifest: Manifest, name: str) -> Ensemble:
    """How a choice combines its members; a network alone is a combination of one.

    Raises:
        UnknownModelError: no such network or ensemble was published.
        WeightsError: the entry is incomplete, or the file of a stacked classifier is missing or damaged.
    """
    entry = manifest.entry(name)
    if entry.name in manifest.models and entry.name not in manifest.ensembles:
        # a network's engine calibrates by itself
        return Ensemble("network", 1, Calibration(1.0, 0.0))
    record = entry.record
    try:
        kind = record["kind"]
        stacker = None
        if kind == "stacking":
            stacker = Stacker.from_arrays(load_arrays(_verified(manifest.folder, record)))
        return Ensemble(
            kind=kind,
            members=len(entry.members),
            calibration=entry.calibration,
            edges=tuple(record.get("edges", ())),
            weights=tuple(record.get("weights", ())),
            stacker=stacker,
        )
    except (SafetensorError, ValueError, KeyError) as error:
        raise WeightsError(f"ensemble {entry.name!r} is not complete: {error}. Fetch weights/ again.") from error


def save_stacker(stacker: Stacker, path: Path) -> tuple[str, int]:
    """Writes a stacked classifier, whole or not at all; returns SHA-256 and size in bytes."""
    data = save_arrays({name: np.ascontiguousarray(array) for name, array in stacker.arrays().items()})
    partial = path.with_suffix(".partial")
    partial.write_bytes(data)
    partial.replace(path)
    return hashlib.sha256(data).hexdigest(), len(data)


def save_network(network: nn.Module, path: Path) -> tuple[str, int]:
    """Writes weights as float16 safetensors, whole or not at all; returns SHA-256 and size in bytes."""
    return _save_halves(network.state_dict(), path)


def save_parts(network: Network, folder: Path, frozen: str) -> dict[str, Any]:
    """Writes a network whose backbone is frozen as two files, so that new training replaces a few kilobytes.

    Args:
        network: to write.
        folder: where to; files that are there are replaced.
        frozen: how the names of the backbone's tensors begin. Its matrices are stored as 8-bit integers.

    Returns:
        What the network's entry in the manifest says of its files.
    """
    state = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    file, backbone = f"{network.name}.safetensors", f"{network.name}.int8.safetensors"
    digest, size = _save_halves({k: v for k, v in state.items() if not k.startswith(frozen)}, folder / file)
    of_backbone, its_size = _save(
        quantised({k: v for k, v in state.items() if k.startswith(frozen)}), folder / backbone
    )
    return {
        "file": file,
        "sha256": digest,
        "bytes": size,
        "backbone": {"file": backbone, "sha256": of_backbone, "bytes": its_size},
    }


def _save_halves(state: Mapping[str, torch.Tensor], path: Path) -> tuple[str, int]:
    tensors = {
        k: (v.detach().half() if v.is_floating_point() else v.detach()).cpu().contiguous() for k, v in state.items()
    }
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise WeightsError(f"{key} does not fit into float16")
    return _save(tensors, path)


def _save(tensors: dict[str, torch.Tensor], path: Path) -> tuple[str, int]:
    partial = path.with_suffix(".partial")
    save_file(tensors, partial)
    data = partial.read_bytes()
    partial.replace(path)
    return hashlib.sha256(data).hexdigest(), len(data)


def write_manifest(folder: Path, data: Mapping[str, Any]) -> None:
    """Writes the manifest, last of all files of a set."""
    partial = folder / f"{MANIFEST}.partial"
    partial.write_text(json.dumps(data, indent=1, sort_keys=False) + "\n")
    partial.replace(folder / MANIFEST)


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


def _parts(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Files that make a network: its own, and the backbone under it where that is one of its own."""
    return [record, *([record["backbone"]] if "backbone" in record else [])]


def _verified(folder: Path, record: Mapping[str, Any]) -> bytes:
    """The bytes of an entry's file, which must be those that were published."""
    try:
        data = Path(folder / record["file"]).read_bytes()
    except OSError as error:
        raise WeightsError(f"weights/{record['file']} is missing: fetch the whole repository.") from error
    found = hashlib.sha256(data).hexdigest()
    if found != record["sha256"]:
        raise WeightsError(
            f"weights/{record['file']} is damaged or of another version: SHA-256 is {found[:12]}, expected "
            f"{record['sha256'][:12]}. Fetch it again."
        )
    return data


def _curve(record: Mapping[str, Any]) -> FalseAlarmCurve:
    return FalseAlarmCurve(tuple(record["rates"]), tuple(record["logits"]))


def _clip_rule(name: str, record: Mapping[str, Any], curve: FalseAlarmCurve) -> ClipRule:
    """What an entry says of videos; the cautious rule where it says nothing."""
    found = record.get("clips")
    if found is None:
        return ClipRule.unmeasured(curve)
    try:
        cap = found["cap"]
        return ClipRule(
            calibration=Calibration(float(found["calibration"]["scale"]), float(found["calibration"]["offset"])),
            curve=_curve(found["curve"]),
            runs=float(found["runs"]),
            cap=None if cap is None else BandCap(cap["band"], cap["reason"], int(cap["persons"]), cap["needed"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"What weights/{MANIFEST} says of {name!r} on videos is not complete ({error!r}). Fetch weights/ again, or "
            f"run `python -m train clips`."
        ) from error


def _as_float(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
