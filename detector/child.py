"""A second process for work on untrusted bytes: it can crash, hang or grow without harm to this one.

    child = Child("detector.provenance.reading:answer", wall_s=20)
    result, blobs = child.ask({"path": "photo.jpg"})

The child is started on the first question, stays for the next one, is killed when it overruns its limits, and is
started again. Questions and answers are JSON with blobs of bytes behind it, never pickles: what a hostile file may have
made of the child must not run here. The child ends when this process does, since its standard input then ends.
"""

import contextlib
import importlib
import json
import os
import queue
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

Answer = tuple[dict[str, Any], list[bytes]]
Handler = Callable[[dict[str, Any], list[bytes]], Answer]

_LIMIT_BYTES = 1 << 31
"""Of one message; a child that announces more is broken or lying."""
_CPU_PER_WALL = 2.0


class ChildLost(Exception):
    """The child gave no answer. `reason` is "too_slow", "died" or "failed"; what it was at is lost, nothing else."""

    def __init__(self, reason: Literal["too_slow", "died", "failed"], detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class Child:
    """One process that answers questions one after the other. Safe to share between threads.

    Args:
        target: "module:function" of the handler, imported in the child alone.
        wall_s: seconds that one answer may take.
        memory_bytes: address space of the child, where the system can limit it.
    """

    def __init__(self, target: str, *, wall_s: float, memory_bytes: int = 4 << 30) -> None:
        self._target = target
        self._wall_s = wall_s
        self._memory_bytes = memory_bytes
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()

    @property
    def pid(self) -> int | None:
        """The child's process number; None where none runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def ask(self, question: dict[str, Any], blobs: Sequence[bytes] = (), *, wall_s: float | None = None) -> Answer:
        """What the handler answers.

        Raises:
            ChildLost: it took too long, or the child ended, or the handler raised.
        """
        with self._lock:
            process = self._running()
            try:
                _write(cast(BinaryIO, process.stdin), question, blobs)
                answer = self._answers.get(timeout=wall_s or self._wall_s)
            except queue.Empty:
                self._end()
                raise ChildLost("too_slow") from None
            except OSError:
                answer = None
            if answer is None:
                self._end()
                raise ChildLost("died")
        if "failed" in answer[0]:
            raise ChildLost("failed", str(answer[0]["failed"])[:200])
        return answer

    def close(self) -> None:
        """Ends the child. The next question starts another one."""
        with self._lock:
            self._end()

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._end()
        root = str(Path(__file__).resolve().parents[1])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        # -P: the folder that a person happens to be in must not hide a module
        command = [sys.executable, "-P", "-m", "detector.child", self._target, str(self._memory_bytes)]
        limit_s = str(max(1, round(self._wall_s * _CPU_PER_WALL)))
        self._process = subprocess.Popen(
            [*command, limit_s],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # decoders complain about files there, with their names
            env={**os.environ, "PYTHONPATH": path},
        )
        self._answers = queue.SimpleQueue()
        # pipes have no time limit on every system; a thread that waits has one
        threading.Thread(
            target=_collect, args=(cast(BinaryIO, self._process.stdout), self._answers), daemon=True
        ).start()
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                assert pipe is not None
                pipe.close()


def _collect(pipe: BinaryIO, answers: "queue.SimpleQueue[Answer | None]") -> None:
    try:
        while True:
            answers.put(_read(pipe))
    except (OSError, ValueError, EOFError):
        answers.put(None)


def _write(pipe: BinaryIO, head: dict[str, Any], blobs: Sequence[bytes]) -> None:
    text = json.dumps(head).encode("ascii")
    sizes = [len(text), *map(len, blobs)]
    pipe.write(struct.pack(f"<I{len(sizes)}Q", len(sizes), *sizes))
    pipe.write(text)
    for blob in blobs:
        pipe.write(blob)
    pipe.flush()


def _read(pipe: BinaryIO) -> Answer:
    (count,) = struct.unpack("<I", _exactly(pipe, 4))
    if not 1 <= count <= 1024:
        raise ValueError("not a message")
    sizes = struct.unpack(f"<{count}Q", _exactly(pipe, 8 * count))
    if sum(sizes) > _LIMIT_BYTES:
        raise ValueError("the message is too large")
    head = json.loads(_exactly(pipe, sizes[0]))
    if not isinstance(head, dict):
        raise ValueError("not a message")
    return head, [_exactly(pipe, size) for size in sizes[1:]]


def _exactly(pipe: BinaryIO, size: int) -> bytes:
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError
    return data


def missing_limits() -> tuple[str, ...]:
    """Which limits this system cannot set on a child; the limit on time holds everywhere."""
    return () if _resource() is not None else ("memory", "processor time", "writing files")


def _resource() -> Any:
    try:
        return importlib.import_module("resource")  # not on Windows
    except ImportError:
        return None


def _limit(memory_bytes: int) -> None:
    resource = _resource()
    if resource is None:
        return
    # no file of any size may be written, so nothing can be left behind
    for name, limit in (("RLIMIT_AS", memory_bytes), ("RLIMIT_CORE", 0), ("RLIMIT_FSIZE", 0)):
        with contextlib.suppress(ValueError, OSError, AttributeError):
            number = getattr(resource, name)
            hard = resource.getrlimit(number)[1]
            soft = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
            resource.setrlimit(number, (soft, hard))


def _allow_cpu(seconds: int) -> None:
    """That many more seconds of processor time; then the system ends the child, even where the parent is gone."""
    resource = _resource()
    if resource is None:
        return
    with contextlib.suppress(ValueError, OSError):
        used = resource.getrusage(resource.RUSAGE_SELF)
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        soft = int(used.ru_utime + used.ru_stime) + seconds + 1
        resource.setrlimit(resource.RLIMIT_CPU, (soft if hard < 0 else min(soft, hard), hard))


def _serve(target: str, memory_bytes: int, cpu_s: int) -> None:
    module, _, name = target.partition(":")
    answers = os.fdopen(os.dup(1), "wb")
    # what a library prints must not get between two answers
    os.dup2(2, 1)
    handler: Handler = getattr(importlib.import_module(module), name)
    _limit(memory_bytes)
    while True:
        try:
            question, blobs = _read(sys.stdin.buffer)
        except (EOFError, ValueError):
            return
        _allow_cpu(cpu_s)
        try:
            head, out = handler(question, blobs)
        except Exception as error:
            # the kind alone: a message may quote the file
            head, out = {"failed": type(error).__name__}, []
        _write(answers, head, out)


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
