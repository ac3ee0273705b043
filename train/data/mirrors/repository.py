"""A bare git directory: which files it ever held, and their bytes.

Only plumbing commands that run nothing of the repository are used, and nothing is fetched: a blob that the mirror lacks
(large files are left out of it) is not listed.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from train.errors import DataError

_ENVIRONMENT = {"GIT_NO_LAZY_FETCH": "1", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}


@dataclass(frozen=True, slots=True)
class Blob:
    """A file of any commit: its path there and the object's hash."""

    path: str
    sha: str


def find_mirror(mirrors: Path, repository: str) -> Path | None:
    """The git directory of "owner/name" in a folder of mirrors that are named OWNER+NAME or OWNER/NAME."""
    for base in (mirrors / repository.replace("/", "+"), mirrors / repository):
        for folder in (base / "repo" / ".git", base / "repo", base / ".git", base):
            if (folder / "HEAD").is_file() and (folder / "objects").is_dir():
                return folder
    return None


def list_blobs(git_dir: Path) -> list[Blob]:
    """Every file of the newest commit, then files of the history that it no longer holds; a blob may have two paths.

    Blobs that the mirror lacks are left out. The order is the same for the same commits.

    Raises:
        DataError: the folder is no readable git directory.
    """
    newest = [line.split(b"\t", 1) for line in _git(git_dir, "ls-tree", "-r", "-z", "HEAD").split(b"\0") if line]
    blobs = [Blob(path.decode(errors="replace"), info.split()[2].decode()) for info, path in newest]
    known = {blob.sha for blob in blobs}
    listed = _git(git_dir, "rev-list", "--objects", "--all", "--missing=allow-any").decode(errors="replace")
    for line in listed.splitlines():
        sha, _, path = line.partition(" ")
        if path and sha not in known:
            blobs.append(Blob(path, sha))
    kinds = _git(
        git_dir, "cat-file", "--batch-check=%(objectname) %(objecttype)", given="\n".join(b.sha for b in blobs)
    )
    there = {line.split()[0] for line in kinds.decode().splitlines() if line.endswith(" blob")}
    return sorted((b for b in blobs if b.sha in there), key=lambda b: (b.path, b.sha))


class BlobReader:
    """Bytes by object hash, from one long-lived process."""

    def __init__(self, asked: IO[bytes], answers: IO[bytes]) -> None:
        self._asked = asked
        self._answers = answers

    def read(self, sha: str) -> bytes:
        """Raises `DataError` when the mirror lacks the object."""
        self._asked.write(f"{sha}\n".encode())
        self._asked.flush()
        head = self._answers.readline().split()
        if len(head) != 3:
            raise DataError(f"object {sha} is not in this mirror: fetch the repository again")
        size = int(head[2])
        data = self._answers.read(size)
        self._answers.read(1)
        return data


@contextmanager
def open_blobs(git_dir: Path) -> Iterator[BlobReader]:
    """A reader of the repository's blobs, closed at the end."""
    process = subprocess.Popen(
        ["git", f"--git-dir={git_dir}", "cat-file", "--batch"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **_ENVIRONMENT},
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        yield BlobReader(process.stdin, process.stdout)
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait()


def _git(git_dir: Path, *arguments: str, given: str = "") -> bytes:
    done = subprocess.run(
        ["git", f"--git-dir={git_dir}", *arguments],
        input=given.encode(),
        capture_output=True,
        env={**os.environ, **_ENVIRONMENT},
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace")[:200]
        raise DataError(f"{git_dir.parent.name}: git {arguments[0]} failed: {said}")
    return done.stdout
