"""The child process for untrusted bytes: it answers, and whatever it does to itself harms nobody else."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from detector.child import Child, ChildLost, missing_limits


@pytest.fixture
def child(repo_root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Child]:
    # the child knows the project; the handlers of tests lie beside it
    monkeypatch.setenv("PYTHONPATH", str(repo_root))
    made = Child("tests.fakes.children:answer", wall_s=15, memory_bytes=2 << 30)
    yield made
    made.close()


def echo(child: Child, say: str = "x") -> int:
    head, blobs = child.ask({"do": "echo", "say": say}, [b"\0" * 100_000, b""])
    assert head["said"] == say and blobs == [b"\0" * 100_000, b""]
    return int(head["pid"])


def test_one_process_answers_many_questions_and_is_not_this_one(child: Child) -> None:
    assert child.pid is None
    first = echo(child, "caf\u00e9 \udc80 \u202e")
    assert first == echo(child) == child.pid != os.getpid()


@pytest.mark.parametrize(("do", "reason"), [("sleep", "too_slow"), ("spin", "too_slow"), ("crash", "died")])
def test_a_lost_child_is_replaced(child: Child, do: str, reason: str) -> None:
    first = echo(child)
    began = time.monotonic()
    with pytest.raises(ChildLost) as lost:
        child.ask({"do": do}, wall_s=1.0)
    assert lost.value.reason == reason and time.monotonic() - began < 10
    assert echo(child) != first


@pytest.mark.skipif(bool(missing_limits()), reason="this system has no limits on memory and files")
def test_a_child_neither_grows_beyond_its_memory_nor_writes_a_file(child: Child, tmp_path: Path) -> None:
    with pytest.raises(ChildLost) as lost:
        child.ask({"do": "grow"})
    assert lost.value.reason in ("too_large", "died")
    with pytest.raises(ChildLost):
        child.ask({"do": "write", "path": str(tmp_path / "left")})
    assert not (tmp_path / "left").exists() or (tmp_path / "left").stat().st_size == 0
    echo(child)


def test_an_error_names_its_kind_and_quotes_no_file(child: Child) -> None:
    first = echo(child)
    with pytest.raises(ChildLost) as lost:
        child.ask({"do": "raise", "say": "secret name.jpg"})
    assert lost.value.reason == "failed" and "RuntimeError" in str(lost.value) and "secret" not in str(lost.value)
    assert echo(child) == first


def test_what_a_library_prints_does_not_get_between_two_answers(child: Child) -> None:
    child.ask({"do": "print"})
    echo(child)


def test_killed_in_the_middle_it_is_said_and_the_next_file_is_read(child: Child) -> None:
    first = echo(child)
    threading.Timer(0.5, lambda: os.kill(first, 9)).start()
    with pytest.raises(ChildLost) as lost:
        child.ask({"do": "sleep"})
    assert lost.value.reason == "died"
    assert echo(child) != first


def test_threads_take_turns(child: Child) -> None:
    said: list[int] = []
    threads = [threading.Thread(target=lambda n=n: said.append(echo(child, str(n)))) for n in range(8)]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 8 and len(set(said)) == 1


def test_it_ends_with_its_questions(child: Child) -> None:
    echo(child)
    process = child._process
    assert process is not None and process.stdin is not None
    process.stdin.close()
    assert process.wait(10) == 0
