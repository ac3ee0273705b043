"""A set of weights in the making: a folder beside the files that it is to replace, one at a time."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from train.data.samples import DataError

_PREFIX = ".publishing-"


@contextmanager
def staging_in(target: Path) -> Iterator[Path]:
    """A folder in `target`, gone afterwards; those that killed processes left there go as well.

    The folder lies in `target` so that a finished file is moved into place, never copied. The lock is on `target`
    itself and ends with the process, however that ends: whoever has it knows that nobody uses what lies there.

    Raises:
        DataError: another process has the lock.
    """
    descriptor = os.open(target, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(f"something else is being published into {target.name}/: wait until it is done") from error
        for left in target.glob(f"{_PREFIX}*"):
            shutil.rmtree(left)
        with tempfile.TemporaryDirectory(dir=target, prefix=_PREFIX) as name:
            yield Path(name)
    finally:
        os.close(descriptor)
