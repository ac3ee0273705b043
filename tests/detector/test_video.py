"""detector.video on clips that the tests make with PyAV: times, rotation, windows, limits, and what is no video."""

import io
import itertools
import time
from collections.abc import Callable
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from detector.errors import MediaError
from detector.video import (
    Window,
    covered_s,
    iter_frames,
    plan_windows,
    probe,
    read_frame,
    sample_times,
)
from detector.video.container import Decoder

QUARTER_TURN = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)  # the matrix of a telephone held upright: clockwise
MIRROR = (-65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)


def make_clip(
    n_frames: int = 30,
    *,
    size: tuple[int, int] = (96, 64),
    fps: Fraction = Fraction(30),
    container: str = "mp4",
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    times_ms: list[int] | None = None,
    matrix: tuple[int, ...] | None = None,
    aspect: Fraction | None = None,
    gop: int = 12,
    b_frames: int = 2,
) -> bytes:
    """A clip whose frame i has brightness `level(i)` everywhere but in its white top left quarter."""
    width, height = size
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container, options=container_options or {}) as out:
        stream = out.add_stream(codec, rate=fps, options=options or {"preset": "ultrafast", "crf": "12"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.gop_size, stream.max_b_frames = gop, b_frames
        if matrix:
            stream.set_display_matrix(matrix)
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if times_ms:
            stream.codec_context.time_base = Fraction(1, 1000)
        out.start_encoding()
        for i in range(n_frames):
            pixels = np.full((height, width, 3), level(i), np.uint8)
            pixels[: height // 2, : width // 2] = 255
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if times_ms:
                frame.pts, frame.time_base = times_ms[i], Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return buffer.getvalue()


def make_sound(container: str = "mp4", codec: str = "aac") -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        stream = out.add_stream(codec, rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return buffer.getvalue()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0


def level(i: int) -> int:
    return 20 + i % 20 * 10


def level_of(image: np.ndarray) -> int:
    """Brightness of a frame's bottom right corner, to the nearest that `level` gives."""
    return 10 * round(float(image[-8:, -8:].mean()) / 10)


@pytest.mark.parametrize(("n", "expected"), [(0, ()), (1, (5.0,)), (2, (2.5, 7.5)), (4, (1.25, 3.75, 6.25, 8.75))])
def test_sample_times_are_middles_of_equal_parts(n: int, expected: tuple[float, ...]) -> None:
    assert sample_times(10.0, n) == pytest.approx(expected)


def test_a_short_video_is_one_window() -> None:
    assert plan_windows(10.0, max_frames=2) == (Window(0.0, 10.0, (2.5, 7.5)),)


@pytest.mark.parametrize("duration_s", [60.1, 100.0, 3600.0, 36_000.0])
@pytest.mark.parametrize("max_frames", [8, 32, 50])
def test_windows_of_a_long_video_are_in_order_apart_and_evenly_spread(duration_s: float, max_frames: int) -> None:
    windows = plan_windows(duration_s, max_frames=max_frames)
    assert 2 <= len(windows) <= max_frames // 4
    assert sum(len(w.times_s) for w in windows) == max_frames
    assert all(w.start_s < t < w.end_s for w in windows for t in w.times_s)
    starts = np.array([w.start_s for w in windows])
    assert np.diff(starts).min() >= 5.0 - 1e-9 and np.ptp(np.diff(starts)) < 1e-6
    assert starts[0] >= 0 and windows[-1].end_s <= duration_s
    assert starts[0] == pytest.approx(duration_s - windows[-1].end_s)


@pytest.mark.parametrize(
    ("times", "duration", "expected"),
    [
        ((), 10.0, 0.0),
        ((5.0,), 10.0, 1.0),
        ((0.0,), 10.0, 0.5),
        ((10.0,), 10.0, 0.5),
        ((2.0, 2.25, 2.5), 10.0, 1.5),
        (sample_times(10.0, 32), 10.0, 10.0),
        (sample_times(100.0, 32), 100.0, 32.0),
        ((3.0, 1.0), None, 2.0),
    ],
)
def test_covered_seconds_count_each_moment_once(
    times: tuple[float, ...], duration: float | None, expected: float
) -> None:
    assert covered_s(times, duration) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("container", "codec", "options"),
    [
        ("mp4", "libx264", None),
        ("mov", "libx264", None),
        ("matroska", "libx264", None),
        ("mpegts", "libx264", None),
        ("flv", "libx264", None),
        ("h264", "libx264", None),
        ("webm", "libvpx", {"deadline": "realtime"}),
        ("avi", "mpeg4", {"qscale": "2"}),
        ("asf", "wmv2", {"qscale": "2"}),
    ],
)
def test_every_container_gives_its_frames_in_order(container: str, codec: str, options: dict[str, str] | None) -> None:
    clip = make_clip(container=container, codec=codec, options=options, b_frames=0 if container != "mp4" else 2)
    info = probe(clip)
    assert (info.width, info.height, info.rotation) == (96, 64, 0)
    assert info.duration_s == pytest.approx(1.0, abs=0.3)
    frames = list(iter_frames(clip, max_frames=200))
    assert len(frames) == 30
    assert [level_of(f.image) for f in frames] == [level(i) for i in range(30)]
    assert all(b.time_s > a.time_s for a, b in itertools.pairwise(frames))


def test_b_frames_and_an_uneven_rate_keep_their_times() -> None:
    info = probe(make_clip(fps=Fraction(30000, 1001)))
    assert info.fps == pytest.approx(29.97, abs=0.001)
    frames = list(iter_frames(make_clip(fps=Fraction(30000, 1001)), max_frames=100))
    assert [f.time_s for f in frames] == pytest.approx([i * 1001 / 30000 for i in range(30)], abs=1e-4)


def test_avi_with_b_frames_has_no_presentation_times_and_is_read_in_order() -> None:
    frames = list(iter_frames(make_clip(container="avi", b_frames=2), max_frames=200))
    assert len(frames) >= 28
    assert [level_of(f.image) for f in frames] == [level(i) for i in range(len(frames))]


def test_a_variable_rate_keeps_its_times() -> None:
    times = [0, 100, 150, 900, 1000, 2500, 2600, 2650]
    clip = make_clip(len(times), times_ms=times, container="matroska", b_frames=0)
    frames = list(iter_frames(clip, max_frames=500))
    assert [f.time_s for f in frames] == pytest.approx([t / 1000 for t in times], abs=2e-3)
    assert level_of(read_frame(clip, 2.0)) == level(4)  # frame 4 stays on the screen from 1.0 to 2.5


def test_frames_are_spread_and_none_comes_twice() -> None:
    frames = list(iter_frames(make_clip(30, gop=30), max_frames=5))
    assert [f.time_s for f in frames] == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9], abs=0.034)
    # where a keyframe follows, the last frame before it may lie beside its place by two fifths of the spacing
    frames = list(iter_frames(make_clip(60, gop=30), max_frames=6))
    assert [f.time_s for f in frames] == pytest.approx([0.16, 0.5, 0.7, 1.16, 1.5, 1.83], abs=0.034)
    assert len(list(iter_frames(make_clip(3), max_frames=32))) == 3


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts"])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_what_no_wanted_frame_needs_is_not_decoded(
    monkeypatch: pytest.MonkeyPatch, container: str, b_frames: int
) -> None:
    clip = make_clip(300, gop=60, b_frames=b_frames, container=container)
    decoded = []
    feed = Decoder.feed

    def counted(self: Any, packet: Any, skip: str = "DEFAULT") -> Any:
        if packet is not None:
            decoded.append(skip)
        return feed(self, packet, skip)

    info = probe(clip)
    monkeypatch.setattr(Decoder, "feed", counted)
    frames = list(iter_frames(clip, max_frames=16, info=info))
    assert len(frames) == decoded.count("DEFAULT") == 16
    assert len(decoded) < 0.72 * 300
    gaps = np.diff([f.time_s for f in frames])
    assert gaps.min() > 0.2 and gaps.max() < 1.0  # no second is left out
    assert [level_of(f.image) for f in frames] == [level(round(f.time_s * 30)) for f in frames]


