"""An untrusted file to packets and undamaged frames, within limits of size, memory and time.

What a hostile file can reach is small: FFmpeg gets an open file and never a name (so it follows no URL, playlist or
`%d` pattern), the one demuxer that the file's own first bytes call for, the decoders of `CODECS`, and a limit on the
size of a frame that also holds inside the decoder. Opening a file decodes nothing.
"""

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import BinaryIO, Literal, NamedTuple, TypeAlias, cast

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from detector.clock import Clock
from detector.errors import MediaError
from detector.media import (
    HEAD_BYTES,
    IMAGE_FORMATS,
    SUPPORTED,
    Source,
    TimedFile,
    open_source,
    sniff_format,
    too_slow,
)
from detector.video.fields import Deinterlacer
from detector.video.timeline import Continuous
from detector.video.whole import breaks_off, may_jump

Packet: TypeAlias = "av.Packet[VideoStream]"

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
_GENERATE_PTS = cast(int, av.container.Flags.gen_pts.value)  # PyAV has FFmpeg guess missing times, out of order


_PRIMING_S = 0.1
"""Sound that begins so much before the first picture is what its coder needs to start: nobody hears it."""
_JUMPING = ("mpegts", "mpeg")
"""Formats of tape and aerial, whose times may also jump ahead and whose packets say when to decode them."""
_BACK_S = (0.2, 1.0, 3.0, 10.0, 30.0)  # how far before a wanted time a keyframe is looked for, one after the other
_LATER_PARTS = 64
_PART_BYTES = 1 << 16
_SURVEY_S = 10.0


class Survey(NamedTuple):
    """The result of a pass through all packets.

    Attributes:
        joined: the times jump, or another recording with streams of its own follows in the file.
        end_s: when the last picture ends, on a player's clock, with jumps taken out; None without a packet.
        whole: the last packet did not break off.
    """

    joined: bool
    end_s: float | None
    whole: bool


@dataclass
class Media:
    """An open file, its video stream, and what its times are counted in: seconds = (ticks - start) * time_base.

    Attributes:
        demuxer: FFmpeg's name of the container.
        start: ticks at which a player's clock stands at 0: the first picture, or a sound that begins before it.
        joined: the times of the packets jump on the way. Then it can only be read from start to end; `packets_of`
            gives the packets times without jumps.
        survey: of a file whose packets had to be gone through to find that out.
        last_packet: where the last packet that was read began in the file, and whether it was whole.
        first_part_ends: the same place of the last packet of the first recording.
        interlaced: frames hold two moments each, as far as is known.
    """

    file: BinaryIO
    container: InputContainer
    stream: VideoStream
    codec: str
    demuxer: str
    time_base: Fraction
    start: int
    joined: bool
    clock: Clock
    survey: "Survey | None" = None
    parts: ExitStack = field(default_factory=ExitStack)
    last_packet: tuple[int, bool] = (0, True)
    first_part_ends: int = 0
    interlaced: bool = False

    def continuous(self) -> Continuous:
        """A line of time that takes the jumps out of the times of all packets from the start."""
        timed = self.demuxer in _JUMPING
        step = max(1, round(step_of(self) / self.time_base))
        return Continuous(float(1 / self.time_base), step, by_dts=timed, closes_gaps=timed)


class Decoded(NamedTuple):
    """A frame as the decoder gives it, and its time in seconds on a player's clock.

    `ratio` is the width of a pixel over its height.
    """

    time_s: float
    frame: av.VideoFrame
    ratio: float = 1.0


@contextmanager
def opened(source: Source, clock: Clock, joined: bool | None = None) -> Iterator[Media]:
    """The file while the context lasts. Nothing is decoded by opening it.

    Args:
        source: the file.
        clock: how long it may take.
        joined: whether its times jump; None finds out, which reads a file that can have such jumps once.

    Raises:
        MediaError: "empty", "unsupported", "too_large", "no_video", "truncated", "unreadable", "too_slow".
    """
    with open_source(source) as file:
        demuxer = sniff_format(file.read(HEAD_BYTES))
        if demuxer is None or demuxer in IMAGE_FORMATS:
            raise MediaError(f"This is not a video that can be read. Bring one of: {SUPPORTED}.", "unsupported")
        surveyed = None
        if joined is None and may_jump(file, demuxer):
            patience = Clock(_SURVEY_S)
            with clock.stopped(), _media(file, demuxer, patience, False) as media:
                surveyed = survey(media, patience)
            joined = surveyed is not None and surveyed.joined
        with _media(file, demuxer, clock, bool(joined)) as media:
            media.survey = surveyed
            yield media


@contextmanager
def _media(file: BinaryIO, demuxer: str, clock: Clock, joined: bool) -> Iterator[Media]:
    with _demuxed(file, 0, demuxer, clock) as container:
        stream, codec = _video_stream(container)
        time_base = stream.time_base or Fraction(1, 1000)
        start = _start_of(container, stream, time_base)
        media = Media(file, container, stream, codec, demuxer, time_base, start, joined, clock)
        with media.parts:
            yield media


