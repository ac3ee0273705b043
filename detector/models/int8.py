"""Matrices stored as 8-bit integers with one scale a row, and back.

A matrix `NAME` (out, in) int8 or uint8 lies beside `NAME.scale` (out,) and, where it has one, `NAME.zero_point` (out,):
weight = (q - zero_point) * scale. Everything else is stored as it is.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

_SCALE, _ZERO = ".scale", ".zero_point"
_STEPS = 127


def quantised(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Matrices as int8 with a scale a row, no zero point; everything else as it is.

    A matrix that came from such integers comes out as the same ones.
    """
    stored = {}
    for name, value in state.items():
        if value.ndim == 2:
            scale = value.abs().amax(1) / _STEPS
            stored[name] = torch.round(value / torch.where(scale > 0, scale, 1)[:, None]).to(torch.int8)
            stored[name + _SCALE] = scale
        else:
            stored[name] = value
    return stored


def dequantised(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Float32 matrices of what is stored; tensors that have no scale come through as they are."""
    weights_of = {}
    for name, value in stored.items():
        if name.endswith((_SCALE, _ZERO)):
            continue
        if name + _SCALE in stored:
            value = value.float()
            if name + _ZERO in stored:
                value = value - stored[name + _ZERO].float().reshape(-1, 1)
            value = value * stored[name + _SCALE].float().reshape(-1, 1)
        weights_of[name] = value
    return weights_of
