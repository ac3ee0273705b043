"""Times as a player shows them, in every container: sound first, times that begin again, edit lists, files cut off."""

import io
import itertools
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from detector.errors import MediaError
from detector.video import (
    SOUND_RATE,
    VideoInfo,
    iter_frames,
    iter_sound,
    iter_span,
    part_of,
    plan_where_seen,
    probe,
    read_frame,
)
from detector.video.timeline import Continuous
from tests.detector.test_video import level, level_of, make_clip

CODECS: dict[str, tuple[str, dict[str, str], str]] = {
    "mp4": ("libx264", {"preset": "ultrafast"}, "aac"),
    "mov": ("libx264", {"preset": "ultrafast"}, "aac"),
    "matroska": ("libx264", {"preset": "ultrafast"}, "aac"),
    "webm": ("libvpx", {"deadline": "realtime"}, "libopus"),
    "mpegts": ("libx264", {"preset": "ultrafast"}, "aac"),
    "flv": ("libx264", {"preset": "ultrafast"}, "aac"),
}


def make_late(container: str, late_s: float, sound_s: float = 4.0) -> bytes:
    """Two seconds of video that begin `late_s` after a sound of `sound_s` seconds."""
    codec, options, audio = CODECS[container]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        stream = out.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 96, 64, "yuv420p", 12
        sound = out.add_stream(audio, rate=48000, layout="stereo")
        out.start_encoding()
        size = sound.codec_context.frame_size or 1024
        fmt = sound.codec_context.format.name
        for i in range(round(sound_s * 48000 / size)):
            dtype = np.float32 if "flt" in fmt else np.int16
            shape = (2, size) if fmt.endswith("p") else (1, 2 * size)
            heard = av.AudioFrame.from_ndarray(np.zeros(shape, dtype), format=fmt, layout="stereo")
            heard.sample_rate, heard.pts, heard.time_base = 48000, i * size, Fraction(1, 48000)
            out.mux(sound.encode(heard))
        for i in range(50):
            frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), level(i), np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(late_s * 25) + i, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        out.mux(sound.encode(None))
    return buffer.getvalue()


@pytest.mark.parametrize("container", CODECS)
def test_a_video_that_begins_after_its_sound_has_the_times_of_a_player(container: str) -> None:
    clip = make_late(container, 1.4)
    info = probe(clip)
    assert info.start_s == pytest.approx(1.4, abs=0.1)
    assert info.duration_s == pytest.approx(3.4, abs=0.1)  # the picture ends there, the sound later
    frames = list(iter_frames(clip, max_frames=100))
    assert frames[0].time_s == pytest.approx(1.4, abs=0.1) and frames[-1].time_s == pytest.approx(3.36, abs=0.1)
    for i in (7, 33):
        assert np.array_equal(read_frame(clip, frames[i].time_s), frames[i].image)
    spread = [frame.time_s for frame in iter_frames(clip, max_frames=4)]
    assert len(spread) == 4 and spread[0] < 1.8 and spread[-1] > 3.0  # over the picture alone
    span = [frame.time_s for frame in iter_span(clip, 2.0, 2.5)]
    assert span[0] == pytest.approx(2.0, abs=0.05) and span[-1] == pytest.approx(2.45, abs=0.06)


@pytest.mark.parametrize("container", CODECS)
def test_sound_keeps_its_place_beside_a_picture_that_begins_later(container: str) -> None:
    clip = make_late(container, 1.4)
    pieces = list(iter_sound(clip, 0.0, 10.0))
    assert pieces[0].time_s == pytest.approx(0.0, abs=0.1)
    assert sum(piece.samples.shape[1] for piece in pieces) / SOUND_RATE == pytest.approx(4.0, abs=0.15)
    assert pieces[-1].time_s == pytest.approx(4.0, abs=0.15)
    part = list(iter_sound(clip, 2.0, 3.0))
    assert part[0].time_s == pytest.approx(2.0, abs=0.05)
    assert sum(piece.samples.shape[1] for piece in part) / SOUND_RATE == pytest.approx(1.0, abs=0.06)


def test_the_sound_of_joined_recordings_goes_on_with_the_pictures() -> None:
    joined = make_late("mpegts", 0.0, sound_s=2.0) * 2
    pieces = list(iter_sound(joined, 0.0, 10.0))
    assert sum(piece.samples.shape[1] for piece in pieces) / SOUND_RATE == pytest.approx(4.0, abs=0.2)
    times = [piece.time_s for piece in pieces]
    assert times == sorted(times) and times[-1] == pytest.approx(4.0, abs=0.2)


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts"])
def test_the_priming_of_a_sound_moves_no_picture(container: str) -> None:
    info = probe(make_late(container, 0.0))
    assert info.start_s == 0.0
    assert next(iter_frames(make_late(container, 0.0))).time_s == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("container", ["mpegts", "mpeg", "matroska", "webm"])
