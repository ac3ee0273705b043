"""What can be built: every network by name, in one screen.

What was trained is in `weights/manifest.json`; a test joins the two. Every network takes crops (N, 3, S, S) float in
[0, 1], normalises them itself and returns one logit per crop, (N,), positive = manipulated.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import timm
import torch
import torchvision
from torch import Tensor, nn

from detector.errors import UnknownModelError

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """How a network is built and fed.

    Attributes:
        build: makes the backbone with one output; the argument is the dropout before it.
        last_features: dotted name of the module whose output is the last feature map, (N, C, h, w): Grad-CAM's target.
        mean, std: of the colours the backbone expects, for inputs in [0, 1].
        pretrained: makes the backbone with its publisher's weights, downloading them; needs a network connection.
        paper, licence: of the architecture and of the library's code.
    """

    build: Callable[[float], nn.Module]
    last_features: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    pretrained: Callable[[], nn.Module]
    paper: str
    licence: str


def _torchvision_resnet(name: str) -> tuple[Callable[[float], nn.Module], Callable[[], nn.Module]]:
    maker = getattr(torchvision.models, name)

    def build(dropout: float) -> nn.Module:
        net = maker(weights=None)
        net.fc = nn.Sequential(nn.Dropout(dropout), nn.Linear(net.fc.in_features, 1))
        return net  # type: ignore[no-any-return]

    return build, lambda: maker(weights="DEFAULT")


def _timm(name: str, **options: Any) -> tuple[Callable[[float], nn.Module], Callable[[], nn.Module]]:
    return (
        lambda dropout: timm.create_model(name, num_classes=1, drop_rate=dropout, **options),
        lambda: timm.create_model(name, pretrained=True, **options),
    )


_resnet18, _resnet18_online = _torchvision_resnet("resnet18")
_resnet50, _resnet50_online = _torchvision_resnet("resnet50")
_mobilenet, _mobilenet_online = _timm("mobilenetv2_100", pad_type="same")
_efficientnet, _efficientnet_online = _timm("tf_efficientnet_b0")

_RESNET_PAPER = "He et al., Deep Residual Learning for Image Recognition, CVPR 2016"

MODELS: dict[str, ModelSpec] = {
    "resnet18": ModelSpec(
        _resnet18, "layer4", *_IMAGENET, _resnet18_online, _RESNET_PAPER, "BSD-3-Clause (torchvision)"
    ),
    "resnet50": ModelSpec(
        _resnet50, "layer4", *_IMAGENET, _resnet50_online, _RESNET_PAPER, "BSD-3-Clause (torchvision)"
    ),
    "mobilenet_v2": ModelSpec(
        _mobilenet,
        "bn2",
        *_HALF,
        _mobilenet_online,
        "Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018",
        "Apache-2.0 (timm)",
    ),
    "efficientnet_b0": ModelSpec(
        _efficientnet,
        "bn2",
        *_IMAGENET,
        _efficientnet_online,
        "Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019",
        "Apache-2.0 (timm)",
    ),
}


class Network(nn.Module):
    """A registered backbone that normalises its own input and returns one logit per crop.

    Mean and standard deviation are buffers, so they move with the device and no caller can normalise wrongly.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, dropout: float = 0.0) -> None:
        super().__init__()
        spec = spec_of(name)
        self.name = name
        self.backbone = spec.build(dropout)
        # libraries size the last layer for 1000 classes; with one output its logits would start at plus or minus 10
        head = [m for m in self.backbone.modules() if isinstance(m, nn.Linear)][-1]
        nn.init.normal_(head.weight, std=0.1 * head.in_features**-0.5)
        nn.init.zeros_(head.bias)
        self.register_buffer("mean", torch.tensor(spec.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(spec.std).view(1, 3, 1, 1), persistent=False)

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, S, S) float in [0, 1] to (N,) logits, positive = manipulated."""
        out: Tensor = self.backbone((crops - self.mean) / self.std)
        return out.flatten()

    @property
    def last_features(self) -> nn.Module:
        """The module whose output is the last feature map."""
        return self.backbone.get_submodule(spec_of(self.name).last_features)


def spec_of(name: str) -> ModelSpec:
    """The registered network of that name.

    Raises:
        UnknownModelError: no such name; the message lists those that exist.
    """
    try:
        return MODELS[name]
    except KeyError:
        raise UnknownModelError(f"there is no network {name!r}; known: {', '.join(MODELS)}") from None


def build(name: str, dropout: float = 0.0) -> Network:
    """A new network with random weights, one of `MODELS` by name."""
    return Network(name, dropout)
