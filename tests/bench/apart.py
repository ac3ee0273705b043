"""What is measured in processes of their own, whose memory is theirs alone."""

import subprocess
import sys
import time
from pathlib import Path
from typing import cast

_ROOT = Path(__file__).resolve().parents[2]

# the page itself is drawn, then a photo judged as the page would
_APP = """
import gc, sys, time
from pathlib import Path
from streamlit.testing.v1 import AppTest
page = AppTest.from_file(sys.argv[1], default_timeout=600).run()
assert not page.exception, page.exception
from app.networks import build_detector
detector = build_detector(sys.argv[3])
detector.image(Path(sys.argv[2]))
gc.collect()
pages = int(Path("/proc/self/statm").read_text().split()[1])
import resource
print("resident", pages * resource.getpagesize() / 2**20)
"""


def idle_mib(photo: Path, models: str) -> float | None:
    """What the app holds in memory after it judged a photo; None where the system does not tell."""
    if not Path("/proc/self/statm").exists():
        return None
    return _figures_of("resident", _APP, str(_ROOT / "app" / "main.py"), str(photo), models)[0]


# memory by /proc: the peak that getrusage tells would begin with that of the process that started this one
_HOUR = """
import contextlib, os, re, sys, time
from pathlib import Path
way, clip, photo, models, frames = sys.argv[1:]
def mib(key):
    return int(re.search(rf"{key}:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
idle = 0.0
if way == "library":
    from detector.engine import leave_cores_free
    from detector.pipeline import Detector
    leave_cores_free()
    detector = Detector(models)
    detector.image(Path(photo))
    idle = mib("VmRSS")
wall, cpu = time.perf_counter(), time.process_time()
if way == "library":
    seen = detector.video(Path(clip), max_frames=int(frames)).coverage.frames
else:
    from detector.__main__ import main
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        assert main(["--json", "--models", models, "--max-frames", frames, clip]) == 0
    seen = int(frames)
assert seen == int(frames), f"{seen} of {frames} frames were looked at: out of time"
print("figures", time.perf_counter() - wall, time.process_time() - cpu, idle, mib("VmHWM"))
"""


def judged_long(way: str, clip: Path, photo: Path, models: str, frames: int) -> tuple[float, float, float, float]:
    """How a video is judged by a process of its own, "library" (warm) or "command line" (from its start).

    Returns:
        Seconds, processor seconds, MiB before (0 for the command line), and the most MiB at any time.
    """
    arguments = (way, str(clip), str(photo), models, str(frames))
    return cast("tuple[float, float, float, float]", _figures_of("figures", _HOUR, *arguments))


def processor_s(pid: int) -> float | None:
    """The processor time of a running process so far, in seconds; None where the system does not tell it."""
    if sys.platform != "linux":
        return None
    # clock_getcpuclockid(3), which Python has for threads alone: Linux makes the clock's number of the process's
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return None


def _figures_of(word: str, program: str, *arguments: str) -> tuple[float, ...]:
    """What a program, run in a process of its own from the root of the project, prints in a line after that word."""
    command = [sys.executable, "-c", program, *arguments]
    result = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True)
    found = [line.split()[1:] for line in result.stdout.splitlines() if line.startswith(f"{word} ")]
    if result.returncode != 0 or not found:
        raise RuntimeError(f"a process that was to be measured failed:\n{result.stderr[-2000:]}")
    return tuple(map(float, found[0]))
