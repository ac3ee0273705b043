"""MesoNet: two small networks that look at the grain of a face between its pixels and its parts.

Afchar et al., "MesoNet: a Compact Facial Video Forgery Detection Network", WIFS 2018 (written from the paper, figures 4
and 5, with the channel counts of its authors' published code: 1, 4, 4, 2 and 2, 4, 4, 2). Made for faces of 256 px; at
other sizes the last map is averaged to the 8 x 8 places that the first linear layer takes. No library has them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

_GRID = 8
"""Side of the last map at 256 px."""


class MesoNet(nn.Module):
    """Normalised pictures (N, 3, S, S) to logits (N, 1).

    Args:
        inception: MesoInception-4; else Meso-4.
        dropout: before each of the two linear layers (0.5 in the paper).
    """

    def __init__(self, inception: bool, dropout: float = 0.0) -> None:
        super().__init__()
        first: tuple[nn.Module, nn.Module] = (nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 5, padding=2))
        channels = (8, 8)
        if inception:
            first, channels = (_Inception(3, (1, 4, 4, 2)), _Inception(11, (2, 4, 4, 2))), (11, 12)
        self.block1 = _Block(first[0], channels[0])
        self.block2 = _Block(first[1], channels[1])
        self.block3 = _Block(nn.Conv2d(channels[1], 16, 5, padding=2), 16)
        self.block4 = _Block(nn.Conv2d(16, 16, 5, padding=2), 16)
        self.grid = nn.AdaptiveAvgPool2d(_GRID)
        self.dropout = nn.Dropout(dropout)
        self.fc1 = nn.Linear(16 * _GRID**2, 16)
        self.fc2 = nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        # the publisher's pooling keeps what is left over at the border
        for block in (self.block1, self.block2, self.block3):
            x = functional.max_pool2d(block(x), 2, ceil_mode=True)
        x = functional.max_pool2d(self.block4(x), 4, ceil_mode=True)
        x = self.fc1(self.dropout(self.grid(x).flatten(1)))
        logits: Tensor = self.fc2(self.dropout(functional.leaky_relu(x, 0.1)))
        return logits


class _Block(nn.Module):
    """Convolution, ReLU, batch normalisation: in this order."""

    def __init__(self, conv: nn.Module, channels: int) -> None:
        super().__init__()
        self.conv, self.bn = conv, nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        normal: Tensor = self.bn(functional.relu(self.conv(x)))
        return normal


class _Inception(nn.Module):
    """Four branches of one receptive field each, by dilation instead of larger kernels."""

    def __init__(self, inputs: int, outputs: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                nn.Conv2d(inputs, outputs[0], 1),
                *(
                    nn.Sequential(nn.Conv2d(inputs, n, 1), nn.ReLU(), nn.Conv2d(n, n, 3, padding=reach, dilation=reach))
                    for reach, n in enumerate(outputs[1:], 1)
                ),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)
