"""The frame of every page: style, navigation, quiet lines, errors."""

import html
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import streamlit as st
from streamlit.navigation.page import Page

from app import bugs, session
from app.components.script import ASSETS, script
from detector import DetectorError, report

_shell = script("shell")
_GONE = (
    "Unmask is not running any more. Start it again (make app, or streamlit run app/main.py). What you see stays until "
    "you close this tab."
)


def style() -> None:
    """The style sheet of the page."""
    st.html(ASSETS / "style.css")


def title() -> str:
    """The title of the browser's tab: the finding first."""
    case = session.current()
    if case is None:
        return "Unmask"
    if case.busy:
        return f"Checking {case.name} · Unmask"
    finding = report.headline(case.verdict) if case.verdict is not None else "No result"
    return f"{finding} · {case.name} · Unmask"


def navigation(pages: list[Page], current: Page) -> None:
    """The bar at the top: name and pages.

    From elsewhere, the first page leads back to the check that was on show; so it does while that check runs, since a
    reader may click twice before the page that was clicked first has come.
    """
    if current is pages[0]:
        st.session_state.shown = st.query_params.get("check")
    case = session.current()
    running = case is not None and case.busy
    back = st.session_state.get("shown") if running or current is not pages[0] else None
    with st.container(key="um-nav", horizontal=True, wrap=False, vertical_alignment="center", gap="medium"):
        st.html("<b>Unmask</b>", width="content")
        for page in pages:
            with st.container(key=f"um-nav-{'on' if page is current else page.title.lower()}", width="content"):
                st.page_link(page, query_params={"check": back} if back and page is pages[0] else None)
    _around(current.title)


def _around(page: str) -> None:
    """Draws the words for people who do not see the page, or whose server has gone."""
    case = session.current()
    place, aloud = page, ""
    if page == "Check" and case is not None:
        place = f"{case.id} {case.state}"
        if case.verdict is not None:
            aloud = f"Result: {report.headline(case.verdict)}. {report.reason_text(case.verdict)}".strip()
        elif case.error:
            aloud = case.error
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    _shell(
        data={
            "turn": session.next_turn(),
            "page": page,
            "place": place,
            "aloud": aloud,
            "busy": any(check.busy for check in session.checks()),
            "health": f"{'/' + base if base else ''}/_stcore/health",
            "gone": _GONE if session.is_local() else "The server of this page does not answer. What you see stays.",
        },
        key="shell",
        on_theme_change=lambda: None,
    )


def theme() -> str:
    """ "light" or "dark", for what cannot follow the theme by itself."""
    return "dark" if st.context.theme.type == "dark" else "light"


def privacy_line() -> str:
    """Where files go, which depends on where the app runs."""
    minutes = max(1, round(st.get_option("server.disconnectedSessionTTL") / 60))
    within = "a minute" if minutes == 1 else f"{minutes} minutes"
    if session.is_local():
        return "Runs on this computer. Nothing is uploaded or kept."
    return (
        "Files are sent to this server and held in its memory only. They are deleted when you choose “Forget”, "
        f"and within {within} of closing this page."
    )


def small(text: str) -> None:
    """One quiet line."""
    st.html(f'<div class="um"><p class="um-small">{html.escape(text)}</p></div>')


@contextmanager
def one_line_errors(where: str) -> Iterator[None]:
    """Whatever goes wrong inside, the page shows one line; details of a bug go to the log, without file names.

    Streamlit's own control flow (rerun, stop) is no `Exception` and passes through.
    """
    try:
        yield
    except DetectorError as error:
        st.error(str(error))
    except Exception as error:
        bugs.log_bug(where, error)
        st.error(bugs.BUG_MESSAGE)


def draw_again() -> NoReturn:
    """Run the page's script again, unless the user has just asked for something else.

    `st.rerun` takes the place of whatever is waiting, so that a click on another page would be lost for good. Streamlit
    heeds what is waiting when something is drawn.
    """
    st.empty()
    st.rerun()
