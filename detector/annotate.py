"""A verdict drawn onto its file: a video comes out as MP4, a photo as JPEG, with boxes, bands and a strip of words.

    annotate(Path("clip.mp4"), verdict, Path("clip.unmask.mp4"))
    annotate(Path("clip.mp4"), verdict, Path("clip.unmask.mp4"), detector=detector)      # with heatmaps

A box's colour and word are the band of the person over the whole file; "now" is the smoothed probability at a moment.
Boxes lie where the face was found in the analysed frames and are interpolated between them, so they are about right for
faces that move evenly. The strip below the picture says what the picture is, should it be shown without its report.
"""

import itertools
import math
import secrets
from bisect import bisect_right
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import BinaryIO, Literal, Protocol

import numpy as np
from PIL import Image

from detector import drawing
from detector.aggregate import AWAY_STEPS
from detector.apart import iter_sound, iter_span, probe, read_image
from detector.errors import DetectorError, MediaError
from detector.explain.gradcam import Heatmap, overlay
from detector.faces.align import resize
from detector.media import RGB, Source
from detector.movie import Movie
from detector.palette import on_picture
from detector.progress import OnProgress, ShouldStop, Steps
from detector.report import band_word, estimate, eyebrow, headline
from detector.types import (
    REASONS,
    Box,
    Face,
    FaceVerdict,
    FileVerdict,
    ImageVerdict,
    Person,
    TimelinePoint,
    VideoVerdict,
)
from detector.version import __version__
from detector.video import Sound, VideoFrame
from detector.words import score_of

MAX_SIDE_PX = 1280
"""Longest side of the picture in an annotated video; a photo keeps its size."""
MAX_S = 60.0
"""Most seconds of an annotated video: what is longer is never analysed from start to end."""
MAX_FPS = 60.0
"""Frames that follow each other faster are left out."""

_READ_BUDGET_S = 600.0  # of reading alone; the caller can stop at any frame
_REACH_S = 0.5  # what `detector.video.covered_s` takes one frame to stand for
_EVEN = 0.75  # usual step over that of evenly spread frames, from which a video counts as looked at throughout
_SAME_TIME_S = 0.0015  # times are stored in milliseconds
_HEAT_ALPHA = 0.55


class Explains(Protocol):
    """The part of `detector.pipeline.Detector` that draws heatmaps."""

    def explain(self, image: np.ndarray, face: Face) -> Heatmap:
        """Where a network sees evidence in that face of (H, W, 3) uint8 RGB."""
        ...


@dataclass(frozen=True, slots=True)
class Annotated:
    """The copy that was written.

    Attributes:
        spans: (start, end) in seconds of the original, in order, one after the other in the copy; empty for a photo.
        sound: "kept", "none" (the original has none) or "left out" (it could not be read).
    """

    spans: tuple[tuple[float, float], ...]
    sound: Literal["kept", "none", "left out"]


def can_annotate(verdict: FileVerdict) -> bool:
    """Whether a face was found, so that there is something to mark; it need not have a band."""
    if isinstance(verdict, ImageVerdict):
        return bool(verdict.faces)
    return isinstance(verdict, VideoVerdict) and bool(verdict.persons)


def suffix_of(verdict: FileVerdict) -> str:
    """The ending of an annotated copy's name: ".mp4" or ".jpg"."""
    return ".mp4" if verdict.kind == "video" else ".jpg"


def annotate(
    source: Source,
    verdict: FileVerdict,
    out: Path | BinaryIO,
    *,
    detector: Explains | None = None,
    on_progress: OnProgress | None = None,
    should_stop: ShouldStop | None = None,
) -> Annotated:
    """Writes a copy of the file with what was found drawn onto it.

    A video that was analysed from start to end, at most `MAX_S` long, is written whole; of any other one only the
    seconds around the analysed frames that show a person, the most suspicious first until there are `MAX_S` of them.
    The frames keep their times; the sound comes along where it can be read.

    Args:
        source: the file that the verdict is about.
        verdict: with at least one face or person.
        out: replaced once the copy is complete; or an empty file open for reading and writing in any place
            (`io.BytesIO()`), emptied again if something goes wrong.
        detector: lays heatmaps over the judged faces, in a video made at the analysed frames and moved with the box.
        on_progress: called with a share from 0 to 1 and what is being done.
        should_stop: asked at every frame; when it says True, `Cancelled` is raised and nothing stays behind.

    Raises:
        DetectorError: no face was found, so there is nothing to mark; or there is no H.264 encoder.
        MediaError: the file cannot be read, or is not the one that the verdict is about.
        Cancelled: `should_stop` said so.
        OSError: the copy cannot be written.
    """
    if not isinstance(verdict, (ImageVerdict, VideoVerdict)) or not can_annotate(verdict):
        raise DetectorError("No face was found, so there is nothing to mark in a copy.")
    step = Steps(on_progress, should_stop, "The copy was cancelled.")
    step(0.0, "Opening the file")
    with _complete_or_gone(out) as file:
        if isinstance(verdict, ImageVerdict):
            return _photo(source, verdict, file, detector, step)
        return _video(source, verdict, file, detector, step)