def test_groups_whose_frames_mix_are_decoded_together() -> None:
    """An open group: frames before its keyframe, in order of time, that need the group before."""
    options = {"preset": "ultrafast", "crf": "12", "x264-params": "open-gop=1:scenecut=0:b-adapt=0"}
    clip = make_clip(240, gop=30, b_frames=3, options=options, container="matroska")
    frames = list(iter_frames(clip, max_frames=40))
    assert len(frames) == 40
    assert [level_of(f.image) for f in frames] == [level(round(f.time_s * 30)) for f in frames]


def test_one_frame() -> None:
    clip = make_clip(1)
    frames = list(iter_frames(clip))
    assert [f.time_s for f in frames] == [0.0]
    assert read_frame(clip, 7.0).shape == (64, 96, 3)


@pytest.mark.parametrize(
    ("matrix", "rotation", "shape", "white_corner"),
    [
        (None, 0, (64, 96, 3), (0, 0)),
        (QUARTER_TURN, 90, (96, 64, 3), (0, -1)),
        (tuple(-v if i < 6 else v for i, v in enumerate(QUARTER_TURN)), 270, (96, 64, 3), (-1, 0)),
        ((-65536, 0, 0, 0, -65536, 0, 0, 0, 1 << 30), 180, (64, 96, 3), (-1, -1)),
        (MIRROR, None, (64, 96, 3), (0, -1)),
    ],
)
def test_rotation_and_mirroring_are_applied(
    matrix: tuple[int, ...] | None, rotation: int | None, shape: tuple[int, ...], white_corner: tuple[int, int]
) -> None:
    clip = make_clip(3, matrix=matrix, container="mov")
    info = probe(clip)
    if rotation is not None:
        assert info.rotation == rotation
    assert (info.height, info.width) == shape[:2]
    for image in (next(iter_frames(clip)).image, read_frame(clip, 0.0)):
        assert image.shape == shape and image.dtype == np.uint8 and image.flags.c_contiguous
        corners = {(y, x): int(image[y, x].min()) for y in (0, -1) for x in (0, -1)}
        assert max(corners, key=corners.__getitem__) == white_corner


