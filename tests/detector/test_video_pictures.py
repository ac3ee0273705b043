"""What a frame looks like as players show it: shape of the pixels, interlaced lines, matrix, range, HDR."""

import io
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
import numpy as np
import pytest
from av.filter import Graph

from detector.media import RGB
from detector.video import iter_frames, probe, read_frame
from detector.video.upright import turn_of
from tests.detector.test_video import make_clip

WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
"""Matrix by ITU-T H.273: shares of red and blue in luma."""
BT709, BT2020, PQ, HLG = 1, 9, 16, 18


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("mp4", "libx264"),
        ("matroska", "libx264"),
        ("mpegts", "libx264"),
        ("h264", "libx264"),
        ("flv", "libx264"),
        ("avi", "libx264"),
        ("mpegts", "mpeg2video"),
        ("mpeg", "mpeg2video"),
        ("mpeg2video", "mpeg2video"),
        ("avi", "mpeg4"),
        ("asf", "mpeg4"),
    ],
)
@pytest.mark.parametrize(("aspect", "width"), [(Fraction(16, 9), 512), (Fraction(8, 9), 256), (Fraction(1), 288)])
def test_pixels_have_their_shape_in_every_container(container: str, codec: str, aspect: Fraction, width: int) -> None:
    options = {"preset": "ultrafast"} if codec == "libx264" else {"qscale": "2"}
    # MPEG-2 states the shape of the whole picture
    if codec == "mpeg2video" and aspect != 1:
        aspect, width = Fraction(16, 9) / Fraction(288, 288), 512
    clip = make_clip(
        12, size=(288, 288), container=container, codec=codec, options=options, aspect=aspect, b_frames=0, gop=6
    )
    info = probe(clip)
    assert (info.width, info.height) == (width, 288)
    assert {frame.image.shape for frame in iter_frames(clip)} == {(288, width, 3)}
    assert read_frame(clip, 0.2).shape == (288, width, 3)


def moving_bar(moment: int) -> np.ndarray:
    """(240, 320, 3): a bright bar that moves by 6 pixels a moment, on a still ramp."""
    picture = np.repeat(np.linspace(40, 90, 240)[:, None], 320, 1)
    at = 20 + 6 * moment
    picture[:, at : at + 40] = 220
    return np.repeat(picture[..., None], 3, 2).astype(np.uint8)


