"""detector.colour: HDR and wide primaries to sRGB, against values computed here from the standards' own formulas."""

import numpy as np
import pytest

from detector.colour import BT709, BT2020, HLG, LINEAR, P3, PQ, REFERENCE_WHITE, is_srgb, to_srgb

SHADES = np.array([0.02, 0.1, 0.25, 0.4, 0.5, 0.55])
"""Linear light below the knee, of reference white."""


def srgb(light: np.ndarray) -> np.ndarray:
    return 255 * np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def pq(nits: np.ndarray) -> np.ndarray:
    y = (nits / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375


def hlg(nits: np.ndarray) -> np.ndarray:
    scene = (nits / 1000) ** (1 / 1.2)  # grey: the system gamma acts on luminance
    bright = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 0.1)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), bright)


def grey(codes: np.ndarray, bits: int) -> np.ndarray:
    kind = np.uint8 if bits == 8 else np.uint16
    return np.repeat(np.rint(codes * (2**bits - 1)).astype(kind)[None, :, None], 3, axis=2)


@pytest.mark.parametrize(("transfer", "curve"), [(PQ, pq), (HLG, hlg)])
@pytest.mark.parametrize("bits", [10, 16])
def test_shades_of_sdr_wrapped_into_hdr_come_back(transfer: int, curve: object, bits: int) -> None:
    codes = grey(curve(SHADES * REFERENCE_WHITE), bits)  # type: ignore[operator]
    found = to_srgb(codes, BT2020, transfer, bits=bits)
    assert np.abs(found[0] - srgb(SHADES)[:, None]).max() <= 1.5
    assert np.ptp(found, axis=2).max() <= 1


@pytest.mark.parametrize(("transfer", "curve"), [(PQ, pq), (HLG, hlg)])
def test_highlights_keep_their_order_below_white(transfer: int, curve: object) -> None:
    nits = np.array([130, 203, 300, 500, 800, 1000.0])
    found = to_srgb(grey(curve(nits), 16), BT2020, transfer, bits=16)[0, :, 0].astype(int)  # type: ignore[operator]
    assert (np.diff(found) > 0).all() and found[-1] >= 254
    assert found[1] >= 225  # diffuse white stays nearly white


def test_video_can_be_encoded_for_its_own_display() -> None:
    found = to_srgb(grey(pq(SHADES * REFERENCE_WHITE), 16), BT2020, PQ, bits=16, gamma=2.4)
    assert np.abs(found[0] - 255 * SHADES[:, None] ** (1 / 2.4)).max() <= 1.5


def test_wide_primaries_of_sdr_change_hues_but_not_greys() -> None:
    picture = np.array([[(90, 90, 90), (200, 100, 60), (255, 0, 0)]], np.uint8)
    for primaries in (P3, BT2020):
        found = to_srgb(picture, primaries, 13)[0].astype(int)
        assert np.abs(found[0] - 90).max() <= 1
        assert found[1, 0] > 203 and found[1, 1] < 100  # the same codes mean stronger colours
        assert tuple(found[2]) == (255, 0, 0)
    # Display P3 (200, 100, 60) by its published matrix to sRGB
    light = np.where(picture[0, 1] / 255 <= 0.04045, 0, ((picture[0, 1] / 255 + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[1.22494, -0.22494, 0], [-0.04206, 1.04206, 0], [-0.01964, -0.07864, 1.09827]])
    assert np.abs(to_srgb(picture, P3, 13)[0, 1] - srgb(matrix @ light)).max() <= 1.5


def test_linear_light_is_encoded() -> None:
    found = to_srgb(grey(SHADES, 16), BT709, LINEAR, bits=16)
    assert np.abs(found[0, :, 1] - srgb(SHADES)).max() <= 1


@pytest.mark.parametrize(
    ("primaries", "transfer", "same"),
    [(1, 13, True), (2, 2, True), (1, 1, True), (6, 6, True), (9, 1, False), (12, 13, False), (1, 16, False)],
)
def test_ordinary_pictures_are_left_alone(primaries: int, transfer: int, same: bool) -> None:
    assert is_srgb(primaries, transfer) == same
