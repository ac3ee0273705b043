"""Measures speed and memory on this machine: `python -m tests.bench` (or `make bench`).

Files are made for it, the same ones every time: a photo of 1024 x 1024 from the portrait in `app/samples`, and a 10 s
clip of 1280 x 720 at 30 frames a second, H.264 with B-frames and film grain, a moving camera and two moving faces.
Beside each figure stands that of the usual way to do the same (`tests.bench.usual`), measured in the same run; how many
times as fast the product is counts only where both come to the same result, else the table says what differs.

Prints a table, and writes the same figures to `runs/bench.json`.
"""

import json
import tempfile
from pathlib import Path

import tyro
from rich.console import Console

from tests.bench.measure import Options, measure
from tests.bench.table import show


def main() -> None:
    options = tyro.cli(Options, description=__doc__, prog="python -m tests.bench")
    console = Console()
    if not console.is_terminal:
        console = Console(width=180)  # a file takes long lines
    with tempfile.TemporaryDirectory(prefix="unmask-bench-") as folder:
        figures = measure(options, Path(folder))
    show(figures, console)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
