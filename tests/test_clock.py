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


def test_on_a_quiet_machine_the_wall_counts(times: Times) -> None:
    running = Clock(10)
    times.go_on(9, 17)  # two threads
    assert not running.expired
    times.go_on(2, 4)
    assert running.expired


def test_on_a_busy_machine_the_work_counts(times: Times) -> None:
    running = Clock(10)
    times.go_on(30, 9)
    assert not running.expired
    times.go_on(3, 2)
    assert running.expired


def test_a_disk_that_does_not_answer_ends_it(times: Times) -> None:
    running = Clock(10)
    times.go_on(59, 0)
    assert not running.expired
    times.go_on(2, 0)
    assert running.expired


def test_while_it_is_stopped_nothing_counts(times: Times) -> None:
    running = Clock(10)
    times.go_on(8, 8)
    with running.stopped():
        times.go_on(1000, 1000)
    assert not running.expired
    times.go_on(3, 3)
    assert running.expired
