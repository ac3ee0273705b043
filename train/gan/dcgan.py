"""A generator after DCGAN: a latent vector grown to a picture by strided transposed convolutions.

Radford, Metz and Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks", ICLR 2016 (written from the paper's section 3 and figure 1): no pooling, no hidden dense layers, batch norm
everywhere but at the output, ReLU, tanh at the end.
"""

import math
from itertools import pairwise

from torch import Tensor, nn


class DcganGenerator(nn.Module):
    """(N, latent_dim) standard normal to pictures (N, 3, S, S) in [-1, 1].

    Args:
        latent_dim: length of the latent vector.
        size_px: side of the pictures, a power of two from 8.
        channels: feature maps before the last layer; each step towards 4 x 4 doubles them, up to `max_channels`.
        max_channels: most feature maps of a layer.
    """

    def __init__(self, latent_dim: int, size_px: int, channels: int, max_channels: int) -> None:
        super().__init__()
        self.latent_dim, self.size_px = latent_dim, size_px
        steps = int(math.log2(size_px)) - 2
        widths = [min(max_channels, channels * 2 ** (steps - 1 - i)) for i in range(steps)]
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(latent_dim, widths[0], 4, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        ]
        for before, after in pairwise(widths):
            layers += [
                nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(inplace=True),
            ]
        layers += [nn.ConvTranspose2d(widths[-1], 3, 4, stride=2, padding=1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        for module in self.modules():
            # the paper's initial values
            if isinstance(module, nn.ConvTranspose2d):
                nn.init.normal_(module.weight, 0.0, 0.02)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1.0, 0.02)

    def forward(self, latent: Tensor) -> Tensor:
        pictures: Tensor = self.layers(latent[:, :, None, None])
        return pictures
