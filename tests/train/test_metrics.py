"""Figures of merit against scikit-learn, closed forms and hand-counted cases."""

import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import (
    balanced_accuracy_score,
    brier_score_loss,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
    roc_curve,
)

from detector.calibration import FalseAlarmCurve
from train.data.samples import Sample
from train.measure.metrics import (
    auc,
    auc_draws,
    auc_interval,
    balanced_accuracy_draws,
    brier,
    class_balanced_weights,
    ece,
    eer,
    eer_draws,
    f1,
    f1_draws,
    group_draws,
    rate_interval,
    source_balanced_weights,
    wilson,
)
from train.measure.selection import selection_figures, weighted_quantile
from train.measure.slices import false_alarms_by_faces, false_alarms_by_labels, roc_points, slice_figures
from train.store.leaderboard import paired_auc


@pytest.fixture
def scored() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    return labels, rng.normal(labels, 1.0)


def test_auc_and_brier_are_scikit_learns(scored: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = scored
    assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))
    probs = 1 / (1 + np.exp(-scores))
    assert brier(labels, probs) == pytest.approx(brier_score_loss(labels, probs))
    assert math.isnan(auc(np.ones(3), np.arange(3.0)))


def test_balanced_accuracy_of_draws_is_scikit_learns(scored: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = scored
    rng = np.random.default_rng(2)
    draws = rng.integers(0, 3, (4, len(labels)))
    found = balanced_accuracy_draws(labels, scores > 0.4, draws)
    for row, value in zip(draws, found, strict=True):
        picked = np.repeat(np.arange(len(labels)), row)
        assert value == pytest.approx(balanced_accuracy_score(labels[picked], scores[picked] > 0.4))
    draws[0, labels == 1] = 0
    assert math.isnan(balanced_accuracy_draws(labels, scores > 0.4, draws)[0])


def test_eer_of_gaussians(scored: tuple[np.ndarray, np.ndarray]) -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], 50_000)
    # two unit Gaussians 2 apart cross at 1: Phi(-1) = 0.1587
    assert eer(labels, rng.normal(labels * 2.0, 1)) == pytest.approx(0.1587, abs=0.01)
    assert eer(np.array([0, 0, 1, 1]), np.array([0.0, 1, 2, 3])) == 0


def test_wilson_is_the_published_example() -> None:
    # Newcombe 1998, table I: 81 of 263 and 0 of 20
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-4)
    assert wilson(0, 0) == (0.0, 1.0)
    assert all(wilson(n, n)[1] == 1.0 and wilson(0, n)[0] == 0.0 for n in range(1, 600))


def test_rate_interval_counts_groups_not_pictures() -> None:
    hits = np.array([True] * 50 + [False] * 50)
    alone = rate_interval(hits, [str(i) for i in range(100)])
    grouped = rate_interval(hits, ["a"] * 50 + ["b"] * 50)
    assert alone.value == grouped.value == 0.5
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)  # type: ignore[operator]


