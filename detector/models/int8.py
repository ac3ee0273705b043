"""Matrices stored as 8-bit integers with one scale a row, and back.

A matrix `NAME` (out, in) int8 or uint8 lies beside `NAME.scale` and `NAME.zero_point` (out,): weight = (q - zero_point)
* scale. Everything else is stored as it is.
"""

from collections.abc import Mapping

from torch import Tensor

_SCALE, _ZERO = ".scale", ".zero_point"


def dequantised(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Float32 matrices of what is stored; tensors that have no scale come through as they are."""
    found = {}
    for name, value in stored.items():
        if name.endswith((_SCALE, _ZERO)):
            continue
        if name + _SCALE in stored:
            zero, scale = (stored[name + end].float().reshape(-1, 1) for end in (_ZERO, _SCALE))
            value = (value.float() - zero) * scale
        found[name] = value
    return found
