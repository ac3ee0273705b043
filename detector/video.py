"""An untrusted video → its properties, and a few of its frames as RGB arrays, within limits of size, memory and time.

    info = probe(source)
    for frame in iter_frames(source, max_frames=32):
        detect(frame.image, frame.time_s)
    covered_s(times, info.duration_s)       # how many seconds those frames stand for

What a hostile file can reach is small: FFmpeg gets an open file and never a name (so it follows no URL, playlist or
`%d` pattern), the one demuxer that the file's own first bytes call for, the decoders of `CODECS`, and a limit on the
size of a frame that also holds inside the decoder. Opening a file decodes nothing.

Times are seconds from the start of the stream: `pts * time_base - start_time`, never a frame's number over the rate, so
that a variable frame rate stays true.
"""

import bisect
import itertools
import math
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, BinaryIO, Literal, NamedTuple, cast

import av
import numpy as np
import numpy.typing as npt
from av.audio.stream import AudioStream
from av.buffer import Buffer
from av.container import InputContainer
from av.video.stream import VideoStream

from detector.clock import Clock
from detector.errors import MediaError
from detector.media import (
    HEAD_BYTES,
    IMAGE_FORMATS,
    RGB,
    SUPPORTED,
    Source,
    TimedFile,
    ends_early,
    open_source,
    sniff_format,
    too_slow,
)

MAX_SIDE = 8192
MAX_PIXELS = 36_000_000  # 8K cinema, 8192 x 4320, is 35.4 million
MAX_PIXELS_AT_ONCE = 9_437_184  # 4096 x 2304: a larger frame comes at half its size
BUDGET_S = 10.0
"""Seconds that one call may spend reading and decoding; what the caller does between two frames does not count."""

CODECS = (
    "h264",
    "hevc",
    "vp8",
    "vp9",
    "av1",
    "mpeg4",
    "mpeg1video",
    "mpeg2video",
    "h263",
    "flv1",
    "mjpeg",
    "prores",
    "dnxhd",
    "cfhd",
    "dvvideo",
    "theora",
    "vc1",
    "wmv1",
    "wmv2",
    "wmv3",
    "msmpeg4v2",
    "msmpeg4v3",
    "rv30",
    "rv40",
    "svq3",
    "png",
    "rawvideo",
)
"""What a frame may be coded with: the codecs of cameras, telephones, editing and the web. FFmpeg has 200 more."""

SOUND_CODECS = (
    "aac",
    "mp3",
    "mp2",
    "opus",
    "vorbis",
    "flac",
    "alac",
    "ac3",
    "eac3",
    "amr_nb",
    "amr_wb",
    "wmav1",
    "wmav2",
    "pcm_s16le",
    "pcm_s16be",
    "pcm_s24le",
    "pcm_s24be",
    "pcm_s32le",
    "pcm_f32le",
    "pcm_u8",
    "pcm_alaw",
    "pcm_mulaw",
)
"""What sound may be coded with."""
SOUND_RATE = 48_000
"""Samples a second of `iter_sound`."""

_MAX_SEQUENTIAL_PX = 1.2e9  # about 10 s of decoding on two busy cores: 43 s of 720p, 19 s of 1080p, at 30 a second
_WINDOW_S = 2.0
_SPACING_S = 5.0  # windows closer than this would mostly fall between the same two keyframes
_FRAMES_A_WINDOW = 4  # enough to follow a person through a window
_PROBE_S = 5.0
_SCAN_S = 3.0
_GENERATE_PTS = cast(int, av.container.Flags.gen_pts.value)  # PyAV has FFmpeg guess missing times, out of order
_ROUNDING_S = 0.0015  # times are shown and stored in milliseconds
_SAME_S = 1e-6
_REACH = 0.4  # share of the spacing by which a wanted time may move
_LONG_GROUP = 12  # in shorter ones moving a time saves next to nothing
_JUMP_S = 2.0  # nearer frames are reached faster by reading on
_GROUP_PACKETS, _GROUP_BYTES = 300, 1 << 25


