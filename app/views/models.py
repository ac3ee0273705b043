"""Models: what judges, what it was trained on, and how good it measured."""

import html
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from app import networks
from app.components.file import models_label
from app.components.frame import small
from app.components.leaderboard import leaderboard
from app.components.plainly import plainly
from detector import DetectorError, report

if TYPE_CHECKING:
    from detector.manifest import Manifest

_KINDS = {
    "average": "mean probability of {} networks",
    "majority": "vote of {} networks",
    "weighted_majority": "weighted vote of {} networks",
    "stacking": "{} networks, weighed by a classifier",
}


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
    plainly(manifest)
    # not drawn until asked: most readers need none of it
    if st.toggle("For researchers: every network, table, chart and model card", key="researchers"):
        reason = manifest.default_reason
        if reason:
            small(f"Why the default is the default: {_with_names(reason, manifest.names())}.")
        _cards(manifest)
        leaderboard(manifest)
        _documents(manifest)


def _with_names(text: str, names: Sequence[str]) -> str:
    """A sentence of the manifest with its networks and ensembles as people write them."""
    longest_first = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.sub(rf"\b({longest_first})\b", lambda match: report.network_name(match[1]).replace("_", " "), text)


def _cards(manifest: "Manifest") -> None:
    from detector.manifest import TrainedEnsemble
    from detector.results import read_results

    results = read_results(manifest)
    parts = []
    for name in manifest.names():
        published = manifest.entry(name).published
        facts = []
        if name == manifest.default:
            facts.append("used unless you choose another")
        if isinstance(published, TrainedEnsemble):
            facts.append(_KINDS.get(published.kind, "{} networks").format(len(published.members)))
        else:
            size = sum(part.bytes for part in published.files) / 1e6
            facts += [f"{size:.0f} MB", f"faces of {published.input_size_px} px"]
        pooled = results.choices[name].pooled if results and name in results.choices else None
        score = ""
        if pooled:
            score = (
                f'<p class="um-small">Calibration error (ECE) {pooled.ece:.3f}, Brier score {pooled.brier:.3f} '
                f"on {pooled.n:,} test files</p>"
            )
        parts.append(
            f'<div class="um-model"><h2 class="um-h3">{html.escape(models_label(name))}</h2>'
            f'<p class="um-small">{html.escape(_sentence(facts))}</p>{score}</div>'
        )
    st.html(f'<div class="um um-models">{"".join(parts)}</div>')


def _sentence(facts: Sequence[str]) -> str:
    text = ", ".join(facts)
    return f"{text[:1].upper()}{text[1:]}."


def _documents(manifest: "Manifest") -> None:
    paths = {name: manifest.folder / "cards" / f"{name}.md" for name in manifest.names()}
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
