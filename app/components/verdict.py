"""The card that says what was found."""

import html
import re
from collections.abc import Sequence

import streamlit as st

from app.case import Case
from app.components.actions import actions
from app.components.says import next_html, says_html
from app.components.scale import scale_html
from detector import BANDS, FileVerdict, VideoVerdict, report
from detector.evidence_words import caught_line, falls_line

_REASONS = 3
"""Facts that are there at once; the rest opens in place."""


def verdict_card(case: Case, verdict: FileVerdict) -> None:
    """What was found, in words first; then scale, reasons, what the file says, what to do, and the sentence to quote.

    Two containers that look like one card: on a phone the picture stands between them.
    """
    with st.container(border=True, key="um-head"):
        st.html(f'<div class="um">{head_html(verdict)}</div>')
    with st.container(border=True, key="um-verdict"):
        st.html(f'<div class="um">{body_html(verdict, _error_rate(case, verdict))}</div>')
        actions(case, verdict)


def _error_rate(case: Case, verdict: FileVerdict) -> str:
    return report.error_rate_line(verdict, case.entry) if case.entry else ""


def head_html(verdict: FileVerdict) -> str:
    """Whom it is about, the band in words, and the one sentence that explains it."""
    parts = [f'<p class="um-eyebrow">{html.escape(report.eyebrow(verdict))}</p>']
    headline = report.headline(verdict)
    first, evidence, rest = headline.partition(" evidence")
    parts.append(
        f'<h1><span class="um-word-{verdict.band or "none"}">{html.escape(first)}</span>'
        f"{html.escape(evidence + rest)}</h1>"
    )
    if verdict.band is None:
        parts.append(f'<p class="um-plain">{html.escape(report.reason_text(verdict))}</p>')
    return "".join(parts)


def body_html(verdict: FileVerdict, error_rate: str) -> str:
    """Scale, reasons, what the file says, what to do, and the sentence to quote."""
    parts = []
    if verdict.band is not None and verdict.prob_fake is not None and verdict.thresholds is not None:
        cap = verdict.band_cap if isinstance(verdict, VideoVerdict) else None
        strongest = cap.band if cap is not None else BANDS[-1]
        parts.append(scale_html(verdict.prob_fake, verdict.band, verdict.range, verdict.thresholds, strongest))
    facts = report.facts(verdict)
    first, rest = facts[:_REASONS], facts[_REASONS:]
    if first:
        parts.append(f'<ul class="um-facts">{_items(first)}</ul>')
    if rest:
        parts.append(f'<details class="um-more"><summary>More: {len(rest)}</summary><ul>{_items(rest)}</ul></details>')
    if error_rate:
        parts.append(f'<p class="um-small">{html.escape(error_rate)}</p>')
    for line in filter(None, (caught_line(verdict), falls_line(verdict))):
        parts.append(f'<p class="um-small">{html.escape(line)}</p>')
    parts += [says_html(verdict), next_html(verdict)]
    if verdict.status != "unreadable":
        parts.append(f'<p class="um-quote">“{html.escape(report.quote(verdict))}”</p>')
    return "".join(parts)


def _items(facts: Sequence[str]) -> str:
    return "".join(f"<li>{_unbroken(fact)}</li>" for fact in facts)


def _unbroken(text: str) -> str:
    """Text as HTML in which a name such as ResNet-18 is not torn apart at the end of a line."""
    return re.sub(r"\b\w+-\w*\d\b", r'<span class="um-name">\g<0></span>', html.escape(text))
