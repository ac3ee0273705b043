"""Parts of the page that run in the browser: a script and a style sheet of `app/assets` each."""

from pathlib import Path
from typing import Any

import streamlit as st

ASSETS = Path(__file__).parents[1] / "assets"


def script(name: str) -> Any:
    """The part whose script and style are called so, with what all of them share."""

    def text(file: str) -> str:
        return (ASSETS / file).read_text(encoding="utf-8")

    return st.components.v2.component(
        f"unmask_{name}",
        html='<div class="root"></div>',
        css=text("ui.css") + text(f"{name}.css"),
        js=text("ui.js") + text(f"{name}.js"),
    )
