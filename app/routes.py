"""Addresses that the page's scripts ask beside Streamlit's own connection: files in, progress and pictures out.

None of it runs the page again: a picture comes when it has been made, and a page that only waits costs nothing.
"""

import asyncio
import math
import re
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from pathlib import PurePosixPath
from typing import Any

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from app import bugs, networks
from app.album import Album, first_frame
from app.case import Case
from app.facts import file_facts
from app.pictures import Picture
from app.reports import SAVES
from app.shelf import shelf
from detector import DetectorError, report
from detector.uploads import Upload

_PICTURE_S = 120.0
"""How long a picture may take before its request is given up; the browser may ask again."""
_LOOK_S = 0.03
_WAIT_S = 0.24
"""How long whoever waits for the end of a check is kept waiting for news."""
# what belongs to a user stays out of every cache, and is never taken for a page
_PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def prefix() -> str:
    """The path under which all routes lie."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}/unmask" if base else "/unmask"


def routes() -> list[Route]:
    """All routes."""
    start = prefix()
    check = start + "/check/{check}"
    return [
        Route(f"{start}/files", _files, methods=["POST"]),
        Route(check, _progress),
        Route(f"{check}/stop", _stop, methods=["POST"]),
        Route(f"{check}/first", _first),
        Route(f"{check}/frame", _picture_of(lambda album, q: album.frame(_time(q)))),
        Route(f"{check}/thumb", _picture_of(lambda album, q: album.thumb(_time(q) or 0.0))),
        Route(f"{check}/portrait", _picture_of(lambda album, q: album.portrait(int(q["face"]), _time(q)))),
        Route(f"{check}/heat", _picture_of(lambda album, q: album.heat(int(q["face"]), q["network"], _time(q)))),
        Route(f"{check}/video", _video),
        Route(f"{check}/copy", _copy, methods=["GET", "POST"]),
        Route(f"{check}/copy/file", _copy_file),
        Route(f"{check}/save/{{what}}", _save),
    ]


async def _files(request: Request) -> Response:
    """Takes one file, the body of the request, and begins its check."""
    limit = 1_000_000 * int(st.get_option("server.maxUploadSize"))
    # another site can send neither of these
    session = request.headers.get("X-Unmask-Ticket", "")
    models = shelf().models_of(session)
    if models is None:
        return _said("This page was open for too long. Load it again.", 403)
    too_large = f"The file is larger than {limit // 1_000_000} MB."
    if int(request.headers.get("Content-Length") or 0) > limit:
        return _said(too_large, 413)
    incoming, arrived = networks.uploads().incoming(), False
    try:
        async for part in request.stream():
            incoming.add(part)
            if incoming.size_bytes > limit:
                return _said(too_large, 413)
        arrived = True
    except OSError as error:
        bugs.log_bug("an upload", error)
        return _said(bugs.BUSY_MESSAGE, 507)
    finally:
        if not arrived:
            incoming.drop()
    data = incoming.done()
    # as some browsers give a whole path
    name = PurePosixPath(request.query_params.get("name", "").replace("\\", "/")).name or "file"
    try:
        case = await run_in_threadpool(Case, name, data, models, networks.worker(), owner=session)
    finally:
        if isinstance(data, Upload):
            data.close()  # the check holds it
    shelf().put(case, session)
    return JSONResponse({"check": case.id}, headers=_PRIVATE)


async def _progress(request: Request) -> Response:
    case = _case(request)
    if case is None:
        return _gone()
    if "wait" in request.query_params:
        # the end of a check is told when it comes, not when it is next asked for
        for _ in range(round(_WAIT_S / _LOOK_S)):
            if not case.busy or await request.is_disconnected():
                break
            await asyncio.sleep(_LOOK_S)
    now, verdict = case.progress, case.verdict
    state = {
        "state": case.state,
        "done": round(now.done, 3),
        "what": now.what,
        "left": now.left,
        "steps": now.steps,
        "facts": file_facts(case),
        "said": report.headline(verdict) if verdict is not None else case.error,
        "band": (verdict.band or "none") if verdict is not None else None,
    }
    return JSONResponse(state, headers=_PRIVATE)


async def _stop(request: Request) -> Response:
    case = _case(request)
    if case is None or "X-Unmask-Ticket" not in request.headers:
        return _gone()
    case.stop()
    return JSONResponse({"state": case.state}, headers=_PRIVATE)


async def _first(request: Request) -> Response:
    case = _case(request)
    if case is None:
        return _gone()
    return _jpeg(await run_in_threadpool(first_frame, case.source))


def _picture_of(ask: Callable[[Album, Any], Picture | None]) -> Callable[[Request], Any]:
    """A route to a picture of the album, which answers when the worker has made it."""

    async def route(request: Request) -> Response:
        case = _case(request)
        if case is None or case.album is None:
            return _gone()
        for _ in range(round(_PICTURE_S / _LOOK_S)):
            try:
                picture = ask(case.album, request.query_params)
            except (KeyError, ValueError):
                return _gone()
            if picture is not None:
                return _jpeg(picture)
            if await request.is_disconnected():
                break
            await asyncio.sleep(_LOOK_S)
        return _said("The picture takes too long.", 503)

    return route


async def _video(request: Request) -> Response:
    """The user's own file, for the browser to play, in the pieces that it asks for."""
    case = _case(request)
    if case is None or case.playable is None:
        return _gone()
    source = case.source
    if not isinstance(source, bytes):
        return FileResponse(source, media_type=case.playable, headers=_PRIVATE)
    size = len(source)
    headers = {**_PRIVATE, "Accept-Ranges": "bytes"}
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
    if asked is None:
        return StreamingResponse(
            _pieces(source, 0, size), media_type=case.playable, headers={**headers, "Content-Length": str(size)}
        )
    first, last = int(asked[1]), min(int(asked[2] or size - 1), size - 1)
    if first > last:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
    headers |= {"Content-Range": f"bytes {first}-{last}/{size}", "Content-Length": str(last + 1 - first)}
    pieces = _pieces(source, first, last + 1)
    return StreamingResponse(pieces, status_code=206, media_type=case.playable, headers=headers)