@pytest.mark.parametrize("sizes", [((320, 240), (320, 240)), ((320, 240), (480, 320))])
def test_every_part_of_a_joined_file_is_read_with_times_that_go_on(
    container: str, sizes: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    if container == "matroska" and sizes[0] != sizes[1]:
        pytest.skip("H.264 in Matroska keeps its size in the header of the first part")
    codec, options, _ = CODECS.get(container, ("mpeg2video", {"qscale": "2"}, ""))
    gop = 1 if container == "mpeg" else 12  # each picture fills packets of its own, as real ones do
    parts = [
        make_clip(50, fps=Fraction(25), container=container, codec=codec, options=options, size=size, gop=gop)
        for size in sizes
    ]
    joined = parts[0] + parts[1]
    info = probe(joined)
    assert info.joined and not info.cut_off
    assert info.duration_s == pytest.approx(4.0, abs=0.2)
    frames = list(iter_frames(joined, max_frames=200, info=info))
    times = np.array([frame.time_s for frame in frames])
    assert len(frames) >= 96  # in a program stream small pictures share a time
    assert np.diff(times).min() > 0.01 and np.diff(times).max() < 0.2
    assert {frame.image.shape[:2] for frame in frames} == {(height, width) for width, height in sizes}
    few = list(iter_frames(joined, max_frames=8, info=info))
    assert sum(frame.time_s > 2.0 for frame in few) == 4
    late = frames[80]
    assert np.array_equal(read_frame(joined, late.time_s), late.image)
    span = list(iter_span(joined, late.time_s - 0.1, late.time_s + 0.1))
    assert any(np.array_equal(frame.image, late.image) for frame in span) and len(span) <= 8


def test_a_second_recording_with_streams_of_other_numbers_is_read_too() -> None:
    first = make_clip(50, fps=Fraction(25), container="mpegts", size=(320, 240), options={"preset": "ultrafast"})
    second = make_clip(
        50,
        fps=Fraction(25),
        container="mpegts",
        size=(640, 480),
        options={"preset": "ultrafast", "crf": "1"},
        container_options={"mpegts_start_pid": "768", "mpegts_pmt_start_pid": "4352"},
    )
    second += b"G\x1f\xff\x10" + b"\xff" * 184 + (b"G\x1f\xff\x10" + b"\xff" * 184) * 400  # stuffing
    info = probe(first + second)
    assert info.joined and info.duration_s == pytest.approx(4.0, abs=0.1)
    frames = list(iter_frames(first + second, max_frames=200, info=info))
    assert {frame.image.shape for frame in frames} == {(240, 320, 3), (480, 640, 3)}
    assert len(frames) == 100 and frames[-1].time_s == pytest.approx(3.96, abs=0.05)


@pytest.mark.parametrize("seconds", [2, 80])
def test_a_clock_of_33_bits_that_runs_over_is_no_jump(seconds: int) -> None:
    wrap_s = 2**33 / 90_000
    rate = 25 if seconds < 10 else 5
    first_ms = round((wrap_s - seconds / 2) * 1000)
    clip = make_clip(
        seconds * rate,
        fps=Fraction(rate),
        container="mpegts",
        times_ms=[first_ms + i * 1000 // rate for i in range(seconds * rate)],
        b_frames=0,
        gop=rate,
    )
    info = probe(clip)
    assert info.duration_s == pytest.approx(seconds, abs=0.3) and not info.joined
    frames = list(iter_frames(clip, max_frames=16, info=info))
    assert len(frames) == 16 and frames[-1].time_s > 0.8 * seconds
    assert [level_of(f.image) for f in frames] == [level(round(f.time_s * rate)) for f in frames]


def test_times_go_on_over_every_kind_of_jump() -> None:
    def moved(packets: list[tuple[int, bool]], *, by_dts: bool = True) -> tuple[list[int], Continuous]:
        line = Continuous(1000, 40, by_dts=by_dts, closes_gaps=by_dts)
        return [t + line.move(t, t if by_dts else None, 40, key) for t, key in packets], line

    plain = [(t, t % 400 == 0) for t in range(0, 2000, 40)]
    assert moved(plain)[0] == [t for t, _ in plain]
    for shift in (-1_500_000, 0, 700_000, 95_443_717):  # the second part begins anywhere
        for by_dts in (True, False):
            if shift > 0 and not by_dts:
                continue  # without a clock of decoding, a step ahead is a picture that stays
            times, line = moved([*plain, *((t + shift, key) for t, key in plain)], by_dts=by_dts)
            assert times == list(range(0, 4000, 40)), (shift, by_dts)
            assert line.jumps == 1 and line.end == 4000
    # in the middle of a group, and one packet with a wild time
    assert moved([*plain, *((t - 5000, False) for t, _ in plain)])[0] == list(range(0, 4000, 40))
    wild = [*plain[:20], (9_000_000, False), *plain[21:]]
    assert all(30 <= b - a <= 50 for a, b in itertools.pairwise(moved(wild)[0]))
    # a picture that stays for five seconds is none, nor is disorder within half a second
    assert moved([(0, True), (40, False), (5040, False)])[1].jumps == 0
    assert moved([(0, True), (400, False), (40, False), (440, True)])[1].jumps == 0


def with_edits(clip: bytes, edits: list[tuple[int, int]]) -> bytes:
    """An MP4 whose index stands at its end, with another edit list: (milliseconds, first tick of the media or -1)."""
    entries = b"".join(struct.pack(">IiI", length, at, 1 << 16) for length, at in edits)
    elst = struct.pack(">I4sII", 16 + len(entries), b"elst", 0, len(edits)) + entries

    def rebuilt(data: bytes) -> bytes:
        out, at = b"", 0
        while at < len(data):
            size, name = struct.unpack(">I4s", data[at : at + 8])
            inner = data[at + 8 : at + size]
            if name in (b"moov", b"trak"):
                inner = rebuilt(inner)
            elif name == b"edts":
                inner = elst
            elif name == b"mvhd":  # its duration, in milliseconds
                inner = inner[:16] + struct.pack(">I", sum(length for length, _ in edits)) + inner[20:]
            out += struct.pack(">I4s", 8 + len(inner), name) + inner
            at += size
        return out

    moov = clip.index(b"moov") - 4
    return clip[:moov] + rebuilt(clip[moov:])


@pytest.mark.parametrize(
    ("edits", "shown"),
    [
        ([(1000, 0), (1000, 2)], [*range(25), *range(50, 75)]),  # the second second cut out
        ([(1000, 2), (1000, 0)], [*range(50, 75), *range(25)]),  # turned round
        ([(1000, 1), (1000, 1)], [*range(25, 50), *range(25, 50)]),  # the same twice
    ],
)
def test_edit_lists_are_played_as_they_say(edits: list[tuple[int, int]], shown: list[int]) -> None:
    clip = make_clip(75, fps=Fraction(25), b_frames=0, gop=25)
    with av.open(io.BytesIO(clip)) as container:
        ticks = round(1 / container.streams.video[0].time_base)
    edited = with_edits(clip, [(length, at * ticks) for length, at in edits])
    info = probe(edited)
    assert info.duration_s == pytest.approx(2.0, abs=0.05) and not info.cut_off
    frames = list(iter_frames(edited, max_frames=100))
    assert [frame.time_s for frame in frames] == pytest.approx([i / 25 for i in range(50)], abs=0.005)
    assert [level_of(frame.image) for frame in frames] == [level(i) for i in shown]


def test_an_empty_edit_shows_nothing_until_it_is_over() -> None:
    clip = with_edits(make_clip(50, fps=Fraction(25), b_frames=0), [(1500, -1), (2000, 0)])
    info = probe(clip)
    frames = list(iter_frames(clip, max_frames=100))
    # there is no sound either: a player's clock begins with the picture
    assert frames[-1].time_s - frames[0].time_s == pytest.approx(1.96, abs=0.01)
    assert info.duration_s == pytest.approx(frames[-1].time_s + 0.04, abs=0.01)
    assert info.start_s == pytest.approx(frames[0].time_s, abs=0.1)


@pytest.mark.parametrize(
    ("container", "options"),
    [
        ("mp4", {"movflags": "faststart"}),
        ("mp4", {"movflags": "frag_keyframe+empty_moov"}),
        ("matroska", {}),
        ("matroska", {"live": "1"}),
        ("webm", {}),
        ("mpegts", {}),
        ("mpeg", {}),
        ("avi", {}),
        ("flv", {}),
        ("asf", {}),
        ("ogg", {}),
        ("mxf", {}),
        ("ivf", {}),
    ],
)
def test_a_file_that_breaks_off_is_known_as_incomplete(container: str, options: dict[str, str], tmp_path: Path) -> None:
    codec, coding, _ = CODECS.get(container, ("mpeg4", {"qscale": "2"}, ""))
    codec = {"asf": "wmv2", "ogg": "libvpx", "mxf": "mpeg2video", "ivf": "libvpx"}.get(container, codec)
    coding = {"deadline": "realtime"} if codec == "libvpx" else coding
    whole = make_clip(
        100,
        size=(320, 240),
        fps=Fraction(25),
        container=container,
        codec=codec,
        options=coding,
        container_options={} if "faststart" in options.values() else options,
        b_frames=0,
    )
    if "faststart" in options.values():  # the index in front of the data
        with av.open(str(tmp_path / "clip.mp4"), "w", options=options) as out, av.open(io.BytesIO(whole)) as clip:
            stream = out.add_stream_from_template(clip.streams.video[0])
            for packet in clip.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    out.mux(packet)
        whole = (tmp_path / "clip.mp4").read_bytes()
        assert whole.index(b"moov") < whole.index(b"mdat")
    info = probe(whole)
    assert not info.cut_off and info.stated_s is None and info.duration_s == pytest.approx(4.0, abs=0.2)
    for share in (0.45, 0.8):
        part = whole[: round(share * len(whole)) // 188 * 188 + 99]
        info = probe(part)
        assert info.cut_off
        assert info.duration_s is not None and 0.2 < info.duration_s < (3.9 if container != "asf" else 4.1)
        if container in ("mp4", "matroska", "webm", "avi") and (not options or "faststart" in options.values()):
            assert info.stated_s == pytest.approx(4.0, abs=0.2)
        last_s = list(iter_frames(part, max_frames=16, info=info))[-1].time_s
        assert last_s > 0.7 * info.duration_s  # spread over what is there


@pytest.mark.parametrize(
    ("container", "codec"), [("mp4", "libx264"), ("avi", "mpeg4"), ("flv", "libx264"), ("asf", "wmv2")]
)
def test_a_second_file_that_no_player_shows_is_mentioned(container: str, codec: str) -> None:
    options = {"qscale": "2"} if codec != "libx264" else None
    clip = make_clip(30, container=container, codec=codec, options=options, b_frames=0)
    assert not probe(clip).second_file
    info = probe(clip + clip)
    assert info.second_file and not info.cut_off
    assert info.duration_s == pytest.approx(1.0, abs=0.1)


def test_a_part_is_cut_to_where_there_are_pictures() -> None:
    info = VideoInfo(64, 48, 25.0, 20.0, "h264", 0, start_s=3.0)
    assert part_of(info, None, None) is None
    assert part_of(info, 1.0, 50.0) == (3.0, 20.0)
    assert part_of(info, None, 5.0) == (3.0, 5.0) and part_of(info, 7.0, None) == (7.0, 20.0)
    for start_s, end_s in ((21.0, None), (5.0, 5.0), (0.0, 2.0), (9.0, 4.0)):
        with pytest.raises(MediaError, match=r"3\.0 to 20\.0") as caught:
            part_of(info, start_s, end_s)
        assert caught.value.reason == "outside"


def test_frames_go_where_faces_were_seen() -> None:
    scouted = [(10.0 * i, False) for i in range(60)]
    assert plan_where_seen(scouted, 0.0, 600.0) is None
    assert plan_where_seen([(t, True) for t, _ in scouted], 0.0, 600.0) is None
    late = [*scouted[:-1], (598.4, True)]
    (window,) = plan_where_seen(late, 0.0, 600.0) or ()
    assert len(window.times_s) == 32 and window.start_s == 598.4 and window.end_s == 600.0
    twice = [(t, t in (100.0, 110.0) or t >= 500) for t, _ in scouted]
    windows = plan_where_seen(twice, 0.0, 600.0) or ()
    times = [t for window in windows for t in window.times_s]
    assert len(times) == 32 and times == sorted(times)
    assert all(100 <= t < 120 or 500 <= t < 600 for t in times)
    assert sum(t < 120 for t in times) >= 4
    assert all(window.start_s <= t <= window.end_s for window in windows for t in window.times_s)


@pytest.mark.parametrize("as_bytes", [True, False])
def test_a_box_that_states_more_than_any_file_holds_is_no_crash(as_bytes: bool, tmp_path: Path) -> None:
    """Found by fuzzing: 64 bits of size do not fit what a file can be asked for."""
    huge = struct.pack(">I4sQ", 1, b"free", 2**64 - 64)
    data = struct.pack(">I4s", 16, b"ftyp") + b"isom\0\0\0\0" + huge + bytes(32)
    path = tmp_path / "huge.mp4"
    path.write_bytes(data)
    with pytest.raises(MediaError):
        probe(data if as_bytes else path)
