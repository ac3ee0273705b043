"""The row of the current file, and the choice of networks."""

import html

import streamlit as st

from app import networks, session
from app.case import Case
from app.components.frame import small
from app.facts import file_facts
from detector import report


def file_row(case: Case) -> None:
    """Name and facts of the current file, the choice of networks, and the way to the next file."""
    with st.container(key="um-file", horizontal=True, vertical_alignment="center", gap="small"):
        st.html(
            f'<div class="um-file"><b>{html.escape(case.name)}</b><span>{html.escape(file_facts(case))}</span></div>',
            width="stretch",
        )
        networks_popover(case)
        several = len(session.checks()) > 1
        st.button("All checks" if several else "Check another", on_click=session.go, args=(None,), key="another")


def networks_popover(case: Case | None = None) -> None:
    """Which networks judge; a change checks the current file again."""
    names = networks.model_names()
    chosen = names[0] if session.models() == "default" else session.models()

    address = case.id if case is not None else None  # a part of the page outlives its check, and must not hold the file

    def choose() -> None:
        session.choose_models(st.session_state.networks, address)

    with st.popover("Networks", type="tertiary"):
        st.radio(
            "Which networks judge?",
            names,
            index=names.index(chosen),
            format_func=models_label,
            key="networks",
            on_change=choose,
        )
        small("The first is the default. A change checks the file again.")


def models_label(name: str) -> str:
    """A network or ensemble by its name for a person: "Average of ResNet-18 and MobileNetV2"."""
    members = networks.members(name)
    if not members:
        return report.network_name(name)
    names = [report.network_name(m) for m in members]
    return f"{name.replace('_', ' ').capitalize()} of {', '.join(names[:-1])} and {names[-1]}"
