"""What one browser session holds: its file, its choice of networks, and what it is allowed.

Networks are shared by all sessions and live in `app.networks`; everything that comes from a user's file lives in that
session's `Case` and goes with it.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app import networks
from app.case import Case

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile


class _Close:
    """Holds a session's case so that its work stops when the page is closed."""

    case: Case | None = None

    def stop(self) -> None:
        if self.case is not None:
            self.case.stop()


@st.cache_resource(scope="session", on_release=_Close.stop, show_spinner=False)
def _at_close() -> _Close:
    return _Close()


def current() -> Case | None:
    """The case of this session."""
    case = st.session_state.get("case")
    return case if isinstance(case, Case) else None


def open_file(name: str, source: Path | bytes) -> None:
    """Start the analysis of a file in place of the current one."""
    close()
    case = Case(name, source, models(), networks.worker())
    st.session_state.case = case
    _at_close().case = case


def take_upload(upload: "UploadedFile") -> bytes:
    """The bytes of an upload, which Streamlit then forgets: it would keep them until the page is closed."""
    data = upload.getvalue()
    context = get_script_run_ctx()
    if context is not None:
        context.uploaded_file_mgr.remove_file(context.session_id, upload.file_id)
    return data


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


def close() -> None:
    """Forget the current file and everything made of it; stop its analysis if it still runs."""
    case = current()
    if case is not None:
        case.close()
        _at_close().case = None
    for key in ("case", "person", "time_s", "network"):
        st.session_state.pop(key, None)
    # a new key drops the upload that Streamlit keeps in memory
    st.session_state.upload_number = st.session_state.get("upload_number", 0) + 1


def again() -> None:
    """Analyse the current file once more, with the networks chosen now."""
    case = current()
    if case is not None:
        open_file(case.name, case.source)


def models() -> str:
    """Name of the ensemble or network to use: "default" until the user chose one that is still published."""
    chosen = str(st.session_state.get("models", "default"))
    return chosen if chosen in networks.model_names() else "default"


def choose_models(name: str) -> None:
    """Use another ensemble or network, on the current file as well."""
    # by one name only, or its networks would be loaded twice
    name = "default" if name == networks.model_names()[0] else name
    if name != models():
        st.session_state.models = name
        again()


def next_turn() -> int:
    """A number that is higher at every call of this session: the page's scripts tell by it which data are newer."""
    turn = int(st.session_state.get("turn", 0)) + 1
    st.session_state.turn = turn
    return turn


def is_local() -> bool:
    """Whether the app runs on the user's own computer, so that files never leave it."""
    if os.environ.get("UNMASK_DEPLOYMENT") == "server" or os.environ.get("SPACE_ID"):
        return False
    return st.get_option("server.address") in ("127.0.0.1", "localhost", "::1")


def upload_limit_mb() -> int:
    """Largest file that the server takes, in megabytes, as configured."""
    return int(st.get_option("server.maxUploadSize"))
