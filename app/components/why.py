"""Three reasons for a verdict: where something is, how sure that is, how much was seen."""

import html
import re
from collections.abc import Sequence

from app.plain import tells_where
from detector import FileVerdict, report
from detector.words import caught_line, falls_line

_TITLES: dict[report.Aspect, str] = {"where": "Where", "sure": "How sure", "seen": "Seen"}
_AT_ONCE = 2
"""Sentences of one reason that are there at once; the rest opens in place."""


def why_html(verdict: FileVerdict, error_rate: str) -> str:
    """The three reasons, and what goes beyond them closed, as HTML."""
    facts = report.facts_by_aspect(verdict)
    said = {aspect: [line for of, line in facts if of == aspect] for aspect in (*_TITLES, "more")}
    if tells_where(verdict):
        said["where"] = said["where"][1:]
    # how often it is wrong, and how often it would have seen anything, before how the networks agree
    said["sure"] = [line for line in (error_rate, caught_line(verdict), falls_line(verdict), *said["sure"]) if line]
    rows = []
    for aspect, title in _TITLES.items():
        shown, rest = said[aspect][:_AT_ONCE], said[aspect][_AT_ONCE:]
        said["more"] += rest
        if shown:
            rows.append(f"<dt>{title}</dt><dd>{''.join(f'<p>{_unbroken(line)}</p>' for line in shown)}</dd>")
    parts = [f'<dl class="um-why">{"".join(rows)}</dl>'] if rows else []
    more = said["more"]
    if more:
        parts.append(f'<details class="um-more"><summary>More: {len(more)}</summary><ul>{_items(more)}</ul></details>')
    return "".join(parts)


def _items(facts: Sequence[str]) -> str:
    return "".join(f"<li>{_unbroken(fact)}</li>" for fact in facts)


def _unbroken(text: str) -> str:
    """Text as HTML in which a name such as ResNet-18 is not torn apart at the end of a line."""
    return re.sub(r"\b\w+-\w*\d\b", r'<span class="um-name">\g<0></span>', html.escape(text))
