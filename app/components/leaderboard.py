"""How good the published networks measured: comparison, curves, cost, robustness, false alarms."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import charts
from app.components.frame import small, theme
from app.components.tables import short_name, table
from detector import BANDS, CHANGES
from detector.words import span_percent

if TYPE_CHECKING:
    from detector.manifest import Manifest
    from detector.results import Measured, Results
    from detector.types import Share

_FIGURES = {
    "auc": "AUC",
    "accuracy": "Accuracy",
    "fpr": "False alarms",
    "tpr": "Found",
    "precision": "Precision",
    "f1": "F1",
    "eer": "EER",
}
"""Figures of a test set, in the order of the columns; those that were not measured are left out."""

_COUNTS = {"genuine": "Genuine", "manipulated": "Manipulated"}
_MAX_SETS_DRAWN = 14
"""The chart shows the largest test sets; the table shows all."""


def leaderboard(manifest: "Manifest") -> None:
    """Every table and chart, of what was measured."""
    from detector.results import read_results

    results = read_results(manifest)
    if results:
        rows = _figures(results)
        if rows:
            _comparison(rows)
        _curves(results)
        _cost(results)
        _robustness(results)
        _resaved(results)
    _false_alarms(manifest)
    if results:
        _labels(results)


def _figures(results: "Results") -> list[dict[str, Any]]:
    """One row for each network or ensemble and test set: plain values, the ends of 95 % intervals beside them."""
    rows = []
    for name, choice in results.choices.items():
        for test_set, measured in choice.slices.items():
            row: dict[str, Any] = {"Network": short_name(name), "Test set": test_set}
            _add(row, measured, _FIGURES)
            rows.append(row | {"Genuine": measured.genuine, "Manipulated": measured.manipulated})
    return rows


def _add(row: dict[str, Any], measured: "Measured", titles: Mapping[str, str]) -> None:
    """Figures that were measured, with the ends of their intervals."""
    for key, title in titles.items():
        figure = measured.figures.get(key)
        if figure is not None:
            row[title], row[f"{title} from"], row[f"{title} to"] = figure.value, figure.low, figure.high


def _comparison(rows: list[dict[str, Any]]) -> None:
    st.html('<div class="um"><h2 class="um-h2">How well they tell manipulated from genuine faces</h2></div>')
    sizes = {
        r["Test set"]: sum(r.get(title, 0) for title in _COUNTS.values()) for r in rows if r.get("AUC") is not None
    }
    drawn = set(sorted(sizes, key=lambda name: -sizes[name])[:_MAX_SETS_DRAWN])
    groups = [
        (network, [charts.Bar(r["Test set"], r["AUC"], r["AUC from"], r["AUC to"]) for r in group])
        for network, group in _by_network([r for r in rows if r["Test set"] in drawn])
    ]
    if groups:
        lowest = min(bar.value if bar.low is None else bar.low for _, group in groups for bar in group)
        st.plotly_chart(
            charts.bars(groups, "AUC with 95 % interval", max(0.0, math.floor(20 * lowest - 1) / 20), theme()),
            theme=None,
            key="auc_chart",
            config={"displayModeBar": False, "responsive": True},
            alt="AUC of every network on the largest test sets; the same figures are in the table below",
        )
    sizes_of = _COUNTS.values()
    ends = [f"{title}{end}" for title in _FIGURES.values() for end in ("", " from", " to")]
    table(rows, ["Network", "Test set", *ends, *sizes_of], key="figures")
    small(
        "AUC: how often a manipulated face scores higher than a genuine one; a guess would reach 0.5. False alarms and "
        "Found: share of genuine and of manipulated faces above the threshold, the edge of “strong”. Test sets without "
        "genuine faces are set against all genuine test faces. “From” and “to” are the ends of the 95 % interval. “—”: "
        "not measured, or no interval, since a class has fewer than five groups of pictures. Precision and F1 depend "
        "on how many of each class a set holds. Click a column's title to sort."
    )


def _curves(results: "Results") -> None:
    if not results.curves.roc:
        return
    st.html('<div class="um"><h2 class="um-h2">All test faces together</h2></div>')
    shown: tuple[tuple[str, Mapping[str, Sequence[Sequence[float]]], str, str, str], ...] = (
        ("roc", results.curves.roc, "Share of genuine faces above a threshold", "Share of manipulated faces above it",
         "ROC: every threshold at once; further to the upper left is better"),
        ("reliability", results.curves.reliability, "Mean probability", "Share that was manipulated",
         "Reliability: on the dotted line a probability means what it says"),
    )  # fmt: skip
    for column, (key, curves, x_title, y_title, caption) in zip(st.columns(2), shown, strict=True):
        groups = [(short_name(name), [(p[0], p[1]) for p in points]) for name, points in curves.items()]
        with column:
            st.plotly_chart(
                charts.lines(groups, x_title, y_title, theme(), markers=key == "reliability"),
                theme=None,
                key=f"{key}_chart",
                config={"displayModeBar": False, "responsive": True},
                alt=f"{caption}. Every network and ensemble, all test faces",
            )
            small(f"{caption}.")


def _cost(results: "Results") -> None:
    rows = []
    for name, choice in results.choices.items():
        pooled, gain = choice.pooled, choice.against_default.get("all")
        if pooled is None:
            continue
        (passed, alarmed), (missed, flagged) = pooled.confusion
        rows.append(
            {
                "Network": short_name(name),
                "AUC": pooled.auc.value if pooled.auc else None,
                "AUC minus the default's": gain.value if gain else None,
                "from": gain.low if gain else None,
                "to": gain.high if gain else None,
                "ECE": pooled.ece,
                "Brier": pooled.brier,
                "Genuine, passed": passed,
                "Genuine, flagged": alarmed,
                "Manipulated, missed": missed,
                "Manipulated, flagged": flagged,
                "Million parameters": choice.parameters / 1e6,
                "MB": choice.megabytes,
                "CPU ms a face": choice.cpu_ms_a_face,
            }
        )
    if not rows:
        return
    table(rows, rows[0], key="cost")
    small(
        "Flagged: above the threshold. Differences by a paired bootstrap over groups of pictures: where “from” and "
        "“to” lie on the same side of 0, it is no chance. ECE and Brier score: both classes weighed alike. CPU ms: "
        "processor time, which more cores share."
    )


def _robustness(results: "Results") -> None:
    titles = {"auc": "AUC", "auc_lost": "AUC lost", "fpr": "False alarms", "tpr": "Found"}
    rows = []
    for name, choice in results.choices.items():
        for change, measured in choice.changed.items():
            row: dict[str, Any] = {"Network": short_name(name), "Pictures": change}
            _add(row, measured, titles)
            rows.append(row)
    if not rows:
        return
    st.html('<div class="um"><h2 class="um-h2">After what happens to pictures on their way</h2></div>')
    columns = [f"{title}{end}" for title in titles.values() for end in ("", " from", " to")]
    table(rows, ["Network", "Pictures", *columns], key="robustness")
    small(
        "The same test faces, changed: saved as JPEG of a quality, shrunk until the face has so many pixels, blurred, "
        "or shown, grabbed and sent on. Lost: against the same faces as they came."
    )


def _resaved(results: "Results") -> None:
    titles = {"fell": "Falls", "lost": "No verdict", "rose": "Rises"}
    rows = []
    for name, choice in results.choices.items():
        for faces, figures in choice.resaved.items():
            kind, _, change = faces.partition(", ")
            row: dict[str, Any] = {
                "Network": short_name(name),
                "Faces": kind if change in CHANGES else faces,
                "Copy": CHANGES.get(change, "any of six"),
            }
            for key, title in titles.items():
                figure = figures[key]
                row |= {title: figure.value, f"{title} from": figure.low, f"{title} to": figure.high, "n": figure.n}
            rows.append(row)
    if not rows:
        return
    st.html('<div class="um"><h2 class="um-h2">When a picture is saved again</h2></div>')
    columns = [f"{title}{end}" for title in titles.values() for end in ("", " from", " to")]
    table(rows, ["Network", "Faces", "Copy", *columns, "n"], key="resaved")
    which = "Test faces" if results.curves.resaved_faces == "test" else "Validation faces"
    small(
        f"{which} whose band falls to a weaker one, which a verdict calls fragile, or is lost, or rises, in the copies "
        "on which a photo's verdict is tried. “Weak or more”: faces with that band before anything was saved again."
    )


def _labels(results: "Results") -> None:
    about = results.curves.labelled
    rows = [
        {
            "Network": short_name(name),
            "Label": f"{title} {label}",
            "n": figure.n,
            "False alarms": figure.value,
            "from": figure.low,
            "to": figure.high,
        }
        for name, choice in results.choices.items()
        for title, labels in choice.labels.items()
        for label, figure in labels.items()
    ]
    if not rows or about is None:
        return
    st.html('<div class="um"><h2 class="um-h2">False alarms by age and ethnicity</h2></div>')
    table(rows, rows[0], key="labels")
    used = (
        f"The networks were trained on other pictures of {about.source}; these are its {about.faces} test faces."
        if about.trained_on
        else f"All {about.faces} faces of {about.source}, which trained nothing"
        + (" but helped to set the edges of the bands." if about.set_edges else ".")
    )
    small(f"{used} {about.worth}")


def _by_network(rows: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    scored = [r for r in rows if r.get("AUC") is not None]
    return [(name, [r for r in scored if r["Network"] == name]) for name in dict.fromkeys(r["Network"] for r in scored)]


def _false_alarms(manifest: "Manifest") -> None:
    rows = []
    for name in manifest.names():
        measured = manifest.entry(name).false_alarms
        cells = "".join(f"<td>{_reached(measured.get(band))}</td>" for band in BANDS[1:])
        if measured:
            rows.append(f"<tr><td>{html.escape(short_name(name))}</td>{cells}</tr>")
    if rows:
        st.html(
            '<div class="um"><h2 class="um-h2">False alarms on genuine media of sources that they never saw</h2>'
            '<p class="um-small">How many genuine files reached a band or a stronger one, with the 95 % interval</p>'
            '<div class="um-wide"><table class="um-table"><thead><tr><th scope="col">Network</th>'
            '<th scope="col">Weak</th><th scope="col">Strong</th><th scope="col">Very strong</th></tr></thead>'
            f"<tbody>{''.join(rows)}</tbody></table></div></div>"
        )


def _reached(measured: "Share | None") -> str:
    if measured is None:
        return "not measured"
    span = span_percent(measured.low, measured.high)
    return f'{measured.k:g} of {measured.n:g} <span class="um-small">({span})</span>'
