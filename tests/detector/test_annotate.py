"""Annotated copies: made clips go in, and what comes out is decoded and looked at."""

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from detector.annotate import MAX_S, annotate, can_annotate, spans_of, suffix_of
from detector.errors import Cancelled, DetectorError, MediaError
from detector.explain.gradcam import Heatmap
from detector.palette import on_picture
from detector.types import (
    Band,
    Box,
    Coverage,
    Face,
    FaceVerdict,
    ImageVerdict,
    Person,
    VideoVerdict,
)
from detector.video import iter_frames, iter_sound, iter_span, probe
from tests.fakes import verdicts

GREY = (110, 120, 130)
QUARTER_TURN = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
SIZE = (320, 240)


def clip(
    times_s: Sequence[float],
    *,
    size: tuple[int, int] = SIZE,
    codec: str = "libx264",
    container: str = "matroska",
    pix_fmt: str = "yuv420p",
    matrix: tuple[int, ...] | None = None,
    beep_s: float | None = None,
    sound_codec: str = "aac",
    gop: int = 12,
) -> bytes:
    """Grey frames at these times; with `beep_s`, silence in which a tone of 0.2 s begins at that time."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        options = {"preset": "ultrafast", "crf": "10"} if codec == "libx264" else {}
        stream = out.add_stream(codec, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        stream.max_b_frames, stream.gop_size = 0, gop
        stream.codec_context.time_base = Fraction(1, 1000)
        if matrix:
            stream.set_display_matrix(matrix)
        audio = None
        if beep_s is not None:
            audio = out.add_stream(sound_codec, rate=44_100, layout="mono")
        for time_s in times_s:
            frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), GREY, np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(1000 * time_s), Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if audio is not None and beep_s is not None:
            t = np.arange(round((times_s[-1] + 0.03) * 44_100)) / 44_100
            wave = np.where((t >= beep_s) & (t < beep_s + 0.2), 0.5 * np.sin(2 * np.pi * 880 * t), 0)
            tone = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], format="fltp", layout="mono")
            tone.sample_rate, tone.pts, tone.time_base = 44_100, 0, Fraction(1, 44_100)
            out.mux(audio.encode(tone))
            out.mux(audio.encode(None))
    return buffer.getvalue()


def even(seconds: float, fps: float = 25.0) -> list[float]:
    return [i / fps for i in range(round(seconds * fps))]


def person(number: int, points: Sequence[tuple[float, Box, float | None]], band: Band | None = "strong") -> Person:
    return verdicts.person([(t, Face(box, (), 0.99), p) for t, box, p in points], number, band)


def common(kind: Any, band: Band | None, size: tuple[int, int], coverage: Coverage | None = None) -> dict[str, Any]:
    reason = None if band else "too_few_frames"
    return verdicts.about(kind, band, reason=reason, width=size[0], height=size[1], coverage=coverage)


def verdict(
    *persons: Person,
    size: tuple[int, int] = SIZE,
    duration_s: float | None = 2.0,
    frames: int | None = None,
) -> VideoVerdict:
    looks = len({p.time_s for one in persons for p in one.timeline}) if frames is None else frames
    return VideoVerdict(
        **common("video", persons[0].band if persons else None, size, Coverage(looks, duration_s, duration_s, 1.0)),
        persons=persons,
    )


def copy_of(source: bytes, found: VideoVerdict, **options: Any) -> bytes:
    out = io.BytesIO()
    annotate(source, found, out, **options)
    return out.getvalue()


def frames_of(data: bytes) -> dict[float, np.ndarray]:
    with av.open(io.BytesIO(data)) as media:
        return {round(float(f.time), 3): f.to_ndarray(format="rgb24").astype(int) for f in media.decode(video=0)}


def lines_at(image: np.ndarray, box: Box, band: Band | None, tolerance: float = 40) -> bool:
    """Whether the left, right and lower edge of a box are drawn in the band's colour."""
    x0, y0, x1, y1 = (round(v) for v in box)
    middle, centre = slice(y0 + (y1 - y0) // 2, y1 - 6), slice(x0 + 6, x1 - 6)
    edges = [image[middle, x] for x in (x0, x1)] + [image[y1, centre]]
    colour = np.array(on_picture(band))
    return all(np.abs(np.median(edge, axis=0) - colour).max() < tolerance for edge in edges)


def is_grey(image: np.ndarray, tolerance: float = 6) -> bool:
    return bool(np.abs(image - np.array(GREY)).max() <= tolerance)


MOVING = [(0.2 * i, (40.0 + 10 * i, 80.0, 120.0 + 10 * i, 180.0), 0.1 * i) for i in range(10)]


def test_the_copy_plays_in_a_browser_and_its_boxes_move_with_the_face() -> None:
    out = io.BytesIO()
    said: list[tuple[float, str]] = []
    found = verdict(person(1, MOVING))
    source = clip(even(2.0), beep_s=1.0)
    done = annotate(source, found, out, on_progress=lambda share, what: said.append((share, what)))
    data = out.getvalue()
    assert (done.spans, done.sound) == (((0.0, probe(source).duration_s),), "kept")
    assert 0 < data.index(b"moov") < data.index(b"mdat")
    with av.open(io.BytesIO(data)) as media:
        (picture,), (sound,) = media.streams.video, media.streams.audio
        context = picture.codec_context
        assert (context.name, context.pix_fmt, sound.codec_context.name) == ("h264", "yuv420p", "aac")
        assert context.width == 320 and context.width % 2 == context.height % 2 == 0
        assert context.height > 240  # the strip lies below the picture, not on it
        assert "automatic estimate" in media.metadata["comment"] and "Strong" in media.metadata["comment"]
    frames = frames_of(data)
    assert list(frames) == pytest.approx(even(2.0), abs=1e-3)
    for time_s in (0.0, 0.32, 1.0, 1.48):
        image = frames[time_s]
        x = 40 + 50 * time_s
        assert lines_at(image, (x, 80, x + 80, 180), "strong"), time_s
        assert is_grey(image[90:170, round(x) + 8 : round(x) + 72]), "the face stays free"
        assert is_grey(image[190:236]) and is_grey(image[:240, round(x) + 140 :]), "nothing else is changed"
        assert np.abs(image[250:, 1] - np.array(on_picture("strong"))).max() < 40, "the strip's bar"
        assert image[244:, 10:].max() > 180, "the strip's words"
    assert [share for share, _ in said] == sorted(share for share, _ in said)
    assert said[-1] == (1.0, "Done") and not any("fake" in what.lower() for _, what in said)


def test_sound_keeps_its_time() -> None:
    data = copy_of(clip(even(2.0), beep_s=1.2), verdict(person(1, MOVING)))
    pieces = list(iter_sound(data, 0.0, 60.0))
    loud = [p.time_s + np.flatnonzero(np.abs(p.samples[0]) > 0.2)[0] / 48_000 for p in pieces if p.samples.max() > 0.2]
    assert loud[0] == pytest.approx(1.2, abs=0.03)
    last = pieces[-1]
    assert last.time_s + last.samples.shape[1] / 48_000 == pytest.approx(2.0, abs=0.06)


@pytest.mark.parametrize(("codec", "said"), [("pcm_s16le", "kept"), ("pcm_f64le", "left out"), (None, "none")])
def test_what_became_of_the_sound_is_said(codec: str | None, said: str) -> None:
    sound = {} if codec is None else {"beep_s": 0.1, "sound_codec": codec}
    out = io.BytesIO()
    done = annotate(clip(even(0.4), **sound), verdict(person(1, MOVING[:2]), duration_s=0.4), out)
    assert done.sound == said
    with av.open(io.BytesIO(out.getvalue())) as media:
        assert len(media.streams.audio) == (said == "kept")


def test_an_uneven_rate_keeps_its_times() -> None:
    times = [0.0, 0.1, 0.15, 0.9, 1.0, 2.5]
    box = (40.0, 80.0, 120.0, 180.0)
    points = [(t, box, 0.5) for t in (0.1, 0.9, 1.0, 2.5)]
    data = copy_of(clip(times), verdict(person(1, points), duration_s=2.533))
    assert list(frames_of(data)) == pytest.approx(times, abs=1e-3)
    assert probe(data).duration_s == pytest.approx(2.533, abs=0.02)


def test_frames_beyond_sixty_a_second_are_left_out() -> None:
    data = copy_of(clip(even(0.3, 200)), verdict(person(1, MOVING[:3]), duration_s=0.3))
    steps = np.diff(list(frames_of(data)))
    assert steps.min() > 0.0149 and steps.max() < 0.021


def test_a_turned_video_comes_out_upright() -> None:
    box = (60.0, 100.0, 150.0, 220.0)
    found = verdict(person(1, [(0.0, box, 0.5), (0.2, box, 0.5)]), size=(240, 320), duration_s=0.4)
    data = copy_of(clip(even(0.4), matrix=QUARTER_TURN, container="mov"), found)
    image = frames_of(data)[0.0]
    assert image.shape[1] == 240 and image.shape[0] > 320
    assert lines_at(image, box, "strong") and is_grey(image[230:316])
    assert probe(data).rotation == 0


def test_odd_sizes_are_filled_up_and_large_ones_shrunk() -> None:
    box = (30.0, 50.0, 100.0, 110.0)
    odd = verdict(person(1, [(0.0, box, 0.5), (0.1, box, 0.5)]), size=(161, 121), duration_s=0.2)
    image = frames_of(copy_of(clip(even(0.2), size=(161, 121), codec="mjpeg", pix_fmt="yuvj420p"), odd))[0.0]
    assert image.shape[1] == 162 and image.shape[0] % 2 == 0
    assert lines_at(image, box, "strong") and is_grey(image[:119, 130:])
    box = (300.0, 450.0, 900.0, 840.0)
    large = verdict(person(1, [(0.0, box, 0.5), (0.1, box, 0.5)]), size=(1600, 900), duration_s=0.2)
    image = frames_of(copy_of(clip(even(0.2), size=(1600, 900)), large))[0.0]
    assert image.shape[1] == 1280
    assert lines_at(image, (240, 360, 720, 672), "strong") and is_grey(image[680:716]) and is_grey(image[:280])


def test_persons_have_their_colours_and_are_not_drawn_while_away() -> None:
    left, right = (30.0, 60.0, 110.0, 160.0), (200.0, 60.0, 280.0, 160.0)
    times = [0.2 * i for i in range(15)]
    seen = [t for t in times if t < 0.9 or t > 2.1]
    found = verdict(
        person(1, [(t, left, 0.9) for t in times], "very_strong"),
        person(2, [(t, right, None) for t in seen], None),
        duration_s=3.0,
    )
    frames = frames_of(copy_of(clip(even(3.0)), found))
    for time_s, away in ((0.0, False), (0.84, False), (1.48, True), (2.4, False)):
        image = frames[time_s]
        assert lines_at(image, left, "very_strong")
        assert lines_at(image, right, None) is not away
        assert is_grey(image[:238, 180:]) is away


class Hot:
    """Explains every face by a heat of one in its box's middle; keeps which frames it was asked of."""

    def __init__(self) -> None:
        self.boxes: list[Box] = []

    def explain(self, image: np.ndarray, face: Face) -> Heatmap:
        assert image.shape == (240, 320, 3)
        self.boxes.append(face.box)
        x0, y0, x1, y1 = face.box
        return Heatmap(np.ones((8, 8), np.float32), (x0 + 20, y0 + 20, x1 - 20, y1 - 20), "resnet18", "CAM")


def test_heatmaps_are_made_at_analysed_frames_and_move_with_the_box() -> None:
    detector = Hot()
    points = [(t, box, None if i == 4 else p) for i, (t, box, p) in enumerate(MOVING)]
    frames = frames_of(copy_of(clip(even(2.0)), verdict(person(1, points)), detector=detector))
    assert detector.boxes == [box for i, (_, box, _) in enumerate(MOVING) if i != 4]
    for time_s, hot in ((0.0, True), (0.52, True), (0.84, False), (0.96, False), (1.08, True)):
        x = round(40 + 50 * time_s)
        assert is_grey(frames[time_s][125:135, x + 35 : x + 45], 25) is not hot, time_s
        assert is_grey(frames[time_s][90:94, x + 8 : x + 72], 10)


def test_of_a_long_video_only_the_analysed_seconds_are_written() -> None:
    box = (30.0, 60.0, 110.0, 160.0)
    looks = [start + 0.5 * i for start in (20.0, 60.0) for i in range(4)]
    found = verdict(person(1, [(t, box, 0.5) for t in looks]), duration_s=90.0, frames=32)
    assert spans_of(found, 90.0) == ((19.5, 22.0), (59.5, 62.0))
    out = io.BytesIO()
    done = annotate(clip(even(90.0, 4), beep_s=61.0), found, out)
    assert done.spans == ((19.5, 22.0), (59.5, 62.0)) and done.sound == "kept"
    frames = frames_of(out.getvalue())
    assert list(frames) == pytest.approx(even(5.0, 4), abs=2e-3)
    assert all(lines_at(image, box, "strong") for image in frames.values())
    beep = next(p.time_s for p in iter_sound(out.getvalue(), 0.0, 60.0) if p.samples.max() > 0.2)
    assert beep == pytest.approx(2.5 + 1.5, abs=0.05)


def test_an_annotated_copy_is_bounded() -> None:
    box = (30.0, 60.0, 110.0, 160.0)
    looks = [60.0 * i + 0.5 * j for i in range(60) for j in range(4)]
    points = [(t, box, 0.9 if 1790 < t < 1870 else 0.1) for t in looks]
    spans = spans_of(verdict(person(1, points), duration_s=3600.0), 3600.0)
    assert MAX_S - 3 < sum(end - start for start, end in spans) <= MAX_S
    assert list(spans) == sorted(spans)
    assert any(start < 1800 < end for start, end in spans), "the most suspicious seconds are in it"
    # looked at from start to end: whole, also where the person was seen in a few frames only
    few = [(t, box, 0.5) for t in (3.0, 4.0, 41.0)]
    assert spans_of(verdict(person(1, few), duration_s=43.0, frames=43), 43.0) == ((0.0, 43.0),)
    assert spans_of(verdict(person(1, few), duration_s=None), None) == ((0.0, MAX_S),)


@pytest.mark.parametrize("after", [0, 1, 20, 55])
def test_a_cancelled_copy_leaves_nothing_behind(tmp_path: Path, after: int) -> None:
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > after

    source, found = clip(even(2.0), beep_s=1.0), verdict(person(1, MOVING))
    with pytest.raises(Cancelled):
        annotate(source, found, tmp_path / "copy.mp4", should_stop=should_stop)
    assert list(tmp_path.iterdir()) == []
    assert asked <= after + 3, "it stops at once: frames and sound ask once more each"
    asked, buffer = 0, io.BytesIO()
    with pytest.raises(Cancelled):
        annotate(source, found, buffer, should_stop=should_stop)
    assert buffer.getvalue() == b""


def test_an_error_leaves_the_old_copy_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "copy.mp4"
    out.write_bytes(b"old")
    with pytest.raises(MediaError, match="not the file"):
        annotate(clip(even(0.2)), verdict(person(1, MOVING), size=(640, 480)), out)
    with pytest.raises(MediaError):
        annotate(b"no video at all" * 9, verdict(person(1, MOVING)), out)
    assert out.read_bytes() == b"old" and list(tmp_path.iterdir()) == [out]
    annotate(clip(even(0.2)), verdict(person(1, MOVING), duration_s=0.2), out)
    assert out.read_bytes()[4:8] == b"ftyp" and list(tmp_path.iterdir()) == [out]


def test_without_a_face_there_is_nothing_to_mark(tmp_path: Path) -> None:
    found = verdict()
    assert not can_annotate(found)
    with pytest.raises(DetectorError, match="No face"):
        annotate(clip(even(0.2)), found, tmp_path / "copy.mp4")
    assert list(tmp_path.iterdir()) == []


def photo_verdict(size: tuple[int, int]) -> ImageVerdict:
    boxes: list[tuple[Box, Band | None]] = [
        ((30.0, 60.0, 110.0, 160.0), "very_strong"),
        ((200.0, 60.0, 280.0, 160.0), None),
    ]
    faces = tuple(
        FaceVerdict(
            i, Face(box, (), 0.99), "ok", None if band else "face_too_small", band, 0.9 if band else None, None, (), 9.0
        )
        for i, (box, band) in enumerate(boxes, 1)
    )
    return ImageVerdict(**common("image", "very_strong", size), faces=faces)


@pytest.mark.parametrize("detector", [None, Hot])
def test_a_photo_gets_boxes_too(detector: Callable[[], Hot] | None) -> None:
    source, out = io.BytesIO(), io.BytesIO()
    Image.new("RGB", SIZE, GREY).save(source, "PNG")
    found = photo_verdict(SIZE)
    assert suffix_of(found) == ".jpg" and suffix_of(verdict()) == ".mp4"
    explains = detector() if detector else None
    annotate(source.getvalue(), found, out, detector=explains)
    with Image.open(out) as picture:
        assert picture.format == "JPEG" and b"automatic estimate" in picture.info["comment"]
        image = np.asarray(picture).astype(int)
    assert image.shape[1] == 320 and image.shape[0] > 240
    assert lines_at(image, (30, 60, 110, 160), "very_strong") and lines_at(image, (200, 60, 280, 160), None)
    assert is_grey(image[170:236]) and is_grey(image[70:150, 210:270])
    assert is_grey(image[100:120, 60:80]) is (explains is None)
    if explains:
        assert len(explains.boxes) == 1, "a face without a verdict gets no heatmap"
    with pytest.raises(MediaError, match="not the file"):
        annotate(source.getvalue(), replace(found, width=9), io.BytesIO())


def test_a_span_is_every_frame_on_the_screen() -> None:
    source = clip([0.0, 0.1, 0.5, 0.6, 1.0, 1.1], gop=2)
    assert [f.time_s for f in iter_span(source, 0.3, 1.0)] == pytest.approx([0.1, 0.5, 0.6], abs=2e-3)
    assert [f.time_s for f in iter_span(source, 0.0, 9.0)] == [f.time_s for f in iter_frames(source, max_frames=99)]
    assert [f.time_s for f in iter_span(source, 5.0, 9.0)] == pytest.approx([1.1], abs=2e-3)
    assert list(iter_span(source, 0.0, 9.0, should_stop=lambda: True)) == []
    assert list(iter_sound(clip(even(0.4), beep_s=0.1), 0.0, 9.0, should_stop=lambda: True)) == []
