"""An engine that keeps what it said: the same answers, computed once, whatever a killed run left behind."""

from pathlib import Path

import numpy as np
import pytest

from detector.engine import Engine
from detector.manifest import read_manifest
from train.measure.kept_engine import KeptEngine


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of crops that a network computed, one a call."""
    calls: list[int] = []
    ask = Engine.logits

    def counted(self: Engine, crops: list[np.ndarray]) -> np.ndarray:
        calls.append(len(crops))
        return ask(self, crops)

    monkeypatch.setattr(Engine, "logits", counted)
    return calls


def test_a_crop_is_computed_once_and_the_next_run_knows_it(tmp_path: Path, computed: list[int]) -> None:
    manifest = read_manifest()
    name = next(iter(manifest.models))
    first = KeptEngine(manifest, name, tmp_path)
    rng = np.random.default_rng(0)
    crops = list(rng.integers(0, 256, (3, first.size_px, first.size_px, 3), dtype=np.uint8))
    said = first.logits([*crops[:2], crops[0]])
    assert computed == [2] and said[2] == said[0]
    np.testing.assert_array_equal(said[:2], Engine.logits(first, crops[:2]))
    computed.clear()
    (kept,) = tmp_path.iterdir()
    # a run that was killed while it wrote
    kept.write_text(kept.read_text()[:-3])
    again = KeptEngine(manifest, name, tmp_path)
    np.testing.assert_array_equal(again.logits(crops[:2]), said[:2])
    assert computed == [1], "the row that was cut short, and no other"
    again.logits(crops)
    third = KeptEngine(manifest, name, tmp_path).logits(crops)
    assert computed == [1, 1]
    np.testing.assert_array_equal(third[:2], said[:2])
