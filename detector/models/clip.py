"""CLIP's ViT-B/16 image tower, and a head that reads all of its layers.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021 (weights of OpenAI,
MIT). Which layer tells a manipulated face differs by kind of manipulation: fine traces are seen early, meaning late.
So the head reads the class token and the mean of the patches of several layers (Koutlis and Papadopoulos, "Leveraging
Representations from Intermediate Encoder-blocks for Synthetic Image Detection", ECCV 2024), each brought to length one
(Yermakov et al., "Deepfake Detection that Generalizes Across Benchmarks", 2025).
"""

from collections.abc import Sequence
from typing import Any

import timm
import torch
from torch import Tensor, nn

CLIP_NAME = "vit_base_patch16_clip_quickgelu_224"
LAYERS, WIDTH, PATCH_PX = 13, 768, 16
_LEAST = 1e-6
"""Of a vector's length, before others are divided by it."""


class ClipTower(nn.Module):
    """Normalised pictures (N, 3, S, S) to tokens. Position embeddings are stretched to the picture's size.

    Args:
        pretrained: fills it with the publisher's weights, downloading them.
    """

    def __init__(self, pretrained: bool = False) -> None:
        super().__init__()
        self.trunk: Any = timm.create_model(
            CLIP_NAME, pretrained=pretrained, num_classes=0, dynamic_img_size=True, dynamic_img_pad=True
        )

    def tokens(self, x: Tensor) -> list[Tensor]:
        """Tokens of each block, then those of the last norm: 13 times (N, 1 + patches, 768), class token first."""
        trunk = self.trunk
        x = trunk.norm_pre(trunk._pos_embed(trunk.patch_embed(x)))
        after_blocks = []
        for block in trunk.blocks:
            x = block(x)
            after_blocks.append(x)
        return [*after_blocks, trunk.norm(x)]

    def features(self, x: Tensor) -> Tensor:
        """(N, 26, 768) float32: the class token of each of `tokens`, then the mean of its patches."""
        return features_of(self.tokens(x))


class ClipViT(ClipTower):
    """Normalised pictures (N, 3, S, S) to logits (N, 1): linear in features of length one.

    What the patches say is a sum over places: each place's share of it is the last feature map, of one channel. What
    the class tokens say has no place; it is the same for all of the picture.

    Args:
        dropout: before what the class tokens say.
        pretrained: fills the tower with the publisher's weights, downloading them.
    """

    def __init__(self, dropout: float = 0.0, pretrained: bool = False) -> None:
        super().__init__(pretrained)
        self.map = nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(2 * LAYERS * WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = (-(-side // PATCH_PX) for side in x.shape[-2:])
        tokens = self.tokens(x)
        of_class, of_patches = self.fc.weight[0].view(2, LAYERS, WIDTH)
        places = torch.stack(
            # a sum over layers of what each place adds to the mean, brought to length one
            [
                (t[:, 1:] @ weight) / t[:, 1:].mean(1).norm(dim=1, keepdim=True).clamp_min(_LEAST)
                for t, weight in zip(tokens, of_patches, strict=True)
            ]
        ).sum(0)
        shown: Tensor = self.map(places.unflatten(1, (rows, columns)).unsqueeze(1))
        summary = nn.functional.normalize(torch.stack([t[:, 0] for t in tokens], 1), dim=2, eps=_LEAST).flatten(1)
        whole = self.dropout(summary) @ of_class.flatten()
        logits: Tensor = whole + shown.mean((1, 2, 3)) + self.fc.bias
        return logits[:, None]


def features_of(tokens: Sequence[Tensor]) -> Tensor:
    """L times (N, 1 + patches, C) to (N, 2 L, C) float32: class tokens, then means of patches."""
    return torch.stack([*(t[:, 0] for t in tokens), *(t[:, 1:].mean(1) for t in tokens)], 1).float()
