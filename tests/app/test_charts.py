"""Results to figures and places on the scale, without Streamlit."""

import itertools

import pytest

from app import charts
from detector import Face, Person, Thresholds
from tests.fakes.verdicts import person

_EDGES = Thresholds(weak=0.5, strong=0.7, very_strong=0.9)
_STRICT = Thresholds(weak=0.9, strong=0.985, very_strong=0.9987)
_FACE = Face((0.0, 0.0, 50.0, 60.0), (), 0.9)


def _person(probs: list[float | None], number: int = 1, times: list[float] | None = None, **changes: object) -> Person:
    times = times or [float(i) for i in range(len(probs))]
    worst = max(((p, t) for p, t in zip(probs, times, strict=True) if p is not None), default=None)
    points = [(t, _FACE, p) for t, p in zip(times, probs, strict=True)]
    return person(points, number, **{"worst_time_s": worst[1] if worst else None, **changes})


@pytest.mark.parametrize("edges", [_EDGES, _STRICT, Thresholds(0.02, 0.03, 0.04)])
def test_every_band_is_wide_enough_to_read(edges: Thresholds) -> None:
    scale = charts.scale_of(edges)
    assert sum(scale.widths) == pytest.approx(1)
    assert min(scale.widths) >= 0.179


def test_a_scale_with_room_is_drawn_to_measure() -> None:
    assert charts.scale_of(Thresholds(0.25, 0.5, 0.75)).places == pytest.approx((0, 0.25, 0.5, 0.75, 1))


@pytest.mark.parametrize("edges", [_EDGES, _STRICT])
def test_places_rise_and_keep_to_their_band(edges: Thresholds) -> None:
    scale = charts.scale_of(edges)
    places = [scale.place(i / 1000) for i in range(-10, 1011)]
    assert places == sorted(places)
    assert places[0] == 0
    assert places[-1] == 1
    assert scale.place(edges.strong) == pytest.approx(scale.places[2])
    assert scale.place(edges.strong - 1e-6) < scale.places[2] < scale.place(edges.strong + 1e-6)


def test_key_times_of_nobody() -> None:
    assert charts.key_times(_person([])) == ()


def test_key_times_without_a_judged_frame_still_show_the_person() -> None:
    assert charts.key_times(_person([None] * 10), 5) == (0.0, 2.0, 4.0, 6.0, 8.0)


def test_key_times_hold_the_worst_frame_and_stay_apart() -> None:
    probs: list[float | None] = [0.1] * 10 + [0.8, 0.9, 0.95, 0.9, 0.8] + [0.1] * 10
    times = charts.key_times(_person(probs), 5)
    assert 12.0 in times
    assert len(times) == 5
    assert list(times) == sorted(times)
    assert min(b - a for a, b in itertools.pairwise(times)) > 2


def test_bars_carry_their_intervals() -> None:
    groups = [("A", [charts.Bar("faces", 0.9, 0.85, 0.95), charts.Bar("swaps", 0.8, None, None)])]
    figure = charts.bars(groups, "AUC", 0.5)
    assert list(figure.data[0].error_x.array) == pytest.approx([0.05, 0.0])
    assert list(figure.data[0].error_x.arrayminus) == pytest.approx([0.05, 0.0])
    assert list(figure.layout.yaxis.ticktext) == ["faces", "swaps"]
    many = charts.bars([(f"network {i}", [charts.Bar("faces", 0.9, 0.85, 0.95)]) for i in range(10)], "AUC", 0.5)
    assert len({(points.marker.color, points.marker.symbol) for points in many.data}) == 10


def test_lines_run_over_the_diagonal_and_more_than_five_stay_apart() -> None:
    points = [(0.0, 0.0), (0.2, 0.7), (1.0, 1.0)]
    figure = charts.lines([(f"network {i}", points) for i in range(7)], "x", "y", "dark", markers=True)
    assert list(figure.data[0].y) == [0, 1] and list(figure.data[1].y) == [0.0, 0.7, 1.0]
    looks = {(line.line.color, line.line.dash) for line in figure.data[1:]}
    assert len(looks) == 7


def test_bars_of_nothing() -> None:
    assert len(charts.bars([], "AUC", 0.5).data) == 0
