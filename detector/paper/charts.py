"""Figures of a report as SVG without a letter in it: what they show stands beside them, in words."""

from collections.abc import Sequence
from itertools import pairwise

from detector.palette import AREAS
from detector.types import BANDS, Person, ProbRange, Thresholds

_AREAS = AREAS["light"]
_INK, _PALE = "#1d2433", "#d8dce6"


def scale(prob: float, spread: ProbRange | None, thresholds: Thresholds) -> bytes:
    """The four bands from 0 to 1 as one bar, the probability as a line, its spread as a frame."""
    edges = (0.0, thresholds.weak, thresholds.strong, thresholds.very_strong, 1.0)
    zones = [
        _rect(600 * low, 14, max(600 * (high - low) - 2, 0.5), 16, _AREAS[band])
        for band, (low, high) in zip(BANDS, pairwise(edges), strict=True)
    ]
    marks = []
    if spread is not None:
        width = max(600 * (spread.high - spread.low), 2)
        marks.append(
            f'<rect x="{600 * spread.low:.1f}" y="8" width="{width:.1f}" height="28" fill="none" stroke="{_INK}"/>'
        )
    marks.append(_rect(600 * prob - 1.5, 2, 3, 40, _INK))
    return _svg(600, 44, [*zones, *marks])


def timeline(person: Person, duration_s: float, thresholds: Thresholds) -> bytes:
    """Every analysed frame of a person over time: dots, their smoothed course, the most suspicious part shaded."""
    width, height = 600, 120
    step = width / max(duration_s, 1e-3)
    parts = [_rect(0, 0, width, height, "#f4f5f8")]
    if person.worst_window_s:
        start, end = person.worst_window_s
        parts.append(_rect(step * start, 0, max(step * (end - start), 2), height, "#f0d9c4"))
    for band, edge in zip(BANDS[1:], (thresholds.weak, thresholds.strong, thresholds.very_strong), strict=True):
        parts.append(_rect(0, height * (1 - edge) - 0.5, width, 1, _AREAS[band]))
    course = [(step * p.time_s, height * (1 - p.smoothed)) for p in person.timeline if p.smoothed is not None]
    if len(course) > 1:
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in course)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{_INK}" stroke-width="1.5"/>')
    for point in person.timeline:
        x = step * point.time_s
        if point.prob_fake is None:
            parts.append(_rect(x - 1, height - 6, 2, 6, _PALE))
        else:
            parts.append(f'<circle cx="{x:.1f}" cy="{height * (1 - point.prob_fake):.1f}" r="2.5" fill="{_INK}"/>')
    return _svg(width, height, parts)


def _rect(x: float, y: float, width: float, height: float, fill: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}"/>'


def _svg(width: int, height: int, parts: Sequence[str]) -> bytes:
    inner = "".join(parts)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    return f"{head}{inner}</svg>".encode("ascii")
