"""The card of the verdict."""

import html

import streamlit as st

from app.case import Case
from app.components.actions import actions
from app.components.says import first_html, next_html, says_html
from app.components.scale import scale_html
from app.components.why import why_html
from app.plain import plain_sentence
from detector import BANDS, FileVerdict, VideoVerdict, report


def verdict_card(case: Case, verdict: FileVerdict) -> None:
    """Draws the finding in words; then scale, reasons, what the file says, what to do, and the sentence to quote.

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
    """The file's own statement, whom the verdict is about, the band in words, and the sentence that explains it."""
    parts = [first_html(verdict), f'<p class="um-eyebrow">{html.escape(report.eyebrow(verdict))}</p>']
    finding, bracket, beside = report.headline(verdict).partition(" (")
    first, evidence, rest = finding.partition(" evidence")
    aside = f'<span class="um-aside">{html.escape(bracket + beside)}</span>' if bracket else ""
    parts.append(
        f'<h1><span class="um-word-{verdict.band or "none"}">{html.escape(first)}</span>'
        f"{html.escape(evidence + rest)}{aside}</h1>"
    )
    sentence = plain_sentence(verdict)
    if sentence:
        parts.append(f'<p class="um-plain">{html.escape(sentence)}</p>')
    return "".join(parts)


def body_html(verdict: FileVerdict, error_rate: str) -> str:
    """Scale, reasons, what the file says, what to do, and the sentence to quote."""
    parts = []
    if verdict.band is not None and verdict.prob_fake is not None and verdict.thresholds is not None:
        cap = verdict.band_cap if isinstance(verdict, VideoVerdict) else None
        strongest = cap.band if cap is not None else BANDS[-1]
        parts.append(scale_html(verdict.prob_fake, verdict.band, verdict.range, verdict.thresholds, strongest))
    parts += [why_html(verdict, error_rate), says_html(verdict), next_html(verdict)]
    if verdict.status != "unreadable":
        parts.append(f'<p class="um-quote">“{html.escape(report.quote(verdict))}”</p>')
    return "".join(parts)
