"""`unmask-app` and `unmask-train`: the page and the training of an installed copy, or of a checkout.

In an installed copy both lie inside this package, so that no other project's `app` or `train` is in the way: they run
in a process of their own, whose import path names them first.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_INSIDE = Path(__file__).resolve().parent / "_installed"


def root() -> Path:
    """The folder that holds `app`, `train` and `weights`."""
    return _INSIDE if _INSIDE.is_dir() else _INSIDE.parents[1]


def app() -> int:
    """The page; arguments go to Streamlit: `unmask-app --server.port 8600`."""
    # Streamlit reads its settings from the folder it is started in
    return _python(["-m", "streamlit", "run", str(root() / "app" / "main.py"), *sys.argv[1:]], folder=root())


def train() -> int:
    """As `python -m train`: `unmask-train cnn --data_root DIR`."""
    return _python(["-m", "train", *sys.argv[1:]])


def _python(arguments: Sequence[str], folder: Path | None = None) -> int:
    known = os.environ.get("PYTHONPATH")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root()), *([known] if known else [])])}
    try:
        return subprocess.call([sys.executable, *arguments], env=environment, cwd=folder)
    except KeyboardInterrupt:
        return 130