def _demuxed(file: BinaryIO, first: int, demuxer: str, clock: Clock) -> InputContainer:
    """FFmpeg's view of a file, or of what follows in it from a place on."""
    file.seek(first)
    options = {
        "format_whitelist": demuxer,
        "protocol_whitelist": "none",
        "codec_whitelist": "none",  # FFmpeg would decode while opening, where no limit on size holds
    }
    timed = cast(BinaryIO, TimedFile(cast(BinaryIO, _Rest(file, first)) if first else file, lambda: not clock.expired))
    try:
        container = av.open(timed, "r", format=demuxer, options=options, metadata_errors="ignore")
    except Exception as error:  # FFmpeg's own errors, and what PyAV makes of nonsense in a header
        raise _unreadable(file, demuxer, clock) from error
    container.flags &= ~_GENERATE_PTS
    return container


class _Rest(io.RawIOBase):
    """A file from a place on, as if it began there."""

    def __init__(self, file: BinaryIO, first: int) -> None:
        super().__init__()
        self._file, self._first = file, first

    def read(self, size: int = -1, /) -> bytes:
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset + (self._first if whence == io.SEEK_SET else 0), whence) - self._first

    def tell(self) -> int:
        return self._file.tell() - self._first


def _start_of(container: InputContainer, stream: VideoStream, time_base: Fraction) -> int:
    """Ticks of the stream at which a player's clock stands at 0: where the file begins, with a picture or with sound.

    (mpv's `rebase-start-time`; in MP4, whose files begin at 0, every browser.)
    """
    first = stream.start_time
    if container.start_time is None:
        return first or 0
    begins = round(Fraction(container.start_time, av.time_base) / time_base)
    return first if first is not None and (first - begins) * time_base < _PRIMING_S else begins


def survey(media: Media, clock: Clock) -> "Survey | None":
    """Goes through all packets of a file that was just opened; None if that took too long."""
    line = media.continuous()
    packets, end, timed = 0, None, False
    for part in _streams(media, joined=True):
        for packet in _read(media, *part):
            if clock.expired:
                return None
            if packet.size:
                line.move(packet.pts, packet.dts, packet.duration, packet.is_keyframe)
                if not packet.is_discard:
                    packets, end = packets + 1, line.end
                    timed = timed or packet.pts is not None
    end_s = seconds_of(media, end) if timed else packets * step_of(media)
    return Survey(line.jumps > 0 or media.last_packet[0] > media.first_part_ends, end_s or None, media.last_packet[1])


def _unreadable(file: BinaryIO, demuxer: str, clock: Clock) -> MediaError:
    if clock.expired:
        return too_slow()
    if breaks_off(file, demuxer):
        return MediaError("The video is incomplete: the file ends too early. Copy or download it again.", "truncated")
    return MediaError("The video is damaged and could not be read. Copy or download it again.", "unreadable")


def nothing_decoded(media: Media, clock: Clock) -> MediaError:
    """The error when not one frame came out."""
    if clock.expired or breaks_off(media.file, media.demuxer):
        return _unreadable(media.file, media.demuxer, clock)
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


def fps_of(stream: VideoStream) -> float | None:
    """Average frames a second, not rounded; None if unknown."""
    rate = stream.average_rate or stream.guessed_rate
    return float(rate) if rate and 0 < rate <= 1000 else None


def packets_of(media: Media, clock: Clock) -> Iterator[Packet]:
    """Packets of the stream from where the file stands, until its end, an error that cannot be passed, or no time.

    Where times jump, they come with times that go on.
    """
    line = media.continuous() if media.joined else None
    for part in _streams(media, media.joined):
        for packet in _read(media, *part):
            if clock.expired:
                return
            if line is not None and packet.size:
                moved = line.move(packet.pts, packet.dts, packet.duration, packet.is_keyframe)
                packet.pts = None if packet.pts is None else packet.pts + moved
                packet.dts = None if packet.dts is None else packet.dts + moved
            yield packet


def _streams(media: Media, joined: bool) -> Iterator[tuple[InputContainer, VideoStream, int]]:
    yield media.container, media.stream, 0
    media.first_part_ends = media.last_packet[0]
    if joined:
        yield from _later_parts(media)


def _read(media: Media, container: InputContainer, stream: VideoStream, first: int = 0) -> Iterator[Packet]:
    try:
        for packet in container.demux(stream):
            if packet.size and packet.pos is not None and packet.pos >= 0:
                media.last_packet = (first + packet.pos, not packet.is_corrupt)
            yield packet
    except (av.FFmpegError, IndexError):  # PyAV does not know streams that begin on the way
        return


