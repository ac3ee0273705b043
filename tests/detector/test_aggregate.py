"""From frames to persons, on made logits."""

import numpy as np
import pytest

from detector.aggregate import ClipRule, PersonScore, person_score, smooth, stands_out, windows
from detector.calibration import BAND_RATES, VIDEO_BAND_RATES, Calibration, FalseAlarmCurve, edges
from detector.types import BANDS, BandCap
from train.measure.calibrate import CURVE_RATES

EXPONENTIAL = FalseAlarmCurve(CURVE_RATES, tuple(-np.log(CURVE_RATES)))
"""Of scores with P(score > x) = exp(-x), whose edge at rate r is -log r."""


def scored(logit: float, chances: int = 4) -> PersonScore:
    return PersonScore(logit, logit - 0.5, logit + 0.5, 0, 7, chances)


def rule(**changes: object) -> ClipRule:
    return ClipRule(**{"calibration": Calibration(1.0, 0.0), "curve": EXPONENTIAL, "runs": 4, "cap": None, **changes})


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


def test_the_interval_of_few_windows_is_not_too_narrow() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(1500):
        # one run of four windows around 0: nothing is picked, so 0 is what the interval should hold
        found = person_score(rng.normal(0, 1, 8), rng, rounds=200)
        held += found.low <= 0 <= found.high
    # a plain bootstrap of four values holds it in 80 %, the normal interval with the known spread in 95 %
    assert held / 1500 > 0.82


def test_persons_weigh_one_and_more_when_seen_longer() -> None:
    found = rule()
    assert found.chances([scored(0, 4)]) == 1
    # half as long is no half chance; twice as long is two
    assert found.chances([scored(0, 2), scored(0, 4), scored(0, 8)]) == pytest.approx(1 + 1 + 2)
    assert found.chances([]) == 1
    # nothing measured: every independent run is a chance
    assert ClipRule.unmeasured(EXPONENTIAL).chances([scored(0, 4), scored(0, 2)]) == 6


@pytest.mark.parametrize(("low", "high", "longer"), [(1, 1, 1), (2, 4, 1), (5, 9, 1), (1, 1, 6), (2, 4, 3)])
def test_genuine_videos_alarm_no_more_often_than_promised_whatever_their_persons_and_length(
    low: int, high: int, longer: int
) -> None:
    """Persons differ, and so do the runs of one; the score of each is the highest of his runs."""
    rng = np.random.default_rng(0)

    def persons(count: int, runs: int) -> np.ndarray:
        return (rng.normal(0, 1.2, (count, 1)) + rng.normal(0, 0.5, (count, runs))).max(axis=1)

    measured = np.sort(persons(400_000, 4))
    at = [measured[int(len(measured) * (1 - rate))] for rate in CURVE_RATES]
    found = rule(curve=FalseAlarmCurve(CURVE_RATES, tuple(at)))
    highest = {band: 0 for band in BAND_RATES}
    files = 20_000
    for number in range(low, high + 1):
        logits = persons(files * number, 4 * longer).reshape(files, number).max(axis=1)
        limits = edges(found.curve, found.chances([scored(0, 4 * longer)] * number))
        for band in BAND_RATES:
            highest[band] += int((logits > limits[band]).sum())
    for band, promise in BAND_RATES.items():
        assert highest[band] / (files * (high - low + 1)) <= promise * 1.1, band
        # and by itself, not by edges out of reach; beyond what was measured the tail keeps its distance
        reached = 0.4 if number == 1 or band != "very_strong" else 0.02
        assert longer > 1 or highest[band] / (files * (high - low + 1)) >= promise * reached, band


@pytest.mark.parametrize("cap", [None, *BANDS[:-1]])
def test_no_band_is_above_the_cap_and_the_verdict_says_whether_it_mattered(cap: str | None) -> None:
    limits = edges(EXPONENTIAL, 3, VIDEO_BAND_RATES)
    capped = rule(cap=None if cap is None else BandCap(cap, "too_few_clips", 51, 149))
    scores = [limits["weak"] - 0.1, *(limits[band] + 0.1 for band in BAND_RATES)]
    for band, logit in zip(BANDS, scores, strict=True):
        expected = band if cap is None else min(band, cap, key=BANDS.index)
        assert capped.band(logit, 3) == expected
        said = capped.cap_of(logit, 3)
        assert (said is None) == (cap is None)
        assert said is None or said.applied == (expected != band)


