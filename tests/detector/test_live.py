"""The live stream: faces followed, bands smoothed, the stream never held up."""

import threading
import time
from fractions import Fraction

import cv2
import numpy as np
import pytest

from detector.calibration import FalseAlarmCurve
from detector.live import MIN_LOOKS, SMOOTHED_S, Follower, LiveAnalyser, LiveFace, LiveState
from detector.pipeline import Glance
from detector.types import Face

CURVE = FalseAlarmCurve((0.5, 0.1, 0.02, 0.005), (-1.0, 0.5, 1.5, 3.0))
FRAME = np.zeros((80, 120, 3), np.uint8)


def _look(person: int) -> np.ndarray:
    """A hue and a pattern of his own."""
    pattern = cv2.resize(np.random.default_rng(person).integers(60, 256, (6, 5)).astype(np.uint8), (50, 60))
    hue = np.full_like(pattern, 22 * person)
    return cv2.cvtColor(np.stack([hue, np.full_like(hue, 200), pattern], axis=-1), cv2.COLOR_HSV2RGB)


def _face(x: float, y: float = 10.0) -> Face:
    return Face((x, y, x + 50, y + 60), (), 0.99)


def _frame(*faces: tuple[int, float]) -> np.ndarray:
    """A picture with each (person, x): every person has colours and a pattern of his own."""
    image = np.full((80, 600, 3), 90, np.uint8)
    for person, x in faces:
        image[10:70, int(x) : int(x) + 50] = _look(person)
    return image


def _seen(follower: Follower, now_s: float, *faces: tuple[int, float], logit: float | None = 0.0) -> list[LiveFace]:
    """What is known after a frame with each (person, x)."""
    glances = tuple(Glance(_face(x), None if logit is not None else "face_too_small", logit) for _, x in faces)
    return list(follower.follow(_frame(*faces), glances, now_s))


def test_faces_keep_their_numbers_while_they_move() -> None:
    follower = Follower(CURVE)
    for step in range(6):
        faces = ((0, 10 + 5 * step), (1, 200 - 5 * step))
        # which comes first in a frame does not matter
        seen = _seen(follower, 0.1 * step, *faces[:: 1 if step % 2 else -1])
        assert [f.box[0] for f in seen] == [10 + 5 * step, 200 - 5 * step]
        assert [f.number for f in seen] == [2, 1]


@pytest.mark.parametrize("pace_s", [0.1, 0.9, 4.0])
def test_a_face_that_was_not_found_for_a_moment_is_the_same_at_every_pace(pace_s: float) -> None:
    follower = Follower(CURVE)
    for step in range(4):
        assert [f.number for f in _seen(follower, pace_s * step, (0, 40 + 10 * step))] == [1]
    for step in range(4, 6):
        assert _seen(follower, pace_s * step) == []
    assert [f.number for f in _seen(follower, pace_s * 6, (0, 300))] == [1]
    # someone else in the same place, some seconds later, is not
    assert [f.number for f in _seen(follower, pace_s * 6 + 4, (5, 300))] == [2]


def test_who_was_away_for_long_is_forgotten() -> None:
    follower = Follower(CURVE)
    _seen(follower, 0.0, (0, 40), (1, 200))
    for second in range(1, 40):
        assert [f.number for f in _seen(follower, float(second), (1, 200))] == [2]
    assert [f.number for f in _seen(follower, 40.0, (0, 40), (1, 200))] == [3, 2]


def test_a_band_needs_looks_and_is_the_mean_of_the_last_seconds() -> None:
    follower = Follower(CURVE)
    states = [_seen(follower, 0.1 * i, (0, 10), logit=2.0)[0] for i in range(MIN_LOOKS)]
    assert [s.band for s in states[:-1]] == [None] * (MIN_LOOKS - 1)
    assert states[-1].band == "strong"
    # one wild frame among many does not change a band by much; after SMOOTHED_S the old ones are forgotten
    t = 0.1 * MIN_LOOKS
    calm = _seen(follower, t, (0, 10), logit=-2.0)[0]
    assert calm.prob_fake == pytest.approx(1 / (1 + np.exp(-(2.0 * MIN_LOOKS - 2.0) / (MIN_LOOKS + 1))))
    for i in range(MIN_LOOKS):
        last = _seen(follower, t + SMOOTHED_S + 0.1 * i, (0, 10), logit=-2.0)[0]
    assert last.band == "little" and last.prob_fake == pytest.approx(1 / (1 + np.exp(2.0)))


