"""The page with a detector of known output behind it (`tests/fakes/fake_app.py`)."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app import networks, shelf
from tests.fakes import fake_app


@pytest.fixture(autouse=True)
def _idle_workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Waits for every worker of the test: what one still has in line would load the next test's detector."""
    workers: list[networks.Worker] = []
    begin = networks.Worker.__init__

    def recorded(self: networks.Worker) -> None:
        begin(self)
        workers.append(self)

    monkeypatch.setattr(networks.Worker, "__init__", recorded)
    yield
    for worker in workers:
        idle = threading.Event()
        assert worker.submit(idle.set) and idle.wait(60), "a worker is still busy after the test"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The detectors that the page makes in this test."""
    networks.worker.clear()
    shelf.shelf.clear()
    yield fake_app.install(monkeypatch.setattr)
    networks.worker.clear()
    shelf.shelf.clear()


@pytest.fixture
def page(repo_root: Path, made: list[Any], clean_temp: Path) -> AppTest:
    """The first visit. Nothing may be left in the temporary folder afterwards."""
    at = AppTest.from_file(str(repo_root / "app" / "page.py"), default_timeout=120).run()
    assert not at.exception
    return at


@pytest.fixture
def photo(portrait_path: Path) -> bytes:
    return portrait_path.read_bytes()


@pytest.fixture
def clip(repo_root: Path) -> bytes:
    return (repo_root / "app" / "samples" / "clip.mp4").read_bytes()
