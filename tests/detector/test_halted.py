"""A busy or halted machine gives the same answer, later; what a file costs too much work says so."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from detector import clock, persons, video
from detector.errors import MediaError
from detector.pipeline import Detector
from detector.report import facts, headline, quote

HALT_S = 5.0


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="skipped: a process cannot halt itself on this system")
def test_a_halted_process_goes_on_where_it_was(repo_root: Path, network_cache: Path) -> None:
    program, clip = repo_root / "tests" / "fakes" / "halted.py", repo_root / "app" / "samples" / "clip.mp4"
    environment = {**os.environ, "UNMASK_CACHE": str(network_cache), "PYTHONPATH": str(repo_root)}
    found = []
    for halt in ("no", "yes"):
        command = [sys.executable, str(program), str(clip), halt]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        if halt == "yes":
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status)
            time.sleep(HALT_S)
            process.send_signal(signal.SIGCONT)
        found.append(json.loads(process.communicate(timeout=200)[0].splitlines()[-1]))
    steady, halted = found
    assert steady[0] and halted[0] and steady[1] == halted[1] == 32
    assert halted[2] == pytest.approx(steady[2], abs=1e-4)
    assert not steady[3] and not halted[3]


@pytest.fixture
def few_asks(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets so much work pass, counted in how often the clocks are asked together."""

    # the child has clocks of its own
    for module, name in ((persons, "iter_frames"), (persons, "probe")):
        monkeypatch.setattr(module, name, getattr(video, name))

    def limit(asks: int) -> None:
        left = iter(range(asks, 0, -1))
        monkeypatch.setattr(clock.Clock, "overdrawn", property(lambda self: next(left, 0) == 0))

    return limit


def test_fewer_frames_are_never_called_all(repo_root: Path, few_asks: Callable[[int], None]) -> None:
    detector, clip = Detector(), repo_root / "app" / "samples" / "clip.mp4"
    few_asks(200)
    verdict = detector.video(clip)
    coverage = verdict.coverage
    assert coverage is not None and coverage.stopped and 0 < coverage.frames < 32
    assert coverage.share < 1 and verdict.to_dict()["coverage"]["stopped"] is True
    assert "reading stopped early" in headline(verdict)
    assert "stopped before the end" in quote(verdict)
    assert any("fewer frames were looked at" in fact for fact in facts(verdict))


def test_a_file_without_a_frame_in_time_is_too_slow(repo_root: Path, few_asks: Callable[[int], None]) -> None:
    detector, clip = Detector(), repo_root / "app" / "samples" / "clip.mp4"
    few_asks(5)
    verdict = detector.file(clip)
    assert (verdict.status, verdict.reason) == ("unreadable", "too_slow")
    with pytest.raises(MediaError, match="too long"):
        detector.video(clip)
