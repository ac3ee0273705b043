"""The child process of `detector.apart`: decodes one file at a time and hands over its pixels and sound.

A question names what is wanted; a series (frames, pictures, sound) is opened once and then asked for piece by piece, so
that nothing is decoded that nobody waits for.
"""

import itertools
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from detector.child import Blob
from detector.errors import MediaError
from detector.media import Picture, Source, iter_pictures, picture_count, read_image
from detector.video import (
    Sound,
    VideoFrame,
    VideoInfo,
    Window,
    iter_frames,
    iter_scouts,
    iter_sound,
    iter_span,
    probe,
    read_frame,
)

Said = tuple[dict[str, Any], list[Blob]]
Piece = Picture | VideoFrame | Sound

_CALLS: dict[str, Callable[..., Any]] = {
    "read_image": read_image,
    "picture_count": picture_count,
    "probe": probe,
    "read_frame": read_frame,
}
_SERIES: dict[str, Callable[..., Iterator[Piece]]] = {
    "iter_pictures": iter_pictures,
    "iter_frames": iter_frames,
    "iter_span": iter_span,
    "iter_scouts": iter_scouts,
    "iter_sound": iter_sound,
}
_open: dict[int, Iterator[Piece]] = {}


def answer(question: dict[str, Any], blobs: list[bytes]) -> Said:
    """The handler of the child.

    {"do", "args", "path" or one blob} is answered by a value, or opens the series of that number ("series").
    {"next": number, "most"} is answered by its next pieces and by {"end"}; {"close": number} lets it go. What a file
    does wrong is {"error": [message, reason]}, after the pieces before it.
    """
    if "close" in question:
        _close(question["close"])
        return {}, []
    if "next" in question:
        return _next(question["next"], question["most"])
    source: Source = Path(question["path"]) if "path" in question else blobs[0]
    args = {name: _MADE[name](value) if name in _MADE else value for name, value in question["args"].items()}
    if question["do"] in _SERIES:
        _open[question["series"]] = _SERIES[question["do"]](source, **args)
        return {}, []
    try:
        value = _CALLS[question["do"]](source, **args)
    except MediaError as error:
        return {"error": [str(error), error.reason]}, []
    if isinstance(value, np.ndarray):
        head, data = _packed(value)
        return head, [data]
    return {"value": asdict(value) if isinstance(value, VideoInfo) else value}, []


def _next(number: int, most: int) -> Said:
    series = _open.get(number)
    if series is None:
        return {"gone": True}, []  # this is another process than the one that opened it
    head: dict[str, Any] = {"pieces": []}
    blobs: list[Blob] = []
    try:
        for piece in itertools.islice(series, most):
            about, data = _piece(piece)
            head["pieces"].append(about)
            blobs.append(data)
        head["end"] = len(blobs) < most
    except MediaError as error:
        head["error"] = [str(error), error.reason]
    except BaseException:
        _close(number)
        raise
    if "error" in head or head["end"]:
        _close(number)
    return head, blobs


def _piece(piece: Piece) -> tuple[dict[str, Any], Blob]:
    if isinstance(piece, Picture):
        about, data = _packed(piece.image)
        return {**about, "number": piece.number, "of": piece.of}, data
    about, data = _packed(piece.samples if isinstance(piece, Sound) else piece.image)
    return {**about, "time_s": float(piece.time_s)}, data


def _packed(array: np.ndarray) -> tuple[dict[str, Any], Blob]:
    array = np.ascontiguousarray(array)
    return {"shape": array.shape, "dtype": array.dtype.str}, array.reshape(-1).view(np.uint8).data


def _close(number: int) -> None:
    series = _open.pop(number, None)
    if isinstance(series, Generator):
        series.close()


_MADE: dict[str, Callable[[Any], Any]] = {
    "info": lambda value: None if value is None else VideoInfo(**value),
    "windows": lambda value: None if value is None else [Window(a, b, tuple(times)) for a, b, times in value],
}
"""Arguments that JSON does not hold -> how they are made of what it does."""
