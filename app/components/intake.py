"""How files come to the page: chosen, dropped anywhere on it, pasted, or by their path."""

import streamlit as st

from app import session
from app.components.frame import draw_again, small
from app.components.script import script
from app.routes import prefix

_intake = script("intake")
_KEY = "intake"
KINDS = "JPEG, PNG, WebP, HEIC, AVIF, TIFF, GIF · MP4, MOV, MKV, WebM, AVI and more"


def intake(zone: bool) -> None:
    """Takes files wherever they are dropped or pasted; `zone` draws the place to drop them."""
    limit = session.upload_limit_mb()

    def brought() -> None:
        # before the page is drawn: what came is shown at once, and not after another run
        session.take([str(address) for address in st.session_state[_KEY].get("brought") or ()])

    _intake(
        data={
            "turn": session.next_turn(),
            "zone": zone,
            "base": prefix(),
            "ticket": session.ticket(),
            "limit": 1_000_000 * limit,
            "too_large": f"larger than {limit} MB" + (": open it by its path" if session.is_local() else ""),
            "kinds": f"{KINDS}, up to {limit} MB",
        },
        key=_KEY,
        on_brought_change=brought,
    )


def path_popover() -> None:
    """A file too large to drop, read from where it lies."""
    with st.popover("Open by path", type="tertiary"), st.form("path", border=False):
        text = st.text_input("Path of a photo or a video on this computer", key="path_text")
        small("It is read where it lies, whatever its size; nothing is copied.")
        asked = st.form_submit_button("Check this file", width="stretch")
    if asked:
        problem = session.open_path(text)
        if problem:
            st.error(problem)
        else:
            draw_again()