def _photo(source: Source, verdict: ImageVerdict, file: BinaryIO, detector: Explains | None, step: Steps) -> Annotated:
    image = read_image(source, verdict.picture_number)
    _check_size(verdict, image.shape[1], image.shape[0])
    layout = _Layout.of(verdict, image.shape[1], image.shape[0], limit_px=None)
    marked = image
    for face in verdict.faces if detector is not None else ():
        step(0.1 + 0.7 * (face.number - 1) / len(verdict.faces), f"Heatmap of face {face.number}")
        if detector is not None and face.band is not None:
            heatmap = detector.explain(image, face.face)
            marked = overlay(marked, heatmap.heat, heatmap.box, _HEAT_ALPHA)
    step(0.8, "Drawing")
    canvas = layout.canvas(marked, _strip_text(verdict))
    picture = canvas[: layout.height, : layout.width]
    for face in reversed(verdict.faces):  # the most suspicious last, on top
        drawing.mark(picture, face.face.box, on_picture(face.band), [_label(face)], layout.letters_px)
    Image.fromarray(canvas).save(file, "JPEG", quality=95, subsampling=0, comment=_comment(verdict).encode())
    step(1.0, "Done")
    return Annotated((), "none")


def _video(source: Source, verdict: VideoVerdict, file: BinaryIO, detector: Explains | None, step: Steps) -> Annotated:
    info = probe(source)
    _check_size(verdict, info.width, info.height)
    spacing_s = _spacing_s(verdict)
    tracks = [_Track(person, spacing_s) for person in verdict.persons]
    spans = spans_of(verdict, info.duration_s)
    whole = len(spans) == 1 and spans[0][0] == 0.0
    layout = _Layout.of(verdict, info.width, info.height, limit_px=MAX_SIDE_PX)
    total_s = spans[0][1] if whole else sum(end - start for start, end in spans)
    fps = min(info.fps or 25.0, MAX_FPS)
    sound, said = _sound(source, spans, step.stopped)
    last_s = -1.0
    before_s = 0.0
    with Movie(file, *layout.size, fps=fps, comment=_comment(verdict), sound=sound) as movie:
        for start_s, end_s in spans:
            frames = iter_span(source, start_s, end_s, should_stop=step.stopped, budget_s=_READ_BUDGET_S)
            with closing(frames):
                for frame, until_s in _with_ends(frames, end_s if info.duration_s else None, 1 / fps):
                    shown_s = max(frame.time_s, start_s)
                    at_s = before_s + shown_s - start_s
                    step(0.98 * at_s / total_s, f"Writing second {at_s:.0f} of {total_s:.0f}")
                    if detector is not None:
                        _look(detector, frame, tracks)
                    if at_s - last_s < 0.9 / MAX_FPS:
                        continue
                    last_s = at_s
                    words = _strip_text(verdict, shown_s, info.duration_s, whole)
                    movie.add(_drawn(frame, shown_s, tracks, layout, words), at_s, before_s + until_s - start_s)
            step(0.98, "Writing the file")  # a stop inside ends the frames without a word
            before_s += end_s - start_s
    step(1.0, "Done")
    return Annotated(spans, said)


def spans_of(verdict: VideoVerdict, duration_s: float | None) -> tuple[tuple[float, float], ...]:
    """Which seconds of a video an annotated copy shows, as (start, end) in order."""
    looks = sorted(
        ((p.smoothed or p.prob_fake or 0.0, p.time_s) for person in verdict.persons for p in person.timeline),
        reverse=True,
    )
    coverage = verdict.coverage
    spacing_s = _spacing_s(verdict)
    # in windows, frames lie closer to each other than the same number would over the whole
    even = duration_s is None or coverage is None or spacing_s >= _EVEN * duration_s / max(1, coverage.frames)
    if even and (duration_s is None or duration_s <= MAX_S):
        return ((0.0, MAX_S if duration_s is None else duration_s),)
    end_s = math.inf if duration_s is None else duration_s
    reach_s = min(spacing_s, _REACH_S)
    spans: list[tuple[float, float]] = []
    for _, time_s in looks:
        more = _merged([*spans, (max(0.0, time_s - reach_s), min(end_s, time_s + reach_s))])
        if sum(end - start for start, end in more) > MAX_S:
            break
        spans = more
    return tuple(spans)


