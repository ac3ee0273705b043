"""Features once, heads many times: the cache, the order, and what a head learns."""

from pathlib import Path

import numpy as np
import pytest

from train.data.feature_cache import FeatureCache
from train.data.samples import Sample
from train.errors import DataError
from train.learn.heads import LAYERS, HeadOptions, LinearHead, fit_head, unit
from train.recipes.features import in_turns

WIDTH = 16


def test_a_killed_writer_leaves_whole_rows_only(tmp_path: Path) -> None:
    about = {"view": "plain"}
    rows = np.random.default_rng(0).normal(size=(3, 2, 4))
    FeatureCache.open(tmp_path, (2, 4), about).append(["a", "b", "c"], rows)
    with (tmp_path / "features.f16").open("ab") as handle:
        handle.write(b"half")
    with (tmp_path / "keys.txt").open("a") as handle:
        handle.write("d\nhal")
    assert FeatureCache.read(tmp_path).keys == ["a", "b", "c"]
    cache = FeatureCache.open(tmp_path, (2, 4), about)
    assert cache.keys == ["a", "b", "c"]
    cache.append(["d"], rows[:1] + 1)
    again = FeatureCache.read(tmp_path)
    assert again.rows(["d", "b"]) == pytest.approx(np.stack([rows[0] + 1, rows[1]]), abs=1e-2)
    with pytest.raises(DataError, match="1 of 2 faces"):
        again.rows(["a", "z"])
    with pytest.raises(DataError, match="other view"):
        FeatureCache.open(tmp_path, (2, 4), {"view": "twin-0"})
    with pytest.raises(ValueError, match="float16"):
        cache.append(["e"], np.full((1, 2, 4), 1e9))
    with pytest.raises(DataError, match="train features"):
        FeatureCache.read(tmp_path / "none")


def sample(name: str, source: str, group: str, label: int) -> Sample:
    return Sample(Path("x"), None, name, label, source, group, "m", "train")


def test_sources_take_turns_and_groups_come_apart() -> None:
    faces = [sample(f"a{i}", "a", f"person {i // 5}", 0) for i in range(10)] + [sample("b", "b", "b", 1)]
    ordered = in_turns(faces, 4)
    assert len(ordered) == 5 and {s.source for s in ordered[:2]} == {"a", "b"}
    assert len({s.group for s in ordered if s.source == "a"}) == 2
    assert {s.group for s in ordered[:3]} == {"person 0", "person 1", "b"}
    assert ordered == in_turns(faces[::-1], 4)


def made(rng: np.random.Generator, sources: int, offset: float) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Faces of sources that lie apart along one axis, fakes along another; training's sources mix the two up."""
    features, labels, names = [], [], []
    for source in range(sources):
        for label in (0, 1):
            rows = rng.normal(0, 0.3, (40, LAYERS, WIDTH))
            rows[:, 0, 0] += 1.0 * label
            # a studio's look, which in training goes with the class
            rows[:, 0, 1] += rng.normal(0, 1.5) + offset * label
            rows[:, 0, 2] += 3.0
            features.append(rows)
            labels += [label] * 40
            names += [f"s{source}"] * 40
    return np.concatenate(features), np.array(labels), names


def test_a_head_learns_and_the_penalty_holds_back_what_separates_genuine_sources() -> None:
    rng = np.random.default_rng(0)
    features, labels, sources = made(rng, 8, 1.5)
    further, its_labels, its_sources = made(rng, 12, 0.0)
    apart = {}
    for spread in (0.0, 30.0):
        options = HeadOptions(layers=(0, 3), c=1.0, spread=spread)
        head = fit_head(features, labels, np.ones(len(labels)), sources, options)
        assert not head.weight[[1, 2, 4]].any()
        logits = head(further)
        means = [
            logits[(its_labels == 0) & (np.array(its_sources) == name)].mean() for name in sorted(set(its_sources))
        ]
        right = np.mean(logits[its_labels == 1][:, None] > logits[its_labels == 0][None])
        apart[spread] = (np.std(means) / np.std(logits), right)
    assert apart[30.0][0] < 0.6 * apart[0.0][0]
    # the truth costs nothing: what tells the class on further sources is told no worse
    assert apart[30.0][1] > apart[0.0][1] + 0.01


def test_a_head_is_a_plain_sum_over_layers() -> None:
    rng = np.random.default_rng(0)
    weight = np.zeros((LAYERS, WIDTH), np.float32)
    weight[[2, 20]] = rng.normal(size=(2, WIDTH))
    features = rng.normal(size=(5, LAYERS, WIDTH)).astype(np.float16)
    expected = (unit(features) * weight).sum((1, 2)) + 0.25
    assert LinearHead(weight, 0.25)(features) == pytest.approx(expected, abs=1e-5)
