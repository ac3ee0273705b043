"""ResNet for small pictures: three stages of 16, 32 and 64 maps, no pooling before them.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2 (the CIFAR networks; written from the
paper): 6n + 2 layers, shortcuts without parameters (option A). No library has it for one logit.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Norm = Literal["batch", "group"]

_GROUP = 8
"""Maps that are normalised together by group norm."""


class ResNetCifar(nn.Module):
    """Normalised pictures (N, 3, S, S) to logits (N, 1).

    Args:
        depth: 6n + 2: 20, 32, 44, 56 or 110.
        dropout: before the last layer.
        norm: "batch" as in the paper, or "group" (Wu and He, ECCV 2018): over maps of one picture, so that an answer
            does not depend on what else is in the batch, as the gradient penalty of a discriminator needs it.
        grid: side of the grid of places that the last layer sees; 1 = the mean over all, as in the paper.

    Raises:
        ValueError: no such depth.
    """

    def __init__(self, depth: int = 32, dropout: float = 0.0, norm: Norm = "batch", grid: int = 1) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 2, 6)
        if rest or blocks < 1:
            raise ValueError(f"a ResNet of this kind has 6n + 2 layers, not {depth}")
        normed = nn.BatchNorm2d if norm == "batch" else _group_norm
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = normed(16)
        self.layer1 = _stage(16, 16, blocks, 1, normed)
        self.layer2 = _stage(16, 32, blocks, 2, normed)
        self.layer3 = _stage(32, 64, blocks, 2, normed)
        self.dropout = nn.Dropout(dropout)
        self.pool = nn.AdaptiveAvgPool2d(grid)
        self.fc = nn.Linear(64 * grid**2, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, x: Tensor) -> Tensor:
        """Pooled features (N, 64 grid^2)."""
        x = functional.relu(self.bn1(self.conv1(x)))
        pooled: Tensor = self.pool(self.layer3(self.layer2(self.layer1(x)))).flatten(1)
        return pooled

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.dropout(self.features(x)))
        return logits


def _group_norm(channels: int) -> nn.Module:
    return nn.GroupNorm(channels // _GROUP, channels)


def _stage(inputs: int, outputs: int, blocks: int, stride: int, normed: Callable[[int], nn.Module]) -> nn.Sequential:
    first = _Block(inputs, outputs, stride, normed)
    return nn.Sequential(first, *(_Block(outputs, outputs, 1, normed) for _ in range(blocks - 1)))


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, normed: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = normed(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = normed(outputs)
        self.stride, self.added = stride, outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1 or self.added:
            # option A: every second pixel, and zeros for the maps that are new
            x = x[:, :, :: self.stride, :: self.stride]
            x = torch.cat([x, x.new_zeros(x.shape[0], self.added, *x.shape[2:])], 1)
        return functional.relu(out + x)
