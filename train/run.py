"""A run's folder: its options, environment, metrics and checkpoints.

runs/<recipe>-<name>-<time>/
  run.json            options, seed, commit, versions, data fingerprint, starting weights, hours
  metrics.jsonl       one JSON object per event
  checkpoint.pt       everything needed to go on (replaced whole, never half written)
  best.safetensors    the averaged weights of the best epoch
  report/             files for people: plots and tables
"""

import csv
import io
import json
import os
import platform
import shlex
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True, slots=True)
class Run:
    """An open run folder; where several processes share a run, `writes` is true in one of them."""

    folder: Path
    writes: bool = True

    @classmethod
    def create(cls, runs_dir: Path, name: str) -> "Run":
        """A new folder named after the recipe and the time; an existing one is never reused."""
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        folder = runs_dir / f"{name}-{stamp}"
        suffix = 1
        while folder.exists():
            suffix += 1
            folder = runs_dir / f"{name}-{stamp}-{suffix}"
        (folder / "report").mkdir(parents=True)
        return cls(folder)

    @property
    def report(self) -> Path:
        return self.folder / "report"

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    @property
    def best(self) -> Path:
        return self.folder / "best.safetensors"

    def log(self, event: str, **values: Any) -> None:
        """Appends one line to `metrics.jsonl`."""
        if not self.writes:
            return
        row = {"event": event, "time": datetime.now(UTC).isoformat(timespec="seconds"), **values}
        with (self.folder / "metrics.jsonl").open("a") as handle:
            handle.write(json.dumps(row) + "\n")

    def events(self, event: str) -> list[dict[str, Any]]:
        """All lines of one kind, oldest first; an epoch that was done again after a kill counts once."""
        path = self.folder / "metrics.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        found = [row for row in rows if row["event"] == event]
        return list({row.get("epoch", number): row for number, row in enumerate(found, 1)}.values())

    def write_record(self, **values: Any) -> None:
        """Adds values to `run.json`; what is there already stays unless named again."""
        if self.writes:
            write_json(self.folder / "run.json", {**self.record(), **values})

    def record(self) -> dict[str, Any]:
        path = self.folder / "run.json"
        return json.loads(path.read_text()) if path.exists() else {}


def environment() -> dict[str, Any]:
    """What a run's numbers may depend on besides its options; holds no path, user or host name."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "cpu_count": os.cpu_count(),
        "commit": _commit(),
    }


def options_record(options: Any) -> dict[str, Any]:
    """A recipe's options as plain values, as JSON gives them back, without folders of this machine."""
    values = asdict(options).items()
    kept = {k: v for k, v in values if not isinstance(v, Path) and "dir" not in k and k != "data_root"}
    return {k: _plain(v) for k, v in kept.items()}


def command_line(recipe: str, options: Mapping[str, Any]) -> str:
    """The command that asks for these options (as `options_record` gives them), for people to run again.

    What stands for "none named" or "not set" is left out.
    """
    words = ["python -m train", recipe]
    for name, value in options.items():
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no-{name}")
        elif value is not None and value != []:
            listed = value if isinstance(value, list) else [value]
            words += [f"--{name}", *(shlex.quote(str(v)) for v in listed)]
    return " ".join(words)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file whole or not at all."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes a table with a line of column names, whole or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text(text)
    partial.replace(path)


def _commit() -> str:
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"  # an installed copy or an export has no history
    return done.stdout.strip()
