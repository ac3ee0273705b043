"""The published networks, and the one line of a server in which all sessions wait for them."""

from importlib import import_module
from typing import TYPE_CHECKING

import streamlit as st

from app.bugs import log_bug
from detector import WeightsError, queue
from detector.queue import published
from detector.uploads import Uploads

if TYPE_CHECKING:
    from detector import Detector
    from detector.manifest import Manifest


def build_detector(name: str) -> "Detector":
    """A detector by the name of an ensemble or a network; tests put a fake here."""
    from detector import Detector
    from detector.engine import leave_cores_free

    leave_cores_free()
    return Detector(name)


@st.cache_resource(show_spinner=False, max_entries=1)
def _manifest_of(stamp: tuple[int, ...] | None) -> "Manifest":
    from detector.manifest import read_manifest

    return read_manifest()


def manifest() -> "Manifest":
    """The manifest of the published networks; read again when others have been published.

    Raises:
        WeightsError: there are none, or they are damaged.
    """
    return _manifest_of(published())


def model_names() -> tuple[str, ...]:
    """Names of the ensembles and networks that can be chosen, default first."""
    return manifest().names()


def members(name: str) -> tuple[str, ...]:
    """The networks of an ensemble; empty for a single network."""
    names = manifest().entry(name).members
    return names if len(names) > 1 else ()


class Worker(queue.Worker):
    """The line of this server, whose detectors are made here."""

    def __init__(self) -> None:
        super().__init__(lambda name: build_detector(name), lambda error: log_bug("worker", error))


def preload() -> None:
    """Have the pages and the default networks loaded before anybody asks for them; without weights no networks."""
    worker().submit(_import_pages)
    if published() is not None:
        worker().submit(_load_default)


def _import_pages() -> None:
    """Imports the modules of the first visitor's page, seconds of work on a busy machine."""
    import_module("app.views.verify")
    import_module("detector.annotate")


def _load_default() -> None:
    try:
        worker().detector("default")
    except WeightsError:
        # the page says so to whoever opens it
        return


@st.cache_resource(show_spinner=False)
def uploads() -> Uploads:
    """The store of this server's uploaded large files."""
    return Uploads()


@st.cache_resource(show_spinner=False)
def worker() -> Worker:
    """The worker of this server, with the loaded networks."""
    return Worker()
