"""The evidence scale as HTML: four named zones with their edges, this file's score, and what re-saving makes of it."""

import html
from itertools import pairwise

from app.charts import scale_of
from app.words import edge
from detector import BANDS, Band, ProbRange, Thresholds, report
from detector.words import score_of

_SPAN_WORDS = {"re-encoding": "if re-saved", "bootstrap": "95 % interval"}


def scale_html(
    prob: float, band: Band, span: ProbRange | None, thresholds: Thresholds, strongest: Band = BANDS[-1]
) -> str:
    """The scale.

    Args:
        prob, band, span: of the face or person that the verdict is about.
        thresholds: the band edges of this file.
        strongest: the last band that can be given; those above are hatched.
    """
    scale = scale_of(thresholds)
    given = BANDS.index(strongest)
    word = report.band_word(band)
    said = f"Evidence scale from little to very strong: this file scores {score_of(prob)} of 100, {word}"
    zones, edges, names = [], ["<span style='left:0'>0</span>"], []
    for i, (name, (low, high)) in enumerate(zip(BANDS, pairwise(scale.places), strict=True)):
        shut = i > given
        wide = f"flex:{high - low:.4f} 1 0"
        zones.append(f'<div class="{"um-shut" if shut else f"um-fill-{name}"}" style="{wide}"></div>')
        word = report.band_word(name) + ('<span class="um-aloud"> (not for videos yet)</span>' if shut else "")
        names.append(f'<span class="{"shut" if shut else ""}" style="{wide}">{word}</span>')
        if i:
            edges.append(f'<span style="left:{100 * low:.2f}%">{edge(scale.probs[i])}</span>')
    edges.append("<span style='left:100%'>100</span>")
    marks = []
    if span is not None:
        what = _SPAN_WORDS[span.kind]
        low, high = 100 * scale.place(span.low), 100 * scale.place(span.high)
        reach = _reach(span)
        said += f", {what} {reach}"
        middle = (low + high) / 2
        marks.append(
            f'<div class="um-range" style="left:{low:.2f}%;width:{high - low:.2f}%"></div>'
            f'<span class="um-label um-below" style="{_at(middle)}">{what} {html.escape(reach)}</span>'
        )
    here = 100 * scale.place(prob)
    marks.append(
        f'<div class="um-point" style="left:{here:.2f}%"></div>'
        f'<span class="um-label" style="{_at(here)}">this file <b>{html.escape(score_of(prob))}</b></span>'
    )
    shut_note = (
        '<p class="um-small">Hatched: not given for videos by this version.</p>' if given < len(BANDS) - 1 else ""
    )
    return (
        f'<div class="um-scale" role="img" aria-label="{html.escape(said)}">{"".join(marks)}'
        f'<div class="um-zones">{"".join(zones)}</div><div class="um-edges">{"".join(edges)}</div>'
        f'<div class="um-names">{"".join(names)}</div></div>{shut_note}'
    )


def _reach(span: ProbRange) -> str:
    low, high = score_of(span.low), score_of(span.high)
    return low if low == high else f"{low} to {high}"


def _at(place: float) -> str:
    """A label that stays inside the scale wherever its mark is."""
    return f"left:{place:.2f}%;transform:translateX(-{place:.0f}%)"
