"""The benchmark of self-blending: its picture, its counting, and that it measures what it names."""

import time
from pathlib import Path

import numpy as np
import pytest

from tests.bench import sbi


def test_picture_is_256_square_and_mirrors() -> None:
    one, two = sbi.portrait(), sbi.portrait(mirrored=True)
    assert one.shape == (256, 256, 3) and one.dtype == np.uint8
    assert np.array_equal(one[:, ::-1], two)


def test_rate_is_pairs_over_processor_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 2.0, 2.0, 6.0])
    monkeypatch.setattr(time, "process_time", lambda: next(clock))
    made: list[int] = []
    assert sbi.pairs_per_second(made.append, 10, 2) == [5.0, 2.5]
    assert made == [0, *range(20)]


def test_every_kind_of_pair_is_measured(tmp_path: Path) -> None:
    found = sbi.measure(sbi.Options(pairs=3, rounds=2), tmp_path)
    assert len(found) == 3 and all(len(rates) == 2 and min(rates) > 0 for rates in found.values())
    with pytest.raises(ValueError, match="at least 1"):
        sbi.Options(pairs=0)
