"""How long a file may be worked on, by a clock of our own."""

import pytest

from detector import clock
from detector.clock import Clock


class Times:
    """Stands in for the module `time`."""

    def __init__(self) -> None:
        self.wall_s = self.worked_s = 100.0

    def monotonic(self) -> float:
        return self.wall_s

    def process_time(self) -> float:
        return self.worked_s

    def go_on(self, wall_s: float, worked_s: float) -> None:
        self.wall_s += wall_s
        self.worked_s += worked_s


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> Times:
    times = Times()
    monkeypatch.setattr(clock, "time", times)
    return times


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param((9, 17), (2, 4), id="on a quiet machine the wall counts, whatever two threads work"),
        pytest.param((30, 9), (3, 2), id="on a busy machine the work counts"),
        pytest.param((59, 0), (2, 0), id="a disk that does not answer ends it"),
    ],
)
def test_ten_seconds_are_over(times: Times, before: tuple[float, float], after: tuple[float, float]) -> None:
    running = Clock(10)
    times.go_on(*before)
    assert not running.expired
    times.go_on(*after)
    assert running.expired


def test_while_it_is_stopped_nothing_counts(times: Times) -> None:
    running = Clock(10)
    times.go_on(8, 8)
    with running.stopped():
        times.go_on(1000, 1000)
    assert not running.expired
    times.go_on(3, 3)
    assert running.expired


def test_where_there_is_no_disk_to_wait_for_a_halt_does_not_count(times: Times) -> None:
    running = Clock(10, may_wait=False)
    times.go_on(10_000, 9)
    assert not running.expired
    times.go_on(2, 2)
    assert running.expired
