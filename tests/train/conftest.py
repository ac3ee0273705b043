"""Data made from the one portrait that may be shared: crops, lights and colours of it are genuine, blends manipulated.

Nothing can be learned from them about real pictures, and nothing needs to be.
"""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest

from train.__main__ import main
from train.options import changed
from train.recipes.cnn import Cnn

PICTURES = 40


def _made(portrait: np.ndarray, rng: np.random.Generator, fake: bool) -> np.ndarray:
    """(220, 220, 3) uint8 BGR with the face in it."""
    x, y = int(rng.integers(100, 140)), int(rng.integers(0, 20))
    crop = portrait[y : y + 220, x : x + 220].astype(np.float32)
    crop = crop * rng.uniform(0.7, 1.1) + rng.uniform(-20, 20)
    if fake:
        crop[60:160, 60:160] = cv2.GaussianBlur(crop[60:160, 60:160], (0, 0), 3) + 15
    return np.asarray(np.clip(crop, 0, 255), np.uint8)


@pytest.fixture(scope="session")
def portrait_bgr(portrait_path: Path) -> np.ndarray:
    image = cv2.imread(str(portrait_path))
    assert image is not None
    return image


@pytest.fixture(scope="session")
def made_data(tmp_path_factory: pytest.TempPathFactory, portrait_bgr: np.ndarray) -> Path:
    """real_data/ and fake_data/ with a face in every picture."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for name in ("real_data", "fake_data"):
        (root / name).mkdir()
        for i in range(PICTURES):
            cv2.imwrite(str(root / name / f"person{i}_0.png"), _made(portrait_bgr, rng, name == "fake_data"))
    return root


@pytest.fixture(scope="session")
def split_data(tmp_path_factory: pytest.TempPathFactory, portrait_bgr: np.ndarray) -> Path:
    """train/ and val/ and test/ with real/ and fake/, a face in every picture."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for split, n in (("train", 8), ("val", 4), ("test", 4)):
        for name in ("real", "fake"):
            (root / split / name).mkdir(parents=True)
            for i in range(n):
                path = root / split / name / f"{split}{i}_0.png"
                cv2.imwrite(str(path), _made(portrait_bgr, rng, name == "fake"))
    return root


@pytest.fixture
def tiny(made_data: Path, tmp_path: Path) -> Cnn:
    """A run of seconds."""
    return changed(
        Cnn(),
        model="mobilenet_v2",
        data_root=made_data,
        epochs=2,
        batch_size=8,
        size_px=48,
        images_per_epoch=24,
        start="scratch",
        workers=0,
        amp="off",
        runs_dir=tmp_path / "runs",
    )


@pytest.fixture
def killed_after_an_epoch(monkeypatch: pytest.MonkeyPatch) -> Callable[[ModuleType, Any], Path]:
    """Runs a recipe until it has said its first epoch; the folder that it leaves."""

    def killed(recipe: ModuleType, options: Any) -> Path:
        say = recipe.say

        def said(text: str) -> None:
            say(text)
            if text.startswith("epoch 1"):
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(recipe, "say", said)
            with pytest.raises(KeyboardInterrupt):
                recipe.run(options)
        (folder,) = (path for path in options.data.runs_dir.iterdir() if path.name != "cache")
        return folder

    return killed


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[[list[str]], str]:
    """Runs a command line that must not work; the line that a person reads."""

    def line(arguments: list[str]) -> str:
        try:
            code = main(arguments)
        except SystemExit as stopped:  # values that the options themselves refuse
            code = int(stopped.code or 0)
        assert code in (1, 2)
        return capsys.readouterr().err

    return line
