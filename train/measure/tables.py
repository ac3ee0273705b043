"""Figures as texts for people: the one formatter of a value with its interval, and the one table of Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol


class Spanned(Protocol):
    """A value with a 95 % interval, whose ends are None where there is none."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...


def spanned(
    interval: Spanned | Mapping[str, Any] | None,
    form: str = ".3f",
    without: str = ", no interval",
    *,
    scale: float = 1.0,
    unit: str = "",
) -> str:
    """A value with its interval: "0.873 (0.850 to 0.890)"; empty for None.

    Args:
        interval: an interval, or what `Interval.to_dict` made of one.
        form: of each number: ".3f", "+.3f", ".1%".
        without: said after a value that has no interval.
        scale, unit: each number is multiplied by the first and the value followed by the second: 100, " pp".
    """
    if interval is None:
        return ""
    if isinstance(interval, Mapping):
        value, low, high = interval["value"], interval["low"], interval["high"]
    else:
        value, low, high = interval.value, interval.low, interval.high
    shown = f"{value * scale:{form}}{unit}"
    if low is None or high is None:
        return f"{shown}{without}"
    return f"{shown} ({between(low * scale, high * scale, form)})"


def between(low: float, high: float, form: str = ".1%") -> str:
    """Both ends of an interval: "1.7% to 5.1%"."""
    return f"{low:{form}} to {high:{form}}"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines of a Markdown table."""
    return [_row(head), "|" + "---|" * len(head), *(_row(row) for row in rows)]


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def folded(title: str, lines: Sequence[str]) -> list[str]:
    """Lines behind a title that opens; Markdown inside needs the empty lines."""
    return ["<details>", f"<summary>{title}</summary>", "", *lines, "", "</details>", ""] if lines else []


def amount(value: float, unit: str) -> str:
    """A figure of the benchmark with its unit."""
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.2f} {unit}" if unit == "s" else f"{value:.1f} {unit}"


def times_as_fast(row: Mapping[str, Any]) -> str:
    """How many times as much the usual way takes, the goal for it, or why the two may not be compared."""
    if row["differs"]:
        return f"does not count: {row['differs']}"
    goal = f" (goal {row['ratio_goal']:g}x)" if row["ratio_goal"] else ""
    return "" if row["ratio"] is None else f"{row['ratio']:.1f}x{goal}"