def make_interlaced(first: int, n_frames: int = 30, codec: str = "mpeg2video", container: str = "mpegts") -> bytes:
    """Frames of two moments each; `first` is the line on which the earlier one begins."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        options = {"preset": "ultrafast", "crf": "12"} if codec == "libx264" else {"qscale": "2"}
        stream = out.add_stream(codec, rate=25, options={**options, "flags": "+ildct+ilme"})
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 320, 240, "yuv420p", 10
        stream.max_b_frames = 0
        marked = Graph()
        source = marked.add_buffer(width=320, height=240, format=av.VideoFormat("yuv420p"), time_base=Fraction(1, 25))
        order = marked.add("setfield", "tff" if first == 0 else "bff")
        marked.link_nodes(source, order, marked.add("buffersink")).configure()
        for i in range(n_frames):
            picture = moving_bar(i)
            picture[1 - first :: 2] = moving_bar(i + 1)[1 - first :: 2] if i + 1 < n_frames else picture[1 - first :: 2]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv444p")
            # each field has colours of its own: none may come from both
            luma, *colours = (np.frombuffer(plane, np.uint8).reshape(240, -1)[:, :320] for plane in frame.planes)
            halved = [np.full((120, 160), colour[0, 0], np.uint8) for colour in colours]
            frame = av.VideoFrame.from_ndarray(np.vstack([luma, *(h.reshape(60, 320) for h in halved)]), "yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            marked.push(frame)
            out.mux(stream.encode(marked.pull()))
        out.mux(stream.encode(None))
    return buffer.getvalue()


def combed(image: RGB) -> float:
    """Share of pixels that stand out from the lines above and below in the same direction."""
    luma = image.mean(axis=2)
    return float(((luma[1:-1] - luma[:-2]) * (luma[1:-1] - luma[2:]) > 400).mean())


@pytest.mark.parametrize(("codec", "container"), [("mpeg2video", "mpegts"), ("libx264", "mp4"), ("libx264", "mpegts")])
@pytest.mark.parametrize("first", [0, 1])
def test_interlaced_frames_show_one_moment(codec: str, container: str, first: int) -> None:
    clip = make_interlaced(first, codec=codec, container=container)
    with av.open(io.BytesIO(clip)) as file:
        stored = next(file.decode(video=0))
        assert stored.interlaced_frame
        assert combed(stored.to_ndarray(format="rgb24")) > 0.01
    info = probe(clip)
    assert info.interlaced and (info.width, info.height) == (320, 240)
    frames = list(iter_frames(clip, max_frames=100, info=info))
    assert len(frames) == 30
    assert all(b.time_s - a.time_s == pytest.approx(0.04, abs=0.005) for a, b in pairwise(frames))
    for i, frame in enumerate(frames[2:-2], 2):
        assert combed(frame.image) < 0.002
        bar = np.flatnonzero(frame.image[120, :, 0] > 150)
        assert abs(bar.mean() - (39.5 + 6 * i)) < 4, "the bar stands where it stood at the time of the frame"
    few = list(iter_frames(clip, max_frames=5, info=info))
    assert len(few) == 5 and all(combed(frame.image) < 0.002 for frame in few[:-1])
    assert combed(read_frame(clip, few[2].time_s)) < 0.002


def test_progressive_frames_stay_as_they_are() -> None:
    clip = make_clip(20, size=(320, 240))
    assert not probe(clip).interlaced


def coded(rgb: np.ndarray, matrix: int, full: bool) -> tuple[int, int, int]:
    """R'G'B' from 0 to 1 as Y'CbCr of 10 bits (ITU-T H.273, 8.3)."""
    red, blue = WEIGHTS[matrix]
    luma = red * rgb[0] + (1 - red - blue) * rgb[1] + blue * rgb[2]
    cb, cr = (rgb[2] - luma) / (2 * (1 - blue)), (rgb[0] - luma) / (2 * (1 - red))
    if full:
        return round(1023 * luma), round(512 + 1023 * cb), round(512 + 1023 * cr)
    return round(4 * (16 + 219 * luma)), round(4 * (128 + 224 * cb)), round(4 * (128 + 224 * cr))


def make_colour(
    rgb: np.ndarray,
    matrix: int,
    full: bool = False,
    *,
    stated: bool = True,
    size: tuple[int, int] = (320, 240),
    **how: Any,
) -> bytes:
    """A clip of one colour, (3,) R'G'B' from 0 to 1; `how`: transfer, primaries, codec."""
    codec = how.get("codec", "libx264")
    deep = codec == "libx265" or how.get("transfer") is not None
    values = [value if deep else round(value / 4) for value in coded(rgb, matrix, full)]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream = out.add_stream(codec, rate=25, options={"preset": "ultrafast", "crf": "1"})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p10le" if deep else "yuv420p"
        context = stream.codec_context
        if stated:
            context.colorspace, context.color_range = matrix, 2 if full else 1
            context.color_primaries, context.color_trc = how.get("primaries", 1), how.get("transfer", 1)
        for i in range(3):
            frame = av.VideoFrame(*size, stream.pix_fmt)
            for plane, value in zip(frame.planes, values, strict=True):
                pixel = np.uint16(value).tobytes() if deep else bytes([value])
                plane.update(pixel * (plane.buffer_size // len(pixel)))
            frame.pts = i
            if stated:
                frame.colorspace, frame.color_range = context.colorspace, context.color_range
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return buffer.getvalue()


COLOURS = [(200, 120, 90), (60, 160, 90), (90, 90, 190), (128, 128, 128)]


@pytest.mark.parametrize("rgb", COLOURS)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", WEIGHTS)
def test_matrix_and_range_are_honoured(rgb: tuple[int, ...], full: bool, matrix: int) -> None:
    clip = make_colour(np.array(rgb) / 255, matrix, full)
    assert np.abs(next(iter_frames(clip)).image[100, 100].astype(int) - rgb).max() <= 4


@pytest.mark.parametrize(("size", "matrix"), [((320, 240), 6), ((720, 576), 6), ((1280, 720), 1)])
def test_a_video_that_states_no_matrix_is_taken_as_players_take_it(size: tuple[int, int], matrix: int) -> None:
    clip = make_colour(np.array(COLOURS[0]) / 255, matrix, stated=False, size=size)
    for image in (next(iter_frames(clip)).image, read_frame(clip, 0.0)):
        assert np.abs(image[100, 100].astype(int) - COLOURS[0]).max() <= 4


def hdr_of(rgb: tuple[int, ...], transfer: int) -> np.ndarray:
    """SDR of a 2.4 display as R'G'B' of BT.2020, reference white at 203 cd/m² (ITU-R BT.2408, BT.2087)."""
    to_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
    light = to_2020 @ (np.array(rgb) / 255) ** 2.4 * 203  # cd/m²
    if transfer == PQ:
        power = (light / 10_000) ** (2610 / 16384)
        return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
    luma = np.array([0.2627, 0.6780, 0.0593]) @ light / 1000
    scene = light / 1000 * luma ** (1 / 1.2 - 1)
    return np.where(
        scene <= 1 / 12, np.sqrt(3 * scene), 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    )


@pytest.mark.parametrize("rgb", COLOURS)
@pytest.mark.parametrize("transfer", [PQ, HLG])
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_hdr_comes_back_as_the_sdr_that_it_was_made_of(rgb: tuple[int, ...], transfer: int, codec: str) -> None:
    clip = make_colour(hdr_of(rgb, transfer), 9, transfer=transfer, primaries=9, codec=codec)
    for image in (next(iter_frames(clip)).image, read_frame(clip, 0.0)):
        assert np.abs(image[100, 100].astype(int) - rgb).max() <= 6


@pytest.mark.parametrize("matrix", [(0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0), (1, 0, 0, 1)])
def test_side_data_of_a_kind_that_pyav_does_not_know_leave_the_picture_upright(matrix: tuple[int, ...]) -> None:
    """FFmpeg gives more kinds than PyAV names; such a frame ended the analysis (found by fuzzing a HEIC)."""

    a, b, c, d = (value << 16 for value in matrix)
    stored = (a, b, 0, c, d, 0, 0, 0, 1 << 30)

    class Unknown:
        def __init__(self, rotation: int) -> None:
            self.rotation = rotation

        @property
        def side_data(self) -> None:
            raise ValueError("31 is not a valid Type")

    with av.open(io.BytesIO(make_clip(2, matrix=stored, container="mov"))) as container:
        frame = next(container.decode(video=0))
        expected, angle = turn_of(frame), frame.rotation
    assert turn_of(Unknown(angle)) == expected  # type: ignore[arg-type]
