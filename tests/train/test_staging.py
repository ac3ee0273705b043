"""A set of weights in the making: what killed publishers left goes, and two do not meet."""

import subprocess
import sys
from pathlib import Path

import pytest

from train.errors import DataError
from train.store.staging import staging_in

ROOT = Path(__file__).resolve().parents[2]


def test_what_a_killed_publisher_left_is_cleared_away_and_two_do_not_meet(tmp_path: Path) -> None:
    left = tmp_path / ".publishing-killed"
    left.mkdir()
    (left / "resnet18.safetensors").write_bytes(b"x")
    with staging_in(tmp_path) as folder:
        assert [p for p in tmp_path.iterdir()] == [folder] and folder.is_dir()
        with pytest.raises(DataError, match="wait"), staging_in(tmp_path):
            pass
        assert folder.is_dir(), "what another publisher works in stays"
    assert not list(tmp_path.iterdir())
    # a process that is killed gives its lock back and leaves its folder
    code = (
        "import os, pathlib, sys; from train.store.staging import staging_in\n"
        "with staging_in(pathlib.Path(sys.argv[1])): os._exit(9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT)
    assert killed.returncode == 9
    assert len(list(tmp_path.glob(".publishing-*"))) == 1
    with staging_in(tmp_path) as folder:
        assert list(tmp_path.iterdir()) == [folder]