async def _pieces(data: bytes, first: int, end: int) -> AsyncIterator[bytes]:
    for at in range(first, end, 1 << 20):
        yield data[at : min(at + (1 << 20), end)]


async def _copy(request: Request) -> Response:
    """Begins a marked copy when asked by POST, and says how far it is."""
    case = _case(request)
    if case is None or case.verdict is None:
        return _gone()
    if request.method == "POST":
        if "X-Unmask-Ticket" not in request.headers:
            return _gone()
        case.make_copy(request.query_params.get("heat") == "1")
    copy = case.copy
    if copy is None:
        return _gone()
    error = copy.error or (bugs.BUG_MESSAGE if copy.state == "failed" else None)
    now = copy.progress
    state = {"state": copy.state, "done": round(now.done, 3), "what": now.what, "said": error}
    return JSONResponse(state, headers=_PRIVATE)


async def _copy_file(request: Request) -> Response:
    case = _case(request)
    if case is None or case.copy is None or case.copy.state != "done":
        return _gone()
    return Response(case.copy.data, media_type="application/octet-stream", headers=_PRIVATE)


async def _by_the_worker(work: Callable[[], tuple[bytes, str]]) -> tuple[bytes, str]:
    """The bytes and type that the worker makes in its turn: networks and decoders run in one thread only."""
    answer: Future[tuple[bytes, str]] = Future()

    def task() -> None:
        try:
            answer.set_result(work())
        except BaseException as error:
            answer.set_exception(error)

    if not networks.worker().submit(task):
        raise DetectorError(bugs.BUSY_MESSAGE)
    return await asyncio.wrap_future(answer)


async def _save(request: Request) -> Response:
    """A report, the sound or a still, made when it is asked for."""
    case = _case(request)
    what = request.path_params["what"]
    if case is None or case.verdict is None or what not in SAVES:
        return _gone()
    verdict = case.verdict
    try:
        data, kind = await _by_the_worker(lambda: SAVES[what](case.source, verdict, case.judge))
    except DetectorError as error:
        return _said(str(error), 422)
    except Exception as error:
        bugs.log_bug("a report", error)
        return _said(bugs.BUG_MESSAGE, 500)
    return Response(data, media_type=kind, headers=_PRIVATE)


def _case(request: Request) -> Case | None:
    return shelf().find(request.path_params["check"])


def _time(query: Any) -> float | None:
    """The time that a picture is asked for; None for a photo."""
    if "t" not in query:
        return None
    time_s = float(query["t"])
    if not math.isfinite(time_s):
        raise ValueError("no time")
    return time_s


def _jpeg(picture: Picture) -> Response:
    if not picture.data:
        return _gone()
    # a picture of one address never changes: the browser may keep it in its own memory while the page is open
    headers = {**_PRIVATE, "Cache-Control": "private, max-age=600", "X-Unmask-Note": picture.note}
    return Response(picture.data, media_type="image/jpeg", headers=headers)


def _said(text: str, status: int) -> Response:
    return JSONResponse({"said": text}, status, headers=_PRIVATE)


def _gone() -> Response:
    return _said("That is no longer kept here.", 404)
