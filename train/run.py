"""A run's folder: its options, environment, metrics and checkpoints; begun, gone on with, or finished and measured.

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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from detector.models.registry import Network, build
from train.console import say
from train.errors import DataError
from train.options import flat

Then = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def _settings(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings that most recipes keep to tell whether a run is gone on with as it began."""
    return record.get("settings", {})  # type: ignore[no-any-return]


def options_and_data(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same for recipes that keep their options and the fingerprint of their data."""
    return {**record.get("options", {}), "data": record.get("data")}


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

    @classmethod
    def begin(
        cls,
        recipe: str,
        runs_dir: Path,
        name: str,
        resume: Path | None,
        now: Mapping[str, Any],
        then: Then = _settings,
    ) -> "Run":
        """A new folder, or the one that is gone on with; see `check_same`."""
        if resume is None:
            return cls.create(runs_dir, name)
        run = cls(resume)
        run.check_same(recipe, now, then)
        return run

    @classmethod
    def finished(cls, folder: Path) -> "Run":
        """A run of `cnn` or `sbi` that has ended.

        Raises:
            DataError: the folder holds none.
        """
        run = cls(folder)
        # validation is scored last: a run that was stopped has weights, but not these
        ended = run.best.is_file() and (folder / "val_logits.npz").is_file()
        if not ended or run.record().get("recipe") not in ("cnn", "sbi"):
            raise DataError(
                f"{folder.name} is no finished run of `cnn` or `sbi`: name a folder with run.json, best.safetensors "
                "and val_logits.npz, or go on with it by --resume"
            )
        return run

    def check_same(
        self, recipe: str, now: Mapping[str, Any], then: Then = _settings, may_change: Sequence[str] = ()
    ) -> None:
        """Raises `DataError` unless this is a run of the recipe, gone on with as it began.

        Args:
            recipe: what the run must be of.
            now: everything that its figures depend on, as plain values.
            then: the same out of what `run.json` says; its "settings" by default.
            may_change: names that may differ.
        """
        if not self.folder.is_dir():
            raise DataError(f"--resume {self.name}: there is no such folder; name the run folder to go on with")
        before = self.record()
        if not before:
            raise DataError(f"--resume {self.name}: that is no run folder, it has no run.json")
        if before.get("recipe") != recipe:
            raise DataError(
                f"--resume {self.name}: that is no run folder of `{recipe}`, but a run of `{before.get('recipe')}`"
            )
        known = then(before)
        changed = sorted(k for k, v in now.items() if known.get(k) != v and k not in may_change)
        if changed:
            raise DataError(
                f"{self.name} was begun with other {', '.join(changed)}: give the same options, or start a new run"
            )

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def options(self) -> dict[str, Any]:
        """The recipe's options, as the run's record has them."""
        return dict(self.record()["options"])

    def network(self) -> Network:
        """The network with the weights that the run kept, in float32, ready to judge on `device()`."""
        network = build(self.options["model"])
        network.load_state_dict(load_file(self.best), strict=True)
        return network.to(device()).to(memory_format=torch.channels_last).eval()

    def check_data(self, fingerprint: str) -> None:
        """Raises `DataError` where the run was trained on other data or splits: its validation could be in them."""
        if self.record()["data"] != fingerprint:
            raise DataError(
                f"{self.name} was trained on other data or splits than these: name its data with --data_root"
            )

    def count_test_evaluation(self, of: str = "test slices") -> int:
        """How often this run was evaluated on test, this time included; it is said and written.

        Call it before test faces are scored: an evaluation that is interrupted has been one all the same.
        """
        number = self.test_evaluations() + 1
        self.write_record(test_looks=number)
        say(f"test evaluation number {number} of this run, on {of}")
        return number

    def test_evaluations(self) -> int:
        """How often this run was evaluated on test so far."""
        return int(self.record().get("test_looks", 0))

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
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(row) + "\n")

    def events(self, event: str) -> list[dict[str, Any]]:
        """All lines of one kind, oldest first; an epoch that was done again after a kill counts once."""
        path = self.folder / "metrics.jsonl"
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
        rows_of_kind = [row for row in rows if row["event"] == event]
        return list({row.get("epoch", number): row for number, row in enumerate(rows_of_kind, 1)}.values())

    def write_record(self, **values: Any) -> None:
        """Adds values to `run.json`; what is there already stays unless named again."""
        if self.writes:
            write_json(self.folder / "run.json", {**self.record(), **values})

    def record(self) -> dict[str, Any]:
        path = self.folder / "run.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def device() -> torch.device:
    """The device of a single process: the GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def environment() -> dict[str, Any]:
    """Everything that a run's numbers may depend on besides its options; holds no path, user or host name."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "cpu_count": os.cpu_count(),
        "commit": _commit(),
    }


def options_record(options: Any) -> dict[str, Any]:
    """A recipe's options as plain values, as JSON gives them back, without folders of this machine."""
    folders = ("data_root", "more")
    values = {k: v for k, v in flat(options).items() if not isinstance(v, Path) and "dir" not in k and k not in folders}
    return {k: _plain(v) for k, v in values.items()}


def command_line(recipe: str, options: Mapping[str, Any]) -> str:
    """The command that asks for these options (as `options_record` gives them), for people to run again.

    What stands for "none named" or "not set" is left out.
    """
    words = ["python -m train", recipe]
    for name, value in _dotted(options):
        if isinstance(value, bool):
            group, dot, own = name.rpartition(".")
            words.append(f"--{name}" if value else f"--{group}{dot}no-{own}")
        elif value is not None and value != []:
            listed = value if isinstance(value, list) else [value]
            words += [f"--{name}", *(shlex.quote(str(v)) for v in listed)]
    return " ".join(words)


def _dotted(options: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Options, and those of dataclasses that are no `Group`, by the names of the command line: `choice.twins`."""
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
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
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _commit() -> str:
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"  # an installed copy or an export has no history
    return done.stdout.strip()
