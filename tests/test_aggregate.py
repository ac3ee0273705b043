"""From frames to persons, on made logits."""

import numpy as np
import pytest

from detector.aggregate import person_score, smooth, windows


def test_windows_are_pairs_and_an_odd_frame_joins_the_first() -> None:
    assert windows(np.array([1.0, 3.0, 5.0, 7.0])).tolist() == [2.0, 6.0]
    # array_split gives the odd frame to the first window
    assert windows(np.array([0.0, 3.0, 3.0, 4.0, 6.0])).tolist() == [2.0, 5.0]
    assert windows(np.array([5.0])).tolist() == [5.0]


def test_a_manipulated_stretch_is_found_and_not_thinned_by_the_rest() -> None:
    logits = np.full(32, -2.0)
    logits[10:18] = 3.0
    found = person_score(logits, np.random.default_rng(0))
    assert found.logit == pytest.approx(3.0)
    assert (found.first, found.last) == (10, 17)
    assert found.low == found.high == pytest.approx(3.0)
    assert found.chances == 4


def test_one_chance_frame_does_not_decide() -> None:
    logits = np.full(32, -2.0)
    logits[5] = 6.0
    assert person_score(logits, np.random.default_rng(0)).logit < 0


def test_interval_holds_the_score_and_is_deterministic() -> None:
    logits = np.random.default_rng(1).normal(0, 1, 20)
    a, b = (person_score(logits, np.random.default_rng(0)) for _ in range(2))
    assert a == b
    assert a.low <= a.logit <= a.high


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 9])
def test_few_frames_work(n: int) -> None:
    found = person_score(np.arange(float(n)), np.random.default_rng(0))
    assert 0 <= found.first <= found.last == n - 1
    assert found.chances >= 1


def test_smoothing_keeps_length_and_constants() -> None:
    assert smooth(np.full(5, 2.0)).tolist() == [2.0] * 5
    assert smooth(np.array([0.0, 3.0, 0.0])).tolist() == [1.5, 1.0, 1.5]
    assert len(smooth(np.zeros(0))) == 0
