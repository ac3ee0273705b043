"""Files that users send to a server: small ones in memory, others on disk in a private folder that is emptied.

    incoming = uploads.incoming()
    incoming.add(part)                  # piece by piece, as it comes
    source = incoming.done()            # bytes, or an Upload, which lies on disk as long as anybody holds it
    with closing(source): ...           # of an Upload

The folder is its owner's alone, and goes with its last file and with the program. What a killed program left behind is
removed by the next one.
"""

import atexit
import shutil
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

IN_MEMORY_BYTES = 16 << 20
"""Up to this size a file stays in memory."""
_PREFIX = "unmask-uploads-"
_LOCK = ".lock"


class Upload:
    """A file on disk, at `path` until `close` was called as often as it is held; who makes it holds it once."""

    def __init__(self, uploads: "Uploads", path: Path, size_bytes: int) -> None:
        self.path, self.size_bytes = path, size_bytes
        self._uploads, self._held, self._lock = uploads, 1, threading.Lock()

    def hold(self) -> "Upload":
        """Keeps it for one more."""
        with self._lock:
            if not self._held:
                raise ValueError("this upload is gone")
            self._held += 1
        return self

    def close(self) -> None:
        """Lets it go; after the last one the file is removed."""
        with self._lock:
            self._held -= 1
            gone = self._held == 0
        if gone:
            self._uploads.remove(self.path)


class Incoming:
    """A file on its way in, which ends as bytes or on disk. One that does not arrive whole is dropped."""

    def __init__(self, uploads: "Uploads", in_memory_bytes: int) -> None:
        self._uploads, self._in_memory_bytes = uploads, in_memory_bytes
        self._parts: list[bytes] = []
        self._path: Path | None = None
        self.size_bytes = 0

    def add(self, part: bytes) -> None:
        """The next piece. Raises OSError where the disk is full; then `drop` it."""
        self.size_bytes += len(part)
        self._parts.append(part)
        if self.size_bytes <= self._in_memory_bytes:
            return
        if self._path is None:
            self._path = self._uploads.place()
        with self._path.open("ab") as file:
            for waiting in self._parts:
                file.write(waiting)
        self._parts = []

    def done(self) -> "bytes | Upload":
        """The whole file."""
        if self._path is not None:
            return Upload(self._uploads, self._path, self.size_bytes)
        return b"".join(self._parts)

    def drop(self) -> None:
        """Forgets what came."""
        self._parts = []
        if self._path is not None:
            self._uploads.remove(self._path)


class Uploads:
    """The uploads of one program. Safe to share between threads.

    Args:
        parent: where the folder is made; the system's folder for temporary files by default.
        in_memory_bytes: up to this size a file stays in memory.
    """

    def __init__(self, parent: Path | None = None, *, in_memory_bytes: int = IN_MEMORY_BYTES) -> None:
        self._parent, self._in_memory_bytes = parent, in_memory_bytes
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._mine: FileLock | None = None
        self._files: set[Path] = set()
        self._number = 0
        atexit.register(self.close)

    def incoming(self) -> Incoming:
        """Takes a file piece by piece."""
        return Incoming(self, self._in_memory_bytes)

    def place(self) -> Path:
        """Where a new file may lie, under a name that says nothing."""
        with self._lock:
            if self._folder is None:
                self._sweep()
                self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._parent))  # for its owner alone
                self._mine = FileLock(self._folder / _LOCK)
                self._mine.acquire(timeout=0)
            self._number += 1
            path = self._folder / str(self._number)
            path.touch(mode=0o600)
            self._files.add(path)
            return path

    def remove(self, path: Path) -> None:
        """Removes a file, and the folder with its last one."""
        with self._lock:
            with suppress(OSError):  # on Windows it may be open still: then it goes with the folder
                path.unlink()
            self._files.discard(path)
            if not self._files:
                self._remove_folder()

    def close(self) -> None:
        """Removes everything."""
        with self._lock:
            self._files.clear()
            self._remove_folder()

    def _remove_folder(self) -> None:
        if self._folder is None or self._mine is None:
            return
        self._mine.release()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = self._mine = None

    def _sweep(self) -> None:
        """Removes folders of programs that were killed: nobody holds their lock."""
        for folder in Path(self._parent or tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            if not (folder / _LOCK).is_file():
                continue
            lock = FileLock(folder / _LOCK)
            with suppress(Timeout, OSError):
                lock.acquire(timeout=0)
                lock.release()
                shutil.rmtree(folder, ignore_errors=True)
