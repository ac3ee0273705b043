"""The published networks and the one thread that runs them."""

import gc
import threading
import time
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app import networks
from detector import WeightsError
from tests.fakes import fake_app
from tests.fakes.visitor import case_of, drop, judged


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of weights of its own, so far empty."""
    import detector.manifest

    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setattr(detector.manifest, "default_folder", lambda: folder)
    return folder


def _publish(folder: Path, date: str) -> None:
    from detector.manifest import write_manifest

    write_manifest(folder, replace(fake_app.manifest(), date=date))


def test_a_detector_is_loaded_by_the_worker_and_told_when_it_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    def until(line: networks.Worker) -> object:
        end = time.monotonic() + 20
        while (found := line.ready("one")) is None:
            assert time.monotonic() < end
            time.sleep(0.01)
        return found

    monkeypatch.setattr(networks, "build_detector", lambda name: name.upper())
    assert until(networks.Worker()) == "ONE"

    def broken(name: str) -> None:
        raise WeightsError("gone")

    monkeypatch.setattr(networks, "build_detector", broken)
    line = networks.Worker()
    for _ in range(2):
        with pytest.raises(WeightsError, match="gone"):
            until(line)
    monkeypatch.setattr(networks, "build_detector", lambda name: "again")
    done = threading.Event()
    line.submit(lambda: line.detector("one"))
    line.submit(done.set)
    assert done.wait(20)
    assert until(line) == "again"


def test_the_manifest_is_read_again_when_another_set_is_published(weights: Path) -> None:
    with pytest.raises(WeightsError):
        networks.manifest()
    _publish(weights, "2026-12-02")
    first = networks.manifest()
    assert first.date == "2026-12-02" and networks.manifest() is first
    _publish(weights, "2026-12-09")
    assert networks.manifest().date == "2026-12-09"


def test_an_older_set_does_not_stay_in_memory(weights: Path, made: list[Any]) -> None:
    _publish(weights, "2026-12-02")
    line = networks.Worker()
    old = weakref.ref(line.detector("default"))
    made.clear()
    _publish(weights, "2026-12-09")
    line.detector("default")
    gc.collect()
    assert old() is None


def test_a_set_that_is_replaced_while_it_is_loaded_is_loaded_anew(
    weights: Path, made: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    _publish(weights, "2026-12-02")
    tried = []

    def build(name: str) -> Any:
        tried.append(name)
        if len(tried) == 1:
            _publish(weights, "2026-12-09")
            raise WeightsError("weights/resnet18.safetensors is damaged or of another version")
        return fake_app.FakeDetector(name)

    monkeypatch.setattr(networks, "build_detector", build)
    line = networks.Worker()
    assert line.detector("default") is line.detector("default")
    assert tried == ["default"] * 2

    def damaged(name: str) -> Any:
        raise WeightsError("weights/resnet18.safetensors is damaged or of another version")

    monkeypatch.setattr(networks, "build_detector", damaged)
    with pytest.raises(WeightsError, match="damaged"):
        line.detector("resnet18")


def test_networks_published_meanwhile_judge_the_next_file_and_not_this_one(
    weights: Path, page: AppTest, made: list[Any], photo: bytes
) -> None:
    def heat(case: Any) -> None:
        end = time.monotonic() + 20
        while case.album.heat(1, "resnet18") is None:
            assert time.monotonic() < end
            time.sleep(0.02)

    _publish(weights, "2026-12-02")
    case = case_of(judged(drop(page, "portrait.jpg", photo)))
    _publish(weights, "2026-12-09")
    # the heatmap beside a verdict is of the networks that gave it
    heat(case)
    assert len(made) == 1 and len(made[0].explained) == 1
    case.make_copy(True)
    while case.copy is not None and case.copy.state == "making":
        time.sleep(0.02)
    assert case.copy is not None and case.copy.state == "done" and len(made) == 1
    heat(case_of(judged(drop(page, "next.jpg", photo))))
    assert len(made) == 2 and len(made[1].explained) == 1
    judged(drop(page, "third.jpg", photo))
    assert len(made) == 2, "the same set is loaded once"


def test_the_default_is_loaded_before_anybody_asks(weights: Path, made: list[Any]) -> None:
    networks.preload()
    done = threading.Event()
    networks.worker().submit(done.set)
    assert done.wait(120) and not made, "there is nothing to load"
    _publish(weights, "2026-12-02")
    networks.preload()
    done.clear()
    networks.worker().submit(done.set)
    assert done.wait(120) and [detector.asked_for for detector in made] == ["default"]
