"""The live stream: faces followed, bands smoothed, the stream never held up."""

import threading
import time
from fractions import Fraction

import numpy as np
import pytest

from detector.calibration import FalseAlarmCurve
from detector.live import MIN_LOOKS, SMOOTHED_S, LiveAnalyser, LiveState, follow, overlap
from detector.pipeline import Glance
from detector.types import Face

CURVE = FalseAlarmCurve((0.5, 0.1, 0.02, 0.005), (-1.0, 0.5, 1.5, 3.0))
FRAME = np.zeros((8, 8, 3), np.uint8)


def _face(x: float, y: float = 10.0) -> Face:
    return Face((x, y, x + 50, y + 60), (), 0.99)


def _numbers():
    found = iter(range(1, 100))
    return lambda: next(found)


def test_overlap() -> None:
    assert overlap((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert overlap((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(50 / 150)
    assert overlap((0, 0, 10, 10), (20, 0, 30, 10)) == 0


def test_faces_keep_their_numbers_while_they_move_and_get_new_ones_after_a_gap() -> None:
    followed, number = [], _numbers()
    for step in range(6):
        glances = (Glance(_face(10 + 5 * step), None, 0.0), Glance(_face(200 - 5 * step), None, 0.0))
        seen = follow(followed, glances[:: 1 if step % 2 else -1], 0.1 * step, CURVE, number)
        assert [f.box[0] for f in seen] == [10 + 5 * step, 200 - 5 * step]
        # which came first in the first frame does not matter, only that it stays
        assert sorted(f.number for f in seen) == [1, 2]
        if step == 0:
            left = seen[0].number
        assert seen[0].number == left
    # a slow analysis is no gap; frames without the face are
    follow(followed, (Glance(_face(40), None, 0.0),), 5.0, CURVE, number)
    assert follow(followed, (Glance(_face(40), None, 0.0),), 9.0, CURVE, number)[0].number == left
    assert follow(followed, (), 9.5, CURVE, number) == ()
    assert follow(followed, (Glance(_face(40), None, 0.0),), 9.8, CURVE, number)[0].number == left
    follow(followed, (), 10.0, CURVE, number)
    assert follow(followed, (Glance(_face(40), None, 0.0),), 11.0, CURVE, number)[0].number == 3


def test_a_band_needs_looks_and_is_the_mean_of_the_last_seconds() -> None:
    followed, number = [], _numbers()
    states = [follow(followed, (Glance(_face(10), None, 2.0),), 0.1 * i, CURVE, number)[0] for i in range(MIN_LOOKS)]
    assert [s.band for s in states[:-1]] == [None] * (MIN_LOOKS - 1)
    assert states[-1].band == "strong"
    # one wild frame among many does not change a band by much; after SMOOTHED_S the old ones are forgotten
    t = 0.1 * MIN_LOOKS
    calm = follow(followed, (Glance(_face(10), None, -2.0),), t, CURVE, number)[0]
    assert calm.prob_fake == pytest.approx(1 / (1 + np.exp(-(2.0 * MIN_LOOKS - 2.0) / (MIN_LOOKS + 1))))
    for i in range(MIN_LOOKS):
        last = follow(followed, (Glance(_face(10), None, -2.0),), t + SMOOTHED_S + 0.1 * i, CURVE, number)[0]
    assert last.band == "little" and last.prob_fake == pytest.approx(1 / (1 + np.exp(2.0)))


def test_more_faces_need_more_evidence() -> None:
    alone, among = [], []
    numbers = _numbers()
    others = tuple(Glance(_face(100.0 * i), None, -3.0) for i in range(2, 8))
    for i in range(MIN_LOOKS):
        one = follow(alone, (Glance(_face(0), None, 2.0),), 0.1 * i, CURVE, numbers)[0]
        many = follow(among, (Glance(_face(0), None, 2.0), *others), 0.1 * i, CURVE, numbers)[0]
    assert (one.band, many.band) == ("strong", "weak")


def test_a_face_without_a_verdict_says_why() -> None:
    followed, number = [], _numbers()
    seen = follow(followed, (Glance(_face(10), "face_too_small", None),), 0.0, CURVE, number)
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
