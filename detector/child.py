"""A second process for work on untrusted bytes: it can crash, hang or grow without harm to this one.

    child = Child("detector.provenance.reading:answer", wall_s=20)
    result, blobs = child.ask({"path": "photo.jpg"})

The child is started on the first question, stays for the next one, is killed when it overruns its limits, and is
started again. Questions and answers are JSON with blobs of bytes behind it, never pickles: what a hostile file may have
made of the child must not run here. Large blobs of an answer come through memory that both share, where the system has
such (Linux), else through the pipe. The child ends when this process does, since its standard input then ends.
"""

import contextlib
import importlib
import json
import math
import mmap
import os
import queue
import signal
import struct
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import numpy as np

Blob = bytes | bytearray | memoryview
Received = tuple[dict[str, Any], list[bytes | memoryview]]
Handler = Callable[[dict[str, Any], list[bytes]], tuple[dict[str, Any], Sequence[Blob]]]
Reason = Literal["too_slow", "too_large", "died", "failed", "stopped"]

SHARED_BYTES = 160 << 20
"""Memory that both processes see, for blobs of an answer; it takes what is used of it alone."""

_LIMIT_BYTES = 1 << 31
"""Of one message; a child that announces more is broken or lying."""
_CPU_PER_WALL = 2.0
_SHARED_FROM = 1 << 16  # smaller blobs go through the pipe
_KEPT_SHARED = 64 << 20  # what was used beyond that is given back after the answer
_IS_SHARED = 1 << 63  # of the size of a blob
_LOOK_S = 0.1


