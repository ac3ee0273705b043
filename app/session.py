"""One browser session: its checks, its choice of networks, and what it is allowed.

Networks are shared by all sessions and live in `app.networks`; everything that comes from a user's file lives in its
`Case`, on the shelf, and goes with it.
"""

import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import streamlit as st

from app import networks
from app.case import Case
from app.look import Look
from app.shelf import shelf
from detector.uploads import Upload


class _Ticket:
    """Names a session on the shelf for as long as its page is open."""

    def __init__(self) -> None:
        self.name = secrets.token_urlsafe(16)

    def leave(self) -> None:
        shelf().leave(self.name)


@st.cache_resource(scope="session", on_release=_Ticket.leave, show_spinner=False)
def _ticket() -> _Ticket:
    return _Ticket()


def ticket() -> str:
    """The name of this session on the shelf: whoever brings a file shows it."""
    name = _ticket().name
    shelf().enter(name, models())
    return name


def checks() -> list[Case]:
    """The checks of this session, newest first."""
    mine: list[str] = st.session_state.setdefault("checks", [])
    shown = st.query_params.get("check")
    if shown and shown not in mine and shelf().find(shown) is not None:
        # a page that was loaded again, or an address that was copied to another window
        mine.append(shown)
    cases = {address: shelf().find(address) for address in mine}
    mine[:] = [address for address, case in cases.items() if case is not None]
    shelf().hold(mine, _ticket().name)
    return [case for case in reversed(list(cases.values())) if case is not None]


def current() -> Case | None:
    """The check that the page's address names, while it is kept."""
    shown = st.query_params.get("check")
    return next((case for case in checks() if case.id == shown), None)


def lost() -> bool:
    """Whether the page's address names a check that is no longer kept."""
    return "check" in st.query_params and current() is None


def go(case: Case | None) -> None:
    """Show a check, or the start page; the browser's Back leads to what was shown before."""
    if case is None:
        st.query_params.pop("check", None)
    else:
        st.query_params["check"] = case.id


def start(name: str, source: Path | bytes | Upload, look: Look | None = None) -> Case:
    """Begin the check of a file."""
    case = Case(name, source, models(), networks.worker(), look, owner=_ticket().name)
    shelf().put(case, _ticket().name)
    st.session_state.setdefault("checks", []).append(case.id)
    return case


def open_file(name: str, source: Path | bytes | Upload, look: Look | None = None) -> None:
    """Begin the check of a file and show it."""
    go(start(name, source, look))


def look_closer(address: str, look: Look) -> None:
    """Check the file of a check once more, a part of it or more of its frames; the first check stays."""
    case = shelf().find(address)
    if case is not None:
        open_file(case.name, case.brought, look)


def take(addresses: list[str]) -> None:
    """Add checks that the browser has brought; a single one is shown."""
    mine: list[str] = st.session_state.setdefault("checks", [])
    mine += [address for address in addresses if address not in mine]
    if len(addresses) == 1:
        go(shelf().find(addresses[0]))
    else:
        go(None)


def forget(address: str) -> None:
    """Stop a check and forget it and everything made of its file."""
    shelf().drop(address)
    if st.query_params.get("check") == address:
        go(None)


def open_path(text: str) -> str | None:
    """Start the analysis of a file of this computer, read where it lies; else why not, in a line with the next step.

    Args:
        text: a path as people paste it: with quotes around it, with ~, or as a file:// address.
    """
    if not is_local():
        return "Files of the computer that this page runs on can only be opened on that computer itself."
    text = text.strip().strip("\"'")
    if text.lower().startswith("file:"):
        text = url2pathname(urlsplit(text).path)
    if not text:
        return "Type or paste the path of a photo or a video."
    missing = "There is no such file on this computer. Copy its whole path, from the drive or the first slash on."
    try:
        path = Path(text).expanduser()
        if path.is_dir():
            return "That is a folder. Give the path of one file in it; `python -m detector FOLDER` checks them all."
        if not path.is_file():
            return missing
        with path.open("rb"):
            pass
    except (RuntimeError, ValueError):  # a user or a character that cannot be
        return missing
    except OSError:
        return "That file may not be opened. Copy it to a folder of your own, or allow this user to read it."
    open_file(path.name, path)
    return None


def again(address: str) -> None:
    """Check the same file once more, with the networks chosen now, in place of the first check."""
    case = shelf().find(address)
    if case is not None:
        open_file(case.name, case.brought, case.look)
        shelf().drop(address)


def models() -> str:
    """Name of the ensemble or network to use: "default" until the user chose one that is still published."""
    chosen = str(st.session_state.get("models", "default"))
    return chosen if chosen in networks.model_names() else "default"


def choose_models(name: str, address: str | None = None) -> None:
    """Use another ensemble or network, on the file of a check as well."""
    # by one name only, or its networks would be loaded twice
    name = "default" if name == networks.model_names()[0] else name
    if name != models():
        st.session_state.models = name
        if address is not None:
            again(address)


def is_local() -> bool:
    """Whether the app runs on the user's own computer, so that files never leave it."""
    if os.environ.get("UNMASK_DEPLOYMENT") == "server" or os.environ.get("SPACE_ID"):
        return False
    return st.get_option("server.address") in ("127.0.0.1", "localhost", "::1")


def upload_limit_mb() -> int:
    """Largest file that the server takes, in megabytes, as configured."""
    return int(st.get_option("server.maxUploadSize"))


def next_turn() -> int:
    """A number that is higher at every call of this session: the page's scripts tell by it which data are newer."""
    turn = int(st.session_state.get("turn", 0)) + 1
    st.session_state.turn = turn
    return turn