def test_pixels_that_are_not_square_are_stretched() -> None:
    clip = make_clip(2, aspect=Fraction(3, 2))
    assert (probe(clip).width, probe(clip).height) == (144, 64)
    assert next(iter_frames(clip)).image.shape == (64, 144, 3)


@pytest.mark.parametrize("gop", [20, 2000])
@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_a_long_video_is_read_in_windows(gop: int, container: str) -> None:
    """With a keyframe every 2 s each window begins at one; with a single keyframe it decodes up to them."""
    clip = make_clip(1200, fps=Fraction(10), gop=gop, container=container, size=(64, 48))
    frames = list(iter_frames(clip, max_frames=32, window_limit_s=60.0))
    times = np.array([f.time_s for f in frames])
    assert len(frames) == 32 and np.diff(times).min() > 0
    plan = plan_windows(120.0, max_frames=32)
    for window, group in zip(plan, times.reshape(8, 4), strict=True):
        assert group[0] >= window.start_s - 7 and group[-1] <= window.end_s + 0.1
        assert 1.2 < np.ptp(group) < 1.7
    assert [level_of(f.image) for f in frames] == [level(round(t * 10)) for t in times]
    assert covered_s(times, 120.0) == pytest.approx(8 * 2.5, abs=2.0)


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts", "avi"])
def test_read_frame_gives_what_iter_frames_gave(container: str) -> None:
    clip = make_clip(90, container=container, b_frames=0 if container == "avi" else 2)
    for frame in iter_frames(clip, max_frames=7):
        assert np.array_equal(read_frame(clip, round(frame.time_s, 3)), frame.image)
    assert level_of(read_frame(clip, 1000.0)) == level(89)
    assert level_of(read_frame(clip, -1.0)) == level(0)


