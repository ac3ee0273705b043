"""What was measured, as rows with goals and ratios, for the terminal and for README."""

import statistics
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from train.measure.tables import amount, times_as_fast

_QUIET_LOAD = 0.5
"""Load average of the last minute above which the measured times are said to be disturbed."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        work: what was done.
        unit: of all figures: "s", "CPU-s", "ms", "CPU-ms" or "MiB".
        runs: one figure a run.
        goal: for the median; None where none is stated.
        usual: figures of the usual way, if it was measured.
        ratio_goal: how many times the usual way's figure the median should go into.
        differs: why the two ways may not be compared; None where they come to the same.
    """

    work: str
    unit: str
    runs: tuple[float, ...]
    goal: float | None = None
    usual: tuple[float, ...] = ()
    ratio_goal: float | None = None
    differs: str | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    @property
    def ratio(self) -> float | None:
        """How many times as much the usual way takes; None where it was not measured or came to something else."""
        return statistics.median(self.usual) / self.median if self.usual and self.differs is None else None

    def to_dict(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "median": self.median,
            "usual_median": statistics.median(self.usual) if self.usual else None,
            "ratio": self.ratio,
        }


def show(figures: dict[str, Any], console: Console) -> None:
    machine = figures["machine"]
    console.print(
        f"{machine['processor']}, {machine['cores']} of {machine['cpu_count']} cores, {machine['system']}, "
        f"Python {machine['python']}, torch {machine['torch']}, on {machine['device']}; "
        f"models: {figures['models']}"
    )
    console.print("; ".join(f"{name}: {backend}" for name, backend in figures["backends"].items()), soft_wrap=True)
    if figures["load_before"] > _QUIET_LOAD:
        console.print(
            f"[bold]Other programs were busy (load {figures['load_before']:.1f}): the times below are too long.[/bold]"
        )
    table = Table("what, warm", "median", "fastest", "slowest", "runs", "goal", "usual way", "ratio")
    for row in figures["rows"]:
        runs, unit = row["runs"], row["unit"]
        values = [amount(value, unit) for value in (row["median"], min(runs), max(runs))]
        goal = "" if row["goal"] is None else f"<= {amount(row['goal'], unit)}"
        usual = "" if row["usual_median"] is None else amount(row["usual_median"], unit)
        table.add_row(row["work"], *values, str(len(runs)), goal, usual, times_as_fast(row))
    for what, key in (("import", "import_s"), ("load the networks", "load_s"), ("first photo", "first_photo_s")):
        table.add_row(what, amount(figures[key], "s"), "", "", "1", "", "", "")
    table.add_row("most memory, photos", amount(figures["peak_mib_after_photo"], "MiB"), "", "", "", "", "", "")
    table.add_row("most memory, clip too", amount(figures["peak_mib"], "MiB"), "", "", "", "", "", "")
    console.print(table)
    for name, digest in figures["sha256"].items():
        console.print(f"{name}: sha256 {digest}", soft_wrap=True)
    console.print(f"the clip has {figures['persons_in_clip']} person(s) at {figures['clip_mbit_s']:.1f} Mbit/s")
