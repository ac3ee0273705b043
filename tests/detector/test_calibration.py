"""Bands are false-alarm rates: checked on made scores whose rates are known."""

from pathlib import Path

import numpy as np
import pytest

from detector.calibration import (
    BAND_RATES,
    Calibration,
    FalseAlarmCurve,
    band_of,
    corrected_rate,
    edges,
    sigmoid,
    thresholds,
)
from train.data.samples import Sample
from train.errors import DataError
from train.measure.calibrate import CURVE_RATES, first_kept, fit_calibration, fit_curve, held_out_edges


def exponential_curve() -> FalseAlarmCurve:
    """Of scores with P(score > x) = exp(-x), whose edge at rate r is -log r."""
    return FalseAlarmCurve(CURVE_RATES, tuple(-np.log(CURVE_RATES)))


def test_edges_between_and_beyond_the_measured_rates() -> None:
    curve = exponential_curve()
    for rate in (0.4, 0.15, 0.03, 0.005, 0.001, 0.0001):
        assert curve.edge(rate) == pytest.approx(-np.log(rate))


@pytest.mark.parametrize("n", [1, 3, 8, 30])
def test_a_maximum_over_many_genuine_faces_alarms_no_more_often_than_one(n: int) -> None:
    rng = np.random.default_rng(n)
    curve = exponential_curve()
    highest = rng.exponential(size=(40_000, n)).max(axis=1)
    for band, rate in BAND_RATES.items():
        alarms = (highest > edges(curve, n)[band]).mean()
        assert alarms == pytest.approx(rate, rel=0.2)


def test_correction_is_sidaks() -> None:
    assert corrected_rate(0.1, 1) == pytest.approx(0.1)
    assert 1 - (1 - corrected_rate(0.02, 7)) ** 7 == pytest.approx(0.02)


def test_band_changes_at_its_edges_only() -> None:
    curve = exponential_curve()
    found = edges(curve, 2)
    for band, edge in found.items():
        assert band_of(edge + 1e-6, curve, 2) == band
    assert band_of(found["weak"] - 1e-6, curve, 2) == "little"
    shown = thresholds(curve, 2)
    assert shown.weak == pytest.approx(float(sigmoid(found["weak"])))


@pytest.mark.parametrize(
    ("rates", "logits"), [((0.5,), (0.0,)), ((0.1, 0.5), (0.0, 1.0)), ((0.5, 0.1), (1.0, 0.0)), ((0.5, 0.1), (1.0,))]
)
def test_impossible_curves_are_refused(rates: tuple[float, ...], logits: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="curve"):
        FalseAlarmCurve(rates, logits)


def test_sigmoid_does_not_overflow() -> None:
    assert sigmoid(np.array([-1e4, 0.0, 1e4])).tolist() == [0.0, 0.5, 1.0]


def made(label: int, source: str, n: int) -> list[Sample]:
    return [
        Sample(Path("x"), None, f"{source}-{label}-{i}", label, source, f"{source}{i}", "m", "val") for i in range(n)
    ]


def test_calibration_recovers_a_known_scale() -> None:
    rng = np.random.default_rng(0)
    samples = made(0, "a", 4000) + made(1, "a", 4000)
    labels = np.array([s.label for s in samples])
    # log-odds of two unit Gaussians 2 apart are 2x; the raw score is half of that, shifted
    x = rng.normal(labels * 2 - 1.0, 1.0)
    found = fit_calibration(samples, x + 3)
    assert found.scale == pytest.approx(2, rel=0.1)
    assert found.offset == pytest.approx(-6, rel=0.1)
    assert Calibration(2.0, -6.0)(np.array([3.0])).tolist() == [0.0]


def test_calibration_refuses_a_network_that_learned_nothing() -> None:
    samples = made(0, "a", 50) + made(1, "a", 50)
    with pytest.raises(DataError, match="learned nothing"):
        fit_calibration(samples, np.array([1.0] * 50 + [-1.0] * 50) + np.random.default_rng(0).normal(0, 2, 100))


