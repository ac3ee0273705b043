"""NPR: looks at nothing but how neighbouring pixels relate, where up-sampling layers of generators leave their traces.

Tan et al., "Rethinking the Up-Sampling Operations in CNN-based Generative Network for Generalizable Deepfake
Detection", CVPR 2024 (section 3; written from the paper and the sizes of its authors' published code). The picture
minus its nearest-neighbour copy at half the size leaves three differences in each square of 2 x 2 pixels; a ResNet-50
cut off after its second stage judges them. What resizes or re-encodes a picture wears these traces away.
"""

import torchvision
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.resnet import Bottleneck

_GAIN = 2.0 / 3.0
"""Brings the differences to about the scale of a normalised picture, as the authors do."""


class Npr(nn.Module):
    """Normalised pictures (N, 3, S, S) to logits (N, 1).

    The first two stages have torchvision's names of ResNet-50; the first convolution is 3 x 3, not 7 x 7.

    Args:
        dropout: before the last layer.
    """

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        # later stages are made as small as the class allows, and dropped
        trunk = torchvision.models.ResNet(Bottleneck, [3, 4, 1, 1])
        self.conv1 = nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False)
        nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.bn1, self.relu, self.maxpool = trunk.bn1, trunk.relu, trunk.maxpool
        self.layer1, self.layer2 = trunk.layer1, trunk.layer2
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(512, 1)

    @staticmethod
    def residual(x: Tensor) -> Tensor:
        """x - up(down(x)), both by nearest neighbour: (N, 3, S, S); zero at the first pixel of each 2 x 2 square."""
        return x - functional.interpolate(x[:, :, ::2, ::2], size=x.shape[-2:], mode="nearest")

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(self.residual(x) * _GAIN))))
        logits: Tensor = self.fc(self.dropout(self.layer2(self.layer1(x)).mean((2, 3))))
        return logits