def test_rate_interval_is_wilsons_where_groups_are_alike_and_wider_where_large_ones_decide() -> None:
    single = np.array([True] * 7 + [False] * 33)
    names = [str(i) for i in range(40)]
    found = rate_interval(single, names)
    assert (found.low, found.high) == pytest.approx(wilson(7, 40))
    # five pictures of each that all agree say no more than one of each
    five = rate_interval(np.repeat(single, 5), [n for n in names for _ in range(5)])
    assert (five.low, five.high, five.n) == (pytest.approx(found.low), pytest.approx(found.high), 200)
    # pictures of a group that differ among themselves still say no more than groups
    mixed = rate_interval(np.tile([True, False], 20), [str(i // 2) for i in range(40)])
    assert (mixed.low, mixed.high) == pytest.approx(wilson(10, 20))
    assert rate_interval(np.zeros(30, bool), names[:30]).high == pytest.approx(wilson(0, 30)[1])
    # one large group among many small ones: the share of pictures is its share, and is as uncertain
    hits = np.array([True] * 60 + [False] * 40)
    large = rate_interval(hits, ["large"] * 60 + names)
    assert large.value == 0.6 and large.low < 0.6 < large.high  # type: ignore[operator]
    assert large.high - large.low > 0.6  # type: ignore[operator]


@pytest.mark.parametrize("seed", range(20))
def test_a_share_lies_in_its_interval(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = [str(g) for g in np.minimum(rng.geometric(0.2, 80), 12)]
    hits = rng.uniform(size=80) < rng.uniform()
    found = rate_interval(hits, groups)
    assert found.low <= found.value <= found.high  # type: ignore[operator]


def test_auc_interval_needs_five_groups_in_each_class(scored: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = scored
    rng = np.random.default_rng(0)
    found = auc_interval(labels, scores, [str(i) for i in range(400)], rng, rounds=200)
    assert found.low is not None and found.high is not None
    assert found.low < found.value < found.high
    none = auc_interval(labels, scores, [f"{c}{i % 4}" for i, c in enumerate(labels)], rng)
    assert none.low is None and none.value == found.value and none.n == 400


def test_perfect_calibration_has_small_error_and_overconfidence_a_large_one() -> None:
    rng = np.random.default_rng(0)
    probs = rng.uniform(0, 1, 50_000)
    labels = (rng.uniform(0, 1, 50_000) < probs).astype(int)
    assert ece(labels, probs) < 0.01
    assert ece(labels, np.where(probs > 0.5, 0.99, 0.01)) > 0.2


def test_weights_balance_classes_and_sources() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    assert class_balanced_weights(labels)[labels == 1].sum() == pytest.approx(0.5)
    sources = ["big"] * 81 + ["tiny"] * 9 + ["f"] * 10
    weights = source_balanced_weights(labels, sources)
    assert weights[:81].sum() / weights[81:90].sum() == pytest.approx(3)
    assert weights.sum() == pytest.approx(1)


def test_weighted_quantile() -> None:
    assert weighted_quantile(np.array([3.0, 1.0, 2.0]), np.ones(3), 0.5) == 2.0
    assert weighted_quantile(np.array([1.0, 2.0]), np.array([9.0, 1.0]), 0.9) == 1.0


def make(label: int, source: str, n: int) -> list[Sample]:
    return [
        Sample(Path("x"), None, f"{source}/{label}/{i}", label, source, f"{source}-{i}", "m", "test") for i in range(n)
    ]


def test_selection_judges_fakes_against_unseen_genuine_faces() -> None:
    samples = make(0, "seen", 30) + make(1, "seen", 30) + make(0, "new", 50)
    rng = np.random.default_rng(0)
    good = np.concatenate([rng.normal(-3, 1, 30), rng.normal(3, 1, 30), rng.normal(-3, 1, 50)])
    leaked = np.concatenate([good[:60], rng.normal(3, 1, 50)])
    assert selection_figures(samples, good, {"new"})["score"] > 0.95
    found = selection_figures(samples, leaked, {"new"})
    assert found["auc_slices"] > 0.95 and found["auc_unseen"] < 0.6 and found["tpr_at_2"] < 0.2
    assert selection_figures(samples, good, set())["score"] == pytest.approx(
        auc(np.array([s.label for s in samples]), good)
    )


def test_files_with_many_genuine_faces_alarm_no_more_often() -> None:
    rng = np.random.default_rng(0)
    rates = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005)
    samples = make(0, "a", 20_000) + make(0, "b", 20_000)
    scores = rng.exponential(size=40_000)
    curve = FalseAlarmCurve(rates, tuple(-np.log(rates)))
    found = false_alarms_by_faces(samples, scores, curve, {"a", "b"})
    assert set(found) == {"1", "2-4", "5+"}
    for row in found.values():
        assert row["weak"] == pytest.approx(0.10, abs=0.03)
        assert row["strong"] == pytest.approx(0.02, abs=0.012)


def test_figures_of_slices() -> None:
    curve = FalseAlarmCurve((0.5, 0.02, 0.005), (0.0, 1.0, 2.0))
    samples = make(0, "both", 10) + make(1, "both", 10) + make(0, "genuine", 10) + make(1, "fakes", 10)
    logits = np.array([-1.0] * 10 + [2.0] * 10 + [-1.0] * 9 + [5.0] + [0.5] * 10)
    found = slice_figures(samples, logits, curve, {"genuine"}, {"fakes", "genuine"})
    both, fakes, genuine = (found["slices"][n] for n in ("both", "fakes", "genuine"))
    assert both["auc"]["value"] == 1 and both["against"] == "own"
    assert both["fpr"]["value"] == 0 and both["tpr"]["value"] == 1 and both["accuracy"]["value"] == 1
    assert fakes["against"] == "all genuine test faces" and "fpr" not in fakes and fakes["tpr"]["value"] == 0
    assert fakes["auc"]["value"] == pytest.approx(19 / 20)
    assert "auc" not in genuine and genuine["fpr"]["value"] == pytest.approx(0.1)
    assert found["slices"]["unseen sources, genuine"]["genuine"] == 10
    assert found["slices"]["unseen methods"]["manipulated"] == 10
    assert found["pooled"]["n"] == 40 and 0 <= found["pooled"]["ece"] <= 1


def test_draws_at_once_are_draws_one_by_one(scored: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = scored
    scores = scores.round(1)  # with ties
    groups = [f"g{i // 3}" for i in range(len(labels))]
    draws = group_draws(groups, labels, np.random.default_rng(0), rounds=5)
    assert draws.shape == (5, len(labels))
    flagged = scores > 0.8
    for k, counts in enumerate(draws):
        # whole groups, and of each kind of group as many as there are
        assert all(len(set(counts[3 * g : 3 * g + 3])) == 1 for g in range(len(labels) // 3))
        rows = np.repeat(np.arange(len(labels)), counts)
        assert auc_draws(labels, scores, draws)[k] == pytest.approx(roc_auc_score(labels[rows], scores[rows]))
        assert f1_draws(labels, flagged, draws)[k] == pytest.approx(f1_score(labels[rows], flagged[rows]))
        assert eer_draws(labels, scores, draws)[k] == pytest.approx(eer(labels[rows], scores[rows]))
    pure = group_draws(["a", "b", "c"], np.array([0, 0, 1]), np.random.default_rng(0), rounds=20)
    assert (pure[:, :2].sum(axis=1) == 2).all() and (pure[:, 2] == 1).all()


def test_eer_is_where_the_roc_curve_meets_the_diagonal(scored: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = scored
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    at = np.abs(fpr - (1 - tpr)).argmin()
    assert eer(labels, scores) == pytest.approx((fpr[at] + 1 - tpr[at]) / 2)
    # one value for all: any threshold is a guess
    assert eer(np.array([0, 1, 0, 1]), np.zeros(4)) == pytest.approx(0.5)


def test_the_leaderboards_figures_are_scikit_learns(scored: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = scored
    samples = [Sample(Path("x"), None, str(i), int(y), f"s{i % 2}", f"g{i}", "m", "test") for i, y in enumerate(labels)]
    curve = FalseAlarmCurve((0.5, 0.02, 0.005), (0.0, 0.7, 2.0))
    found = slice_figures(samples, scores, curve, set(), set())
    for name, picked in (("s0", slice(0, None, 2)), ("s1", slice(1, None, 2))):
        y, flagged, row = labels[picked], scores[picked] > 0.7, found["slices"][name]
        assert row["precision"]["value"] == pytest.approx(precision_score(y, flagged), abs=1e-4)
        assert row["tpr"]["value"] == pytest.approx(recall_score(y, flagged), abs=1e-4)
        assert row["f1"]["value"] == pytest.approx(f1_score(y, flagged), abs=1e-4)
        assert row["accuracy"]["value"] == pytest.approx((y == flagged).mean(), abs=1e-4)
        assert row["auc"]["low"] < row["auc"]["value"] < row["auc"]["high"]
        assert row["f1"]["low"] < row["f1"]["value"] < row["f1"]["high"]
        assert row["confusion"] == [[int(((y == c) & (flagged == f)).sum()) for f in (False, True)] for c in (0, 1)]
    pooled = found["pooled"]
    assert pooled["roc"][0][0] == 0 and pooled["roc"][-1] == [1, 1]
    assert all(a[1] <= b[1] for a, b in zip(pooled["roc"], pooled["roc"][1:], strict=False))
    assert np.trapezoid(*np.array(pooled["roc"]).T[::-1]) == pytest.approx(pooled["auc"]["value"], abs=0.02)
    assert sum(weight for _, _, weight in pooled["reliability"]) == pytest.approx(1, abs=1e-3)
    assert roc_points(np.ones(3), np.arange(3.0)) == []
    assert f1(np.array([0, 1]), np.array([False, False])) == 0


def test_a_paired_difference_is_narrower_than_two_intervals() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 2
    samples = [Sample(Path("x"), None, str(i), int(y), "s", f"g{i}", "m", "test") for i, y in enumerate(labels)]
    old = rng.normal(labels, 1.0)
    new = old + rng.normal(0, 0.05, 300)
    rows = np.ones(300, bool)
    both = paired_auc(samples, new, old, rows)
    alone = auc_interval(labels, new, [s.group for s in samples], np.random.default_rng(0))
    assert both["high"] - both["low"] < 0.3 * (alone.high - alone.low)  # type: ignore[operator]
    assert paired_auc(samples[:6], new[:6], old[:6], rows[:6])["low"] is None


def test_false_alarms_by_the_labels_in_utkface_names() -> None:
    names = ["utk_25_0_1_2017", "utk_26_1_1_2018", "utk_70_0_3_2017", "utk_old_0_0_1", "lfw_person", "utk_30_0_9_1"]
    samples = [Sample(Path("x"), None, n, 0, "utkface", n, "none", "test") for n in names]
    curve = FalseAlarmCurve((0.5, 0.02, 0.005), (0.0, 1.0, 2.0))
    found = false_alarms_by_labels(samples, np.array([5.0, 0.0, 0.0, 5.0, 5.0, 5.0]), curve)
    assert set(found["age"]) == {"18-29", "60 and over"} and set(found["ethnicity"]) == {"Black", "Indian"}
    assert found["age"]["18-29"]["value"] == 0.5 and found["age"]["18-29"]["n"] == 2
    assert found["ethnicity"]["Indian"]["value"] == 0 and found["ethnicity"]["Indian"]["high"] > 0.5