def test_curve_weighs_sources_equally_and_uses_only_unseen_ones() -> None:
    rng = np.random.default_rng(0)
    at = {"a": 0.0, "b": 0.5, "c": 1.0}
    unlike = made(0, "trained", 500) + made(1, "a", 100)
    far = np.concatenate([np.full(500, 50.0), np.full(100, 99.0)])
    curves = []
    for sizes in ((9000, 1000, 300), (300, 1000, 9000)):
        samples = [s for name, n in zip(at, sizes, strict=True) for s in made(0, name, n)] + unlike
        scores = np.concatenate([*(rng.normal(at[s], 1, n) for s, n in zip(at, sizes, strict=True)), far])
        curves.append(fit_curve(samples, scores, set(at)))
    # the sources weigh alike, whatever their sizes
    for rate in (0.5, 0.2, 0.05):
        assert curves[0].edge(rate) == pytest.approx(curves[1].edge(rate), abs=0.15)
    assert curves[0].edge(0.5) == pytest.approx(0.5, abs=0.15)
    with pytest.raises(DataError, match="needed"):
        fit_curve(samples, scores, {"nobody"})


def test_edges_hold_for_sources_that_did_not_set_them() -> None:
    sizes, rates, apart = [45, 24, 45, 8, 30, 40, 219, 12, 4, 221, 314], (0.1, 0.02, 0.005), 0.6
    which = np.repeat(np.arange(len(sizes)), sizes)
    rng = np.random.default_rng(0)
    further = rng.normal(0, (1 + apart**2) ** 0.5, 100_000)  # faces of that many further sources
    plain, held_out = [], []
    for _ in range(150):
        scores = rng.normal(0, apart, len(sizes))[which] + rng.normal(size=len(which))
        alarms = [(further > edge).mean() for edge in held_out_edges(scores, which, rates)]
        held_out.append(alarms)
        of_all = np.quantile(scores, 1 - np.array(rates), weights=1 / np.array(sizes)[which], method="inverted_cdf")
        plain.append([(further > edge).mean() for edge in of_all])
    assert np.mean(held_out, axis=0) == pytest.approx(rates, rel=0.3)
    assert (np.mean(plain, axis=0)[1:] > 1.2 * np.array(rates[1:])).all()


def test_edges_of_held_out_sources_by_hand() -> None:
    scores, sources = np.array([0.0, 1.0, 2.0, 3.0]), np.array(["a", "b", "a", "b"])
    # shares of the other source at or above each face: 1, 0.5, 0.5, 0. At a nominal half, three quarters of all alarm
    # when their source is held out; below it one in four does, and a tenth never
    assert held_out_edges(scores, sources, (0.8, 0.3, 0.1)) == [1.0, 3.0, 3.0]
    assert held_out_edges(scores, np.full(4, "a"), (0.5, 0.25)) == [1.0, 2.0]


def test_a_score_that_many_faces_share_does_not_pass_its_own_edge() -> None:
    rng = np.random.default_rng(0)
    samples = made(0, "a", 300) + made(0, "b", 200) + made(1, "a", 10)
    for common in (-1.094888, -1.140442, 0.00004, 1.2345, -0.3, 0.0):
        # votes: nine in ten genuine faces have none
        scores = common + 2.5 * np.concatenate([rng.random(500) < 0.08, np.ones(10)])
        curve = fit_curve(samples, scores, {"a", "b"})
        genuine = scores[:500]
        for rate in (0.3, 0.1, 0.02, 0.005):
            assert (genuine > curve.edge(rate)).mean() <= 0.1, (common, rate)
        # below and above a common score by less than float errors is the same score
        assert not (np.nextafter(genuine.min(), 9) > curve.edge(0.1))
        assert band_of(common, curve) == "little"


def test_first_level_that_is_kept() -> None:
    levels = (10, 20, 30, 40)
    assert first_kept(levels, (0.5, 0.6, 0.85, 0.9), 0.9) == 2
    assert first_kept(levels, (0.9, 0.9, 0.9, 0.9), 0.9) == 0
    # one lucky small size below a failing one does not count
    assert first_kept(levels, (0.9, 0.5, 0.9, 0.9), 0.9) == 2
    assert first_kept(levels, (0.5, 0.5, 0.5, 0.5), 0.9) == 3
