"""A check that is under way."""

import html

import streamlit as st

from app import session
from app.case import Case
from app.components.script import script
from app.routes import prefix

_waiting = script("waiting")


def waiting(case: Case) -> None:
    """Steps, time left and Cancel, beside the file's first frame; the page is drawn again when the check is over."""
    st.html(f'<div class="um"><h1>Checking {html.escape(case.name)}</h1></div>')
    address = case.id  # a part of the page outlives its check, and must not hold the file

    def cancelled() -> None:
        session.forget(address)
        st.session_state.notice = "Stopped"

    # a check that is over is no longer shown by this: its last words come by a callback, or by drawing the page again
    _waiting(
        data={
            "turn": session.next_turn(),
            "base": prefix(),
            "check": case.id,
            "name": case.name,
            "ticket": session.ticket(),
        },
        key=f"waiting-{case.id}",
        on_cancel_change=cancelled,
        on_over_change=lambda: None,
    )