def test_calibration_on_clips_moves_score_and_interval_alike() -> None:
    found = rule(calibration=Calibration(2.0, -1.0)).calibrated(scored(1.0))
    assert (found.logit, found.low, found.high, found.chances) == (1.0, 0.0, 2.0, 4)


@pytest.mark.parametrize("changes", [{"runs": 0.5}, {"calibration": Calibration(-1.0, 0.0)}])
def test_impossible_rules_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="rule for clips"):
        rule(**changes)


def test_a_part_that_lies_far_above_the_rest_stands_out() -> None:
    rng = np.random.default_rng(3)
    logits = np.concatenate([np.full(11, -2.6), np.full(10, 1.6), np.full(11, -2.6)]) + rng.normal(0, 0.3, 32)
    assert stands_out(logits) == (11, 20)
    # one frame that the network misses does not hide it, at the start or the end it is seen too
    logits[15] = -2.5
    assert stands_out(logits) == (11, 20)
    assert stands_out(logits[11:]) == (0, 9) and stands_out(logits[:21]) == (11, 20)


@pytest.mark.parametrize(
    "logits",
    [
        np.linspace(-3, 3, 32),  # a slow drift
        np.full(32, 3.0),  # all of it
        np.concatenate([np.full(16, -4.0), np.full(16, -0.5)]),  # a step below even odds
        np.concatenate([np.full(20, -2.0), np.full(2, 3.0), np.full(10, -2.0)]),  # two frames
        np.full(3, 2.0),
        np.zeros(0),
    ],
)
def test_drifts_single_frames_and_low_steps_do_not_stand_out(logits: np.ndarray) -> None:
    assert stands_out(logits) is None


def test_noise_does_not_stand_out() -> None:
    """Frames of one person resemble each other: noise with a memory, as wide as on genuine clips."""
    rng = np.random.default_rng(5)
    found = 0
    for _ in range(200):
        steps = rng.normal(0, 1, 32)
        walk = np.zeros(32)
        for i in range(1, 32):
            walk[i] = 0.8 * walk[i - 1] + 0.36 * steps[i]
        found += stands_out(walk) is not None
    assert found <= 2


def test_a_long_video_is_searched_too() -> None:
    logits = np.full(400, -2.0)
    logits[201:260] = 2.0
    first, last = stands_out(logits) or (0, 0)
    assert abs(first - 201) <= 7 and abs(last - 259) <= 7


def test_a_run_is_short_in_time_where_frames_are_far_apart() -> None:
    """Two manipulated seconds of six, twice a second: eight frames in a row would take in two genuine ones."""
    times = [i / 2 for i in range(12)]
    logits = np.array([3.0 if 2 <= t < 4 else -2.0 for t in times])
    assert person_score(logits, np.random.default_rng(0)).logit < 1
    found = person_score(logits, np.random.default_rng(0), times_s=times)
    assert found.logit == pytest.approx(3.0) and (found.first, found.last) == (4, 7)
    assert found.chances == 3  # shorter runs are more in number, which raises the edges


def test_a_run_is_short_in_time_where_the_rate_is_uneven() -> None:
    times = [*np.arange(0, 2, 0.25), *range(10, 18), *np.arange(30, 32, 0.25)]
    logits = np.array([3.0 if t >= 30 else -2.0 for t in times])
    logits[12:16] = 2.0
    found = person_score(logits, np.random.default_rng(0), times_s=times)
    assert (found.first, found.last) == (16, 23) and found.logit == pytest.approx(3.0)
    logits[16:] = -2.0
    found = person_score(logits, np.random.default_rng(0), times_s=times)
    assert (found.first, found.last) == (12, 15) and found.logit == pytest.approx(2.0)


@pytest.mark.parametrize("n", range(1, 41))
def test_frames_of_a_short_clip_are_weighed_as_ever(n: int) -> None:
    """Up to 8.7 seconds the limit in time changes nothing: the edges were measured on such clips."""
    logits = np.random.default_rng(n).normal(0, 1, n)
    times = np.arange(n) * 8.7 / 32
    plain = person_score(logits, np.random.default_rng(0))
    assert person_score(logits, np.random.default_rng(0), times_s=list(times)) == plain
    assert plain.chances == max(1, (n // 2) // 4) or n < 2


def test_one_chance_frame_does_not_decide_when_frames_are_far_apart() -> None:
    logits = np.full(32, -2.0)
    logits[5] = 6.0
    assert person_score(logits, np.random.default_rng(0), times_s=list(range(0, 320, 10))).logit <= 0
