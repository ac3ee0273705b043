"""The pictures of one file: of a video those that were made while it was judged, all others when the page first asks.

They are kept until nobody looks any more.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from app.bugs import log_bug, logger
from app.networks import Worker
from app.pictures import Picture, jpeg, shrink
from app.stills import FRAME_PX, THUMB_PX, Stills
from detector import DetectorError, Face, FileVerdict, ImageVerdict, VideoVerdict
from detector.drawing import around

if TYPE_CHECKING:
    from detector import Detector
    from detector.explain.gradcam import Heatmap

_MAX_PICTURES = 400
_opening = threading.BoundedSemaphore(1)
"""First frames are read beside the worker, one at a time: each takes the memory of a picture."""


class Album:
    """Frames, thumbs, portraits and heatmaps of one file with its verdict.

    Every picture is `None` until the worker has made it: whoever shows it asks again. A picture that cannot be made is
    empty.

    Args:
        source: the file.
        verdict: on that file.
        detector: the one that judged, for heatmaps of the networks that the verdict names.
        line: the worker.
        stills: the pictures that were made while a video was judged.
    """

    def __init__(
        self, source: Path | bytes, verdict: FileVerdict, detector: "Detector", line: Worker, stills: Stills
    ) -> None:
        self._source, self._verdict, self._detector, self._line = source, verdict, detector, line
        self._stills = stills
        self._lock = threading.Lock()
        self._pictures: OrderedDict[tuple[Any, ...], Picture] = OrderedDict()
        self._asked: set[tuple[Any, ...]] = set()
        self._last_full: tuple[float | None, np.ndarray] | None = None
        self._last_heat: tuple[tuple[Any, ...], Heatmap] | None = None
        self.closed = threading.Event()

    def close(self) -> None:
        """Makes no more pictures."""
        self.closed.set()

    def face_at(self, number: int, time_s: float | None) -> Face | None:
        """The face of a person at a time (of the nearest frame that shows the person), or a photo's face."""
        verdict = self._verdict
        if isinstance(verdict, ImageVerdict):
            return next((f.face for f in verdict.faces if f.number == number), None)
        if isinstance(verdict, VideoVerdict):
            person = next((p for p in verdict.persons if p.number == number), None)
            if person is None or not person.timeline:
                return None
            return min(person.timeline, key=lambda point: abs(point.time_s - (time_s or 0.0))).face
        return None

    def frame(self, time_s: float | None = None) -> Picture | None:
        """The photo or the frame at a time, at most 1280 px wide or high."""
        picture = None if time_s is None else self._stills.frame(time_s)
        return picture or self._ask(("frame", time_s), lambda: jpeg(self._full(time_s), FRAME_PX))

    def thumb(self, time_s: float) -> Picture | None:
        """A small picture of the frame at a time."""
        return self._stills.thumb(time_s) or self._ask(("thumb", time_s), lambda: jpeg(self._full(time_s), THUMB_PX))

    def portrait(self, number: int, time_s: float | None = None) -> Picture | None:
        """A small square picture of one face."""
        face = self.face_at(number, time_s)
        if face is None:
            return Picture(b"")
        picture = None if time_s is None else self._stills.face(time_s, face)
        return picture or self._ask(
            ("portrait", number, time_s), lambda: jpeg(around(self._full(time_s), face), THUMB_PX)
        )

    def heat(self, number: int, network: str, time_s: float | None = None) -> Picture | None:
        """The same picture as `frame`, with the heatmap of one face by one network over it at full strength.

        Its `note` names the method, is "flat" where no place speaks for manipulation, or "unproven" of a
        network whose maps are not shown.
        """
        face = self.face_at(number, time_s)
        if face is None or network not in (model.name for model in self._verdict.models):
            return Picture(b"")
        return self._ask(("heat", number, network, time_s), lambda: self._draw_heat(face, network, time_s))

    def _draw_heat(self, face: Face, network: str, time_s: float | None) -> Picture:
        from detector.explain.gradcam import overlay

        image = self._full(time_s)
        key = (network, time_s, face.box)
        if self._last_heat is None or self._last_heat[0] != key:
            self._last_heat = (key, self._detector.explain(image, face, model=network))
        heatmap = self._last_heat[1]
        # which places speak for manipulation may be none at all; the page says so instead of showing a plain picture
        note = (heatmap.method if np.any(heatmap.heat > 0) else "flat") if heatmap.proven else "unproven"
        small = shrink(image, FRAME_PX)
        factor = small.shape[1] / image.shape[1]
        x0, y0, x1, y1 = heatmap.box
        box = (x0 * factor, y0 * factor, x1 * factor, y1 * factor)
        return replace(jpeg(overlay(small, heatmap.heat, box, 1.0), FRAME_PX), note=note)

    def _full(self, time_s: float | None) -> np.ndarray:
        """(H, W, 3) uint8 RGB in full size; the last one is kept, since a frame is asked for several times in a row."""
        if self._last_full is None or self._last_full[0] != time_s:
            from detector.apart import read_frame, read_image

            number = self._verdict.picture_number if isinstance(self._verdict, ImageVerdict) else None
            image = read_image(self._source, number) if time_s is None else read_frame(self._source, time_s)
            self._last_full = (time_s, image)
        return self._last_full[1]

    def _ask(self, key: tuple[Any, ...], make: Callable[[], Picture]) -> Picture | None:
        with self._lock:
            if key in self._pictures:
                self._pictures.move_to_end(key)
                return self._pictures[key]
            if self.closed.is_set():
                return Picture(b"")
            if key in self._asked:
                return None
            self._asked.add(key)
        if not self._line.submit(lambda: self._make(key, make)):
            self._asked.discard(key)
        return None

    def _make(self, key: tuple[Any, ...], make: Callable[[], Picture]) -> None:
        picture = self._pictures.get(key, Picture(b""))
        try:
            if key not in self._pictures and not self.closed.is_set():
                picture = make()
        except DetectorError:
            logger.warning("a picture of kind %s could not be made", key[0])
        except Exception as error:
            log_bug("a picture", error)
        finally:
            self._keep(key, picture)
            self._asked.discard(key)
            if not self._asked:
                # a large photo takes hundreds of megabytes as an array
                self._last_full = self._last_heat = None

    def _keep(self, key: tuple[Any, ...], picture: Picture) -> None:
        with self._lock:
            self._pictures[key] = picture
            while len(self._pictures) > _MAX_PICTURES:
                self._pictures.popitem(last=False)


def first_frame(source: Path | bytes) -> Picture:
    """The photo or a video's first frame, read beside the worker, which is busy judging; empty if it cannot be read."""
    from detector.apart import read_frame, read_image
    from detector.media import read_head, sniff_kind

    with _opening:
        try:
            head = read_head(source) if isinstance(source, Path) else source[:4096]
            image = read_frame(source, 0.0) if sniff_kind(head) == "video" else read_image(source)
            return jpeg(image, FRAME_PX)
        except DetectorError:
            return Picture(b"")
        except Exception as error:
            log_bug("a first frame", error)
            return Picture(b"")