@pytest.mark.parametrize(("away_s", "kept"), [(SMOOTHED_S - 0.5, True), (SMOOTHED_S + 3, False)])
def test_who_was_away_comes_back_without_old_evidence(away_s: float, kept: bool) -> None:
    follower = Follower(CURVE)
    for i in range(MIN_LOOKS):
        before = _seen(follower, 0.1 * i, (0, 10), logit=2.0)[0]
    assert before.band == "strong"
    _seen(follower, 0.1 * MIN_LOOKS + away_s)
    after = _seen(follower, 0.1 * MIN_LOOKS + away_s + 0.1, (0, 10), logit=2.0)[0]
    assert after.number == before.number and (after.band is not None) == kept


def test_more_faces_need_more_evidence() -> None:
    alone, among = Follower(CURVE), Follower(CURVE)
    others = tuple((i, 70.0 * i) for i in range(1, 7))
    for i in range(MIN_LOOKS):
        one = _seen(alone, 0.1 * i, (0, 0), logit=2.0)[0]
        many = _seen(among, 0.1 * i, (0, 0), *others, logit=2.0)[0]
    assert (one.band, many.band) == ("strong", "weak")


def test_a_face_without_a_verdict_says_why() -> None:
    seen = _seen(Follower(CURVE), 0.0, (0, 10), logit=None)
    assert seen[0].band is None and seen[0].reason == "face_too_small"


class _Entry:
    curve = CURVE


class _Slow:
    """A detector that takes its time and remembers what it was shown."""

    entry = _Entry()

    def __init__(self, fail: bool = False) -> None:
        self.go, self.shown, self.fail = threading.Event(), [], fail

    def glance(self, image: np.ndarray) -> tuple[Glance, ...]:
        self.shown.append(int(image[0, 0, 0]))
        self.go.wait(10)
        if self.fail:
            raise ValueError("broken")
        return (Glance(_face(10), None, 2.0),)


def _until(analyser: LiveAnalyser, done) -> LiveState:
    end = time.monotonic() + 20
    while not done(analyser.state()):
        assert time.monotonic() < end, analyser.state()
        time.sleep(0.01)
    return analyser.state()


def test_the_stream_is_never_held_up_and_only_the_newest_frame_waits() -> None:
    detector = _Slow()
    analyser = LiveAnalyser(detector)
    try:
        analyser.offer(FRAME + np.uint8(1))
        while not detector.shown:
            time.sleep(0.01)
        started = time.monotonic()
        for i in range(2, 30):
            analyser.offer(FRAME + np.uint8(i))
        assert time.monotonic() - started < 1  # the detector stands still all the while
        detector.go.set()
        state = _until(analyser, lambda s: s.analysed == 2)
        assert detector.shown == [1, 29]
        assert state.latency_s is not None and state.latency_s > 0 and state.per_second > 0
        assert [f.number for f in state.faces] == [1]
    finally:
        detector.go.set()
        analyser.close()
    assert not analyser._thread.is_alive()


def test_an_error_ends_the_analysis_and_is_told_once() -> None:
    detector = _Slow(fail=True)
    detector.go.set()
    told: list[Exception] = []
    analyser = LiveAnalyser(detector, on_error=told.append)
    analyser.offer(FRAME)
    assert _until(analyser, lambda s: s.failed).faces == ()
    analyser.offer(FRAME)
    analyser.close()
    assert [str(e) for e in told] == ["broken"]


def test_the_camera_draws_what_is_known_and_gives_its_place_back() -> None:
    import av

    from app import camera

    class Known(_Slow):
        def glance(self, image: np.ndarray) -> tuple[Glance, ...]:
            return (Glance(Face((100, 100, 200, 220), (), 0.99), None, 2.0),)

    places = threading.BoundedSemaphore(1)
    stream = camera.Camera(Known(), places)
    assert camera.Camera(Known(), places).turned_away
    given = av.VideoFrame.from_ndarray(np.full((480, 640, 3), 90, np.uint8), format="rgb24")
    given.pts, given.time_base = 7, Fraction(1, 90_000)
    end = time.monotonic() + 20
    while stream.state().analysed < MIN_LOOKS:
        assert time.monotonic() < end
        stream.recv(given)
        time.sleep(0.01)
    out = stream.recv(given)
    assert out.pts == 7
    image = out.to_ndarray(format="rgb24")
    changed = (image != 90).any(axis=2)
    assert changed[150, 100] and changed[150, 200] and changed[220, 150]  # the box
    assert changed[80:100, 100:180].any() and not changed[110:210, 110:190].any()  # its words above, the face free
    assert stream.frames_per_second > 0
    stream.on_ended()
    stream.on_ended()
    assert places.acquire(blocking=False)
