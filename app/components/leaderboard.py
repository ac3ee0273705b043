"""How good the published networks measured: comparison, curves, cost, robustness, false alarms."""

import html
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import charts
from app.components.frame import small, theme
from app.components.tables import short_name, table
from detector import BANDS, report

if TYPE_CHECKING:
    from detector.weights import Manifest

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
    names = manifest.names()
    board = manifest.leaderboard()
    rows = _figures(manifest, names, board)
    if rows:
        _comparison(rows)
    if board:
        _curves(board)
        _cost(board)
        _robustness(board)
    _false_alarms(manifest, names)
    if board:
        _labels(board)


def _figures(
    manifest: "Manifest", names: Iterable[str], board: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """One row for each network or ensemble and test set: plain values, the ends of 95 % intervals beside them.

    Args:
        manifest: what is published.
        names: of networks and ensembles.
        board: the leaderboard, which knows more than the manifest.
    """
    rows = []
    for name in names:
        record = manifest.ensembles.get(name) or manifest.models[name]
        slices = board["choices"][name]["slices"] if board else record.get("metrics", {}).get("slices", {})
        for test_set, measured in slices.items():
            row: dict[str, Any] = {"Network": short_name(name), "Test set": test_set}
            for key, title in _FIGURES.items():
                interval = _interval(measured.get(key))
                if interval is not None:
                    row[title], row[f"{title} from"], row[f"{title} to"] = interval
            row.update({title: measured[key] for key, title in _COUNTS.items() if key in measured})
            rows.append(row)
    return rows


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


def _curves(board: Mapping[str, Any]) -> None:
    choices = board["choices"]
    st.html('<div class="um"><h2 class="um-h2">All test faces together</h2></div>')
    plots = (
        ("roc", "Share of genuine faces above a threshold", "Share of manipulated faces above it",
         "ROC: every threshold at once; further to the upper left is better"),
        ("reliability", "Mean probability", "Share that was manipulated",
         "Reliability: on the dotted line a probability means what it says"),
    )  # fmt: skip
    for column, (key, x_title, y_title, caption) in zip(st.columns(2), plots, strict=True):
        groups = [(short_name(n), [(p[0], p[1]) for p in c["pooled"][key]]) for n, c in choices.items()]
        with column:
            st.plotly_chart(
                charts.lines(groups, x_title, y_title, theme(), markers=key == "reliability"),
                theme=None,
                key=f"{key}_chart",
                config={"displayModeBar": False, "responsive": True},
                alt=f"{caption}. Every network and ensemble, all test faces",
            )
            small(f"{caption}.")


def _cost(board: Mapping[str, Any]) -> None:
    rows = []
    for name, choice in board["choices"].items():
        pooled, gain = choice["pooled"], choice["auc_minus_default"].get("all", {})
        (passed, alarmed), (missed, found) = pooled["confusion"]
        rows.append(
            {
                "Network": short_name(name),
                "AUC": (pooled.get("auc") or {}).get("value"),
                "AUC minus the default's": gain.get("value"),
                "from": gain.get("low"),
                "to": gain.get("high"),
                "ECE": pooled["ece"],
                "Brier": pooled["brier"],
                "Genuine, passed": passed,
                "Genuine, flagged": alarmed,
                "Manipulated, missed": missed,
                "Manipulated, flagged": found,
                "Million parameters": choice["parameters"] / 1e6,
                "MB": choice["megabytes"],
                "CPU ms a face": choice["cpu_ms_a_face"],
            }
        )
    table(rows, rows[0], key="cost")
    small(
        "Flagged: above the threshold. Differences by a paired bootstrap over groups of pictures: where “from” and "
        "“to” lie on the same side of 0, it is no chance. ECE and Brier score: both classes weighed alike. CPU ms: "
        "processor time, which more cores share."
    )


def _robustness(board: Mapping[str, Any]) -> None:
    rows = []
    for name, choice in board["choices"].items():
        for change, measured in choice["robustness"].items():
            row = {"Network": short_name(name), "Pictures": change}
            for title, key in (("AUC", "auc"), ("AUC lost", "auc_lost"), ("False alarms", "fpr"), ("Found", "tpr")):
                interval = _interval(measured.get(key))
                if interval is not None:
                    row[title], row[f"{title} from"], row[f"{title} to"] = interval
            rows.append(row)
    if not rows:
        return
    st.html('<div class="um"><h2 class="um-h2">After what happens to pictures on their way</h2></div>')
    titles = [f"{t}{end}" for t in ("AUC", "AUC lost", "False alarms", "Found") for end in ("", " from", " to")]
    table(rows, ["Network", "Pictures", *titles], key="robustness")
    small(
        "The same test faces, changed: saved as JPEG of a quality, shrunk until the face has so many pixels, blurred, "
        "or shown, grabbed and sent on. Lost: against the same faces as they came."
    )


def _labels(board: Mapping[str, Any]) -> None:
    about = board["labels"]
    rows = [
        {
            "Network": short_name(name),
            "Label": f"{title} {label}",
            "n": measured["n"],
            "False alarms": measured["value"],
        }
        | {"from": measured["low"], "to": measured["high"]}
        for name, choice in board["choices"].items()
        for title, labels in choice["labels"].items()
        for label, measured in labels.items()
    ]
    if not rows:
        return
    st.html('<div class="um"><h2 class="um-h2">False alarms by age and ethnicity</h2></div>')
    table(rows, rows[0], key="labels")
    used = (
        f"The networks were trained on other pictures of {about['source']}; these are its {about['faces']} test faces."
        if about["trained_on"]
        else f"All {about['faces']} faces of {about['source']}, which trained nothing"
        + (" but helped to set the edges of the bands." if about["set_edges"] else ".")
    )
    small(f"{used} {about['worth']}")


def _by_network(rows: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    scored = [r for r in rows if r.get("AUC") is not None]
    return [(name, [r for r in scored if r["Network"] == name]) for name in dict.fromkeys(r["Network"] for r in scored)]


def _false_alarms(manifest: "Manifest", names: Iterable[str]) -> None:
    rows = []
    for name in names:
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


def _reached(measured: Mapping[str, Any] | None) -> str:
    if measured is None:
        return "not measured"
    span = report.span_percent(measured["low"], measured["high"])
    return f'{measured["k"]:g} of {measured["n"]:g} <span class="um-small">({span})</span>'


def _interval(figure: Mapping[str, Any] | float | None) -> tuple[float, float | None, float | None] | None:
    """A figure of the manifest, a number or {value, low, high}, as (value, low, high)."""
    if isinstance(figure, Mapping):
        value = figure.get("value")
        return None if value is None else (float(value), figure.get("low"), figure.get("high"))
    return None if figure is None else (float(figure), None, None)
