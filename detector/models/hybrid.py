"""A hybrid discriminator: a pretrained trunk that sees the face, joined with a branch that sees only its finest grain.

Generators leave traces where pictures hold little content: in the residual that high-pass filters let through. The
three fixed filters are those that Zhou et al., "Learning Rich Features for Image Manipulation Detection", CVPR 2018
(section 3.2) chose from the rich models of Fridrich and Kodovský, "Rich Models for Steganalysis of Digital Images",
2012. Both branches meet at stride 16, so that a fused map can weigh what a place shows against how its grain looks.
"""

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

_FILTERS = (
    (
        (0, 0, 0, 0, 0),
        (0, -1, 2, -1, 0),
        (0, 2, -4, 2, 0),
        (0, -1, 2, -1, 0),
        (0, 0, 0, 0, 0),
    ),
    (
        (-1, 2, -2, 2, -1),
        (2, -6, 8, -6, 2),
        (-2, 8, -12, 8, -2),
        (2, -6, 8, -6, 2),
        (-1, 2, -2, 2, -1),
    ),
    (
        (0, 0, 0, 0, 0),
        (0, 0, 0, 0, 0),
        (0, 1, -2, 1, 0),
        (0, 0, 0, 0, 0),
        (0, 0, 0, 0, 0),
    ),
)
_DIVISORS = (4.0, 12.0, 2.0)
_GREY_LEVELS = 58.0
"""One unit of the normalised input in grey levels: ImageNet's mean standard deviation of colours, 0.226, times 255."""
_CLIP = 12.0
"""Grey levels beyond which a residual is an edge of the picture, not grain."""


class Hybrid(nn.Module):
    """Normalised pictures (N, 3, S, S) to logits (N, 1).

    The trunk is ResNet-18 up to layer3 under torchvision's names, so that its published weights fit as they are.

    Args:
        dropout: before the last layer.
    """

    filters: Tensor

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        trunk = torchvision.models.resnet18(weights=None)
        self.conv1, self.bn1, self.relu, self.maxpool = trunk.conv1, trunk.bn1, trunk.relu, trunk.maxpool
        self.layer1, self.layer2, self.layer3 = trunk.layer1, trunk.layer2, trunk.layer3
        filters = torch.tensor(_FILTERS, dtype=torch.float32) / torch.tensor(_DIVISORS)[:, None, None]
        # every filter on every colour: 9 residual maps
        self.register_buffer("filters", filters.repeat(3, 1, 1)[:, None], persistent=False)
        self.grain = nn.Sequential(
            _conv(9, 32, stride=1), _conv(32, 32, stride=2), _conv(32, 64, stride=2), _conv(64, 96, stride=2),
            _conv(96, 128, stride=2),
        )  # fmt: skip
        self.fuse = nn.Sequential(
            nn.Conv2d(256 + 128, 256, 1, bias=False), nn.BatchNorm2d(256), nn.ReLU(inplace=True)
        )  # fmt: skip
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(256, 1)

    def residual(self, x: Tensor) -> Tensor:
        """High-pass residual in grey levels, clipped and brought to [-1, 1]: (N, 9, S, S)."""
        filtered = functional.conv2d(functional.pad(x, (2, 2, 2, 2), mode="reflect"), self.filters, groups=3)
        return (filtered * (_GREY_LEVELS / _CLIP)).clamp(-1, 1)

    def features(self, x: Tensor) -> Tensor:
        """Fused and pooled features (N, 256)."""
        face = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        face = self.layer3(self.layer2(self.layer1(face)))
        # both branches halve four times, rounding alike: the maps have the same size
        pooled: Tensor = self.fuse(torch.cat([face, self.grain(self.residual(x))], 1)).mean((2, 3))
        return pooled

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.dropout(self.features(x)))
        return logits


def _conv(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
