"""Check: drop files, watch the analysis, read the verdict."""

import html

import streamlit as st

from app import bugs, networks, session
from app.case import Case
from app.components.checks import checks_table
from app.components.details import details
from app.components.file import file_row, networks_popover
from app.components.frame import privacy_line, small
from app.components.intake import intake, path_popover
from app.components.media import media_card
from app.components.partial import partial_line
from app.components.samples import lesson_line, samples
from app.components.verdict import verdict_card
from app.components.waiting import waiting
from detector import BANDS, DetectorError, FileVerdict, report


def page() -> None:
    """The page at the address of the app: a check, or the place to begin one."""
    notice = st.session_state.pop("notice", None)
    if notice:
        # Streamlit's toast is a dialog without a name, which screen readers cannot announce
        st.info(notice)
    case = session.current()
    if case is None:
        _start()
        return
    if case.busy:
        waiting(case)
    else:
        file_row(case)
        if case.state == "done" and case.verdict is not None:
            _result(case, case.verdict)
        else:
            _no_result(case)
    intake(zone=False)


def _start() -> None:
    st.html('<div class="um"><h1>Check a photo or a video for manipulated faces</h1></div>')
    try:
        networks.model_names()
    except DetectorError as error:
        st.warning(str(error))
        return
    if session.lost():
        minutes = max(1, round(st.get_option("server.disconnectedSessionTTL") / 60))
        st.info(
            "That check is no longer kept: Unmask was started anew, or the page had been closed for more than "
            f"{minutes} minutes. Drop the file again."
        )
    bands = "".join(f'<span class="{band}">{report.band_word(band)}</span>' for band in BANDS)
    st.html(
        '<div class="um"><p class="um-small">You get one of four bands of evidence, or “no verdict”, with the reasons '
        f'and how often that is wrong. It is a lead, not proof.</p><div class="um-bands">{bands}</div></div>'
    )
    intake(zone=True)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="um-under-drop"):
        st.html(f'<div class="um"><p class="um-small">{html.escape(privacy_line())}</p></div>', width="stretch")
        if session.is_local():
            path_popover()
        networks_popover()
    cases = session.checks()
    if cases:
        checks_table(cases)
    samples()
    small(
        "Unmask looks for traces in faces. It cannot tell whether a scene is staged, a caption wrong or a voice "
        "cloned, and little evidence does not clear a file."
    )


def _no_result(case: Case) -> None:
    with st.container(border=True, key="um-verdict"):
        st.html('<div class="um"><h1>No result</h1></div>')
        if case.state == "stopped":
            small("The check was stopped.")
        else:
            st.error(case.error or bugs.BUG_MESSAGE)
        st.button("Check again", on_click=session.again, args=(case.id,), key="again")


def _result(case: Case, verdict: FileVerdict) -> None:
    if verdict.status == "unreadable":
        verdict_card(case, verdict)
        return
    lesson_line(case, verdict)
    partial_line(case, verdict)
    with st.container(key="um-two"):
        left, right = st.columns([5, 7], gap="medium")
        with left:
            verdict_card(case, verdict)
        with right:
            media_card(case, verdict)
            details(verdict)
