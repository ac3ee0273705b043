"""The line above the headline when not all of a file was looked at, with the button for the rest."""

import html

import streamlit as st

from app import session
from app.case import Case
from app.unseen import unseen
from detector import FileVerdict


def partial_line(case: Case, verdict: FileVerdict) -> None:
    """What was not looked at; nothing where all was."""
    found = unseen(verdict)
    if found is None:
        return
    with st.container(key="um-partial", horizontal=True, vertical_alignment="center", gap="small"):
        st.html(f'<div class="um"><p>{html.escape(found.text)}</p></div>', width="stretch")
        if found.look is not None:
            st.button(found.button, key="rest", on_click=session.look_closer, args=(case.id, found.look))
