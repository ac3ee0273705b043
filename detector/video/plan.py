"""Which times of a video to look at, before it is opened, and how much of it that covers. Pure."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_WINDOW_S = 2.0
_SPACING_S = 5.0  # windows closer than this would mostly fall between the same two keyframes
_FRAMES_A_WINDOW = 4  # enough to follow a person through a window
NEARLY_ALL = 0.9  # with faces in so much of the time, frames that are spread over all of it meet them


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time to look at, and the times in it whose frames are wanted."""

    start_s: float
    end_s: float
    times_s: tuple[float, ...]


def sample_times(duration_s: float, n_frames: int, start_s: float = 0.0) -> tuple[float, ...]:
    """`n_frames` times in seconds, evenly spread: the middles of equal parts of [start_s, start_s + duration_s]."""
    step = duration_s / max(n_frames, 1)
    return tuple(start_s + (i + 0.5) * step for i in range(n_frames))


def plan_windows(
    duration_s: float,
    *,
    max_frames: int = 32,
    window_limit_s: float = 60.0,
    window_s: float = _WINDOW_S,
    start_s: float = 0.0,
) -> tuple[Window, ...]:
    """Where to look in `duration_s` seconds of a video that begin at `start_s`, before it is opened.

    Up to `window_limit_s` it is one window over everything with `max_frames` times. A longer video gets windows of
    `window_s` seconds, at most `max_frames / 4` and at least 5 s apart, each in the middle of an equal part of the
    video and with an equal share of the frames. Windows and times are in order, and windows do not overlap.
    """
    n_windows = min(max(max_frames // _FRAMES_A_WINDOW, 1), int(duration_s // _SPACING_S))
    if duration_s <= window_limit_s or n_windows < 2:
        return (Window(start_s, start_s + duration_s, sample_times(duration_s, max_frames, start_s)),)
    part_s = duration_s / n_windows
    length_s = min(window_s, part_s)
    starts = [start_s + (i + 0.5) * part_s - length_s / 2 for i in range(n_windows)]
    shares = [max_frames // n_windows + (i < max_frames % n_windows) for i in range(n_windows)]
    return tuple(
        Window(start, start + length_s, sample_times(length_s, share, start))
        for start, share in zip(starts, shares, strict=True)
    )


def covered_s(
    times_s: Iterable[float], duration_s: float | None = None, reach_s: float = 0.5, start_s: float = 0.0
) -> float:
    """How many seconds of a video a set of frames stands for: the time within `reach_s` of any of them, counted once.

    Half a second is about how long a face keeps its pose and expression. It takes the times of the frames that were
    really given, so it stays true when a damaged or slow file ended early.
    """
    end_s = math.inf if duration_s is None else duration_s
    total, seen_until = 0.0, start_s
    for time_s in sorted(times_s):
        low, high = max(time_s - reach_s, seen_until), min(time_s + reach_s, end_s)
        if high > low:
            total += high - low
            seen_until = high
    return total


def plan_where_seen(
    scouted: Sequence[tuple[float, bool]],
    start_s: float,
    end_s: float,
    *,
    max_frames: int = 32,
    window_limit_s: float = 60.0,
) -> tuple[Window, ...] | None:
    """Where to look once a quick pass has shown where faces are: `plan_windows` of those times, put one after another.

    Args:
        scouted: times of pictures that were looked at, in order, and whether there was a face; each stands for the time
            until the next one, the first for the time before it, too.
        start_s, end_s: of what shall be looked at.
        max_frames, window_limit_s: as for `plan_windows`.

    Returns:
        None where there were faces nowhere or nearly everywhere: then nothing is known that makes one place better than
        another.
    """
    ends = [*(time_s for time_s, _ in scouted[1:]), end_s]
    spans: list[tuple[float, float]] = []
    for i, ((time_s, seen), until_s) in enumerate(zip(scouted, ends, strict=True)):
        since_s = time_s if i else start_s
        if not seen or until_s <= since_s:
            continue
        if spans and spans[-1][1] == since_s:
            since_s = spans.pop()[0]
        spans.append((since_s, until_s))
    seen_s = sum(b - a for a, b in spans)
    if not 0 < seen_s < NEARLY_ALL * (end_s - start_s):
        return None
    windows = []
    for window in plan_windows(seen_s, max_frames=max_frames, window_limit_s=window_limit_s):
        before_s = 0.0
        for a, b in spans:
            first, last = max(window.start_s, before_s), min(window.end_s, before_s + b - a)
            times = tuple(a + t - before_s for t in window.times_s if first <= t < last or t == last == seen_s)
            if times:
                windows.append(Window(a + first - before_s, a + last - before_s, times))
            before_s += b - a
    return tuple(windows)
