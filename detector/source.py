"""Untrusted bytes or a path, opened for reading within a time: hash, size, whether the file ends early, its errors."""

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from detector.errors import MediaError
from detector.sniff import HEAD_BYTES, QUICKTIME_BOXES, SUPPORTED
from detector.tiff import is_raw

Source = Path | bytes


@contextmanager
def open_source(source: Source) -> Iterator[BinaryIO]:
    """The file, opened for reading and always closed.

    Raises:
        MediaError: "unreadable" if there is no regular file that may be read (a pipe or device could block for ever),
            "empty" if it has no bytes.
    """
    if isinstance(source, bytes):
        if not source:
            raise _empty()
        yield io.BytesIO(source)
        return
    try:
        if not source.is_file():
            raise MediaError("There is no such file. Check its name and place and try again.")
        file = source.open("rb")
    except (OSError, ValueError) as error:
        raise MediaError("The file could not be opened. Check that you may read it and try again.") from error
    with file:
        if not file.read(1):
            raise _empty()
        file.seek(0)
        yield file


def read_head(source: Source) -> bytes:
    """The first `HEAD_BYTES` of a file, for `sniff_kind`. Raises MediaError as `open_source` does."""
    with open_source(source) as file:
        return file.read(HEAD_BYTES)


def sha256_of(source: Source) -> str:
    """SHA-256 of the bytes in hex, read in pieces; of an empty file too. Raises MediaError if it cannot be opened."""
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    try:
        with open_source(source) as file:
            digest = hashlib.sha256()
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
            return digest.hexdigest()
    except MediaError as error:
        if error.reason == "empty":
            return hashlib.sha256().hexdigest()
        raise


def size_of(source: Source) -> int | None:
    """Bytes of a file; None if it cannot be looked at."""
    if isinstance(source, bytes):
        return len(source)
    try:
        return source.stat().st_size
    except (OSError, ValueError):
        return None


def ends_early(file: BinaryIO) -> bool:
    """Whether a RIFF or ISO file (WebP, AVI, MP4, MOV, HEIC, AVIF) is shorter than it says or lacks its directory."""
    file.seek(0, io.SEEK_END)
    size = file.tell()
    file.seek(0)
    head = file.read(12)
    if head.startswith(b"RIFF") and len(head) == 12:
        return int.from_bytes(head[4:8], "little") + 8 > size
    if head[4:8] not in (b"ftyp", *QUICKTIME_BOXES):
        return False
    position, boxes = 0, set()
    for _ in range(1000):  # no real file has that many boxes at its top level
        file.seek(position)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1 and len(header) == 16:
            length = int.from_bytes(header[8:], "big")
        boxes.add(header[4:8])
        position += length
        if length < 8 or position >= size:
            break
    return position > size or not boxes & {b"moov", b"meta"}


class WrappedFile(io.RawIOBase):
    """A file whose bytes come changed or not at all: everything but reading is the file's own."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


class TimedFile(WrappedFile):
    """A file that seems to end once `has_time()` says no.

    Decoders that take a file piece by piece (JPEG, PNG, GIF, every video) stop there in their own thread and in their
    own ordinary way; those that decode the whole at once are bounded by the limits on size.
    """

    def __init__(self, file: BinaryIO, has_time: Callable[[], bool]) -> None:
        super().__init__(file)
        self._has_time = has_time

    def read(self, size: int = -1, /) -> bytes:
        return self._file.read(size) if self._has_time() else b""


def no_picture(head: bytes) -> MediaError:
    """The error for a file that begins so and can be read neither as picture nor as video."""
    if is_raw(head):
        return raw_file()
    return MediaError(f"This is no photo or video that can be read. Supported: {SUPPORTED}.", "unsupported")


def raw_file() -> MediaError:
    """The error for a raw file without a preview."""
    return MediaError(
        "This is a camera's raw file: it holds what the sensor measured, not yet a picture. Export it as JPEG or TIFF "
        "and check that copy.",
        "raw",
    )


def too_slow() -> MediaError:
    """The error for a file that takes more work than it may."""
    return MediaError("Reading the file took too long. Save it again in a common format and try that copy.", "too_slow")


def _empty() -> MediaError:
    return MediaError("The file is empty. Export or download it again.", "empty")
