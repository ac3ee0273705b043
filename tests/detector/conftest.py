"""The detector as it ships, and the files that people can try."""

from pathlib import Path

import pytest

from detector import Detector


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector()


@pytest.fixture(scope="module")
def samples(repo_root: Path) -> Path:
    return repo_root / "app" / "samples"