def test_a_recording_without_stated_duration_is_measured() -> None:
    clip = make_clip(
        60, container="webm", codec="libvpx", options={"deadline": "realtime"}, container_options={"live": "1"}
    )
    assert probe(clip).duration_s == pytest.approx(2.0, abs=0.1)
    assert list(iter_frames(clip, max_frames=4))[-1].time_s == pytest.approx(1.75, abs=0.05)


def test_a_path_reads_like_bytes_and_closes_early(tmp_path: Path) -> None:
    path = tmp_path / "frame%03d.mp4"  # a pattern to FFmpeg, were it given a name
    path.write_bytes(make_clip())
    before = open_files()
    with closing(iter_frames(path)) as frames:
        assert next(frames).image.shape == (64, 96, 3)
    assert open_files() == before
    assert probe(path) == probe(path.read_bytes())


def test_time_between_frames_is_the_callers() -> None:
    frames = iter_frames(make_clip(60), max_frames=60, budget_s=5.0)
    next(frames)
    time.sleep(5.1)
    assert len(list(frames)) == 59


def test_out_of_time_gives_what_was_read_or_says_so() -> None:
    with pytest.raises(MediaError) as caught:
        list(iter_frames(make_clip(60), budget_s=-1.0))
    assert caught.value.reason == "too_slow"


def test_damaged_packets_do_not_stop_the_rest() -> None:
    clip = bytearray(make_clip(60, container="matroska", b_frames=0))
    middle = len(clip) // 2
    clip[middle : middle + 40] = b"\xa5" * 40
    frames = list(iter_frames(bytes(clip), max_frames=100))
    assert 10 <= len(frames) < 61


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: b"", "empty"),
        (lambda: b"just text, whatever its name says" * 20, "unsupported"),
        (lambda: b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\nfile:///etc/hostname\n", "unsupported"),
        (make_sound, "no_video"),
        (lambda: make_sound("matroska"), "no_video"),
        (lambda: make_clip(0), "no_video"),
        (lambda: make_clip(60)[:-2000], "truncated"),  # the index of an MP4 stands at its end
        (lambda: make_clip(60)[:40], "truncated"),
        (lambda: make_clip(60, container="matroska")[:300], "truncated"),
    ],
)
def test_what_cannot_be_read_says_why(make: Callable[[], bytes], reason: str) -> None:
    clip = make()
    for read in (probe, lambda c: list(iter_frames(c)), lambda c: read_frame(c, 0.0)):
        with pytest.raises(MediaError) as caught:
            read(clip)
        assert caught.value.reason == reason
        assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


def test_an_encrypted_video_says_so() -> None:
    clip = make_clip(
        container_options={
            "encryption_scheme": "cenc-aes-ctr",
            "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
            "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
        }
    )
    with pytest.raises(MediaError, match="copy-protected") as caught:
        probe(clip)
    assert caught.value.reason == "unsupported"


def test_a_frame_above_the_limit_is_refused_by_the_header() -> None:
    clip = make_clip(1, size=(8448, 64))
    with pytest.raises(MediaError, match="8,448") as caught:
        probe(clip)
    assert caught.value.reason == "too_large"


def test_a_header_that_hides_the_size_does_not_help() -> None:
    """The container says 96 x 64, the stream inside 8448 x 4608: the decoder's own limit holds."""
    big = make_clip(1, size=(8448, 4608), container="matroska", b_frames=0)
    index = big.index(b"\xb0\x82" + (8448).to_bytes(2, "big"))
    small = big[:index] + b"\xb0\x82" + (96).to_bytes(2, "big") + big[index + 4 :]
    index = small.index(b"\xba\x82" + (4608).to_bytes(2, "big"))
    small = small[:index] + b"\xba\x82" + (64).to_bytes(2, "big") + small[index + 4 :]
    with pytest.raises(MediaError) as caught:
        probe(small)
    assert caught.value.reason in ("too_large", "no_video")
