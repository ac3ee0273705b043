"""The pictures of a report: the whole with its faces numbered; of each the face, and where a network sees evidence."""

import base64
import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

import numpy as np
from PIL import Image

from detector import drawing
from detector.apart import read_frame, read_image
from detector.drawing import around
from detector.errors import MediaError
from detector.explain.gradcam import Heatmap, overlay
from detector.media import RGB, Source
from detector.paper.blocks import MAX_SUBJECTS, WHOLE
from detector.report import network_name
from detector.types import Box, Face, FileVerdict, ImageVerdict, VideoVerdict

_SIDE_PX = 360
_WHOLE_PX, _LETTERS_PX = 640, 22
_STRENGTH = 0.6


class Explains(Protocol):
    """The part of `detector.pipeline.Detector` that draws maps."""

    def explain(self, image: RGB, face: Face) -> Heatmap: ...


def pictures_of(source: Source, verdict: FileVerdict, detector: Explains | None) -> tuple[dict[str, Any], ...]:
    """The whole, then the face of every face or person, and its map where there is a verdict on it and a detector.

    Returns:
        Entries of the schema's `pictures`, the whole first, then the most suspicious.

    Raises:
        MediaError: the file can no longer be read.
    """
    pictures: list[dict[str, Any]] = []
    if isinstance(verdict, ImageVerdict):
        image = read_image(source, verdict.picture_number)
        boxes = {face.number: face.face.box for face in verdict.faces[:MAX_SUBJECTS]}
        pictures.append(_whole(image, boxes, "The whole picture", None))
        for face in verdict.faces[:MAX_SUBJECTS]:
            pictures += _of_face(image, face.face, face.number, "Face", None, detector if face.band else None)
    elif isinstance(verdict, VideoVerdict):
        for person in verdict.persons[:MAX_SUBJECTS]:
            point = person.best_point
            if point is not None:
                image = read_frame(source, point.time_s)
                if not pictures:
                    what = f"The frame at {point.time_s:.2f} s"
                    pictures.append(_whole(image, _boxes_at(verdict, point.time_s), what, point.time_s))
                judge = detector if person.band else None
                pictures += _of_face(image, point.face, person.number, "Person", point.time_s, judge)
        if not pictures and verdict.coverage is not None:
            start_s, end_s = verdict.coverage.part_s or (verdict.coverage.start_s, verdict.coverage.duration_s or 0.0)
            time_s = (start_s + max(start_s, end_s)) / 2
            with suppress(MediaError):  # of a file that breaks off before
                pictures.append(_whole(read_frame(source, time_s), {}, f"The frame at {time_s:.2f} s", time_s))
    return tuple(pictures)


def stills_of(source: Source, verdict: FileVerdict) -> dict[str, bytes]:
    """The faces in full size, and of a video the frames they are from, as JPEG: name -> data. For a search by picture.

    Raises:
        MediaError: the file can no longer be read.
    """
    stills: dict[str, bytes] = {}
    if isinstance(verdict, ImageVerdict) and verdict.faces:
        image = read_image(source, verdict.picture_number)
        for face in verdict.faces[:MAX_SUBJECTS]:
            stills[f"face-{face.number}"] = _jpeg(around(image, face.face))
    elif isinstance(verdict, VideoVerdict):
        for person in verdict.persons[:MAX_SUBJECTS]:
            point = person.best_point
            if point is not None:
                image = read_frame(source, point.time_s)
                stills[f"frame-{person.number}"] = _jpeg(image)
                stills[f"face-{person.number}"] = _jpeg(around(image, point.face))
    return stills


def with_pictures(document: Mapping[str, Any], pictures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The JSON of a verdict with the pictures of its report."""
    return {**document, "pictures": [dict(picture) for picture in pictures]}


def _boxes_at(verdict: VideoVerdict, time_s: float) -> dict[int, Box]:
    """Person -> box, of all that were found in one frame."""
    return {
        person.number: point.face.box
        for person in verdict.persons[:MAX_SUBJECTS]
        for point in person.timeline
        if abs(point.time_s - time_s) < 1e-6
    }


def _whole(image: RGB, boxes: Mapping[int, Box], what: str, time_s: float | None) -> dict[str, Any]:
    """A small copy of the whole with a numbered box around each face."""
    small = Image.fromarray(image)
    small.thumbnail((_WHOLE_PX, _WHOLE_PX))
    drawn = np.array(small)
    scale_x, scale_y = drawn.shape[1] / image.shape[1], drawn.shape[0] / image.shape[0]
    for number, (x0, y0, x1, y1) in boxes.items():
        place = (x0 * scale_x, y0 * scale_y, x1 * scale_x, y1 * scale_y)
        drawing.mark(drawn, place, drawing.INK, [str(number)], _LETTERS_PX)
    noun = "faces" if time_s is None else "persons"
    numbered = f", its {noun} numbered as below" if boxes else ""
    return _entry("frame", WHOLE, time_s, f"{what}{numbered}.", _jpeg(drawn, 88))


def _of_face(
    image: RGB, face: Face, number: int, noun: str, time_s: float | None, detector: Explains | None
) -> list[dict[str, Any]]:
    when = "" if time_s is None else f" at {time_s:.2f} s"
    shown = [_entry("face", number, time_s, f"{noun} {number}{when}.", _cut(image, face))]
    if detector is not None:
        heat = detector.explain(image, face)
        model = network_name(heat.model)
        warm = bool(np.any(heat.heat > 0))
        what = f"where {model} sees evidence ({heat.method})" if warm else f"{model} sees evidence nowhere"
        if not heat.proven:
            what = f"no heatmap of {model}, since hiding what its maps mark does not change its score"
        mixed = overlay(image, heat.heat, heat.box, _STRENGTH)
        shown.append(_entry("map", number, time_s, f"{noun} {number}{when}: {what}.", _cut(mixed, face)))
    return shown


def _entry(kind: str, number: int, time_s: float | None, alt: str, data: bytes) -> dict[str, Any]:
    return {
        "kind": kind,
        "number": number,
        "time_s": None if time_s is None else round(time_s, 3),
        "mime": "image/jpeg",
        "alt": alt,
        "data": base64.b64encode(data).decode("ascii"),
    }


def _cut(image: RGB, face: Face) -> bytes:
    """The face with some room around it, small, as JPEG."""
    part = Image.fromarray(around(image, face))
    part.thumbnail((_SIDE_PX, _SIDE_PX))
    return _jpeg(np.asarray(part), 88)


def _jpeg(image: RGB, quality: int = 95) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, "JPEG", quality=quality)
    return out.getvalue()
