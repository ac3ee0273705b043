"""The table of this page's checks."""

import streamlit as st

from app import session
from app.case import Case
from app.components.script import script
from app.facts import file_facts
from app.routes import prefix
from detector import report

_checks = script("checks")
_KEY = "checks-table"
"""Not "checks", under which the session keeps the addresses of its checks."""


def checks_table(cases: list[Case]) -> None:
    """Every check with its state, each a link to its page."""
    title = "This check" if len(cases) == 1 else f"{len(cases)} checks"
    st.html(f'<div class="um"><h2 class="um-h2">{title}</h2></div>')
    _checks(
        data={"turn": session.next_turn(), "base": prefix(), "checks": [_row(case) for case in cases]},
        key=_KEY,
        on_open_change=_open,
        on_forget_change=_forget,
    )


def _open() -> None:
    asked = st.session_state[_KEY].get("open")
    session.go(next((case for case in session.checks() if case.id == asked), None))


def _forget() -> None:
    asked = st.session_state[_KEY].get("forget")
    if asked in [case.id for case in session.checks()]:
        session.forget(asked)


def _row(case: Case) -> dict[str, object]:
    verdict = case.verdict
    return {
        "id": case.id,
        "name": case.name,
        "facts": file_facts(case),
        "state": case.state,
        "what": case.progress.what,
        "left": case.progress.left,
        "band": (verdict.band or "none") if verdict is not None else None,
        "said": report.headline(verdict) if verdict is not None else case.error,
    }
