"""How a wheel is made: `detector` as it is; app, train and weights inside of it, for others use their names too.

Installed editable, as `requirements.txt` does it, all three stay where they are.
"""

import shutil
import tomllib
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
INSIDE = ("app", "train", "weights", ".streamlit")


class Packaged(build_py):
    """Puts what is no library into `detector/_installed/`, where the commands look for it."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        built = Path(self.build_lib)
        for name in INSIDE:
            shutil.rmtree(built / name, ignore_errors=True)
            place = built / "detector" / "_installed" / name
            shutil.rmtree(place, ignore_errors=True)
            # generators are no part of the product, and as large as the rest
            ignored = shutil.ignore_patterns("__pycache__", "gan" if name == "weights" else "__pycache__")
            shutil.copytree(ROOT / name, place, ignore=ignored)


def _needed() -> list[str]:
    """What the library needs: requirements.txt without what an extra asks for."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    lines = (line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines())
    return [line for line in lines if line and line != "-e ." and line not in (*extras["app"], *extras["train"])]


setup(install_requires=_needed(), cmdclass={"build_py": Packaged})
