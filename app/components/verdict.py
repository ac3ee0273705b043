"""The card that says what was found."""

import html
import re

import streamlit as st

from app.case import Case
from app.components.actions import actions
from app.components.scale import scale_html
from detector import BANDS, FileVerdict, VideoVerdict, report


def verdict_card(case: Case, verdict: FileVerdict) -> None:
    """What was found, in words first; then scale, reasons, error rate, and the sentence to quote."""
    with st.container(border=True, key="um-verdict"):
        st.html(verdict_html(verdict, report.error_rate_line(verdict, case.entry) if case.entry else ""))
        actions(case, verdict)


def verdict_html(verdict: FileVerdict, error_rate: str) -> str:
    """The text of the verdict card as HTML."""
    parts = [f'<p class="um-eyebrow">{html.escape(report.eyebrow(verdict))}</p>']
    headline = report.headline(verdict)
    first, evidence, rest = headline.partition(" evidence")
    parts.append(
        f'<h1><span class="um-word-{verdict.band or "none"}">{html.escape(first)}</span>'
        f"{html.escape(evidence + rest)}</h1>"
    )
    if verdict.band is None:
        parts.append(f'<p class="um-plain">{html.escape(report.reason_text(verdict))}</p>')
    elif verdict.prob_fake is not None and verdict.thresholds is not None:
        cap = verdict.band_cap if isinstance(verdict, VideoVerdict) else None
        strongest = cap.band if cap is not None else BANDS[-1]
        parts.append(scale_html(verdict.prob_fake, verdict.band, verdict.range, verdict.thresholds, strongest))
    facts = report.facts(verdict)
    if facts:
        parts.append('<ul class="um-facts">' + "".join(f"<li>{_unbroken(fact)}</li>" for fact in facts) + "</ul>")
    if error_rate:
        parts.append(f'<p class="um-small">{html.escape(error_rate)}</p>')
    if verdict.status != "unreadable":
        parts.append(f'<p class="um-quote">“{html.escape(report.quote(verdict))}”</p>')
    return f'<div class="um">{"".join(parts)}</div>'


def _unbroken(text: str) -> str:
    """Text as HTML in which a name such as ResNet-18 is not torn apart at the end of a line."""
    return re.sub(r"\b\w+-\w*\d\b", r'<span class="um-name">\g<0></span>', html.escape(text))
