"""How a file is looked at when that is not as usual."""

from dataclasses import dataclass
from typing import Any

FRAMES = (32, 64, 128, 256)
"""How many frames of a video can be looked at; the first is the usual."""
_LEAST_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Look:
    """A part of a video, more of its frames, or a part of the picture.

    Attributes:
        start_s, end_s: of a video, in seconds; None = from its begin, to its end.
        max_frames: of a video; None = as usual.
        region: (x0, y0, x1, y1) as shares of the picture's width and height; None = all of it.
    """

    start_s: float | None = None
    end_s: float | None = None
    max_frames: int | None = None
    region: tuple[float, float, float, float] | None = None

    def options(self) -> dict[str, Any]:
        """Arguments for `Detector.file`, those that are not as usual."""
        given = {
            "start_s": self.start_s,
            "end_s": self.end_s,
            "max_frames": self.max_frames,
            "region": self.region,
        }
        return {name: value for name, value in given.items() if value is not None}

    @property
    def in_words(self) -> list[str]:
        """The unusual choices, in a few words each: "2.0 to 4.0 s", "64 frames", "a part of the picture"."""
        words = []
        if self.start_s is not None or self.end_s is not None:
            start = f"{self.start_s or 0.0:.1f}"
            words.append(f"from {start} s on" if self.end_s is None else f"{start} to {self.end_s:.1f} s")
        if self.max_frames is not None and self.max_frames != FRAMES[0]:
            words.append(f"{self.max_frames} frames")
        if self.region is not None:
            words.append("a part of the picture")
        return words


def look_of(asked: object, end_s: float | None) -> Look | None:
    """The look that a browser asks for; None where that is no look, or the usual one.

    Args:
        asked: {"region": [x0, y0, x1, y1] or None, "start": seconds, "end": seconds, "frames": number}; of a photo the
            region alone.
        end_s: how long the video is; None for a photo.
    """
    if not isinstance(asked, dict):
        return None
    region = _region(asked.get("region"))
    if end_s is None:
        return Look(region=region) if region is not None else None
    start, end, frames = _number(asked.get("start")), _number(asked.get("end")), asked.get("frames")
    if start is None or end is None or not 0 <= start < end:
        return None
    whole = start <= 0 and end >= end_s - 0.05
    look = Look(
        start_s=None if whole else start,
        end_s=None if whole else min(end, end_s),
        max_frames=frames if frames in FRAMES[1:] else None,
        region=region,
    )
    return None if look == Look() else look


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _region(value: object) -> tuple[float, float, float, float] | None:
    if not isinstance(value, list) or len(value) != 4:
        return None
    edges = [_number(v) for v in value]
    if any(v is None for v in edges):
        return None
    x0, y0, x1, y1 = (min(max(v or 0.0, 0.0), 1.0) for v in edges)
    if x1 - x0 < _LEAST_SHARE or y1 - y0 < _LEAST_SHARE or (x0, y0, x1, y1) == (0.0, 0.0, 1.0, 1.0):
        return None
    return (x0, y0, x1, y1)
