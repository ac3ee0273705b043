"""Models: what judges, what it was trained on, and how good it measured."""

import html
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import charts, session
from app import components as ui
from detector import BANDS, DetectorError, report

if TYPE_CHECKING:
    from detector.weights import Manifest

_FIGURES = {"auc": "AUC", "accuracy": "Accuracy", "fpr": "False alarms", "tpr": "Found", "eer": "EER"}
"""Figures of a test set in the manifest, in the order of the columns."""

_COUNTS = {"genuine": "Genuine", "manipulated": "Manipulated"}
_MAX_SETS_DRAWN = 14
"""The chart shows the largest test sets; the table shows all."""


def page() -> None:
    """The page under /models."""
    st.html('<div class="um"><h1>Models</h1></div>')
    try:
        manifest = session.manifest()
    except DetectorError as error:
        st.info(str(error))
        return
    ui.small(
        f"The networks that come with this version, published on {manifest.date}. The figures were measured on test "
        "files that trained nothing and tuned nothing."
    )
    names = manifest.names()
    _cards(manifest, names)
    rows = figures(manifest, names)
    if rows:
        _comparison(rows)
    _false_alarms(manifest, names)
    _documents(manifest, names)


def _cards(manifest: "Manifest", names: Iterable[str]) -> None:
    parts = []
    for name in names:
        record = manifest.ensembles.get(name) or manifest.models[name]
        facts = []
        if name == manifest.default:
            facts.append("used unless you choose another")
        members = record.get("members")
        if members:
            facts.append(f"{len(members)} networks, calibrated together")
        else:
            facts.append(f"{record['bytes'] / 1e6:.0f} MB")
            if "input_size_px" in record:
                facts.append(f"faces of {record['input_size_px']} px")
        pooled = record.get("metrics", {}).get("pooled")
        score = ""
        if pooled:
            score = (
                f"<p>Calibration error (ECE) {pooled['ece']:.3f}, Brier score {pooled['brier']:.3f} "
                f'<span class="um-small">on {pooled["n"]} test files</span></p>'
            )
        parts.append(
            f'<div class="um-model"><h3>{html.escape(ui.models_label(name))}</h3>'
            f'<p class="um-small">{html.escape(", ".join(facts))}</p>{score}</div>'
        )
    st.html(f'<div class="um um-models">{"".join(parts)}</div>')


def figures(manifest: "Manifest", names: Iterable[str]) -> list[dict[str, Any]]:
    """One row for each network or ensemble and test set: plain values, the interval of the AUC beside it."""
    rows = []
    for name in names:
        record = manifest.ensembles.get(name) or manifest.models[name]
        for test_set, measured in record.get("metrics", {}).get("slices", {}).items():
            row: dict[str, Any] = {"Network": _short(name), "Test set": test_set}
            for key, title in _FIGURES.items():
                interval = _interval(measured.get(key))
                if interval is not None:
                    row[title] = interval[0]
                    if key == "auc":
                        row["AUC from"], row["AUC to"] = interval[1], interval[2]
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
            charts.bars(groups, "AUC with 95 % interval", max(0.0, math.floor(20 * lowest - 1) / 20), ui.theme()),
            theme=None,
            key="auc_chart",
            config={"displayModeBar": False, "responsive": True},
            alt="AUC of every network on the largest test sets; the same figures are in the table below",
        )
    decimals = (*_FIGURES.values(), "AUC from", "AUC to")
    columns = ["Network", "Test set", "AUC", "AUC from", "AUC to", *list(_FIGURES.values())[1:], *_COUNTS.values()]
    used = [c for c in columns if any(r.get(c) is not None for r in rows)]
    st.dataframe(
        {column: [r.get(column) for r in rows] for column in used},
        hide_index=True,
        width="stretch",
        column_config={c: st.column_config.NumberColumn(format="%.3f") for c in decimals},
    )
    ui.small(
        "AUC: how often a manipulated face scores higher than a genuine one; a guess would reach 0.5. False alarms and "
        "Found: share of genuine and of manipulated faces above the threshold, the edge of “strong”. Test sets without "
        "genuine faces are set against all genuine test faces. Click a column's title to sort."
    )


def _by_network(rows: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    scored = [r for r in rows if r.get("AUC") is not None]
    return [(name, [r for r in scored if r["Network"] == name]) for name in dict.fromkeys(r["Network"] for r in scored)]


def _false_alarms(manifest: "Manifest", names: Iterable[str]) -> None:
    rows = []
    for name in names:
        measured = manifest.entry(name).false_alarms
        cells = "".join(f"<td>{_reached(measured.get(band))}</td>" for band in BANDS[1:])
        if measured:
            rows.append(f"<tr><td>{html.escape(_short(name))}</td>{cells}</tr>")
    if rows:
        st.html(
            '<div class="um"><h2 class="um-h2">False alarms on genuine media of sources that they never saw</h2>'
            '<p class="um-small">How many genuine files reached a band or a stronger one, with the 95 % interval</p>'
            '<table class="um-table"><thead><tr><th scope="col">Network</th><th scope="col">Weak</th>'
            '<th scope="col">Strong</th><th scope="col">Very strong</th></tr></thead>'
            f"<tbody>{''.join(rows)}</tbody></table></div>"
        )


def _reached(measured: Mapping[str, Any] | None) -> str:
    if measured is None:
        return "not measured"
    span = report.span_percent(measured["low"], measured["high"])
    return f'{measured["k"]:g} of {measured["n"]:g} <span class="um-small">({span})</span>'


def _documents(manifest: "Manifest", names: Iterable[str]) -> None:
    paths = {name: manifest.folder / "cards" / f"{name}.md" for name in names}
    cards = {name: path.read_text(encoding="utf-8") for name, path in paths.items() if path.is_file()}
    if cards:
        st.html('<div class="um"><h2 class="um-h2">Model cards</h2></div>')
    for name, text in cards.items():
        with st.expander(ui.models_label(name)):
            st.markdown(_without_title(text))


def _without_title(text: str) -> str:
    """The card without its own first heading, which the expander already shows."""
    first, _, rest = text.lstrip().partition("\n")
    return rest if first.startswith("# ") else text


def _short(name: str) -> str:
    known = report.network_name(name)
    return known if known != name else name.replace("_", " ").capitalize()


def _interval(figure: Mapping[str, Any] | float | None) -> tuple[float, float | None, float | None] | None:
    """A figure of the manifest, a number or {value, low, high}, as (value, low, high)."""
    if isinstance(figure, Mapping):
        value = figure.get("value")
        return None if value is None else (float(value), figure.get("low"), figure.get("high"))
    return None if figure is None else (float(figure), None, None)
