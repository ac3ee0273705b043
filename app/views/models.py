"""Models: what judges, what it was trained on, and how good it measured."""

import html
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from app import charts, networks
from app.components.file import models_label
from app.components.page import small, theme
from detector import BANDS, DetectorError, report

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

_MISSING = "—"
_COUNTS = {"genuine": "Genuine", "manipulated": "Manipulated"}
_KINDS = {
    "average": "mean probability of {} networks",
    "majority": "vote of {} networks",
    "weighted_majority": "weighted vote of {} networks",
    "stacking": "{} networks, weighed by a classifier",
}
_GENERATORS = {"resnet32": "DCGAN against ResNet-32", "stylegan2-ada": "StyleGAN2-ADA"}
_MAX_SETS_DRAWN = 14
"""The chart shows the largest test sets; the table shows all."""


def page() -> None:
    """The page under /models."""
    st.html('<div class="um"><h1>Models</h1></div>')
    try:
        manifest = networks.manifest()
    except DetectorError as error:
        st.info(str(error))
        return
    small(
        f"The networks that come with this version, published on {manifest.date}. The figures were measured on test "
        "files that trained nothing and tuned nothing."
    )
    names = manifest.names()
    board = manifest.leaderboard()
    reason = manifest.data.get("default_reason")
    if reason:
        small(f"Why the default is the default: {reason}.")
    _cards(manifest, names)
    rows = figures(manifest, names, board)
    if rows:
        _comparison(rows)
    if board:
        _curves(board)
        _cost(board)
        _robustness(board)
    _false_alarms(manifest, names)
    if board:
        _labels(board)
    _generators(manifest.folder / "gan")
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
            facts.append(_KINDS.get(record.get("kind"), "{} networks, calibrated together").format(len(members)))
        else:
            facts.append(f"{record['bytes'] / 1e6:.0f} MB")
            if "input_size_px" in record:
                facts.append(f"faces of {record['input_size_px']} px")
        pooled = record.get("metrics", {}).get("pooled")
        score = ""
        if pooled:
            score = (
                f'<p class="um-small">Calibration error (ECE) {pooled["ece"]:.3f}, Brier score {pooled["brier"]:.3f} '
                f"on {pooled['n']} test files</p>"
            )
        parts.append(
            f'<div class="um-model"><h2 class="um-h3">{html.escape(models_label(name))}</h2>'
            f'<p class="um-small">{html.escape(_sentence(facts))}</p>{score}</div>'
        )
    st.html(f'<div class="um um-models">{"".join(parts)}</div>')


def _sentence(facts: Sequence[str]) -> str:
    text = ", ".join(facts)
    return f"{text[:1].upper()}{text[1:]}."