class ChildLost(Exception):
    """The child gave no answer. `reason` says why; what the child was at is lost, nothing else.

    "too_slow": too much time, by the clock or of the processor; "too_large": too much memory; "died": it ended;
    "failed": the handler raised; "stopped": the caller wanted no answer any more.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
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
        self._shared: mmap.mmap | None = None
        self._answers: queue.SimpleQueue[Received | None] = queue.SimpleQueue()

    @property
    def pid(self) -> int | None:
        """The child's process number; None where none runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Starts the child, so that the first question does not wait for its imports. Returns at once."""
        with self._lock:
            self._running()

    def ask(
        self,
        question: dict[str, Any],
        blobs: Sequence[Blob] = (),
        *,
        wall_s: float | None = None,
        cpu_s: float | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> Received:
        """The answer of the handler.

        Args:
            question: anything that JSON takes.
            blobs: handed over as they are.
            wall_s: seconds that the answer may take, in place of the child's own.
            cpu_s: seconds of the processor that it may take, of all threads together; twice `wall_s` by default.
            should_stop: asked while the answer is waited for; when it says True, the child is ended.

        Raises:
            ChildLost: there is no answer.
        """
        wall_s = wall_s or self._wall_s
        limits = {"cpu_s": max(1, round(cpu_s or wall_s * _CPU_PER_WALL))}
        with self._lock:
            process = self._running()
            answer = None
            with contextlib.suppress(OSError):  # it has died
                _write(cast(BinaryIO, process.stdin), {"limits": limits, "question": question}, blobs)
                answer = self._answer(wall_s, should_stop)
            if answer is None:
                raise ChildLost(self._cause())
        if "failed" in answer[0]:
            raise ChildLost("too_large" if answer[0].get("memory") else "failed", str(answer[0]["failed"])[:400])
        return answer

    def _answer(self, wall_s: float, should_stop: Callable[[], bool] | None) -> Received | None:
        """The answer, or None if the child has ended.

        Waiting is counted in looks and not by the clock: when this process was halted, the child may be innocent.
        """
        for _ in range(math.ceil(wall_s / _LOOK_S)):
            try:
                return self._answers.get(timeout=_LOOK_S)
            except queue.Empty:
                if should_stop is not None and should_stop():
                    self._end()
                    raise ChildLost("stopped") from None
        self._end()
        raise ChildLost("too_slow")

    def _cause(self) -> Reason:
        """Why a child that ended by itself did so."""
        process = self._process
        with contextlib.suppress(subprocess.TimeoutExpired):
            if process is not None:
                process.wait(1.0)
        self._end()
        ran_out = hasattr(signal, "SIGXCPU") and process is not None and process.returncode == -signal.SIGXCPU
        return "too_slow" if ran_out else "died"

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
        shared = _shared_memory()
        # -P: the folder that a person happens to be in must not hide a module
        command = [sys.executable, "-P", "-m", "detector.child", self._target, str(self._memory_bytes)]
        self._process = subprocess.Popen(
            [*command, str(shared if shared is not None else -1)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # decoders complain about files there, with their names
            env={**os.environ, "PYTHONPATH": path},
            pass_fds=() if shared is None else (shared,),
        )
        if shared is not None:
            self._shared = mmap.mmap(shared, SHARED_BYTES)
            os.close(shared)
        self._answers = queue.SimpleQueue()
        # pipes have no time limit on every system; a thread that waits has one
        threading.Thread(
            target=_collect, args=(cast(BinaryIO, self._process.stdout), self._answers, self._shared), daemon=True
        ).start()
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        self._shared = None  # closed when the thread that reads it lets it go
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                assert pipe is not None
                pipe.close()


def _shared_memory() -> int | None:
    """A file that lies in memory alone and can neither grow nor shrink, or None where the system has none."""
    try:
        fcntl = importlib.import_module("fcntl")  # not on Windows
    except ImportError:
        return None
    if not hasattr(os, "memfd_create"):
        return None
    file = int(os.memfd_create("unmask", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
    os.ftruncate(file, SHARED_BYTES)
    # or a child that was taken over could shrink it under this process, which would end it
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return file


def _collect(pipe: BinaryIO, answers: "queue.SimpleQueue[Received | None]", shared: mmap.mmap | None) -> None:
    try:
        while True:
            answers.put(_read(pipe, shared))
    except (OSError, ValueError, EOFError):
        answers.put(None)


def _write(pipe: BinaryIO, head: dict[str, Any], blobs: Sequence[Blob], shared: mmap.mmap | None = None) -> None:
    text = json.dumps(head).encode("ascii")
    sizes, piped, used = [len(text)], [], 0
    for blob in blobs:
        if shared is not None and len(blob) >= _SHARED_FROM and used + len(blob) <= SHARED_BYTES:
            shared[used : used + len(blob)] = blob
            used += len(blob)
            sizes.append(len(blob) | _IS_SHARED)
        else:
            sizes.append(len(blob))
            piped.append(blob)
    pipe.write(struct.pack(f"<I{len(sizes)}Q", len(sizes), *sizes))
    pipe.write(text)
    for blob in piped:
        pipe.write(blob)
    pipe.flush()


def _read(pipe: BinaryIO, shared: mmap.mmap | None = None) -> Received:
    (count,) = struct.unpack("<I", _exactly(pipe, 4))
    if not 1 <= count <= 1024:
        raise ValueError("not a message")
    stated = struct.unpack(f"<{count}Q", _exactly(pipe, 8 * count))
    sizes = [size & ~_IS_SHARED for size in stated]
    used = sum(size for size, said in zip(sizes, stated, strict=True) if said & _IS_SHARED)
    if sum(sizes) > _LIMIT_BYTES or used > (0 if shared is None else SHARED_BYTES):
        raise ValueError("the message is too large")
    head = json.loads(_exactly(pipe, sizes[0]))
    if not isinstance(head, dict) or stated[0] & _IS_SHARED:
        raise ValueError("not a message")
    blobs: list[bytes | memoryview] = []
    at = 0
    for size, said in zip(sizes[1:], stated[1:], strict=True):
        if said & _IS_SHARED:
            with memoryview(cast(mmap.mmap, shared)) as whole:
                # NumPy asks for huge pages, of which a large picture needs few
                blobs.append(np.frombuffer(whole, np.uint8, size, at).copy().data)
            at += size
        else:
            blobs.append(_exactly(pipe, size))
    if shared is not None and used > _KEPT_SHARED:
        shared.madvise(mmap.MADV_REMOVE)
    return head, blobs


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


def _where(error: BaseException) -> str:
    """Kind of an error and where it was raised. Never its message, which may quote the file."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return " < ".join([type(error).__name__, *(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))])


def _serve(target: str, memory_bytes: int, shared_file: int) -> None:
    module, _, name = target.partition(":")
    answers = os.fdopen(os.dup(1), "wb")
    shared = mmap.mmap(shared_file, SHARED_BYTES) if shared_file >= 0 else None
    # what a library prints must not get between two answers
    os.dup2(2, 1)
    handler: Handler = getattr(importlib.import_module(module), name)
    _limit(memory_bytes)
    while True:
        try:
            asked, blobs = _read(sys.stdin.buffer)
        except (EOFError, ValueError):
            return
        _allow_cpu(int(asked["limits"]["cpu_s"]))
        out: Sequence[Blob]
        try:
            head, out = handler(asked["question"], cast("list[bytes]", blobs))
        except Exception as error:
            head, out = {"failed": _where(error), "memory": isinstance(error, MemoryError)}, []
        _write(answers, head, out, shared)
        del asked, blobs, out  # or a file's bytes would stay until the next one comes


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
