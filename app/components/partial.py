"""The line above the headline when not all of a file was looked at, with the button for the rest."""

import html

import streamlit as st

from app import session
from app.case import Case
from app.unseen import unseen
from detector import FileVerdict


def partial_line(case: Case, verdict: FileVerdict) -> None:
    """Draws the part that was not looked at; nothing where all was."""
    rest = unseen(verdict)
    if rest is None:
        return
    with st.container(key="um-partial", horizontal=True, vertical_alignment="center", gap="small"):
        st.html(f'<div class="um"><p>{html.escape(rest.text)}</p></div>', width="stretch")
        if rest.look is not None:
            st.button(rest.button, key="rest", on_click=session.look_closer, args=(case.id, rest.look))
