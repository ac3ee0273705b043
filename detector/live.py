"""A live picture followed face by face: the newest frame is analysed beside the stream, older ones are let go.

The stream never waits for the networks: `offer` takes a frame and returns at once, `state` tells what is known by now.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from detector.calibration import FalseAlarmCurve, band_of, sigmoid
from detector.pipeline import Detector, Glance
from detector.types import Band, Box

SMOOTHED_S = 2.0
"""Seconds over which the logit of a face is averaged: single frames of a stream flicker."""
MIN_LOOKS = 3
"""Fewer analysed frames of a face give no band yet; on a slow machine they may span more than `SMOOTHED_S`."""
_FORGET_S = 1.0
"""A face that was looked for and not found for so long is gone; the next one there is a new face."""
_MIN_IOU = 0.15
_PACE = 20
"""Analyses that the pace is measured over."""


@dataclass(frozen=True, slots=True)
class LiveFace:
    """One face as it is known now.

    Attributes:
        number: stays with the face while it is followed.
        box: (x0, y0, x1, y1) pixels of the offered frames.
        band, prob_fake: smoothed; None while there is too little to say.
        reason: why there is no band: a key of `detector.REASONS`, or None while looks are being gathered.
    """

    number: int
    box: Box
    band: Band | None
    prob_fake: float | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class LiveState:
    """What is known of the stream.

    Attributes:
        faces: of the last analysed frame, left to right.
        analysed: frames analysed so far.
        per_second: analyses a second of late.
        latency_s: seconds from the offer of a frame to its result, median of late; None before the first.
        failed: the analysis stopped with an error; the stream goes on without it.
    """

    faces: tuple[LiveFace, ...] = ()
    analysed: int = 0
    per_second: float = 0.0
    latency_s: float | None = None
    failed: bool = False


@dataclass(slots=True)
class _Followed:
    number: int
    box: Box
    seen_s: float
    found: bool = True
    """Whether the last analysed frame showed it."""
    reason: str | None = None
    logits: deque[tuple[float, float]] = field(default_factory=deque)


class LiveAnalyser:
    """Follows the faces of one stream in a thread of its own.

    Args:
        detector: judges the faces.
        on_error: told what went wrong, once; the analysis has ended then.
        clock: seconds that only rise.
    """

    def __init__(
        self,
        detector: Detector,
        on_error: Callable[[Exception], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._detector, self._on_error, self._clock = detector, on_error, clock
        self._change = threading.Condition()
        self._next: tuple[float, np.ndarray] | None = None
        self._closed = False
        self._state = LiveState()
        self._followed: list[_Followed] = []
        self._numbers = 0
        self._ends: deque[float] = deque(maxlen=_PACE)
        self._latencies: deque[float] = deque(maxlen=_PACE)
        self._thread = threading.Thread(target=self._work, name="unmask-live", daemon=True)
        self._thread.start()

    def offer(self, image: np.ndarray) -> None:
        """Takes the newest frame, (H, W, 3) uint8 RGB; one that still waits is dropped."""
        with self._change:
            self._next = (self._clock(), image)
            self._change.notify()

    def state(self) -> LiveState:
        """What is known by now."""
        return self._state

    def close(self, timeout_s: float = 5.0) -> None:
        """Ends the thread, after the frame it works on."""
        with self._change:
            self._closed, self._next = True, None
            self._change.notify()
        self._thread.join(timeout_s)

    def _work(self) -> None:
        while True:
            with self._change:
                while self._next is None and not self._closed:
                    self._change.wait()
                if self._closed or self._next is None:
                    return
                offered_s, image = self._next
                self._next = None
            try:
                glances = self._detector.glance(image)
            except Exception as error:
                self._state = LiveState(analysed=self._state.analysed, failed=True)
                if self._on_error:
                    self._on_error(error)
                return
            now = self._clock()
            self._ends.append(now)
            self._latencies.append(now - offered_s)
            self._state = LiveState(
                faces=follow(self._followed, glances, now, self._detector.entry.curve, self._new_number),
                analysed=self._state.analysed + 1,
                per_second=(len(self._ends) - 1) / (now - self._ends[0]) if len(self._ends) > 1 else 0.0,
                latency_s=float(np.median(self._latencies)),
            )

    def _new_number(self) -> int:
        self._numbers += 1
        return self._numbers


def follow(
    followed: list[_Followed],
    glances: tuple[Glance, ...],
    now_s: float,
    curve: FalseAlarmCurve,
    new_number: Callable[[], int],
) -> tuple[LiveFace, ...]:
    """Joins a frame's faces to those followed (changed in place) by overlap; returns them as they are known now."""
    followed[:] = [f for f in followed if f.found or now_s - f.seen_s <= _FORGET_S]
    pairs = sorted(
        ((overlap(f.box, g.face.box), i, j) for i, f in enumerate(followed) for j, g in enumerate(glances)),
        reverse=True,
    )
    matched: dict[int, _Followed] = {}
    for iou, i, j in pairs:
        if iou >= _MIN_IOU and j not in matched and followed[i] not in matched.values():
            matched[j] = followed[i]
    for one in followed:
        one.found = False
    seen = []
    for j, glance in enumerate(glances):
        if j not in matched:
            matched[j] = _Followed(new_number(), glance.face.box, now_s)
            followed.append(matched[j])
        one = matched[j]
        one.box, one.seen_s, one.found, one.reason = glance.face.box, now_s, True, glance.reason
        if glance.logit is not None:
            one.logits.append((now_s, glance.logit))
        while len(one.logits) > MIN_LOOKS and now_s - one.logits[0][0] > SMOOTHED_S:
            one.logits.popleft()
        seen.append(one)
    return tuple(_as_known(one, curve, len(seen)) for one in sorted(seen, key=lambda one: one.box[0]))


def _as_known(one: _Followed, curve: FalseAlarmCurve, n: int) -> LiveFace:
    if len(one.logits) < MIN_LOOKS:
        return LiveFace(one.number, one.box, None, None, one.reason)
    logit = float(np.mean([value for _, value in one.logits]))
    return LiveFace(one.number, one.box, band_of(logit, curve, n), float(sigmoid(logit)), None)


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return width * height / (areas - width * height)
