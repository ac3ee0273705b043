"""Every check that this server holds, by its address, so that a page that is loaded again finds its own.

A check belongs to the browser sessions that hold it. When the last of them has gone it waits for a while, since a page
that is loaded again is a new session; then it is stopped and forgotten.
"""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import streamlit as st

from app.case import Case

_BUSY_GRACE_S = 20.0
"""A check that is under way keeps the worker from others: it is stopped when nobody has held it for so long."""
_MAX_BYTES = 2_000_000_000
_MAX_CHECKS = 200
"""Checks that a server holds at most, over all sessions; the oldest finished checks make room."""


@dataclass(slots=True)
class _Entry:
    case: Case
    holders: set[str] = field(default_factory=set)
    alone_since: float = 0.0


class Shelf:
    """Checks by address. Thread-safe.

    Args:
        grace_s: how long a check that nobody holds is kept.
    """

    def __init__(self, grace_s: float) -> None:
        self.grace_s = grace_s
        self._lock = threading.RLock()
        self._kept: dict[str, _Entry] = {}
        self._sessions: dict[str, str] = {}

    def enter(self, session: str, models: str) -> None:
        """A session is there, with its choice of networks: only such a one may bring files."""
        with self._lock:
            self._sessions[session] = models

    def models_of(self, session: str) -> str | None:
        """The choice of a session that is there; None for any other."""
        return self._sessions.get(session)

    def put(self, case: Case, session: str) -> None:
        """Keep a check for a session."""
        with self._lock:
            self._kept[case.id] = _Entry(case, {session})
            self._make_room()

    def find(self, address: str | None) -> Case | None:
        """The check at an address."""
        entry = self._kept.get(address or "")
        return entry.case if entry else None

    def hold(self, addresses: Iterable[str], session: str) -> None:
        """Keep checks for a session, those of sessions that have gone as well."""
        with self._lock:
            for address in addresses:
                if address in self._kept:
                    self._kept[address].holders.add(session)

    def drop(self, address: str) -> None:
        """Stop and forget a check."""
        with self._lock:
            entry = self._kept.pop(address, None)
        if entry is not None:
            entry.case.close()

    def leave(self, session: str) -> None:
        """A session has ended: what nobody else holds is forgotten after a while."""
        now = time.monotonic()
        with self._lock:
            self._sessions.pop(session, None)
            for entry in self._kept.values():
                if session in entry.holders:
                    entry.holders.discard(session)
                    entry.alone_since = now
            alone = any(not entry.holders for entry in self._kept.values())
        if alone:
            for wait_s in {min(self.grace_s, _BUSY_GRACE_S), self.grace_s}:
                timer = threading.Timer(wait_s + 0.1, self.sweep)
                timer.daemon = True
                timer.start()

    def sweep(self) -> None:
        """Forget what nobody has held for long enough."""
        now = time.monotonic()
        with self._lock:
            gone = [
                address
                for address, entry in self._kept.items()
                if not entry.holders and now - entry.alone_since > self._grace_of(entry.case)
            ]
        for address in gone:
            self.drop(address)

    def _grace_of(self, case: Case) -> float:
        return min(self.grace_s, _BUSY_GRACE_S) if case.busy else self.grace_s

    def _make_room(self) -> None:
        held = sum(entry.case.kept_bytes for entry in self._kept.values())
        for address, entry in list(self._kept.items())[:-1]:
            if held <= _MAX_BYTES and len(self._kept) <= _MAX_CHECKS:
                return
            if not entry.case.busy:
                held -= entry.case.kept_bytes
                self.drop(address)


@st.cache_resource(show_spinner=False)
def shelf() -> Shelf:
    """The shelf of this server. A check without a session is kept as long as Streamlit keeps a lost session."""
    return Shelf(float(st.get_option("server.disconnectedSessionTTL")))
