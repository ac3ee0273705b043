"""Verdicts for tests: what a test does not name is invented."""

from collections.abc import Sequence
from typing import Any

from detector import Face, Person, Thresholds, TimelinePoint
from detector.types import Band, Kind

EDGES = Thresholds(weak=0.5, strong=0.7, very_strong=0.9)


def about(kind: Kind, band: Band | None, **changes: Any) -> dict[str, Any]:
    """The fields that a verdict of any kind has."""
    return {
        "file": "x",
        "sha256": "0" * 64,
        "kind": kind,
        "status": "ok" if band else "no_verdict",
        "reason": None,
        "message": None,
        "band": band,
        "prob_fake": 0.81 if band else None,
        "range": None,
        "width": 640,
        "height": 360,
        "coverage": None,
        "ensemble": "average",
        "models": (),
        "thresholds": EDGES,
        "version": "1.0",
        "weights_date": "2026-12-02",
        "date": "2026-12-03T10:00:00Z",
        **changes,
    }


def person(
    points: Sequence[tuple[float, Face, float | None]], number: int = 1, band: Band | None = "strong", **changes: Any
) -> Person:
    """A person with these times, faces and probabilities, smoothed as they are."""
    values: dict[str, Any] = {
        "number": number,
        "status": "ok" if band else "no_verdict",
        "reason": None if band else "too_few_frames",
        "band": band,
        "prob_fake": 0.81 if band else None,
        "range": None,
        "scores": (),
        "on_screen_s": float(len(points)),
        "usable_frames": sum(p is not None for _, _, p in points),
        "worst_window_s": None,
        "worst_time_s": None,
        "timeline": tuple(TimelinePoint(time_s, face, p, p) for time_s, face, p in points),
    }
    return Person(**{**values, **changes})