def _merged(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _spacing_s(verdict: VideoVerdict) -> float:
    """Usual seconds between two analysed frames; what one stands for if there is only one."""
    times = sorted({p.time_s for person in verdict.persons for p in person.timeline})
    if len(times) > 1:
        return median(b - a for a, b in pairwise(times))
    coverage = verdict.coverage
    return (coverage.duration_s or 1.0) / max(1, coverage.frames) if coverage else 1.0


@dataclass(frozen=True, slots=True)
class Mark:
    """A person at one moment: box in pixels of the original, smoothed probability or None where it is not judged."""

    box: Box
    prob_fake: float | None


class _Track:
    """One person over time, and the heatmap of the analysed frame before."""

    def __init__(self, person: Person, spacing_s: float) -> None:
        self.person = person
        self._points = sorted(person.timeline, key=lambda p: p.time_s)
        self._times = [p.time_s for p in self._points]
        self._gap_s, self._hold_s = AWAY_STEPS * spacing_s, min(spacing_s, _REACH_S)
        self.heat: tuple[TimelinePoint, Heatmap] | None = None

    def at(self, time_s: float) -> Mark | None:
        """Where the person is; None while it is not on the screen."""
        after = bisect_right(self._times, time_s)
        a = self._points[after - 1] if after else None
        b = self._points[after] if after < len(self._points) else None
        if a is not None and b is not None and b.time_s - a.time_s <= self._gap_s:
            share = (time_s - a.time_s) / (b.time_s - a.time_s)
            x0, y0, x1, y1 = (p + share * (q - p) for p, q in zip(a.face.box, b.face.box, strict=True))
            return Mark((x0, y0, x1, y1), _between(_value(a), _value(b), share))
        near = [p for p in (a, b) if p is not None and abs(p.time_s - time_s) <= self._hold_s]
        if not near:
            return None
        point = min(near, key=lambda p: abs(p.time_s - time_s))
        return Mark(point.face.box, _value(point))

    def analysed_at(self, time_s: float) -> TimelinePoint | None:
        """The point of the frame at that time, if it was analysed and shows the person."""
        near = bisect_right(self._times, time_s + _SAME_TIME_S) - 1
        return self._points[near] if near >= 0 and self._times[near] >= time_s - _SAME_TIME_S else None


def _value(point: TimelinePoint) -> float | None:
    return point.prob_fake if point.smoothed is None else point.smoothed


def _between(a: float | None, b: float | None, share: float) -> float | None:
    if a is None or b is None:
        return a if share < 0.5 else b
    return a + share * (b - a)


def _look(detector: Explains, frame: VideoFrame, tracks: Sequence[_Track]) -> None:
    """Makes the heatmaps of the persons who were judged in this frame."""
    for track in tracks:
        point = track.analysed_at(frame.time_s)
        if point is not None:
            judged = point.prob_fake is not None
            track.heat = (point, detector.explain(frame.image, point.face)) if judged else None


@dataclass(frozen=True, slots=True)
class _Layout:
    """A picture of `width` x `height` pixels above a strip of words, both on a canvas of even sides."""

    width: int
    height: int
    strip_px: int
    letters_px: int
    verdict: FileVerdict

    @classmethod
    def of(cls, verdict: FileVerdict, width: int, height: int, limit_px: int | None) -> "_Layout":
        scale = 1.0 if limit_px is None else min(1.0, limit_px / max(width, height))
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
        letters_px = max(12, round(max(width, height) / 56))
        longest = _strip_text(verdict, 88888.8, 88888.8, False) if verdict.kind == "video" else _strip_text(verdict)
        n_lines = sum(len(drawing.wrapped(line, width, letters_px)) for line in longest)
        strip_px = drawing.strip_height(n_lines, letters_px)
        return cls(width, height, strip_px + (height + strip_px) % 2, letters_px, verdict)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the canvas."""
        return self.width + self.width % 2, self.height + self.strip_px

    def canvas(self, image: RGB, words: Sequence[str]) -> RGB:
        """The picture with the words below; an odd width is filled up by repeating the last column."""
        width, height = self.size
        canvas = np.empty((height, width, 3), np.uint8)
        canvas[: self.height, : self.width] = resize(image, self.width, self.height)
        canvas[: self.height, self.width :] = canvas[: self.height, self.width - 1 : self.width]
        lines = tuple(line for text in words for line in drawing.wrapped(text, self.width, self.letters_px))
        colour = on_picture(self.verdict.band)
        canvas[self.height :] = drawing.strip(width, self.strip_px, colour, lines, self.letters_px)
        return canvas


def _drawn(frame: VideoFrame, time_s: float, tracks: Sequence[_Track], layout: _Layout, words: Sequence[str]) -> RGB:
    """The frame on its canvas, with the persons who are on the screen at that time."""
    canvas = layout.canvas(frame.image, words)
    picture = canvas[: layout.height, : layout.width]
    scale = (layout.width / frame.image.shape[1], layout.height / frame.image.shape[0])
    marks = [(track, mark) for track in tracks if (mark := track.at(time_s)) is not None]
    for track, mark in marks:
        if track.heat is not None:
            point, heatmap = track.heat
            box = _scaled(_moved(heatmap.box, point.face.box, mark.box), *scale)
            picture[:] = overlay(picture, heatmap.heat, box, _HEAT_ALPHA)
    for track, mark in reversed(marks):  # the most suspicious last, on top
        now = "not judged now" if mark.prob_fake is None else f"now {score_of(mark.prob_fake)}"
        lines = [_label(track.person), now] if track.person.band is not None else [_label(track.person)]
        colour = on_picture(track.person.band)
        drawing.mark(picture, _scaled(mark.box, *scale), colour, lines, layout.letters_px)
    for track in tracks:
        if all(track is not shown for shown, _ in marks):
            track.heat = None  # gone: what comes back may look elsewhere
    return canvas


def _scaled(box: Box, x: float, y: float) -> Box:
    return box[0] * x, box[1] * y, box[2] * x, box[3] * y


def _moved(box: Box, before: Box, after: Box) -> Box:
    """A box moved and stretched as another one went from `before` to `after`."""
    wide = (after[2] - after[0]) / max(before[2] - before[0], 1e-6)
    high = (after[3] - after[1]) / max(before[3] - before[1], 1e-6)
    return (
        after[0] + (box[0] - before[0]) * wide,
        after[1] + (box[1] - before[1]) * high,
        after[0] + (box[2] - before[0]) * wide,
        after[1] + (box[3] - before[1]) * high,
    )


def _label(judged: FaceVerdict | Person) -> str:
    said = estimate(judged).removesuffix(" of 100")  # a label has little room
    return f"{judged.number}: {band_word(judged.band)}" + (f", {said}" if said else "")


def _strip_text(
    verdict: FileVerdict, time_s: float | None = None, duration_s: float | None = None, whole: bool = True
) -> tuple[str, ...]:
    why = REASONS.get(verdict.reason or "", "") if verdict.band is None else f"{eyebrow(verdict)}."
    lines = ["Unmask: automatic estimate, not proof.", f"{headline(verdict)}. {why}"]
    if time_s is not None:
        at = f"{time_s:.1f} s" + (f" of {duration_s:.1f} s" if duration_s is not None else "")
        lines.append(at if whole else f"{at}; only parts are shown")
    return tuple(lines)


def _comment(verdict: FileVerdict) -> str:
    made_from = f"Made from the file with SHA-256 {verdict.sha256}"
    return f"Unmask {__version__}, automatic estimate, not proof: {headline(verdict)}. {made_from}, {verdict.date}."


def _sound(
    source: Source, spans: Sequence[tuple[float, float]], should_stop: ShouldStop
) -> tuple[Iterator[Sound], Literal["kept", "none", "left out"]]:
    """The spans' sound with the times of the copy, and what became of it."""

    def pieces() -> Iterator[Sound]:
        before_s = 0.0
        for start_s, end_s in spans:
            heard = iter_sound(source, start_s, end_s, should_stop=should_stop, budget_s=_READ_BUDGET_S)
            with closing(heard):
                for piece in heard:
                    yield Sound(piece.time_s - start_s + before_s, piece.samples)
            before_s += end_s - start_s

    sound = pieces()
    try:
        first = next(sound, None)
    except MediaError:
        return iter(()), "left out"
    return (iter(()), "none") if first is None else (itertools.chain([first], sound), "kept")


def _with_ends(
    frames: Generator[VideoFrame, None, None], end_s: float | None, usual_s: float
) -> Iterator[tuple[VideoFrame, float]]:
    """Each frame with the time at which it leaves the screen; the last one stays until the end, where that is known."""
    shown: VideoFrame | None = None
    for frame in frames:
        if shown is not None:
            yield shown, frame.time_s
        shown = frame
    if shown is not None:
        yield shown, shown.time_s + usual_s if end_s is None else max(end_s, shown.time_s)


def _check_size(verdict: FileVerdict, width: int, height: int) -> None:
    if (verdict.width, verdict.height) != (width, height):
        raise MediaError("This is not the file that was analysed. Analyse it again.")


@contextmanager
def _complete_or_gone(out: Path | BinaryIO) -> Iterator[BinaryIO]:
    """A file to write; under `out`'s name only when it is complete, and nowhere if it never is."""
    if not isinstance(out, Path):
        try:
            yield out
        except BaseException:
            out.seek(0)
            out.truncate()
            raise
        return
    part = out.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with part.open("x+b") as file:
            yield file
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
