"""Uploads: small ones in memory, large ones in a private folder that is emptied, whatever becomes of the program."""

import os
import stat
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from detector.uploads import Upload, Uploads


def sent(uploads: Uploads, data: bytes, part: int = 1000) -> bytes | Upload:
    incoming = uploads.incoming()
    for at in range(0, len(data), part):
        incoming.add(data[at : at + part])
    assert incoming.size_bytes == len(data)
    return incoming.done()


def test_small_files_stay_in_memory_and_large_ones_go_to_a_private_folder(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, in_memory_bytes=5000)
    small, data = sent(uploads, b"s" * 5000), bytes(range(256)) * 40
    assert small == b"s" * 5000 and not list(tmp_path.iterdir())
    large = sent(uploads, data)
    assert isinstance(large, Upload) and large.path.read_bytes() == data and large.size_bytes == len(data)
    if os.name == "posix":
        assert stat.S_IMODE(large.path.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(large.path.stat().st_mode) == 0o600
    large.close()
    assert not list(tmp_path.iterdir())


def test_a_file_lies_there_as_long_as_anybody_holds_it(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, in_memory_bytes=10)
    first, second = sent(uploads, b"1" * 100), sent(uploads, b"2" * 100)
    assert isinstance(first, Upload) and isinstance(second, Upload)
    with closing(first.hold()):
        first.close()
        assert first.path.read_bytes() == b"1" * 100
    assert not first.path.exists() and second.path.read_bytes() == b"2" * 100
    with pytest.raises(ValueError, match="gone"):
        first.hold()
    second.close()
    assert not list(tmp_path.iterdir())


def test_what_does_not_arrive_whole_leaves_nothing(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, in_memory_bytes=10)
    incoming = uploads.incoming()
    incoming.add(b"x" * 100)
    assert list(tmp_path.iterdir())
    incoming.drop()
    assert not list(tmp_path.iterdir())


def test_uploads_at_once_are_not_mixed(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, in_memory_bytes=1000)
    found: dict[int, bytes] = {}

    def user(number: int) -> None:
        upload = sent(uploads, bytes([number]) * 200_000, 4096)
        assert isinstance(upload, Upload)
        with closing(upload):
            found[number] = upload.path.read_bytes()

    threads = [threading.Thread(target=user, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == {number: bytes([number]) * 200_000 for number in range(20)}
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("end", ["ends", "is killed"])
def test_a_program_leaves_nothing_behind(end: str, tmp_path: Path, repo_root: Path) -> None:
    code = f"""
import os
from pathlib import Path
from detector.uploads import Uploads
kept = Uploads(Path({str(tmp_path)!r}), in_memory_bytes=1)
kept.incoming().add(b"private")
if {end == "is killed"}:
    os._exit(9)
"""
    subprocess.run([sys.executable, "-c", code], cwd=repo_root, check=False)
    assert bool(list(tmp_path.iterdir())) == (end == "is killed")
    alive = Uploads(tmp_path, in_memory_bytes=1)
    upload = sent(alive, b"next")
    assert isinstance(upload, Upload) and list(tmp_path.iterdir()) == [upload.path.parent]
    other = sent(Uploads(tmp_path, in_memory_bytes=1), b"of another program")
    assert isinstance(other, Upload) and upload.path.read_bytes() == b"next"
    for held in (upload, other):
        held.close()
    assert not list(tmp_path.iterdir())
