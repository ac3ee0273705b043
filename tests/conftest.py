"""What all tests share: a known environment, no network, and the fixtures that more than one file uses."""

import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before torch is imported: one thread a process. Tests are small, and the machine may be busy with a training run.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest
from PIL import Image

_REPO_ROOT = Path(__file__).resolve().parent.parent

# Read once, here; the tests themselves see an environment without it, so that none depends on a person's settings.
_DATA_DIR = Path(os.environ["UNMASK_DATA"]).resolve() if os.environ.get("UNMASK_DATA") else None
_CHROMIUM = os.environ.get("UNMASK_CHROMIUM")

_OWN_PREFIXES = ("UNMASK_", "STREAMLIT_")


@pytest.fixture(scope="session")
def network_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where tests keep converted networks, one folder for all: to convert them takes seconds."""
    return tmp_path_factory.mktemp("networks")


@pytest.fixture(autouse=True)
def _known_environment(network_cache: Path) -> Iterator[None]:
    """Hides the person's own settings from a test and undoes what the test sets."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(_OWN_PREFIXES):
            del os.environ[name]
    os.environ["UNMASK_CACHE"] = str(network_cache)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    """Refuses connections that leave the machine: nothing that Unmask does needs one."""
    connect = socket.socket.connect

    def local_only(self: socket.socket, address: Any) -> None:
        host = address[0] if self.family in (socket.AF_INET, socket.AF_INET6) else "localhost"
        if host != "localhost" and host != "::1" and not str(host).startswith("127."):
            raise AssertionError(f"a test tried to reach {host}: tests use no network")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", local_only)
        yield


@pytest.fixture(scope="session")
def repo_root() -> Path:
    return _REPO_ROOT


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The labelled faces and clips that $UNMASK_DATA names; without them the test is skipped."""
    if _DATA_DIR is None or not (_DATA_DIR / "faces.csv").is_file():
        pytest.skip("skipped: no data")
    return _DATA_DIR


def _beside(data_dir: Path, name: str) -> Path:
    folder = data_dir.parent / name
    if not folder.is_dir():
        pytest.skip("skipped: no data")
    return folder


@pytest.fixture(scope="session")
def badinput_dir(data_dir: Path) -> Path:
    """The collection of damaged and odd files that lies beside the data; without it the test is skipped."""
    return _beside(data_dir, "badinput")


@pytest.fixture(scope="session")
def provenance_dir(data_dir: Path) -> Path:
    """The untouched files of real generators that lie beside the data; without them the test is skipped."""
    return _beside(data_dir, "provenance")


@pytest.fixture
def clean_temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder of its own, for this process and those it starts; after the test it must be empty."""
    folder = tmp_path / "temp"
    folder.mkdir()
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    left = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    assert not left, f"left in the temporary folder: {left}"


@pytest.fixture(scope="session")
def portrait_path(repo_root: Path) -> Path:
    """The NASA portrait that comes with the app: one large face, public domain."""
    return repo_root / "app" / "samples" / "astronaut.jpg"


@pytest.fixture
def made_face_image(portrait_path: Path) -> np.ndarray:
    """That portrait as an array (512, 512, 3), uint8 RGB; a fresh one for each test, so that a test may change it."""
    with Image.open(portrait_path) as image:
        return np.asarray(image.convert("RGB")).copy()


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The browser that `make test` found or installed. Absent, the test fails: a browser test is never skipped."""
    noted = Path(sys.prefix) / "chromium"
    candidates = [_CHROMIUM, noted.read_text().strip() if noted.is_file() else None, "chromium", "google-chrome"]
    for candidate in candidates:
        if candidate and (found := shutil.which(candidate)):
            return found
    pytest.fail("No Chromium. Run `make test`, which installs it, or set UNMASK_CHROMIUM to its path.")


@pytest.fixture(scope="session")
def artifacts_dir(repo_root: Path) -> Path:
    """Where a test leaves what a person may want to look at, such as screenshots. Not under version control."""
    folder = repo_root / "tests" / "artifacts"
    folder.mkdir(exist_ok=True)
    return folder
