"""About: what Unmask can and cannot do, where files go, licences."""

import html

import streamlit as st

from app import networks
from app.components.frame import privacy_line
from detector import DetectorError, __version__

_CAN = (
    "Find faces in photos and videos, and follow people through a video.",
    "Say per face or person how strong the evidence of manipulation is, with a probability, its range, and how often "
    "the tool is wrong on genuine media.",
    "Show which places of a face raised a network's score.",
)
_CANNOT = (
    "Prove anything. A finding is a lead: ask for the source, find earlier copies, compare other recordings.",
    "Clear a file. Little evidence means that nothing was found, not that nothing is there.",
    "Judge scenes, captions, voices, documents, or anything else than faces.",
    "Judge faces that are very small or blurred: there it gives no verdict.",
    "Know every method. New ways of making faces leave traces that no network here was trained on.",
)


def page() -> None:
    """The page under /about."""
    try:
        date = f", weights of {networks.manifest().date}"
    except DetectorError:
        date = ""
    sections = (
        ("What it can do", _list(_CAN)),
        ("What it cannot do", _list(_CANNOT)),
        ("Where your files go", f"<p>{html.escape(privacy_line())} {html.escape(_NETWORK)}</p>"),
        ("Licences", f"<p>{html.escape(_LICENCES)}</p>"),
        ("Version", f"<p>Unmask {__version__}{html.escape(date)}</p>"),
    )
    body = "".join(f'<h2 class="um-h3">{title}</h2>{text}' for title, text in sections)
    st.html(
        '<div class="um um-read"><h1>About Unmask</h1><p>Drop a photo or a video of a person, and read how strong the '
        f"evidence of manipulation is, where it is, and how sure the tool can be.</p>{body}</div>"
    )


def _list(items: tuple[str, ...]) -> str:
    return "<ul>" + "".join(f"<li>{html.escape(item)}</li>" for item in items) + "</ul>"


_NETWORK = (
    "Fonts and networks are part of the program: it loads nothing from elsewhere, counts nobody and sets no cookie "
    "but the one that guards uploads."
)
_LICENCES = (
    "The program's licence is in the file LICENSE beside its source. The typeface is Inter, under the SIL Open Font "
    "License 1.1. The sample portraits are NASA's and the US Navy's, in the public domain. What each network was "
    "trained on, and under which terms, stands on its card on the Models page."
)
