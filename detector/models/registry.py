"""The registry: every network that can be built, by name, in one screen.

What was trained is in `weights/manifest.json`; a test joins the two. Every network takes crops (N, 3, S, S) float in
[0, 1], normalises them itself and returns one logit per crop, (N,), positive = manipulated.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import timm
import torch
import torchvision
from torch import Tensor, nn

from detector.errors import UnknownModelError
from detector.models.clip import ClipViT
from detector.models.hybrid import Hybrid
from detector.models.mesonet import MesoNet
from detector.models.npr import Npr
from detector.models.resnet_cifar import ResNetCifar
from detector.models.vit import ViTTiny

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """How a network is built and fed.

    Attributes:
        build: makes the backbone with one output; the argument is the dropout before it.
        last_features: dotted name of the module whose output is the last feature map, (N, C, h, w): Grad-CAM's target.
        mean, std: of the colours the backbone expects, for inputs in [0, 1].
        pretrained: makes the backbone with its publisher's weights, downloading them; needs a network connection.
            None where nobody publishes any.
        paper, licence: of the architecture and of the library's code.
        size_px: side of the crops that training takes unless told otherwise. Stored faces are at most 240 px, so
            nothing is won by the sizes that large pictures of objects are trained at.
        frozen: how the names of tensors begin that training leaves as they are: they are published as one file of
            8-bit integers, the rest as a small one beside it. None: everything is trained.
        traces: share of the self-blended twins that training replaces by traces of up-sampling unless told otherwise.
    """

    build: Callable[[float], nn.Module]
    last_features: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    pretrained: Callable[[], nn.Module] | None
    paper: str
    licence: str
    size_px: int = 160
    traces: float = 0.0
    frozen: str | None = None


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


def _pooled(features: nn.Module, channels: int, dropout: float) -> nn.Module:
    """Features, their mean, one linear layer."""
    head = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, 1))
    return nn.Sequential(
        OrderedDict(features=features, pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), classifier=head)
    )


def _vgg16(dropout: float) -> nn.Module:
    layers = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"], batch_norm=True)
    for layer in layers:
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return _pooled(layers, 512, dropout)


def _densenet121(dropout: float) -> nn.Module:
    features = torchvision.models.densenet121(weights=None).features
    # torchvision applies it between features and mean, where no map can be seen
    features.add_module("relu5", nn.ReLU(inplace=True))
    return _pooled(features, 1024, dropout)


_resnet18, _resnet18_online = _torchvision_resnet("resnet18")
_resnet50, _resnet50_online = _torchvision_resnet("resnet50")
_mobilenet, _mobilenet_online = _timm("mobilenetv2_100", pad_type="same")
_b0, _b0_online = _timm("tf_efficientnet_b0")
_b2, _b2_online = _timm("tf_efficientnet_b2")
_b4, _b4_online = _timm("tf_efficientnet_b4")
_xception, _xception_online = _timm("legacy_xception")

_RESNET_PAPER = "He et al., Deep Residual Learning for Image Recognition, CVPR 2016"
_EFFICIENTNET_PAPER = "Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019"
_MESONET_PAPER = "Afchar et al., MesoNet: a Compact Facial Video Forgery Detection Network, WIFS 2018"
_TORCHVISION, _TIMM, _OWN = "BSD-3-Clause (torchvision)", "Apache-2.0 (timm)", "MIT (own code)"

MODELS: dict[str, ModelSpec] = {
    "resnet18": ModelSpec(_resnet18, "layer4", *_IMAGENET, _resnet18_online, _RESNET_PAPER, _TORCHVISION),
    "resnet50": ModelSpec(_resnet50, "layer4", *_IMAGENET, _resnet50_online, _RESNET_PAPER, _TORCHVISION),
    # no stride before its first stage: a third of the pixels costs what ResNet-18 costs
    "resnet32": ModelSpec(
        lambda dropout: ResNetCifar(32, dropout), "layer3", *_IMAGENET, None, _RESNET_PAPER, _OWN, size_px=96
    ),
    # the discriminator of `gan --variant resnet32`. With the mean over all places a generator was seen to win by tiling
    # one patch: where an eye is has to count
    "resnet32_discriminator": ModelSpec(
        lambda dropout: ResNetCifar(32, dropout, "group", grid=4),
        "layer3",
        *_IMAGENET,
        None,
        _RESNET_PAPER,
        _OWN,
        size_px=64,
    ),
    # with batch normalisation, and without the two linear layers that hold 124 of its 138 million parameters
    "vgg16": ModelSpec(
        _vgg16,
        "features",
        *_IMAGENET,
        lambda: torchvision.models.vgg16_bn(weights="DEFAULT"),
        "Simonyan and Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR 2015",
        _TORCHVISION,
    ),
    "densenet121": ModelSpec(
        _densenet121,
        "features",
        *_IMAGENET,
        lambda: torchvision.models.densenet121(weights="DEFAULT"),
        "Huang et al., Densely Connected Convolutional Networks, CVPR 2017",
        _TORCHVISION,
    ),
    "xception": ModelSpec(
        _xception,
        "act4",
        *_HALF,
        _xception_online,
        "Chollet, Xception: Deep Learning with Depthwise Separable Convolutions, CVPR 2017",
        _TIMM,
        size_px=192,
    ),
    "efficientnet_b0": ModelSpec(_b0, "bn2", *_IMAGENET, _b0_online, _EFFICIENTNET_PAPER, _TIMM),
    "efficientnet_b2": ModelSpec(_b2, "bn2", *_IMAGENET, _b2_online, _EFFICIENTNET_PAPER, _TIMM, size_px=192),
    "efficientnet_b4": ModelSpec(_b4, "bn2", *_IMAGENET, _b4_online, _EFFICIENTNET_PAPER, _TIMM, size_px=224),
    "mobilenet_v2": ModelSpec(
        _mobilenet,
        "bn2",
        *_HALF,
        _mobilenet_online,
        "Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018",
        _TIMM,
    ),
    "meso4": ModelSpec(
        lambda dropout: MesoNet(False, dropout),
        "block4",
        *_HALF,
        None,
        _MESONET_PAPER,
        _OWN,
        size_px=256,
    ),
    "mesoinception4": ModelSpec(
        lambda dropout: MesoNet(True, dropout),
        "block4",
        *_HALF,
        None,
        _MESONET_PAPER,
        _OWN,
        size_px=256,
    ),
    "vit_tiny": ModelSpec(
        ViTTiny,
        "map",
        *_HALF,
        lambda: ViTTiny(pretrained=True),
        "Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021",
        _TIMM,
    ),
    "clip_vit_b16": ModelSpec(
        ClipViT,
        "map",
        *_CLIP,
        lambda: ClipViT(pretrained=True),
        "Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021",
        "Apache-2.0 (timm)",
        size_px=224,
        frozen="backbone.trunk.",
    ),
    # its own means cancel in the differences it looks at
    "npr": ModelSpec(
        Npr,
        "layer2",
        *_IMAGENET,
        None,
        "Tan et al., Rethinking the Up-Sampling Operations in CNN-based Generative Network for Generalizable Deepfake "
        "Detection, CVPR 2024",
        "MIT (own code); BSD-3-Clause (torchvision's blocks)",
        size_px=224,
        traces=1.0,
    ),
    "hybrid": ModelSpec(
        Hybrid,
        "fuse",
        *_IMAGENET,
        _resnet18_online,
        "own; trunk of He et al., CVPR 2016; residual filters of Zhou et al., CVPR 2018",
        "MIT (own code); BSD-3-Clause (torchvision's trunk)",
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
