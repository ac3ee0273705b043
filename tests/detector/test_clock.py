"""How much work a file may take, by a clock of our own."""

import threading

import pytest

from detector import clock
from detector.clock import Clock


class Times:
    """Stands in for the module `time`: what the asking thread has worked, and all threads together."""

    def __init__(self) -> None:
        self.own_s = self.all_s = 100.0

    def thread_time(self) -> float:
        return self.own_s

    def process_time(self) -> float:
        return self.all_s

    def go_on(self, own_s: float, all_s: float) -> None:
        self.own_s += own_s
        self.all_s += all_s


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> Times:
    times = Times()
    monkeypatch.setattr(clock, "time", times)
    return times


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param((9, 9), (2, 2), id="the reading thread works"),
        pytest.param((9, 50), (2, 3), id="what networks do beside it does not count"),
        pytest.param((0, 59), (0, 2), id="a decoder's own threads do not work for ever"),
    ],
)
def test_ten_seconds_are_over(times: Times, before: tuple[float, float], after: tuple[float, float]) -> None:
    running = Clock(10)
    times.go_on(*before)
    assert not running.expired
    times.go_on(*after)
    assert running.expired and running.overdrawn


def test_while_it_is_stopped_nothing_counts(times: Times) -> None:
    running = Clock(10)
    times.go_on(8, 8)
    with running.stopped():
        times.go_on(1000, 1000)
    assert not running.expired
    times.go_on(3, 3)
    assert running.expired


def test_a_wish_to_stop_is_no_overdraft(times: Times) -> None:
    running = Clock(10, lambda: True)
    assert running.expired and not running.overdrawn


def test_it_may_be_handed_to_another_thread() -> None:
    running = Clock(0.5)
    found = []

    def work() -> None:
        found.append(running.expired)
        while not running.expired:
            sum(range(1000))
        found.append(running.overdrawn)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False, True]
