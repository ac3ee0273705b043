"""Which checks a server keeps, for whom, and for how long; and how time left is said."""

import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

import app.shelf as shelf_module
from app import networks
from app.calm import Calm, left_in_words
from app.case import Case
from app.shelf import Shelf


@pytest.fixture
def line(made: list[Any]) -> Iterator[networks.Worker]:
    yield networks.Worker()


def _case(line: networks.Worker, name: str, photo: bytes) -> Case:
    return Case(name, photo, "default", line)


def test_a_check_is_kept_while_anybody_holds_it(line: networks.Worker, photo: bytes) -> None:
    shelf, case = Shelf(0.0), _case(line, "endless.jpg", photo)
    shelf.put(case, "one")
    shelf.hold([case.id], "two")
    shelf.leave("one")
    shelf.sweep()
    assert shelf.find(case.id) is case and case.busy
    shelf.leave("two")
    time.sleep(0.01)
    shelf.sweep()
    assert shelf.find(case.id) is None and case.state == "stopped"


def test_a_page_that_comes_back_in_time_keeps_its_check(line: networks.Worker, photo: bytes) -> None:
    shelf, case = Shelf(60.0), _case(line, "endless.jpg", photo)
    shelf.put(case, "before")
    shelf.leave("before")
    shelf.sweep()
    assert shelf.find(case.id) is case and case.busy
    shelf.hold([case.id], "after")
    shelf.grace_s = 0.0
    shelf.sweep()
    assert shelf.find(case.id) is case
    case.stop()


def test_a_closed_page_is_swept_without_anybody_asking(line: networks.Worker, photo: bytes) -> None:
    shelf, case = Shelf(0.05), _case(line, "endless.jpg", photo)
    shelf.put(case, "one")
    shelf.leave("one")
    end = time.monotonic() + 10
    while shelf.find(case.id) is not None:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert case.state == "stopped"


def test_only_sessions_that_are_there_may_bring_files() -> None:
    shelf = Shelf(1.0)
    assert shelf.models_of("one") is None
    shelf.enter("one", "average")
    assert shelf.models_of("one") == "average"
    shelf.leave("one")
    assert shelf.models_of("one") is None


def test_the_oldest_finished_checks_make_room(
    line: networks.Worker, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf_module, "_MAX_CHECKS", 3)
    shelf = Shelf(60.0)
    cases = [_case(line, f"{i}.jpg", photo) for i in range(5)]
    done = threading.Event()
    line.submit(done.set)
    assert done.wait(30)
    for case in cases:
        shelf.put(case, "one")
    assert [shelf.find(case.id) is not None for case in cases] == [False, False, True, True, True]


def test_time_left_is_said_late_rounded_and_without_going_up_and_down() -> None:
    calm = Calm()
    assert calm.left_s(5.0, 0.1) is None
    unsteady = [0.6 * percent * (1.1 if percent % 2 else 0.9) for percent in range(20, 100)]
    said = [calm.left_s(spent_s, percent / 100) or 0 for spent_s, percent in zip(unsteady, range(20, 100), strict=True)]
    assert all(s >= 10 and s % 10 == 0 for s in said)
    assert all(after <= before or after > 1.25 * before for before, after in pairwise(said))
    assert len(set(said)) < 10
    # but a work that has become much slower says so
    slower = Calm()
    first = slower.left_s(10.0, 0.5)
    assert first == 10
    assert (slower.left_s(200.0, 0.55) or 0) > 1.25 * first


@pytest.mark.parametrize(
    ("left", "said"),
    [(None, ""), (10, "A few seconds left"), (40, "About 40 s left"), (120, "About 2 minutes left")],
)
def test_time_left_in_words(left: int | None, said: str) -> None:
    assert left_in_words(left) == said


def test_steps_are_ticked_off_without_their_counts(line: networks.Worker, photo: bytes) -> None:
    case = _case(line, "slow.jpg", photo)
    end = time.monotonic() + 20
    while case.progress.done < 0.25:
        assert time.monotonic() < end
        time.sleep(0.02)
    now = case.progress
    assert now.steps == ("Loading the networks",) and "reading frames, " in now.what
    case.stop()
