"""The card that says what was found."""

import html
import re
from pathlib import Path

import streamlit as st

from app import charts
from app.case import Case
from app.components.page import ASSETS
from detector import Band, FileVerdict, ProbRange, Thresholds, report

_SHORT_WORDS = {"little": "little", "weak": "weak", "strong": "strong", "very_strong": "very"}
_copy = st.components.v2.component(
    "unmask_copy",
    html='<div class="row"><button type="button">Copy sentence</button><span role="status"></span></div>',
    css=(ASSETS / "copy.css").read_text(encoding="utf-8"),
    js=(ASSETS / "copy.js").read_text(encoding="utf-8"),
)


def verdict_card(case: Case, verdict: FileVerdict) -> None:
    """What was found, in words first; then scale, facts, error rate, sentence to quote, JSON."""
    with st.container(border=True, key="um-verdict", height="stretch"):
        st.html(verdict_html(verdict, report.error_rate_line(verdict, case.entry) if case.entry else ""))
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            _copy(data={"text": report.quote(verdict)}, key="copy", width="content")
            st.download_button(
                "Download JSON",
                report.to_json(verdict, indent=2),
                file_name=f"{Path(case.name).stem or 'file'}.unmask.json",
                mime="application/json",
                on_click="ignore",
                key="json",
            )


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
        parts.append(f'<p style="margin-top:10px">{html.escape(report.reason_text(verdict))}</p>')
    elif verdict.prob_fake is not None:
        if verdict.thresholds is not None:
            parts.append(scale_html(verdict.prob_fake, verdict.band, verdict.range, verdict.thresholds))
        detail = f' <span class="um-small">({html.escape(report.range_text(verdict))})</span>' if verdict.range else ""
        parts.append(f"<p><b>{report.estimate(verdict)}</b>{detail}</p>")
    facts = report.facts(verdict)
    if facts:
        parts.append("<ul>" + "".join(f"<li>{_unbroken(fact)}</li>" for fact in facts) + "</ul>")
    if error_rate:
        parts.append(f'<p class="um-small">{html.escape(error_rate)}</p>')
    parts.append(f'<p class="um-quote">“{html.escape(report.quote(verdict))}”</p>')
    return f'<div class="um">{"".join(parts)}</div>'


def _unbroken(text: str) -> str:
    """Text as HTML in which a name such as ResNet-18 is not torn apart at the end of a line."""
    return re.sub(r"\b\w+-\w*\d\b", r'<span class="um-name">\g<0></span>', html.escape(text))


def scale_html(prob: float, band: Band, span: ProbRange | None, thresholds: Thresholds) -> str:
    """The evidence scale: four zones, the range as a frame, the probability as a line."""
    scale = charts.scale_of(thresholds)
    said = f"Evidence scale from little to very strong: {report.percent(prob)}, in the band {report.band_word(band)}"
    zones, ticks, marks = [], [], []
    left = 0.0
    for name, width in zip(_SHORT_WORDS, scale.widths, strict=True):
        # the gaps between the zones come out of every zone alike
        zones.append(f'<div class="um-fill-{name}" style="flex:{100 * width:.2f} 1 0"></div>')
        ticks.append(f'<span style="left:{100 * (left + width / 2):.2f}%">{_SHORT_WORDS[name]}</span>')
        left += width
    if span is not None:
        said += f", {report.range_of(span)}"
        low, high = scale.place(span.low), scale.place(span.high)
        marks.append(f'<div class="um-range" style="left:{100 * low:.2f}%;width:{100 * (high - low):.2f}%"></div>')
    marks.append(f'<div class="um-point" style="left:{100 * scale.place(prob):.2f}%"></div>')
    return (
        f'<div class="um-scale" role="img" aria-label="{html.escape(said)}">'
        f'<div class="um-zones">{"".join(zones)}</div>'
        f'{"".join(marks)}<div class="um-ticks">{"".join(ticks)}</div></div>'
    )