def _later_parts(media: Media) -> Iterator[tuple[InputContainer, VideoStream, int]]:
    """Recordings behind the first one that FFmpeg does not follow, since their streams have other numbers.

    Each is opened when the packets of the one before have been read, and stands with the place where it begins.
    """
    size = media.file.seek(0, io.SEEK_END)
    for _ in range(_LATER_PARTS if media.demuxer == "mpegts" else 0):
        first = media.last_packet[0] + 1
        if size - first < _PART_BYTES:
            return
        try:
            container = media.parts.enter_context(_demuxed(media.file, first, media.demuxer, media.clock))
            stream, _ = _video_stream(container)
        except MediaError:
            return
        yield container, stream, first
        if media.last_packet[0] < first:
            return  # sound, or what belongs to no picture


def step_of(media: Media) -> float:
    """Seconds from frame to frame, where no frame says."""
    return 1 / (fps_of(media.stream) or 25.0)


def seconds_of(media: Media, ticks: int | None) -> float | None:
    """Ticks of the stream as seconds from its start, never before it."""
    return None if ticks is None else max(float((ticks - media.start) * media.time_base), 0.0)


class Decoder:
    """Packets of one stream in, undamaged frames out, in order of time."""

    def __init__(self, media: Media) -> None:
        self._media = media
        self._step_s = step_of(media)
        self._last_s = -self._step_s
        self._fed = False
        self._stream = media.stream
        self._fields = Deinterlacer() if media.interlaced else None

    def feed(self, packet: "Packet | None", skip: Literal["DEFAULT", "NONREF"] = "DEFAULT") -> Iterator[Decoded]:
        """The frames that come out when a packet goes in; None asks for all that are still inside.

        `skip` is what need not be decoded, as FFmpeg names it.
        """
        if packet is not None and packet.has_sidedata("encryption_info"):
            raise MediaError("The video is copy-protected (encrypted). Ask its owner for an open copy.", "unsupported")
        if packet is not None and packet.stream is not self._stream:
            yield from self.finish()
            self._stream = packet.stream
        self._fed = True
        self._stream.codec_context.skip_frame = skip
        try:
            frames = self._stream.decode(packet)
        except av.FFmpegError:
            return  # one damaged packet; those after it may be fine
        for frame in frames:
            # AVI and bare streams have no presentation times, but frames come in order, each with a packet's time
            time_s = seconds_of(self._media, frame.dts if frame.pts is None else frame.pts)
            self._last_s = time_s if time_s is not None and time_s > self._last_s else self._last_s + self._step_s
            if frame.is_corrupt:
                continue
            ratio = _pixel_ratio(self._stream)
            if frame.interlaced_frame and self._fields is None:
                self._fields = Deinterlacer()
                self._media.interlaced = True
            if self._fields is None:
                yield Decoded(self._last_s, frame, ratio)
                continue
            for shown_s, shown in self._fields.push(frame, self._last_s):
                yield Decoded(shown_s, shown, ratio)

    def finish(self) -> Iterator[Decoded]:
        """The frames still inside; whatever comes next must begin with a keyframe."""
        if self._fed:
            yield from self.feed(None)
            self._stream.codec_context.flush_buffers()
            self._fed = False
        if self._fields is not None:
            for shown_s, shown in self._fields.finish():
                yield Decoded(shown_s, shown, _pixel_ratio(self._stream))

    def jumped(self) -> None:
        """The next packet comes from elsewhere in the file."""
        self._last_s, self._fed = -self._step_s, False
        if self._fields is not None:
            self._fields.finish()


def decoded_frames(media: Media, clock: Clock) -> Iterator[Decoded]:
    """All undamaged frames from where the file stands, in order of time."""
    decoder = Decoder(media)
    for packet in packets_of(media, clock):
        if packet.size:
            yield from decoder.feed(packet)
    yield from decoder.finish()


def _pixel_ratio(stream: VideoStream) -> float:
    """Width of a pixel over its height: as the container says, else as the coded pictures themselves do."""
    for stated in (stream.sample_aspect_ratio, stream.codec_context.sample_aspect_ratio):
        if stated and stated > 0:
            return float(stated)
    return 1.0


def seek(media: Media, time_s: float) -> bool:
    """Goes to the last keyframe at or before that time; False where the file cannot be entered there."""
    if media.joined:
        return False
    if media.demuxer not in _JUMPING:
        return _sought(media, time_s)
    # these list no keyframes: FFmpeg goes to any packet of that time
    for back_s in _BACK_S:
        if not _sought(media, time_s - back_s):
            return False
        for packet in _read(media, media.container, media.stream):
            if packet.size and packet.is_keyframe and packet.pts is not None:
                shown_s = seconds_of(media, packet.pts)
                break
        else:
            continue
        if shown_s is not None and shown_s <= time_s:
            return _sought(media, time_s - back_s)
        if time_s <= back_s:
            break
    return _sought(media, 0.0)


def _sought(media: Media, time_s: float) -> bool:
    try:
        media.container.seek(int(time_s / media.time_base) + media.start, stream=media.stream)
    except (av.FFmpegError, OverflowError):
        return False
    return True
