"""timm's ViT-Tiny, its patches averaged: pictures of any size, and a last feature map as convolutional networks have.

Dosovitskiy et al., "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale", ICLR 2021; the tiny
size is that of Touvron et al., "Training data-efficient image transformers", ICML 2021.
"""

from typing import Any

import timm
from torch import Tensor, nn


class ViTTiny(nn.Module):
    """Normalised pictures (N, 3, S, S) to logits (N, 1).

    Position embeddings are stretched to the picture's size, and pictures filled up to whole patches of 16 px. The mean
    over patches stands for the picture, not the class token, so that the last layer is linear on the mean of a map.

    Args:
        dropout: before the last layer.
        pretrained: fills the trunk with the publisher's weights, downloading them.
    """

    def __init__(self, dropout: float = 0.0, pretrained: bool = False) -> None:
        super().__init__()
        trunk: Any = timm.create_model(
            "vit_tiny_patch16_224", pretrained=pretrained, num_classes=0, dynamic_img_size=True, dynamic_img_pad=True
        )
        self.trunk = trunk
        self.patch_px, self.prefix = 16, int(trunk.num_prefix_tokens)
        # the place where the map can be seen
        self.map = nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(trunk.num_features, 1)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = (-(-side // self.patch_px) for side in x.shape[-2:])
        patches = self.trunk.forward_features(x)[:, self.prefix :]
        features: Tensor = self.map(patches.transpose(1, 2).unflatten(2, (rows, columns)))
        logits: Tensor = self.fc(self.dropout(features.mean((2, 3))))
        return logits
