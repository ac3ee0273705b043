"""An untrusted file to packets and undamaged frames, within limits of size, memory and time.

What a hostile file can reach is small: FFmpeg gets an open file and never a name (so it follows no URL, playlist or
`%d` pattern), the one demuxer that the file's own first bytes call for, the decoders of `CODECS`, and a limit on the
size of a frame that also holds inside the decoder. Opening a file decodes nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
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
    ends_early,
    open_source,
    sniff_format,
    too_slow,
)

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


class Media(NamedTuple):
    """An open file, its video stream, and what its times are counted in: seconds = (ticks - start) * time_base."""

    file: BinaryIO
    container: InputContainer
    stream: VideoStream
    codec: str
    time_base: Fraction
    start: int


class Decoded(NamedTuple):
    """A frame as the decoder gives it, and its time in seconds from the start of the stream."""

    time_s: float
    frame: av.VideoFrame


@contextmanager
def opened(source: Source, clock: Clock) -> Iterator[Media]:
    """The file while the context lasts. Nothing is decoded by opening it.

    Raises:
        MediaError: "empty", "unsupported", "too_large", "no_video", "truncated", "unreadable", "too_slow".
    """
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
            yield Media(file, container, stream, codec, stream.time_base or Fraction(1, 1000), stream.start_time or 0)


def _unreadable(file: BinaryIO, clock: Clock) -> MediaError:
    if clock.expired:
        return too_slow()
    if ends_early(file):
        return MediaError("The video is incomplete: the file ends too early. Copy or download it again.", "truncated")
    return MediaError("The video is damaged and could not be read. Copy or download it again.", "unreadable")


def nothing_decoded(media: Media, clock: Clock) -> MediaError:
    """What to raise when not one frame came out."""
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


def fps_of(stream: VideoStream) -> float | None:
    """Average frames a second, not rounded; None if unknown."""
    rate = stream.average_rate or stream.guessed_rate
    return float(rate) if rate and 0 < rate <= 1000 else None


def stated_duration_s(media: Media) -> float | None:
    """The duration by the file's header; None if it states none that can be."""
    if media.stream.duration is not None:
        duration_s = float(media.stream.duration * media.time_base)
    elif media.container.duration is not None:
        duration_s = media.container.duration / av.time_base
    else:
        return None
    return duration_s if 0 < duration_s < 1e6 else None


def packets_of(media: Media, clock: Clock) -> Iterator[Packet]:
    """Packets of the stream from where the file stands, until its end, an error that cannot be passed, or no time."""
    try:
        for packet in media.container.demux(media.stream):
            if clock.expired:
                return
            yield packet
    except av.FFmpegError:
        return


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

    def feed(self, packet: "Packet | None", skip: Literal["DEFAULT", "NONREF"] = "DEFAULT") -> Iterator[Decoded]:
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
            time_s = seconds_of(self._media, frame.dts if frame.pts is None else frame.pts)
            self._last_s = time_s if time_s is not None and time_s > self._last_s else self._last_s + self._step_s
            if not frame.is_corrupt:
                yield Decoded(self._last_s, frame)

    def finish(self) -> Iterator[Decoded]:
        """The frames still inside; whatever comes next must begin with a keyframe."""
        if self._fed:
            yield from self.feed(None)
            self._media.stream.codec_context.flush_buffers()
            self._fed = False

    def jumped(self) -> None:
        """The next packet comes from elsewhere in the file."""
        self._last_s, self._fed = -self._step_s, False


def decoded_frames(media: Media, clock: Clock) -> Iterator[Decoded]:
    """All undamaged frames from where the file stands, in order of time."""
    decoder = Decoder(media)
    for packet in packets_of(media, clock):
        yield from decoder.feed(packet if packet.size else None)


def seek(media: Media, time_s: float) -> bool:
    """Goes to the last keyframe at or before that time."""
    try:
        media.container.seek(int(time_s / media.time_base) + media.start, stream=media.stream)
    except (av.FFmpegError, OverflowError):
        return False
    return True
