"""The table of this page's checks."""

import streamlit as st

from app import session
from app.case import Case
from app.components.file import file_facts
from app.components.frame import draw_again
from app.components.script import script
from app.routes import prefix
from detector import report

_checks = script("checks")


def checks_table(cases: list[Case]) -> None:
    """Every check with its state, each a link to its page."""
    title = "This check" if len(cases) == 1 else f"{len(cases)} checks"
    st.html(f'<div class="um"><h2 class="um-h2">{title}</h2></div>')
    asked = _checks(
        data={"turn": session.next_turn(), "base": prefix(), "checks": [_row(case) for case in cases]},
        key="checks",
        on_open_change=lambda: None,
        on_forget_change=lambda: None,
    )
    if asked.open:
        session.go(next((case for case in cases if case.id == asked.open), None))
        draw_again()
    if asked.forget in [case.id for case in cases]:
        session.forget(asked.forget)
        draw_again()


def _row(case: Case) -> dict[str, object]:
    verdict = case.verdict
    return {
        "id": case.id,
        "name": case.name,
        "facts": " · ".join(file_facts(case)),
        "state": case.state,
        "what": case.progress.what,
        "left": case.progress.left,
        "band": (verdict.band or "none") if verdict is not None else None,
        "said": report.headline(verdict) if verdict is not None else case.error,
    }
