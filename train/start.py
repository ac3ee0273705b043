"""Where a network's weights start: a file on disk, the publisher's weights online, or scratch.

Files are looked for by the names below in `--pretrained DIR`, else `$UNMASK_PRETRAINED`, else `pretrained/` beside the
data folder. What was found is part of the run's record, since networks are only comparable at equal starts.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from detector.models.registry import Network, spec_of


@dataclass(frozen=True, slots=True)
class Start:
    """A file with weights for some or all layers of a network, and whose they are."""

    file: str
    origin: str
    licence: str


STARTS: dict[str, Start] = {
    "resnet18": Start(
        "resnet18_to_layer3_imagenet.safetensors", "torchvision ResNet-18 ImageNet V1, conv1 to layer3", "BSD-3-Clause"
    ),
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
}


def find_pretrained(option: Path | None, data_root: Path) -> Path | None:
    """The folder of starting weights, if there is one."""
    if option is not None:
        return option
    if "UNMASK_PRETRAINED" in os.environ:
        return Path(os.environ["UNMASK_PRETRAINED"])
    beside = data_root.parent / "pretrained"
    return beside if beside.is_dir() else None


def load_start(network: Network, kind: str, folder: Path | None) -> str:
    """Fills a network with its starting weights and says in one line what they are.

    Args:
        network: of the registry; changed in place.
        kind: "auto" (a file if there is one, else scratch), "file", "online" (download the publisher's weights),
            "scratch", or the path of a `.safetensors` file of this very network (for instance a published one).

    Raises:
        FileNotFoundError: "file" was asked for and there is none.
        ValueError: the file fits no layer of the network.
    """
    if kind == "scratch":
        return "scratch"
    if kind == "online":
        _copy(network, spec_of(network.name).pretrained().state_dict())
        return f"{network.name}: the publisher's ImageNet weights, downloaded"
    if kind not in ("auto", "file"):
        network.load_state_dict({k: v.float() for k, v in load_file(kind).items()}, strict=True)
        return f"continued from {Path(kind).name}"
    start = STARTS.get(network.name)
    path = folder / start.file if start and folder else None
    if start is None or path is None or not path.is_file():
        if kind == "file":
            raise FileNotFoundError(f"no starting weights for {network.name}: name their folder with --pretrained DIR")
        return "scratch"
    filled = _copy(network, load_file(path))
    return f"{start.origin} ({start.licence}; {filled} tensors)"


def _copy(network: Network, weights: dict[str, Tensor]) -> int:
    own = network.backbone.state_dict()
    fitting = {k: v.float() for k, v in weights.items() if k in own and own[k].shape == v.shape}
    if not any(v.ndim == 4 for v in fitting.values()):
        raise ValueError(f"the starting weights fit no convolution of {network.name}")
    network.backbone.load_state_dict(fitting, strict=False)
    return len(fitting)
