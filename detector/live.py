"""A live picture followed face by face: the newest frame is analysed beside the stream, older ones are let go.

The stream never waits for the networks: `offer` takes a frame and returns at once, `state` tells what is known by now.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from detector.calibration import FalseAlarmCurve, band_of, sigmoid
from detector.faces.track import Tracker
from detector.pipeline import Detector, Glance
from detector.types import Band, Box

SMOOTHED_S = 2.0
"""Seconds over which the logit of a face is averaged: single frames of a stream flicker."""
MIN_LOOKS = 3
"""Fewer analysed frames of a face give no band yet; on a slow machine they may span more than `SMOOTHED_S`."""
_FORGET_S = 30.0
"""A face that comes back within this time keeps its number, if its look tells that it is the same."""
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
    """A stream as far as it is known.

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
    """One face of the stream: its number, and (time, logit) of the looks that count."""

    number: int
    logits: deque[tuple[float, float]] = field(default_factory=deque)

    def age(self, now_s: float, at_least: int) -> None:
        """Drops looks older than `SMOOTHED_S`, but keeps so many."""
        while len(self.logits) > at_least and now_s - self.logits[0][0] > SMOOTHED_S:
            self.logits.popleft()


class Follower:
    """The faces of one stream, joined over its frames as those of a video are.

    Args:
        curve: what the bands of the detector's scores are cut by.
    """

    def __init__(self, curve: FalseAlarmCurve) -> None:
        self._curve = curve
        self._tracker = Tracker()
        self._followed: list[_Followed] = []
        self._numbers = 0

    def follow(self, image: np.ndarray, glances: Sequence[Glance], now_s: float) -> tuple[LiveFace, ...]:
        """Joins a frame's faces to those followed; returns them as they are known now, left to right.

        Args:
            image: (H, W, 3) uint8 RGB.
            glances: at every face of the image.
            now_s: later than that of the frame before.
        """
        stay = self._tracker.forget(now_s - _FORGET_S)
        self._followed = [self._followed[i] for i in stay]
        places = self._tracker.add(now_s, tuple(g.face for g in glances), image)
        seen = []
        for glance, place in zip(glances, places, strict=True):
            if place == len(self._followed):
                self._numbers += 1
                self._followed.append(_Followed(self._numbers))
            one = self._followed[place]
            if glance.logit is not None:
                one.logits.append((now_s, glance.logit))
            one.age(now_s, MIN_LOOKS)
            seen.append(self._as_known(one, glance, len(glances)))
        for away in (one for i, one in enumerate(self._followed) if i not in places):
            # who comes back has a number, but no evidence from before
            away.age(now_s, 0)
        return tuple(sorted(seen, key=lambda one: one.box[0]))

    def _as_known(self, one: _Followed, glance: Glance, n: int) -> LiveFace:
        box = glance.face.box
        if len(one.logits) < MIN_LOOKS:
            return LiveFace(one.number, box, None, None, glance.reason)
        logit = float(np.mean([value for _, value in one.logits]))
        return LiveFace(one.number, box, band_of(logit, self._curve, n), float(sigmoid(logit)), None)


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
        self._follower = Follower(detector.entry.curve)
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
        """The stream as far as it is known by now."""
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
                faces=self._follower.follow(image, glances, now),
                analysed=self._state.analysed + 1,
                per_second=(len(self._ends) - 1) / (now - self._ends[0]) if len(self._ends) > 1 else 0.0,
                latency_s=float(np.median(self._latencies)),
            )
