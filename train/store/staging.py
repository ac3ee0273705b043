"""A set of weights in the making: a folder beside the files that it is to replace, one at a time."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from detector.manifest import Manifest, write_manifest
from detector.results import RESULT_FILES
from train.errors import DataError
from train.store.kept_scores import TEST_SCORES

BESIDE = (*RESULT_FILES, TEST_SCORES)
"""Files of a set that its manifest does not name."""
_PREFIX = ".publishing-"


@contextmanager
def staging_in(target: Path) -> Iterator[Path]:
    """A folder in `target`, gone afterwards; those that killed processes left there go as well.

    The folder lies in `target` so that a finished file is moved into place, never copied. The lock is a file in the
    system's temporary folder and ends with the process, however that ends: whoever has it knows that nobody uses what
    lies there.

    Raises:
        DataError: another process has the lock.
    """
    digest = hashlib.sha256(str(target.resolve()).encode(errors="surrogateescape")).hexdigest()[:16]
    lock = FileLock(Path(tempfile.gettempdir()) / f"unmask-publishing-{digest}.lock", timeout=0, is_singleton=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise DataError(f"something else is being published into {target.name}/: wait until it is done") from error
    try:
        for left in target.glob(f"{_PREFIX}*"):
            shutil.rmtree(left)
        with tempfile.TemporaryDirectory(dir=target, prefix=_PREFIX) as name:
            yield Path(name)
    finally:
        lock.release()


def install(staging: Path, target: Path, manifest: Manifest) -> None:
    """Moves a complete set into place, the manifest last, and removes files that it does not name."""
    files = [part.file for network in manifest.models.values() for part in network.files]
    named = {*files, *(ensemble.stacker.file for ensemble in manifest.ensembles.values() if ensemble.stacker)}
    for file in named:
        # safetensors writes files that nobody else may read; a server often runs as another user
        (staging / file).chmod(0o644)
        (staging / file).replace(target / file)
    for file in BESIDE:
        if (staging / file).is_file():
            (staging / file).replace(target / file)
        else:
            (target / file).unlink(missing_ok=True)
    write_manifest(target, manifest)
    for path in target.glob("*.safetensors"):
        if path.name not in named:
            path.unlink()
