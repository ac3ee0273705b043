"""What stands around everything else on a page: style, navigation, quiet lines, errors."""

import html
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import streamlit as st
from streamlit.navigation.page import Page

from app import bugs, session
from detector import DetectorError

ASSETS = Path(__file__).parents[1] / "assets"


def style() -> None:
    """The style sheet of the page."""
    st.html(ASSETS / "style.css")


def navigation(pages: list[Page], current: Page) -> None:
    """The bar at the top: name and pages."""
    with st.container(key="um-nav", horizontal=True, wrap=False, vertical_alignment="center", gap="medium"):
        st.html("<b>Unmask</b>", width="content")
        for page in pages:
            with st.container(key=f"um-nav-{'on' if page is current else page.title.lower()}", width="content"):
                st.page_link(page)


def theme() -> str:
    """ "light" or "dark", for what cannot follow the theme by itself."""
    return "dark" if st.context.theme.type == "dark" else "light"


def privacy_line() -> str:
    """Where files go, which depends on where the app runs."""
    if session.is_local():
        return "Runs on this computer. Nothing is uploaded or kept."
    minutes = max(1, round(st.get_option("server.disconnectedSessionTTL") / 60))
    within = "a minute" if minutes == 1 else f"{minutes} minutes"
    return (
        "Files are sent to this server and held in its memory only; on arrival, large ones pass through a temporary "
        "file without a name. They are deleted when you check another file, "
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
