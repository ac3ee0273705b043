"""Faces and generators of sixteen pixels."""

import cv2
import numpy as np
import torch

from train.gan.faces import FaceSet
from train.gan.players import GeneratorSpec, Variant


def spec(variant: Variant, size_px: int = 16) -> GeneratorSpec:
    return GeneratorSpec(variant, size_px, latent_dim=8, channels=4, max_channels=8, mapping_layers=2)


def face_set(n: int = 12, size_px: int = 16) -> FaceSet:
    rng = np.random.default_rng(0)
    smooth = [cv2.GaussianBlur(rng.integers(0, 256, (size_px, size_px, 3), np.uint8), (0, 0), 3) for _ in range(n)]
    return FaceSet(
        torch.from_numpy(np.stack(smooth)).permute(0, 3, 1, 2).contiguous(), tuple(f"a/{i // 2}" for i in range(n))
    )
