"""A heatmap is shown only if what it points at counts."""

import numpy as np

from train.measure.deletion import HIDDEN, deletion_test, hidden, hottest_mask

SIDE = 60


def crops(n: int) -> list[np.ndarray]:
    """Grey noise with one bright checkered square, which is what the made network below looks for."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(n):
        crop = rng.integers(90, 110, (SIDE, SIDE, 3)).astype(np.uint8)
        y, x = rng.integers(0, 4, 2) * 15
        crop[y : y + 15, x : x + 15][::2, ::2] = 255
        made.append(crop)
    return made


def places(faces: list[np.ndarray]) -> np.ndarray:
    return np.stack([(f[..., 0] > 200).reshape(4, 15, 4, 15).sum((1, 3)) for f in faces]).astype(np.float32)


def test_a_map_that_points_at_what_counts_passes() -> None:
    found = deletion_test(lambda c: (places(list(c)).sum((1, 2)), places(list(c))), crops(8), np.random.default_rng(1))
    assert found is not None and found.passed
    assert found.hottest > 3 * found.elsewhere and found.n == 8


def test_a_map_that_points_elsewhere_does_not_pass() -> None:
    def judge(faces: object) -> tuple[np.ndarray, np.ndarray]:
        counted = places(list(faces))  # type: ignore[call-overload]
        return counted.sum((1, 2)), np.random.default_rng(2).random(counted.shape).astype(np.float32)

    found = deletion_test(judge, crops(8), np.random.default_rng(1))
    assert found is not None and not found.passed
    assert deletion_test(lambda c: (np.zeros(len(c)), None), crops(2), np.random.default_rng(1)) is None


def test_a_tenth_is_hidden_and_the_rest_stays() -> None:
    mask = hottest_mask(np.random.default_rng(0).random((SIDE, SIDE)))
    assert mask.mean() == HIDDEN
    assert hottest_mask(np.zeros((SIDE, SIDE))).mean() == HIDDEN
    crop = crops(1)[0]
    square = np.zeros((SIDE, SIDE), bool)
    square[:15, :15] = True
    changed = hidden(crop, square)
    assert np.array_equal(changed[30:, 30:], crop[30:, 30:]) and changed[:10, :10].std() < 5
