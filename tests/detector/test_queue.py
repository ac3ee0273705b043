"""The line of a server: users in turn, a visible place, limits, nothing kept, one failure is one task's."""

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

from detector.queue import Worker


class Held:
    """A worker whose first task waits until it is let go, so that the line behind it can be looked at."""

    def __init__(self, **limits: int) -> None:
        self.bugs: list[BaseException] = []
        self.order: list[str] = []
        self.worker = Worker(lambda name: None, self.bugs.append, **limits)  # type: ignore[arg-type, return-value]
        self._go, begun = threading.Event(), threading.Event()

        def first() -> None:
            begun.set()
            assert self._go.wait(60)

        assert self.worker.submit(first)
        assert begun.wait(60)

    def put(self, name: str, owner: str | None) -> Any:
        return self.worker.submit(lambda: self.order.append(name), owner)

    def finish(self) -> list[str]:
        self._go.set()
        done = threading.Event()
        while not self.worker.submit(done.set):
            pass
        assert done.wait(60)
        while self.worker.submit(lambda: None).ahead:  # type: ignore[union-attr]
            pass
        return self.order


def test_users_are_served_in_turn_and_each_sees_its_place() -> None:
    line = Held()
    places = [
        line.put(name, owner) for name, owner in (("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("b2", "b"))
    ]
    assert [place.ahead for place in places] == [1, 3, 5, 2, 4]
    assert line.finish() == ["a1", "b1", "a2", "b2", "a3"]
    assert [place.ahead for place in places] == [0] * 5


def test_one_user_cannot_fill_the_line_and_the_line_has_an_end() -> None:
    line = Held(max_waiting=5, max_of_one=3)
    assert [line.put(f"a{i}", "a") is not None for i in range(5)] == [True, True, True, False, False]
    assert [line.put(f"b{i}", "b") is not None for i in range(3)] == [True, True, False]
    assert line.put("c", "c") is None
    assert line.finish() == ["a0", "b0", "a1", "b1", "a2"]
    assert line.put("a9", "a") is not None


def test_a_task_that_breaks_loses_itself_alone() -> None:
    line = Held()
    wrong = RuntimeError("a bug")

    def broken() -> None:
        raise wrong

    line.worker.submit(broken, "a")
    line.put("next", "a")
    assert line.finish() == ["next"] and line.bugs == [wrong]


def test_a_place_keeps_nothing_of_the_file() -> None:
    class File:
        pass

    def task_of(file: File) -> Callable[[], None]:
        return lambda: line.order.append(type(file).__name__)

    line, file = Held(), File()
    gone = weakref.ref(file)
    place = line.worker.submit(task_of(file), "a")
    del file
    assert gone() is not None and line.finish() == ["File"]
    gc.collect()
    assert place is not None and gone() is None


def test_many_threads_get_every_answer_and_their_own() -> None:
    worker = Worker(lambda name: None, lambda error: None, max_waiting=2000, max_of_one=50)  # type: ignore[arg-type, return-value]
    answers: dict[str, list[int]] = {f"user {i}": [] for i in range(20)}
    done = threading.Barrier(21)

    def user(name: str) -> None:
        left = threading.Semaphore(0)
        for i in range(50):
            assert worker.submit(lambda i=i: (answers[name].append(i), left.release())[1], name)  # type: ignore[misc]
        for _ in range(50):
            assert left.acquire(timeout=60)
        done.wait(60)

    for name in answers:
        threading.Thread(target=user, args=(name,), daemon=True).start()
    done.wait(60)
    assert all(found == list(range(50)) for found in answers.values())