if TYPE_CHECKING:
    _Packet = av.Packet[VideoStream]


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What is known of a video before its frames are read.

    Attributes:
        width, height: of the first frame in pixels as `iter_frames` gives it, upright, with square pixels; a frame over
            9.4 megapixels (4K cinema is less) comes at half its size.
        fps: average frames a second, not rounded; None if unknown.
        duration_s: None if neither the file nor a quick look through all its packets tells.
        codec: FFmpeg's name, such as "h264".
        rotation: degrees that the stored frames were turned clockwise to stand upright: 0, 90, 180 or 270.
    """

    width: int
    height: int
    fps: float | None
    duration_s: float | None
    codec: str
    rotation: int


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One frame: seconds from the start of the stream, and (H, W, 3) uint8 RGB, upright, with square pixels.

    A frame larger than `MAX_PIXELS_AT_ONCE` comes at half its size. Where a stream changes its resolution on the way,
    frames keep the size they have.
    """

    time_s: float
    image: RGB


@dataclass(frozen=True, slots=True)
class Sound:
    """A piece of sound: seconds from the start of the video's stream, and (2, N) float32 at `SOUND_RATE`."""

    time_s: float
    samples: npt.NDArray[np.float32]


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
    duration_s: float, *, max_frames: int = 32, window_limit_s: float = 60.0, window_s: float = _WINDOW_S
) -> tuple[Window, ...]:
    """Where to look in a video of that length, before it is opened.

    Up to `window_limit_s` it is one window over everything with `max_frames` times. A longer video gets windows of
    `window_s` seconds, at most `max_frames / 4` and at least 5 s apart, each in the middle of an equal part of the
    video and with an equal share of the frames. Windows and times are in order, and windows do not overlap.
    """
    n_windows = min(max(max_frames // _FRAMES_A_WINDOW, 1), int(duration_s // _SPACING_S))
    if duration_s <= window_limit_s or n_windows < 2:
        return (Window(0.0, duration_s, sample_times(duration_s, max_frames)),)
    part_s = duration_s / n_windows
    length_s = min(window_s, part_s)
    starts = [(i + 0.5) * part_s - length_s / 2 for i in range(n_windows)]
    shares = [max_frames // n_windows + (i < max_frames % n_windows) for i in range(n_windows)]
    return tuple(
        Window(start, start + length_s, sample_times(length_s, share, start))
        for start, share in zip(starts, shares, strict=True)
    )


def covered_s(times_s: Iterable[float], duration_s: float | None = None, reach_s: float = 0.5) -> float:
    """How many seconds of a video a set of frames stands for: the time within `reach_s` of any of them, counted once.

    Half a second is about how long a face keeps its pose and expression. It takes the times of the frames that were
    really given, so it stays true when a damaged or slow file ended early.
    """
    end_s = math.inf if duration_s is None else duration_s
    total, seen_until = 0.0, 0.0
    for time_s in sorted(times_s):
        low, high = max(time_s - reach_s, seen_until), min(time_s + reach_s, end_s)
        if high > low:
            total += high - low
            seen_until = high
    return total


def probe(source: Source) -> VideoInfo:
    """Reads what a video says of itself and checks that a first frame can be decoded.

    Raises:
        MediaError: "empty", "unsupported" (no known container or codec, or encrypted), "too_large" (a frame, by the
            header), "no_video" (only sound, or no frame that can be decoded), "truncated", "unreadable", "too_slow".
    """
    clock = Clock(_PROBE_S)
    with _opened(source, clock) as media:
        for decoded in _decoded(media, clock):
            image = _upright(decoded.frame, media.stream, _turn(decoded.frame))
            return VideoInfo(
                width=image.shape[1],
                height=image.shape[0],
                fps=_fps(media.stream),
                duration_s=_stated_duration_s(media) or _scanned_duration_s(source),
                codec=media.codec,
                rotation=_rotation(decoded.frame),
            )
        raise _nothing_decoded(media, clock)


def iter_frames(
    source: Source,
    *,
    max_frames: int = 32,
    window_limit_s: float = 60.0,
    budget_s: float | None = None,
    info: VideoInfo | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[VideoFrame, None, None]:
    """Gives up to `max_frames` frames in order of time, spread over the whole video; each frame at most once.

    A short video is read from start to end. For a long one, or one whose frames are so large that decoding all would
    take about 10 s, it jumps once to each window of `plan_windows`, whose start moves to a keyframe close by. Only what
    the wanted frames need is decoded, and of each group of frames the last wanted one lies up to two fifths of the
    spacing beside its even place where that saves decoding the group's end. After `budget_s` it ends with the frames
    given so far. Damaged packets are skipped, and so are frames that the decoder marks as damaged. The file is open
    while the generator runs and is closed with it (`contextlib.closing`).

    Args:
        source: the video.
        max_frames: at most so many.
        window_limit_s: videos longer than this are looked at in windows.
        budget_s: seconds of work (`Clock`) for reading and decoding; `BUDGET_S` for each 32 frames by default.
        info: what `probe` said of it, if it was asked already.
        should_stop: asked at every packet; when it says True, it ends as if the time were over.

    Raises:
        MediaError: as `probe`, if not one frame can be given.
    """
    info = info or probe(source)
    clock = Clock(BUDGET_S * max(1.0, max_frames / 32) if budget_s is None else budget_s, should_stop)
    with _opened(source, clock) as media:
        turn: _Turn | None = None
        for decoded in _wanted(media, clock, _windows(info, max_frames, window_limit_s)):
            turn = turn or _turn(decoded.frame)
            frame = VideoFrame(decoded.time_s, _upright(decoded.frame, media.stream, turn))
            with clock.stopped():
                yield frame
        if turn is None:
            raise _nothing_decoded(media, clock)


def read_frame(source: Source, time_s: float) -> RGB:
    """The frame that is shown at `time_s`, the same as `iter_frames` gave for that time: (H, W, 3) uint8 RGB.

    Before the start it is the first frame, after the end the last.

    Raises:
        MediaError: as `probe`.
    """
    for seek in (True, False):  # some files jump past the wanted time, or to nowhere: then from the start
        clock = Clock(BUDGET_S)
        with _opened(source, clock) as media:
            if seek and not _seek(media, time_s):
                continue
            shown: _Decoded | None = None
            for decoded in _decoded(media, clock):
                if decoded.time_s > time_s + _ROUNDING_S and (shown is not None or seek):
                    break
                shown = decoded
            if clock.expired:
                raise too_slow()
            if shown is not None:
                return _upright(shown.frame, media.stream, _turn(shown.frame))
    raise MediaError("The frame at that time could not be decoded. Choose another one.", "no_video")


def iter_span(
    source: Source,
    start_s: float,
    end_s: float,
    *,
    should_stop: Callable[[], bool] | None = None,
    budget_s: float = BUDGET_S,
) -> Generator[VideoFrame, None, None]:
    """Every frame that is on the screen between two times, in order; the first may have begun before `start_s`.

    `should_stop` is asked at every decoded frame, also at those before the span that are not given; when it says True,
    the frames end. Otherwise as `iter_frames`.

    Raises:
        MediaError: as `probe`, if not one frame can be given; "too_slow" when `budget_s` ran out.
    """
    clock = Clock(budget_s)
    with _opened(source, clock) as media:
        if start_s > 0:
            _seek(media, start_s)
        turn: _Turn | None = None
        before: _Decoded | None = None
        for decoded in itertools.chain(_decoded(media, clock), (None,)):
            if should_stop is not None and should_stop():
                return
            if decoded is not None and decoded.time_s <= start_s:
                before = decoded
                continue
            wanted = [d for d in (before, decoded) if d is not None and d.time_s < end_s]
            before = None
            for shown in wanted:
                turn = turn or _turn(shown.frame)
                frame = VideoFrame(shown.time_s, _upright(shown.frame, media.stream, turn))
                with clock.stopped():
                    yield frame
            if decoded is not None and decoded.time_s >= end_s:
                break
        if clock.expired:
            raise too_slow()
        if turn is None:
            raise _nothing_decoded(media, clock)


def iter_sound(
    source: Source,
    start_s: float,
    end_s: float,
    *,
    should_stop: Callable[[], bool] | None = None,
    budget_s: float = BUDGET_S,
) -> Generator[Sound, None, None]:
    """The sound between two times, in order, as stereo; nothing if there is none. It ends early where it is damaged.

    `should_stop` as for `iter_span`.

    Raises:
        MediaError: as `probe`; "unsupported" if the sound is coded in none of `SOUND_CODECS`.
    """
    clock = Clock(budget_s)
    with _opened(source, clock) as media:
        stream = media.container.streams.best("audio")
        if not isinstance(stream, AudioStream):
            return
        codec = stream.codec_context.codec.canonical_name if stream.codec_context is not None else "unknown"
        if codec not in SOUND_CODECS:
            raise MediaError(f"The sound's coding ({codec}) is not supported. Save it again as MP4.", "unsupported")
        if start_s > 0:
            _seek(media, start_s)
        origin_s = float(media.start * media.time_base)
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=SOUND_RATE)
        for frame in _heard(media, stream, clock):
            if should_stop is not None and should_stop():
                return
            try:
                pieces = resampler.resample(frame)
            except (av.FFmpegError, ValueError):
                return
            for piece in pieces:
                if piece.pts is None or piece.time_base is None:
                    continue
                time_s = float(piece.pts * piece.time_base) - origin_s
                if time_s >= end_s:
                    return
                samples = cast("npt.NDArray[np.float32]", piece.to_ndarray())
                first = max(0, round((start_s - time_s) * SOUND_RATE))
                samples = samples[:, first : max(0, round((end_s - time_s) * SOUND_RATE))]
                if samples.shape[1]:
                    with clock.stopped():
                        yield Sound(time_s + first / SOUND_RATE, samples)


class _Media(NamedTuple):
    file: BinaryIO
    container: InputContainer
    stream: VideoStream
    codec: str
    time_base: Fraction
    start: int


class _Decoded(NamedTuple):
    time_s: float
    frame: av.VideoFrame


@contextmanager
def _opened(source: Source, clock: Clock) -> Iterator[_Media]:
    with open_source(source) as file:
        demuxer = sniff_format(file.read(HEAD_BYTES))
        file.seek(0)
        if demuxer is None or demuxer in IMAGE_FORMATS:
            raise MediaError(f"This is not a video that can be read. Bring one of: {SUPPORTED}.", "unsupported")
        options = {
            "format_whitelist": demuxer,
            "protocol_whitelist": "none",
            "codec_whitelist": "none",  # FFmpeg would decode while opening, where no limit on size holds
        }
        timed = cast(BinaryIO, TimedFile(file, lambda: not clock.expired))
        try:
            container = av.open(timed, "r", format=demuxer, options=options, metadata_errors="ignore", timeout=BUDGET_S)
        except Exception as error:  # FFmpeg's own errors, and what PyAV makes of nonsense in a header
            raise _unreadable(file, clock) from error
        with container:
            container.flags &= ~_GENERATE_PTS
            stream, codec = _video_stream(container)
            yield _Media(file, container, stream, codec, stream.time_base or Fraction(1, 1000), stream.start_time or 0)


def _unreadable(file: BinaryIO, clock: Clock) -> MediaError:
    if clock.expired:
        return too_slow()
    if ends_early(file):
        return MediaError("The video is incomplete: the file ends too early. Copy or download it again.", "truncated")
    return MediaError("The video is damaged and could not be read. Copy or download it again.", "unreadable")


def _nothing_decoded(media: _Media, clock: Clock) -> MediaError:
    if clock.expired or ends_early(media.file):
        return _unreadable(media.file, clock)
    return MediaError("No frame of the video could be decoded. Save it again as MP4 and try that copy.", "no_video")


def _video_stream(container: InputContainer) -> tuple[VideoStream, str]:
    """The stream to look at and its codec; cover pictures of music do not count as video."""
    pictures = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    streams = [stream for stream in container.streams.video if not stream.disposition & pictures]
    best = container.streams.best("video")
    if not streams:
        raise MediaError("The file has no video, only sound or other data. Choose a file with a picture.", "no_video")
    stream = best if isinstance(best, VideoStream) and best in streams else streams[0]
    context = stream.codec_context
    codec = context.codec.canonical_name if context is not None else "unknown"
    if codec not in CODECS:
        raise MediaError(f"The video's coding ({codec}) is not supported. Save it again as MP4 (H.264).", "unsupported")
    if context.width * context.height > MAX_PIXELS or max(context.width, context.height) > MAX_SIDE:
        raise MediaError(
            f"The video is too large: {context.width:,} x {context.height:,} pixels. Save a copy of 4K or less.",
            "too_large",
        )
    context.options = {"max_pixels": str(MAX_PIXELS)}  # streams can grow after their header
    # each frame thread holds a frame more; two are enough for two cores
    context.thread_count = 2
    context.thread_type = "AUTO" if context.width * context.height <= MAX_PIXELS_AT_ONCE else "SLICE"
    return stream, codec


def _fps(stream: VideoStream) -> float | None:
    rate = stream.average_rate or stream.guessed_rate
    return float(rate) if rate and 0 < rate <= 1000 else None


def _stated_duration_s(media: _Media) -> float | None:
    if media.stream.duration is not None:
        duration_s = float(media.stream.duration * media.time_base)
    elif media.container.duration is not None:
        duration_s = media.container.duration / av.time_base
    else:
        return None
    return duration_s if 0 < duration_s < 1e6 else None


def _scanned_duration_s(source: Source) -> float | None:
    """The duration from the packets' own times; recordings of browsers and broken-off ones state none."""
    clock = Clock(_SCAN_S)
    end, packets = 0, 0
    with _opened(source, clock) as media:
        for packet in _packets(media, clock):
            packets += packet.size > 0
            if packet.pts is not None:
                end = max(end, packet.pts + (packet.duration or 0) - media.start)
        if clock.expired:
            return None
        duration_s = float(end * media.time_base) or packets / (_fps(media.stream) or 25.0)
    return duration_s if 0 < duration_s < 1e6 else None


def _packets(media: _Media, clock: Clock) -> "Iterator[_Packet]":
    """Packets of the stream from where the file stands, until its end, an error that cannot be passed, or no time."""
    try:
        for packet in media.container.demux(media.stream):
            if clock.expired:
                return
            yield packet
    except av.FFmpegError:
        return


class _Decoder:
    """Packets of one stream in, undamaged frames out, in order of time."""

    def __init__(self, media: _Media) -> None:
        self._media = media
        self._step_s = _step_s(media)
        self._last_s = -self._step_s
        self._fed = False

    def feed(self, packet: "_Packet | None", skip: Literal["DEFAULT", "NONREF"] = "DEFAULT") -> Iterator[_Decoded]:
        """The frames that come out when a packet goes in; None asks for all that are still inside.

        `skip` is what need not be decoded, as FFmpeg names it.
        """
        if packet is not None and packet.has_sidedata("encryption_info"):
            raise MediaError("The video is copy-protected (encrypted). Ask its owner for an open copy.", "unsupported")
        self._fed = True
        self._media.stream.codec_context.skip_frame = skip
        try:
            frames = self._media.stream.decode(packet)
        except av.FFmpegError:
            return  # one damaged packet; those after it may be fine
        for frame in frames:
            # AVI and bare streams have no presentation times, but frames come in order, each with a packet's time
            time_s = _seconds(self._media, frame.dts if frame.pts is None else frame.pts)
            self._last_s = time_s if time_s is not None and time_s > self._last_s else self._last_s + self._step_s
            if not frame.is_corrupt:
                yield _Decoded(self._last_s, frame)

    def finish(self) -> Iterator[_Decoded]:
        """The frames still inside; whatever comes next must begin with a keyframe."""
        if self._fed:
            yield from self.feed(None)
            self._media.stream.codec_context.flush_buffers()
            self._fed = False

    def jumped(self) -> None:
        """The next packet comes from elsewhere in the file."""
        self._last_s, self._fed = -self._step_s, False


def _step_s(media: _Media) -> float:
    return 1 / (_fps(media.stream) or 25.0)


def _seconds(media: _Media, ticks: int | None) -> float | None:
    return None if ticks is None else max(float((ticks - media.start) * media.time_base), 0.0)


def _decoded(media: _Media, clock: Clock) -> Iterator[_Decoded]:
    """All undamaged frames from where the file stands, in order of time."""
    decoder = _Decoder(media)
    for packet in _packets(media, clock):
        yield from decoder.feed(packet if packet.size else None)


class _Group(NamedTuple):
    """A keyframe and the packets up to the next one, in order of decoding; a very long group comes in parts.

    Attributes:
        packets: at least one.
        times_s: when the frame of each packet is shown.
        end_s: when the next group's first frame is shown, infinite at the end of the file.
        closed: no later packet needs these.
        timed: every packet says when its frame is shown, and all differ.
    """

    packets: "list[_Packet]"
    times_s: list[float]
    end_s: float
    closed: bool
    timed: bool

    @property
    def start_s(self) -> float:
        return min(self.times_s)


def _groups(media: _Media, clock: Clock) -> Iterator[_Group]:
    """Groups from where the file stands. One is closed when the frames after the next keyframe are all shown later."""
    packets: list[_Packet] = []
    times_s: list[float] = []

    def cut(count: int, closed: bool) -> _Group:
        group, shown = packets[:count], times_s[:count]
        del packets[:count], times_s[:count]
        stated = {packet.pts for packet in group}
        timed = None not in stated and len(stated) == len(group)
        return _Group(group, shown, times_s[0] if times_s else math.inf, closed, timed)

    time_s, step_s, held = -_step_s(media), _step_s(media), 0
    for packet in _packets(media, clock):
        if not packet.size:
            continue  # the end
        stated_s = _seconds(media, packet.dts if packet.pts is None else packet.pts)
        time_s = time_s + step_s if stated_s is None else stated_s
        packets.append(packet)
        times_s.append(time_s)
        held += packet.size
        before = len(packets) - 2
        if before > 0 and packets[before].is_keyframe and time_s > times_s[before]:
            yield cut(before, closed=True)
            held = sum(p.size for p in packets)
        elif len(packets) > _GROUP_PACKETS or held > _GROUP_BYTES:
            yield cut(max(before, 1), closed=False)
            held = sum(p.size for p in packets)
    if len(packets) > 1 and packets[-1].is_keyframe:
        yield cut(len(packets) - 1, closed=True)
    if packets:
        yield cut(len(packets), closed=True)


def _heard(media: _Media, stream: AudioStream, clock: Clock) -> Iterator[av.AudioFrame]:
    """Frames of sound from where the file stands, until its end, an error that cannot be passed, or no time."""
    try:
        for packet in media.container.demux(stream):
            if clock.expired:
                return
            try:
                yield from packet.decode()
            except av.FFmpegError:
                continue  # one damaged packet, as with frames
    except av.FFmpegError:
        return


def _seek(media: _Media, time_s: float) -> bool:
    """Goes to the last keyframe at or before that time."""
    try:
        media.container.seek(int(time_s / media.time_base) + media.start, stream=media.stream)
    except (av.FFmpegError, OverflowError):
        return False
    return True


def _windows(info: VideoInfo, max_frames: int, window_limit_s: float) -> tuple[Window, ...]:
    if info.duration_s is None:  # then it cannot be spread: twice a second from the start
        return (Window(0.0, math.inf, sample_times(max_frames / 2, max_frames)),)
    pixels_a_second = info.width * info.height * (info.fps or 30.0)
    limit_s = min(window_limit_s, _MAX_SEQUENTIAL_PX / pixels_a_second)
    return plan_windows(info.duration_s, max_frames=max_frames, window_limit_s=limit_s)


def _wanted(media: _Media, clock: Clock, windows: Sequence[Window]) -> Iterator[_Decoded]:
    """The frames that are on the screen at the windows' times, or close to them; each once, in order.

    Whole groups without a wanted frame are not decoded, nor what follows the last wanted frame of a group, nor frames
    that no other frame needs.
    """
    gap_s = windows[1].start_s - windows[0].end_s if len(windows) > 1 else 0.0
    spacings = [b - a for window in windows for a, b in itertools.pairwise(window.times_s)]
    reach_s = _REACH * min(spacings, default=0.0)
    if reach_s < 2 * _step_s(media):
        reach_s = 0.0  # so close that two times might come to mean one frame
    later = deque(windows)
    times: deque[float] = deque()
    targets: deque[float] = deque()
    decoder = _Decoder(media)
    last_wanted_s = sought_s = given_s = -1.0
    last: _Decoded | None = None
    groups = _groups(media, clock)
    while (later or times) and (group := next(groups, None)) is not None:
        while later and later[0].start_s < group.end_s:
            window = later.popleft()
            moved_s = window.start_s - group.start_s
            if not 0 < moved_s <= gap_s / 2 or group.start_s <= last_wanted_s:
                moved_s = 0.0
            times.extend(t - moved_s for t in window.times_s)
            last_wanted_s = times[-1]
        here = []
        while times and times[0] < group.end_s:
            here.append(times.popleft())
        may_leave_out = group.closed and group.timed
        if may_leave_out and here and reach_s and len(group.packets) >= _LONG_GROUP:
            here, postponed = _moved(here, group, times[0] if times else math.inf, reach_s)
            times.extendleft(postponed)
        wanted = _shown_at(sorted(group.times_s), here)
        targets.extend(t for t in wanted if t > given_s)
        fed = len(group.packets)
        if may_leave_out:
            fed = 1 + max((i for i, t in enumerate(group.times_s) if t in wanted), default=-1)
        come = (
            decoded
            for packet, t in zip(group.packets[:fed], group.times_s, strict=False)
            for decoded in decoder.feed(packet, "NONREF" if group.timed and t not in wanted else "DEFAULT")
        )
        ends = not (later or times)
        for last in itertools.chain(come, decoder.finish() if ends or fed < len(group.packets) else ()):
            if clock.expired:
                return
            if targets and last.time_s >= targets[0] - _SAME_S:
                while targets and last.time_s >= targets[0] - _SAME_S:
                    targets.popleft()
                given_s = last.time_s
                yield last
        next_s = times[0] if times else later[0].start_s if later else 0.0
        if next_s - group.end_s > _JUMP_S and next_s > sought_s and _keyframe_s(media, next_s) > group.end_s:
            sought_s = next_s  # once: some files jump to where they were
            if _seek(media, next_s):
                decoder.jumped()
                groups = _groups(media, clock)
    for decoded in decoder.finish():
        last = decoded
    if last is not None and last.time_s > given_s and (targets or given_s < 0) and not clock.expired:
        yield last  # the file ends before the frame that was wanted


def _moved(here: list[float], group: _Group, next_s: float, reach_s: float) -> tuple[list[float], list[float]]:
    """The wanted times of a group with the last one moved to where less has to be decoded: back, or to the next group.

    Returns the times of this group, and those of the next.
    """
    *others, last_s = here
    if last_s <= group.start_s or math.isinf(group.end_s):
        return here, []  # nothing to gain, or the end of the video, which shall be seen
    if group.end_s - last_s <= reach_s and next_s - group.end_s > reach_s:
        return others, [group.end_s]
    return [*others, max(last_s - reach_s, group.start_s)], []


def _shown_at(frames_s: Sequence[float], times_s: Iterable[float]) -> list[float]:
    """The times of the frames that are on the screen at those times, each once; before the first it is the first."""
    places = (max(0, bisect.bisect_right(frames_s, t + _SAME_S) - 1) for t in times_s)
    return list(dict.fromkeys(frames_s[i] for i in places))


def _keyframe_s(media: _Media, time_s: float) -> float:
    """Time of the keyframe to which a jump to `time_s` would lead; `time_s` itself if the file has no index."""
    entries = media.stream.index_entries
    index = entries.search_timestamp(int(time_s / media.time_base) + media.start)
    return time_s if index < 0 else float((entries[index].timestamp - media.start) * media.time_base)


class _Turn(NamedTuple):
    """What makes a stored frame upright: first its axes swapped, then mirrored left to right, then top to bottom."""

    swap: bool = False
    mirror_x: bool = False
    mirror_y: bool = False


def _turn(frame: av.VideoFrame) -> _Turn:
    """Reads the display matrix: (x, y) of the stored frame goes to (a x + c y, b x + d y).

    PyAV's side data and its frame hold each other until the garbage collector comes by, 50 MB for a frame of 8K: ask
    this of one frame of a stream.
    """
    side_data = cast(Mapping[str, Buffer], frame.side_data)
    if "DISPLAYMATRIX" not in side_data:
        return _Turn()
    a, b, _, c, d, *_ = np.frombuffer(bytes(side_data["DISPLAYMATRIX"]), np.int32, 9).tolist()
    return _Turn(True, c < 0, b < 0) if abs(b) > abs(a) else _Turn(False, a < 0, d < 0)


def _rotation(frame: av.VideoFrame) -> int:
    return round(-frame.rotation / 90) % 4 * 90


def _upright(frame: av.VideoFrame, stream: VideoStream, turn: _Turn) -> RGB:
    """(H, W, 3) uint8 RGB with square pixels, halved where very large, turned and mirrored as the file asks."""
    width, height = frame.width, frame.height
    ratio = float(stream.sample_aspect_ratio or 1)
    if 0.2 < ratio < 5 and abs(ratio - 1) > 0.01 and width * ratio * height <= MAX_PIXELS:
        width = round(width * ratio)  # recordings of 720 x 576 or 1440 x 1080 are squeezed, and so are their faces
    if width * height > MAX_PIXELS_AT_ONCE:
        width, height = width // 2, height // 2
    try:
        pixels = cast(RGB, frame.reformat(width=width, height=height, format="rgb24").to_ndarray())
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(
            "The video's colour format is not supported. Save it again as MP4 (H.264).", "unsupported"
        ) from error
    if turn.swap:
        pixels = pixels.swapaxes(0, 1)
    return np.ascontiguousarray(pixels[:: -1 if turn.mirror_y else 1, :: -1 if turn.mirror_x else 1])
