"""What an installed copy holds, and that its commands run without the checkout."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from detector import installed

NEEDED = (
    "app", "detector", "train", "weights", ".streamlit", "LICENSE", "pyproject.toml", "requirements.txt", "setup.py"
)  # fmt: skip


@pytest.fixture(scope="module")
def copy(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as pip would fill it from the wheel of this checkout."""
    folder = tmp_path_factory.mktemp("package")
    (folder / "source").mkdir()
    for name in NEEDED:
        path = repo_root / name
        if path.is_dir():
            shutil.copytree(path, folder / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, folder / "source" / name)
    code = "from setuptools import build_meta; print(build_meta.build_wheel('..'))"
    subprocess.run([sys.executable, "-c", code], cwd=folder / "source", capture_output=True, text=True, check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site-packages")
    return folder / "site-packages"


def test_a_wheel_holds_everything_under_one_name(copy: Path, repo_root: Path) -> None:
    names = {path.name for path in copy.iterdir() if not path.name.endswith(".dist-info")}
    assert names == {"detector"}, "nothing may take the names app and train from others"
    inside = copy / "detector" / "_installed"
    for file in ("app/main.py", "app/static/icon.png", "train/data/sources.csv", "weights/manifest.json"):
        assert (inside / file).is_file()
    assert {p.name for p in (repo_root / "weights").glob("*.safetensors")} == {
        p.name for p in (inside / "weights").glob("*.safetensors")
    }
    metadata = next(copy.glob("*.dist-info/METADATA")).read_text()
    assert re.search(r"^Requires-Dist: torch==", metadata, re.MULTILINE)
    assert {"app", "train", "dev"} <= set(re.findall(r"^Provides-Extra: (\w+)$", metadata, re.MULTILINE))


@pytest.mark.parametrize(
    ("call", "arguments", "said"),
    [
        ("from detector.__main__ import main; raise SystemExit(main())", ["--version"], "unmask|Unmask|0\\."),
        ("from detector.installed import train; raise SystemExit(train())", ["cnn", "--help"], "python -m train cnn"),
        ("from detector.installed import app; raise SystemExit(app())", ["--help"], "streamlit run"),
        ("from detector import list_models; print(list_models())", [], "average"),
    ],
)
def test_its_commands_run_without_the_checkout(
    copy: Path, tmp_path: Path, call: str, arguments: list[str], said: str
) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"PYTHONPATH": str(copy)}
    done = subprocess.run(
        [sys.executable, "-c", call, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert re.search(said, done.stdout)


def test_extras_ask_for_what_the_requirements_say(repo_root: Path) -> None:
    extras = tomllib.loads((repo_root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    required = [line.split("#")[0].strip() for line in (repo_root / "requirements.txt").read_text().splitlines()]
    assert {*extras["app"], *extras["train"]} <= set(required)


def test_in_a_checkout_the_commands_are_those_of_the_checkout(repo_root: Path) -> None:
    assert installed.root() == repo_root
