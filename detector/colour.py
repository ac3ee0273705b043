"""Colours coded in high dynamic range or with wide primaries → sRGB of 8 bits, as networks and people see pictures.

Primaries and transfer are the code points of ITU-T H.273: PNG's cICP, the nclx of AVIF and HEIC, and FFmpeg share them.
Reference white is 203 cd/m² (ITU-R BT.2408). What lies below about four fifths of its code keeps its shade, so that an
SDR picture that was wrapped into HDR comes back as it was; what is brighter is pressed together below white.
"""

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

PQ, HLG, LINEAR = 16, 18, 8
BT709, P3_DCI, P3, BT2020 = 1, 11, 12, 9

REFERENCE_WHITE = 203.0
"""cd/m² of diffuse white in HDR."""
PEAK = 1000.0
"""cd/m² that becomes the white of SDR: the nominal peak of HLG and of most PQ masters."""

_KNEE = 0.6  # of reference white, in linear light
_GAMMAS = {4: 2.2, 5: 2.8}
_ROWS = 256
_STEPS = 4096
_XY = {  # red, green, blue; the white is D65 but for DCI
    BT709: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    P3: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
}

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


def is_srgb(primaries: int, transfer: int) -> bool:
    """Whether nothing is to be done: SDR with the primaries of sRGB, or of which the primaries are not known."""
    return transfer not in (PQ, HLG, LINEAR, *_GAMMAS) and _known(primaries) == BT709


def to_srgb(codes: Pixels, primaries: int, transfer: int, *, bits: int = 8, gamma: float | None = None) -> np.ndarray:
    """Converts full-range R'G'B' of any of these codings to SDR.

    HDR (PQ, SMPTE ST 2084; HLG, ARIB STD-B67 with the system gamma 1.2 of a display of 1000 cd/m²) is tone-mapped by
    the largest channel, so that hues stay; SDR keeps its curve and changes its primaries alone.

    Args:
        codes: (H, W, 3) uint8 or uint16, 0 to 2 ** bits - 1.
        primaries, transfer: code points of H.273; unknown ones count as those of sRGB.
        bits: of a code.
        gamma: of the display that the result is for; None = sRGB's own curve. Video is made for 2.4 (ITU-R BT.1886).

    Returns:
        (H, W, 3) uint8.
    """
    linear = _linear_of(transfer, bits, gamma)
    matrix = _to_bt709(_known(primaries))
    encode = _encoding(gamma)
    srgb = np.empty(codes.shape, np.uint8)
    for top in range(0, len(codes), _ROWS):  # floats of the whole would take twelve bytes a pixel
        light = linear[codes[top : top + _ROWS]]
        if transfer == HLG:
            luma = light @ np.array([0.2627, 0.6780, 0.0593], np.float32)
            # the system gamma acts on luminance (ITU-R BT.2100, table 5)
            light *= (np.maximum(luma, 1e-6) ** np.float32(0.2))[..., None] * np.float32(PEAK / REFERENCE_WHITE)
        if matrix is not None:
            light = np.asarray(cv2.transform(light, matrix), np.float32)
        if transfer in (PQ, HLG):
            light = _pressed(light)
        places = np.sqrt(np.clip(light, 0, 1)) * np.float32(_STEPS - 1) + np.float32(0.5)
        srgb[top : top + _ROWS] = encode[places.astype(np.uint16)]
    return srgb


def _pressed(light: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Light above the knee is pressed together so that `PEAK` becomes 1, by the pixel's largest channel."""
    top = light.max(axis=-1)
    over = np.maximum(top - _KNEE, 0) / (1 - _KNEE)
    peak = (PEAK / REFERENCE_WHITE - _KNEE) / (1 - _KNEE)
    pressed = _KNEE + (1 - _KNEE) * over / (1 + over * (1 - 1 / peak))
    scale = np.where(top > _KNEE, pressed / np.maximum(top, _KNEE), 1).astype(np.float32)
    return np.asarray(light * scale[..., None], np.float32)


def _known(primaries: int) -> int:
    if primaries == P3_DCI:
        return P3  # the same gamut; only its white is greener
    return primaries if primaries in _XY else BT709


@lru_cache(maxsize=8)
def _linear_of(transfer: int, bits: int, gamma: float | None) -> npt.NDArray[np.float32]:
    """Code → linear light, where 1 is (reference) white; of HLG the light of the scene, 0 to 1."""
    code = np.linspace(0, 1, 2**bits)
    if transfer == PQ:
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        power = code ** (1 / m2)
        light = 10_000 / REFERENCE_WHITE * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
    elif transfer == HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    elif transfer == LINEAR:
        light = code
    elif transfer in _GAMMAS:
        light = code ** _GAMMAS[transfer]
    elif gamma is not None:
        light = code**gamma
    else:
        light = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32)


@lru_cache(maxsize=4)
def _encoding(gamma: float | None) -> npt.NDArray[np.uint8]:
    """Root of linear light, in steps → code: the root spends the steps where the eye does."""
    light = np.linspace(0, 1, _STEPS) ** 2
    curve = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(255 * (curve if gamma is None else light ** (1 / gamma))).astype(np.uint8)


@lru_cache(maxsize=4)
def _to_bt709(primaries: int) -> npt.NDArray[np.float32] | None:
    """Linear light of these primaries to that of BT.709 and sRGB; None where they are the same."""
    if primaries == BT709:
        return None
    return (np.linalg.inv(_to_xyz(BT709)) @ _to_xyz(primaries)).astype(np.float32)


def _to_xyz(primaries: int) -> npt.NDArray[np.float64]:
    columns = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in _XY[primaries]]).T
    white = np.array([0.3127 / 0.3290, 1.0, (1 - 0.3127 - 0.3290) / 0.3290])
    return np.asarray(columns * np.linalg.solve(columns, white))