def figures(manifest: "Manifest", names: Iterable[str], board: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
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
            row: dict[str, Any] = {"Network": _short(name), "Test set": test_set}
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
    _table(rows, ["Network", "Test set", *ends, *sizes_of], key="figures")
    small(
        "AUC: how often a manipulated face scores higher than a genuine one; a guess would reach 0.5. False alarms and "
        "Found: share of genuine and of manipulated faces above the threshold, the edge of “strong”. Test sets without "
        "genuine faces are set against all genuine test faces. “From” and “to” are the ends of the 95 % interval. “—”: "
        "not measured, or no interval, since a class has fewer than five groups of pictures. Precision and F1 depend "
        "on how many of each class a set holds. Click a column's title to sort."
    )


def _table(rows: Sequence[Mapping[str, Any]], columns: Iterable[str], key: str) -> None:
    """A sortable table of the columns that hold anything, a dash where something is missing."""
    used = [c for c in columns if any(r.get(c) is not None for r in rows)]
    frame = pd.DataFrame({c: [r.get(c) for r in rows] for c in used})
    numbers = frame.select_dtypes("number").columns
    whole = [c for c in numbers if (frame[c].dropna() % 1 == 0).all() and frame[c].max() > 1]
    fine = {c: "{:.3f}" for c in numbers if c not in whole}
    styled = frame.style.format({**fine, **dict.fromkeys(whole, "{:.0f}")})
    # not by the style: the page writes "None" where a value is missing, whatever a style says
    st.dataframe(styled, hide_index=True, width="stretch", placeholder=_MISSING, key=key)


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
        groups = [(_short(n), [(p[0], p[1]) for p in c["pooled"][key]]) for n, c in choices.items()]
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
                "Network": _short(name),
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
    _table(rows, rows[0], key="cost")
    small(
        "Flagged: above the threshold. Differences by a paired bootstrap over groups of pictures: where “from” and "
        "“to” lie on the same side of 0, it is no chance. ECE and Brier score: both classes weighed alike. CPU ms: "
        "processor time, which more cores share."
    )


def _robustness(board: Mapping[str, Any]) -> None:
    rows = []
    for name, choice in board["choices"].items():
        for change, measured in choice["robustness"].items():
            row = {"Network": _short(name), "Pictures": change}
            for title, key in (("AUC", "auc"), ("AUC lost", "auc_lost"), ("False alarms", "fpr"), ("Found", "tpr")):
                interval = _interval(measured.get(key))
                if interval is not None:
                    row[title], row[f"{title} from"], row[f"{title} to"] = interval
            rows.append(row)
    if not rows:
        return
    st.html('<div class="um"><h2 class="um-h2">After what happens to pictures on their way</h2></div>')
    titles = [f"{t}{end}" for t in ("AUC", "AUC lost", "False alarms", "Found") for end in ("", " from", " to")]
    _table(rows, ["Network", "Pictures", *titles], key="robustness")
    small(
        "The same test faces, changed: saved as JPEG of a quality, shrunk until the face has so many pixels, blurred, "
        "or shown, grabbed and sent on. Lost: against the same faces as they came."
    )


def _labels(board: Mapping[str, Any]) -> None:
    about = board["labels"]
    rows = [
        {"Network": _short(name), "Label": f"{title} {label}", "n": measured["n"], "False alarms": measured["value"]}
        | {"from": measured["low"], "to": measured["high"]}
        for name, choice in board["choices"].items()
        for title, labels in choice["labels"].items()
        for label, measured in labels.items()
    ]
    if not rows:
        return
    st.html('<div class="um"><h2 class="um-h2">False alarms by age and ethnicity</h2></div>')
    _table(rows, rows[0], key="labels")
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
            rows.append(f"<tr><td>{html.escape(_short(name))}</td>{cells}</tr>")
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


def _generators(folder: Path) -> None:
    """What generators were trained, where any were published by `train.recipes.gan_publish`, a folder each."""
    records = sorted(folder.glob("*/record.json"))
    if not records:
        return
    st.html('<div class="um"><h2 class="um-h2">Generators of faces to learn from</h2></div>')
    small("Networks that make faces, trained with this version. None of the people below exists.")
    for path in records:
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            lines, rows = _generator_lines(record), _generator_rows(record)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            small(f"weights/gan/{path.parent.name} is damaged: fetch weights/ again.")
            continue
        with st.container(border=True, key=f"um-generator-{path.parent.name}"):
            st.html(f'<div class="um">{lines}</div>')
            shown = {"grid": "Faces that it made", "curves": "Its losses and measurements over the training"}
            for column, (kind, alt) in zip(st.columns(2), shown.items(), strict=True):
                picture = path.with_name(f"{kind}.webp")
                if picture.is_file():
                    column.image(picture.read_bytes(), width="stretch", alt=alt, caption=alt)
            if rows:
                _table(rows, rows[0], key=f"generator_{path.parent.name}")
                small(
                    "Test faces that trained nothing, judged at even odds: flagged where the probability is above one "
                    "half. A test set without genuine faces is set against all genuine test faces, which are many "
                    "more, so accuracy and precision say little of it."
                )


def _generator_lines(record: Mapping[str, Any]) -> str:
    """What is known of one generator, as HTML.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the record is not complete.
    """
    where = "a processor" if record["device"] == "cpu" else "a graphics card"
    size = int(record["size_px"])
    title = f"{_GENERATORS.get(record['variant'], record['variant'])}, {size} × {size} px"
    half = record["halves"]
    lines = [
        f"Learned from {record['images_seen']:,} showings of genuine faces in {record['hours']:.1f} hours on {where}.",
        f"Its faces are {half['ratio']:.1f} times as far from genuine ones as two halves of the genuine ones are from "
        f"each other (FID {half['fid_generated']:.1f} against {half['fid_genuine']:.1f}, {half['n']:,} faces each).",
        f"All {record['n_generated']:,} made against {record['n_genuine']:,} genuine faces: FID {record['fid']:.1f}, "
        f"on features of {record['extractor']['name']}. FID on other features or of other numbers of faces cannot be "
        f"compared with it.",
    ]
    for detector in record["detectors"]:
        made = detector["generated"]
        lines.append(
            f"{_short(detector['model'])}, {'' if detector['learned_generated'] else 'not '}trained on such faces: of "
            f"{made['manipulated']} of them and {made['genuine']} genuine ones that it had not seen, it judged "
            f"{100 * made['accuracy']['value']:.0f} % rightly."
        )
    text = "".join(f'<p class="um-small">{html.escape(line)}</p>' for line in lines)
    return f"<h3>{html.escape(title)}</h3>{text}"


def _generator_rows(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What its discriminator and the detectors judged on its faces make of every test set.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the record is not complete.
    """
    alone = record["discriminator"]
    judged = [("Its discriminator alone", alone["slices"])] if alone else []
    judged += [(_short(d["model"]), {"faces that it made": d["generated"], **d["slices"]}) for d in record["detectors"]]
    rows = []
    for name, slices in judged:
        for test_set, f in slices.items():
            (passed, alarmed), (missed, found) = f["confusion"]
            rows.append(
                {
                    "Detector": name,
                    "Test set": test_set,
                    "AUC": f["auc"],
                    "Accuracy": f["accuracy"]["value"],
                    "from": f["accuracy"]["low"],
                    "to": f["accuracy"]["high"],
                    "Precision": f["precision"],
                    "Recall": f["recall"],
                    "F1": f["f1"],
                    "Genuine, passed": passed,
                    "Genuine, flagged": alarmed,
                    "Manipulated, missed": missed,
                    "Manipulated, flagged": found,
                }
            )
    return rows


def _documents(manifest: "Manifest", names: Iterable[str]) -> None:
    paths = {name: manifest.folder / "cards" / f"{name}.md" for name in names}
    cards = {name: path.read_text(encoding="utf-8") for name, path in paths.items() if path.is_file()}
    if cards:
        st.html('<div class="um"><h2 class="um-h2">Model cards</h2></div>')
    for name, text in cards.items():
        with st.expander(models_label(name)):
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
