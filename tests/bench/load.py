"""Many users at once: `python -m tests.bench.load --sessions 20` brings files over HTTP to the page's own routes.

Each session brings photos and clips that nobody else has, asks for progress as a browser does, and checks that the
verdict is of its own file. Prints errors, mixed results, times from upload to verdict, and the memory of server and
children. The server is this process, with the networks that ship.
"""

import argparse
import hashlib
import http.client
import io
import json
import statistics
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from PIL import Image
from starlette.applications import Starlette

from app.routes import routes
from app.shelf import shelf

_SAMPLES = Path(__file__).resolve().parents[2] / "app" / "samples"


@dataclass
class Found:
    """What all sessions together met."""

    times_s: dict[str, list[float]] = field(default_factory=lambda: {"photo": [], "clip": []})
    wrong: list[str] = field(default_factory=list)
    told_a_place: int = 0


def _file(number: int, kind: str) -> tuple[str, bytes]:
    """A file that no other session brings."""
    if kind == "clip":
        # a box that players pass over makes it another file
        return f"{number}.mp4", (_SAMPLES / "clip.mp4").read_bytes() + b"\0\0\0\x0cfree" + number.to_bytes(4, "big")
    buffer = io.BytesIO()
    with Image.open(_SAMPLES / "astronaut.jpg") as image:
        image.convert("RGB").save(buffer, "JPEG", quality=90, comment=str(number))
    return f"{number}.jpg", buffer.getvalue()


def _session(port: int, number: int, files: int, found: Found) -> None:
    ticket = f"session-{number}"
    shelf().enter(ticket, "default")
    for i in range(files):
        kind = "clip" if (number + i) % 5 == 0 else "photo"
        name, data = _file(1000 * number + i, kind)
        try:
            began = time.monotonic()
            line = http.client.HTTPConnection("127.0.0.1", port, timeout=900)
            line.request("POST", f"/unmask/files?name={name}", data, {"X-Unmask-Ticket": ticket})
            address = json.loads(line.getresponse().read())["check"]
            state, place = "waiting", False
            while state in ("waiting", "running"):
                time.sleep(0.1)
                line.request("GET", f"/unmask/check/{address}")
                now = json.loads(line.getresponse().read())
                state, place = now["state"], place or "before it" in now["what"]
            found.times_s[kind].append(time.monotonic() - began)
            found.told_a_place += place
            case = shelf().find(address)
            verdict = case.verdict if case is not None else None
            if verdict is not None and (verdict.file, verdict.sha256) != (name, hashlib.sha256(data).hexdigest()):
                found.wrong.append(f"{name} got the verdict of {verdict.file}")
            elif verdict is None or verdict.status != "ok":
                found.wrong.append(f"{name}: {state}, {now['said']}")
            shelf().drop(address)
        except Exception as error:
            found.wrong.append(f"{name}: {type(error).__name__} {error}")


def _memory_mb() -> tuple[float, float]:
    """Peak of this process and present size of its children, where Linux tells."""
    peak = children = 0.0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            values = dict(line.split(":", 1) for line in status.read_text(encoding="utf-8").splitlines())
        except (OSError, ValueError):
            continue
        if status.parent.name == Path("/proc/self").resolve().name:
            peak = int(values["VmHWM"].split()[0]) / 1024
        elif values.get("PPid", "").strip() == Path("/proc/self").resolve().name and "VmRSS" in values:
            children += int(values["VmRSS"].split()[0]) / 1024
    return peak, children


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.load", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--files", type=int, default=2, help="of each session, one after the other")
    options = parser.parse_args()
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes()), port=0, log_level="error"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    warm = Found()
    _session(port, 10**6, 1, warm)  # networks are loaded before the clock runs
    before_mb, found, began = _memory_mb()[0], Found(), time.monotonic()
    sessions = [
        threading.Thread(target=_session, args=(port, number, options.files, found))
        for number in range(options.sessions)
    ]
    for session in sessions:
        session.start()
    for session in sessions:
        session.join()
    took_s = time.monotonic() - began
    peak_mb, children_mb = _memory_mb()
    total = sum(map(len, found.times_s.values()))
    print(f"{options.sessions} sessions, {total} files in {took_s:.0f} s; wrong: {len(found.wrong)}")
    for line in found.wrong[:20]:
        print(f"  {line}")
    for kind, times in found.times_s.items():
        if len(times) > 1:
            tail = statistics.quantiles(times, n=20)[-1]
            print(f"{kind}: median {statistics.median(times):.1f} s, 95th percentile {tail:.1f} s")
    print(f"{found.told_a_place} were told their place")
    print(f"memory: {before_mb:.0f} MB before, peak {peak_mb:.0f} MB, children {children_mb:.0f} MB")
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
