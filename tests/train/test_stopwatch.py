"""Hours of work in a run's record."""

import os
import signal
import subprocess
import sys
import time

import pytest

from train.learn.stopwatch import Stopwatch

_WORKER = """
import sys, time
from train.learn import stopwatch
stopwatch._BEAT_S, stopwatch._LATE_S = 0.02, 0.3
watch, wall = stopwatch.Stopwatch(100.0), time.monotonic()
print("begun", flush=True)
sys.stdin.readline()
print(watch.seconds - 100.0, time.monotonic() - wall)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system cannot halt a process")
def test_a_halt_is_no_work() -> None:
    worker = subprocess.Popen([sys.executable, "-c", _WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None and worker.stdout.readline() == "begun\n"
    time.sleep(1)
    os.kill(worker.pid, signal.SIGSTOP)
    time.sleep(3)
    os.kill(worker.pid, signal.SIGCONT)
    out, _ = worker.communicate("\n", timeout=60)
    worked_s, wall_s = map(float, out.split())
    assert wall_s > 4
    assert 0.9 < worked_s < wall_s - 2


def test_time_goes_on_and_earlier_parts_count() -> None:
    watch = Stopwatch(7200.0)
    time.sleep(0.05)
    assert 7200.04 < watch.seconds < 7260
