"""Edges that hold for the next source, not only in the mean over sources."""

from pathlib import Path

import numpy as np
import pytest

from train.data.samples import Sample
from train.measure.by_source import edge_for_most, left_out_alarms
from train.measure.calibrate import alarms_by_source, edges_for_sources, fit_curve, held_out_edges

SIZES, APART = [60, 24, 45, 80, 30, 40, 219, 12, 14, 221, 314, 50, 33, 70, 90, 100, 25, 40, 55, 60], 0.8


def drawn(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    which = np.repeat(np.arange(len(SIZES)), SIZES)
    return rng.normal(0, APART, len(SIZES))[which] + rng.normal(size=len(which)), which.astype(str)


def test_nine_of_ten_further_sources_keep_the_promise() -> None:
    rng = np.random.default_rng(0)
    kept: dict[str, list[float]] = {"mean": [], "most": []}
    for _ in range(100):
        scores, sources = drawn(rng)
        further = rng.normal(rng.normal(0, APART, 400)[:, None], 1, (400, 500))
        for name, edge in (
            ("mean", held_out_edges(scores, sources, [0.1])[0]),
            ("most", edges_for_sources(scores, sources, [0.1])[0]),
        ):
            kept[name].append(((further > edge).mean(axis=1) <= 0.2).mean())
    # an edge that holds in the mean is broken by far more than one source in ten
    assert np.mean(kept["most"]) == pytest.approx(0.9, abs=0.04)
    assert np.mean(kept["mean"]) < 0.86


def test_edge_for_most_by_hand() -> None:
    # each source of ten asks for the edge that one of its twenty faces may pass: its second highest score
    scores = np.concatenate([np.arange(20.0) + 100 * source for source in range(10)])
    sources = np.repeat([f"s{i}" for i in range(10)], 20)
    assert edge_for_most(scores, sources, 0.03) == 918.0  # 0.9 * 11 is place 10 of 10
    assert edge_for_most(scores, sources, 0.02) == 919.0  # none of twenty may
    assert edge_for_most(scores, sources, 0.03, kept_by=0.5) == 518.0
    assert edge_for_most(scores, sources, 0.5) is None
    assert edge_for_most(scores[:9], sources[:9], 0.02) is None


def test_each_source_is_judged_by_the_edges_of_the_others() -> None:
    usual = np.tile(np.linspace(0, 1, 50), 12)
    scores = np.concatenate([usual, np.linspace(5, 6, 20), [0.5]])
    sources = np.array([*np.repeat([f"s{i}" for i in range(12)], 50), *["flat light"] * 20, "one face"])
    found = left_out_alarms(scores, sources, 0.1, edges_for_sources)
    assert found is not None
    assert found.worst_source == "flat light" and found.sources["flat light"] == (20, 20)
    # the source of one face counts in the mean alone
    assert len(found.sources) == 13 and "one face" not in found.sources
    others = [above / faces for name, (faces, above) in found.sources.items() if name != "flat light"]
    assert max(others) <= 0.2
    assert found.mean == pytest.approx((1 + sum(others)) / 14, abs=1e-4)
    assert found.kept == pytest.approx(12 / 13, abs=1e-4) and found.high == max(others)
    assert left_out_alarms(scores[:50], sources[:50], 0.02, edges_for_sources) is None


def test_published_curve_and_its_table_use_these_edges() -> None:
    scores, sources = drawn(np.random.default_rng(1))
    samples = [
        Sample(Path("x"), None, str(i), 0, str(source), str(i), "none", "val") for i, source in enumerate(sources)
    ]
    curve = fit_curve(samples, scores, set(sources))
    assert curve.edge(0.02) >= edges_for_sources(scores, sources, [0.02])[0]
    assert curve.edge(0.02) > held_out_edges(scores, sources, [0.02])[0]
    table = alarms_by_source(samples, scores, set(sources))
    assert set(table) == {"weak", "strong", "very_strong"}
    assert table["strong"].kept >= 0.8 and len(table["strong"].sources) == len(SIZES)
