"""Figures as texts, as the tables for people show them."""

from collections.abc import Mapping
from typing import Any


def amount(value: float, unit: str) -> str:
    """A figure of the table with its unit."""
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.2f} {unit}" if unit == "s" else f"{value:.1f} {unit}"


def times_as_fast(row: Mapping[str, Any]) -> str:
    """How many times as much the usual way takes, the goal for it, or why the two may not be compared."""
    if row["differs"]:
        return f"does not count: {row['differs']}"
    goal = f" (goal {row['ratio_goal']:g}x)" if row["ratio_goal"] else ""
    return "" if row["ratio"] is None else f"{row['ratio']:.1f}x{goal}"


def folded(title: str, lines: list[str]) -> list[str]:
    """Lines behind a title that opens; Markdown inside needs the empty lines."""
    return ["<details>", f"<summary>{title}</summary>", "", *lines, "", "</details>", ""] if lines else []
