"""What the browser asks for beside Streamlit's connection, without a browser."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import streamlit
from starlette.applications import Starlette

from app import networks
from app.case import Case
from app.reports import SAVES
from app.routes import routes
from app.shelf import shelf
from detector.media import sniff_kind
from detector.uploads import Uploads


class _Answer:
    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def _ask(method: str, address: str, body: bytes = b"", **headers: str) -> _Answer:
    parts, answer = urlsplit(address), _Answer()
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "root_path": "",
        "scheme": "http",
        "query_string": parts.query.encode(),
        "headers": [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()],
        "server": ("127.0.0.1", 8501),
        "client": ("127.0.0.1", 40000),
    }
    told = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        while not told:
            await asyncio.sleep(3600)
        return told.pop(0)

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        else:
            answer.body += message.get("body", b"")

    asyncio.run(Starlette(routes=routes())(scope, receive, send))
    return answer


@pytest.fixture
def ticket(made: list[Any]) -> Iterator[str]:
    shelf().enter("somebody", "default")
    yield "somebody"


def _brought(name: str, data: bytes, ticket: str) -> Case:
    answer = _ask("POST", f"/unmask/files?name={name}", data, X_Unmask_Ticket=ticket)
    assert answer.status == 200
    case = shelf().find(answer.json["check"])
    assert case is not None
    end = time.monotonic() + 60
    while case.busy and "endless" not in name:
        assert time.monotonic() < end
        time.sleep(0.02)
    return case


def test_a_file_is_taken_and_checked(ticket: str, photo: bytes) -> None:
    case = _brought("folder%5Cportrait.jpg", photo, ticket)
    assert case.name == "portrait.jpg" and case.source == photo and case.verdict is not None
    now = _ask("GET", f"/unmask/check/{case.id}")
    assert now.json["state"] == "done" and now.json["said"] == "Strong evidence of manipulation"
    assert now.headers["cache-control"] == "no-store"


def test_without_a_page_nothing_is_taken(made: list[Any], photo: bytes) -> None:
    assert _ask("POST", "/unmask/files?name=a.jpg", photo).status == 403
    assert _ask("POST", "/unmask/files?name=a.jpg", photo, X_Unmask_Ticket="guessed").status == 403


@pytest.mark.parametrize("told", [True, False], ids=["by its header", "by its bytes"])
def test_a_file_that_is_too_large_is_not_kept(ticket: str, monkeypatch: pytest.MonkeyPatch, told: bool) -> None:
    import streamlit as st

    limits = {"server.maxUploadSize": 1, "server.baseUrlPath": "", "server.disconnectedSessionTTL": 120}
    monkeypatch.setattr(st, "get_option", limits.__getitem__)
    length = {"Content_Length": "1000001"} if told else {}
    answer = _ask(
        "POST", "/unmask/files?name=a.jpg", b"" if told else b"x" * 1_000_001, X_Unmask_Ticket=ticket, **length
    )
    assert answer.status == 413 and answer.json["said"] == "The file is larger than 1 MB."


def test_addresses_that_were_never_given_or_are_forgotten_lead_nowhere(ticket: str, photo: bytes) -> None:
    case = _brought("portrait.jpg", photo, ticket)
    shelf().drop(case.id)
    for address in (case.id, "never"):
        for what in ("", "/first", "/frame", "/heat?face=1&network=resnet18", "/video", "/copy"):
            assert _ask("GET", f"/unmask/check/{address}{what}").status == 404


def test_pictures_come_when_they_are_made(ticket: str, clip: bytes) -> None:
    case = _brought("clip.mp4", clip, ticket)
    verdict: Any = case.verdict
    time_s = verdict.persons[0].timeline[3].time_s
    for what in (f"frame?t={time_s}", f"thumb?t={time_s}", f"portrait?face=1&t={time_s}", "first"):
        answer = _ask("GET", f"/unmask/check/{case.id}/{what}")
        assert answer.status == 200 and sniff_kind(answer.body) == "image", what
    heat = _ask("GET", f"/unmask/check/{case.id}/heat?face=1&network=resnet18&t={time_s}")
    assert heat.status == 200 and heat.headers["x-unmask-note"] == "Grad-CAM"


@pytest.mark.parametrize(
    "query", ["face=9&network=resnet18", "face=1&network=none", "face=x&network=resnet18", "face=1"]
)
def test_pictures_that_cannot_be_are_not_waited_for(ticket: str, photo: bytes, query: str) -> None:
    case = _brought("portrait.jpg", photo, ticket)
    assert _ask("GET", f"/unmask/check/{case.id}/heat?{query}").status == 404
    assert _ask("GET", f"/unmask/check/{case.id}/frame?t=nan").status == 404


def test_a_video_is_played_in_the_pieces_that_are_asked_for(ticket: str, clip: bytes) -> None:
    case = _brought("clip.mp4", clip, ticket)
    address = f"/unmask/check/{case.id}/video"
    whole = _ask("GET", address)
    assert whole.status == 200 and whole.body == clip and whole.headers["content-type"] == "video/mp4"
    part = _ask("GET", address, Range="bytes=10-19")
    assert part.status == 206 and part.body == clip[10:20]
    assert part.headers["content-range"] == f"bytes 10-19/{len(clip)}"
    assert _ask("GET", address, Range=f"bytes={len(clip) - 5}-").body == clip[-5:]
    assert _ask("GET", address, Range=f"bytes={len(clip)}-").status == 416


def test_stopping_needs_the_page_and_answers_at_once(ticket: str, photo: bytes) -> None:
    case = _brought("endless.jpg", photo, ticket)
    assert _ask("POST", f"/unmask/check/{case.id}/stop").status == 404 and case.busy
    assert _ask("POST", f"/unmask/check/{case.id}/stop", X_Unmask_Ticket=ticket).json == {"state": "stopped"}


@pytest.mark.parametrize(("name", "kind"), [("portrait.jpg", "image"), ("clip.mp4", "video")])
def test_a_marked_copy(ticket: str, photo: bytes, clip: bytes, name: str, kind: str) -> None:
    case = _brought(name, photo if kind == "image" else clip, ticket)
    address = f"/unmask/check/{case.id}/copy"
    assert _ask("GET", address).status == 404, "nobody has asked for one"
    now = _ask("POST", f"{address}?heat=1", X_Unmask_Ticket=ticket).json
    end = time.monotonic() + 120
    while now["state"] == "making":
        assert time.monotonic() < end, now
        time.sleep(0.05)
        now = _ask("GET", address).json
    assert now["state"] == "done"
    assert sniff_kind(_ask("GET", f"{address}/file").body) == kind


def test_a_copy_that_is_not_wanted_any_more_stops_at_once(ticket: str, clip: bytes) -> None:
    case = _brought("clip.mp4", clip, ticket)
    case.make_copy(True)
    copy = case.copy
    assert copy is not None
    begin = time.monotonic()
    case.drop_copy()
    assert case.copy is None and copy.state == "stopped"
    networks.worker().submit(lambda: None)
    assert time.monotonic() - begin < 10 and copy.data == b"" and copy.error is None


def test_reports_and_stills_are_made_when_they_are_asked_for(ticket: str, photo: bytes) -> None:
    case = _brought("portrait.jpg", photo, ticket)
    made = {what: _ask("GET", f"/unmask/check/{case.id}/save/{what}") for what in SAVES}
    assert made["report.pdf"].status == 200 and made["report.pdf"].body.startswith(b"%PDF-")
    assert b"portrait.jpg" in made["report.html"].body
    # a page made of a file's own words is saved, never shown with this server's rights
    assert made["report.html"].headers["content-type"] == "application/octet-stream"
    assert sniff_kind(made["still.jpg"].body) == "image"
    assert made["views.zip"].status == 200 and made["views.zip"].body.startswith(b"PK")
    assert made["sound.wav"].status == 422 and made["sound.wav"].json["said"]
    assert all(answer.headers["cache-control"] == "no-store" for answer in made.values())
    assert _ask("GET", f"/unmask/check/{case.id}/save/other").status == 404


def test_a_large_file_waits_on_disk_and_goes_with_the_last_check_of_it(
    ticket: str, clip: bytes, clean_temp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads = Uploads(in_memory_bytes=10_000)
    monkeypatch.setattr(networks, "uploads", lambda: uploads)
    case = _brought("clip.mp4", clip, ticket)
    assert isinstance(case.source, Path) and case.source.read_bytes() == clip and clean_temp in case.source.parents
    assert case.kept_bytes == len(clip)
    assert _ask("GET", f"/unmask/check/{case.id}/video", Range="bytes=10-19").body == clip[10:20]
    closer = Case(case.name, case.brought, "default", networks.worker())
    shelf().put(closer, ticket)
    shelf().drop(case.id)
    assert closer.source == case.source and case.source.exists()
    shelf().drop(closer.id)
    assert not list(clean_temp.iterdir())
    monkeypatch.setattr(streamlit, "get_option", {"server.maxUploadSize": 0, "server.baseUrlPath": ""}.get)
    assert _ask("POST", "/unmask/files?name=a.jpg", clip, X_Unmask_Ticket=ticket).status == 413
    assert not list(clean_temp.iterdir())
