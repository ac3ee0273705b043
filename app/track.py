"""A verdict as what the picture and the timeline under it are drawn from: plain values, without Streamlit."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from app.charts import Scale, key_times, scale_of, seconds
from app.subjects import Subject, subjects
from app.words import at_point, zone_label
from detector import BANDS, Face, FileVerdict, ImageVerdict, Person, Thresholds, VideoVerdict
from detector.aggregate import AWAY_STEPS

_TICKS = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
_MAX_TICKS = 7
GAPS = {
    "unread": "Not looked at",
    "noface": "No face found",
    "unjudged": "Face too small, blurred or turned away",
}
"""Kinds of time without a score, drawn apart: kind -> what its key says."""


def picture_of(verdict: FileVerdict) -> dict[str, Any]:
    """The values that the browser draws: faces with their boxes at every time, and for a video the timeline.

    Boxes are parts of the picture's width and height, times are seconds, heights on the timeline are parts of one.
    """
    width, height = verdict.width or 16, verdict.height or 9
    picture: dict[str, Any] = {
        "width": width,
        "height": height,
        "video": verdict.kind == "video",
        "people": [],
        "step": 0.0,
        "end": 0.0,
    }
    scale = scale_of(verdict.thresholds) if verdict.thresholds is not None else None
    if isinstance(verdict, ImageVerdict):
        faces = {face.number: face for face in verdict.faces}
        for subject in subjects(verdict):
            face = faces[subject.number]
            point = {"t": None, "p": face.prob_fake, "y": None, "box": _box(face.face, width, height)}
            picture["people"].append({**_about(subject), "points": [point], "film": []})
    if isinstance(verdict, VideoVerdict):
        persons = {person.number: person for person in verdict.persons}
        for subject in subjects(verdict):
            picture["people"].append(
                {**_about(subject), **_points(persons[subject.number], verdict.thresholds, scale, width, height)}
            )
        picture |= _timeline(verdict, scale)
    return picture


def _about(subject: Subject) -> dict[str, Any]:
    return {
        "number": subject.number,
        "name": subject.name,
        "band": subject.band or "none",
        "words": subject.in_words,
        "detail": subject.detail,
        "best": subject.best_time_s,
    }


def _points(
    person: Person, thresholds: Thresholds | None, scale: Scale | None, width: int, height: int
) -> dict[str, Any]:
    points: list[dict[str, Any]] = []
    for point in person.timeline:
        value = point.prob_fake if point.smoothed is None else point.smoothed
        drawn = value is not None and scale is not None and thresholds is not None
        points.append(
            {
                "t": point.time_s,
                "p": value,
                "y": scale.place(value) if drawn else None,  # type: ignore[union-attr, arg-type]
                "words": at_point(value, thresholds) if drawn else "not judged",  # type: ignore[arg-type]
                "box": _box(point.face, width, height),
            }
        )
    film = []
    for time_s in key_times(person):
        x0, y0, x1, y1 = next(p["box"] for p in points if p["t"] == time_s)
        # the part of the frame where the face is stays in the little window
        film.append({"t": time_s, "x": round(50 * (x0 + x1)), "y": round(50 * (y0 + y1))})
    return {"points": points, "film": film}


def _box(face: Face, width: int, height: int) -> list[float]:
    x0, y0, x1, y1 = face.box
    return [max(0.0, x0 / width), max(0.0, y0 / height), min(1.0, x1 / width), min(1.0, y1 / height)]


def _timeline(verdict: VideoVerdict, scale: Scale | None) -> dict[str, Any]:
    times = sorted({point.time_s for person in verdict.persons for point in person.timeline})
    coverage = verdict.coverage
    end = max([coverage.duration_s or 0.0 if coverage else 0.0, *times]) or 1.0
    step = usual_step(times)
    return {
        "end": end,
        "middle": end / 2,
        "step": step or end,
        "away": AWAY_STEPS * step if step else end,
        "bands": _bands(verdict, scale),
        "gaps": gaps(verdict, end),
        "parts": _parts(verdict),
        "ticks": ticks(end),
        "timeline_alt": "Score over time for each person. "
        + " ".join(f"{subject.name}: {subject.in_words}." for subject in subjects(verdict)),
    }


def usual_step(times: Sequence[float]) -> float:
    """The usual time between two frames, in seconds; 0 where there are none."""
    steps = sorted(b - a for a, b in pairwise(times))
    return steps[len(steps) // 2] if steps else 0.0


def _bands(verdict: VideoVerdict, scale: Scale | None) -> list[dict[str, Any]]:
    if scale is None:
        return []
    cap = verdict.band_cap
    strongest = len(BANDS) if cap is None else BANDS.index(cap.band) + 1
    return [
        {
            "name": band,
            "from": low,
            "to": high,
            "label": zone_label(band, scale.probs[i], i < strongest),
            "open": i < strongest,
        }
        for i, (band, (low, high)) in enumerate(zip(BANDS, pairwise(scale.places), strict=True))
    ]


def gaps(verdict: VideoVerdict, end: float) -> list[dict[str, Any]]:
    """Times without any score, each of one kind of `GAPS`, in order."""
    stretches: list[tuple[str, float, float]] = []
    times = sorted({point.time_s for person in verdict.persons for point in person.timeline})
    judged = sorted({p.time_s for person in verdict.persons for p in person.timeline if p.prob_fake is not None})
    step = usual_step(times)
    coverage = verdict.coverage
    share = coverage.share if coverage is not None else 1.0
    unread_s = (1 - share) * end if share < 0.995 else 0.0
    reach = step / 2
    edges = [-step, *times, end + step]
    for before, after in pairwise(edges):
        if step and after - before > AWAY_STEPS * step:
            low, high = max(0.0, before + reach), min(end, after - reach)
            # what was not looked at is known as a sum: the longest stretches are most likely it
            kind = "unread" if unread_s > 0.5 * (high - low) else "noface"
            stretches.append((kind, low, high))
    for time_s in times:
        if time_s in judged:
            continue
        low, high = max(0.0, time_s - reach), min(end, time_s + reach)
        if stretches and stretches[-1][0] == "unjudged" and low - stretches[-1][2] < step / 4:
            stretches[-1] = ("unjudged", stretches[-1][1], high)
        else:
            stretches.append(("unjudged", low, high))
    return [
        {"kind": kind, "label": GAPS[kind], "from": low, "to": high}
        for kind, low, high in sorted(stretches, key=_by_start)
    ]


def _by_start(gap: tuple[str, float, float]) -> float:
    return gap[1]


def _parts(verdict: VideoVerdict) -> list[dict[str, Any]]:
    """Shaded parts of the timeline: where the first person stands out, else that person's most suspicious time."""
    top = next((person for person in verdict.persons if person.band is not None), None)
    if top is None:
        return []
    stands_out = getattr(top, "stands_out", None)
    if stands_out is not None:
        start, stop, said = stands_out.start_s, stands_out.end_s, "stands out"
    elif top.worst_window_s is not None and top.band != BANDS[0]:
        (start, stop), said = top.worst_window_s, "most suspicious"
    else:
        return []
    return [{"from": start, "to": stop, "label": f"{said} {start:.1f} to {seconds(stop)}"}]


def ticks(end: float) -> list[dict[str, Any]]:
    """Labels of the axis of time, its ends among them."""
    step = next((s for s in _TICKS if end / s <= _MAX_TICKS), _TICKS[-1])
    at = [i * step for i in range(int(end / step) + 1) if end - i * step > step / 2]
    return [{"t": t, "label": _clock(t)} for t in [*at, end]]


def _clock(time_s: float) -> str:
    if time_s < 60:
        return f"{time_s:g} s" if time_s % 1 == 0 else seconds(time_s)
    return f"{int(time_s // 60)}:{int(time_s % 60):02d}"
