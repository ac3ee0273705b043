"""What a video is, and its frames: spread over all of it, at one time, or all between two times."""

import itertools
import math
from collections.abc import Callable, Generator
from dataclasses import dataclass

from detector.clock import Clock
from detector.errors import MediaError
from detector.media import RGB, Source, too_slow
from detector.video.container import (
    BUDGET_S,
    Decoded,
    decoded_frames,
    fps_of,
    nothing_decoded,
    opened,
    packets_of,
    seek,
    stated_duration_s,
)
from detector.video.plan import Window, plan_windows, sample_times
from detector.video.upright import Turn, rotation_of, turn_of, upright
from detector.video.wanted import wanted_frames

_MAX_SEQUENTIAL_PX = 1.2e9  # about 10 s of decoding on two busy cores: 43 s of 720p, 19 s of 1080p, at 30 a second
_PROBE_S = 5.0
_SCAN_S = 3.0
_ROUNDING_S = 0.0015  # times are shown and stored in milliseconds


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


def probe(source: Source) -> VideoInfo:
    """Reads what a video says of itself and checks that a first frame can be decoded.

    Raises:
        MediaError: "empty", "unsupported" (no known container or codec, or encrypted), "too_large" (a frame, by the
            header), "no_video" (only sound, or no frame that can be decoded), "truncated", "unreadable", "too_slow".
    """
    clock = Clock(_PROBE_S)
    with opened(source, clock) as media:
        for decoded in decoded_frames(media, clock):
            image = upright(decoded.frame, media.stream, turn_of(decoded.frame))
            return VideoInfo(
                width=image.shape[1],
                height=image.shape[0],
                fps=fps_of(media.stream),
                duration_s=stated_duration_s(media) or _scanned_duration_s(source),
                codec=media.codec,
                rotation=rotation_of(decoded.frame),
            )
        raise nothing_decoded(media, clock)


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
    with opened(source, clock) as media:
        turn: Turn | None = None
        for decoded in wanted_frames(media, clock, _windows(info, max_frames, window_limit_s)):
            turn = turn or turn_of(decoded.frame)
            frame = VideoFrame(decoded.time_s, upright(decoded.frame, media.stream, turn))
            with clock.stopped():
                yield frame
        if turn is None:
            raise nothing_decoded(media, clock)


def read_frame(source: Source, time_s: float) -> RGB:
    """The frame that is shown at `time_s`, the same as `iter_frames` gave for that time: (H, W, 3) uint8 RGB.

    Before the start it is the first frame, after the end the last.

    Raises:
        MediaError: as `probe`.
    """
    for jump in (True, False):  # some files jump past the wanted time, or to nowhere: then from the start
        clock = Clock(BUDGET_S)
        with opened(source, clock) as media:
            if jump and not seek(media, time_s):
                continue
            shown: Decoded | None = None
            for decoded in decoded_frames(media, clock):
                if decoded.time_s > time_s + _ROUNDING_S and (shown is not None or jump):
                    break
                shown = decoded
            if clock.expired:
                raise too_slow()
            if shown is not None:
                return upright(shown.frame, media.stream, turn_of(shown.frame))
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
    with opened(source, clock) as media:
        if start_s > 0:
            seek(media, start_s)
        turn: Turn | None = None
        before: Decoded | None = None
        for decoded in itertools.chain(decoded_frames(media, clock), (None,)):
            if should_stop is not None and should_stop():
                return
            if decoded is not None and decoded.time_s <= start_s:
                before = decoded
                continue
            wanted = [d for d in (before, decoded) if d is not None and d.time_s < end_s]
            before = None
            for shown in wanted:
                turn = turn or turn_of(shown.frame)
                frame = VideoFrame(shown.time_s, upright(shown.frame, media.stream, turn))
                with clock.stopped():
                    yield frame
            if decoded is not None and decoded.time_s >= end_s:
                break
        if clock.expired:
            raise too_slow()
        if turn is None:
            raise nothing_decoded(media, clock)


def _scanned_duration_s(source: Source) -> float | None:
    """The duration from the packets' own times; recordings of browsers and broken-off ones state none."""
    clock = Clock(_SCAN_S)
    end, packets = 0, 0
    with opened(source, clock) as media:
        for packet in packets_of(media, clock):
            packets += packet.size > 0
            if packet.pts is not None:
                end = max(end, packet.pts + (packet.duration or 0) - media.start)
        if clock.expired:
            return None
        duration_s = float(end * media.time_base) or packets / (fps_of(media.stream) or 25.0)
    return duration_s if 0 < duration_s < 1e6 else None


def _windows(info: VideoInfo, max_frames: int, window_limit_s: float) -> tuple[Window, ...]:
    if info.duration_s is None:  # then it cannot be spread: twice a second from the start
        return (Window(0.0, math.inf, sample_times(max_frames / 2, max_frames)),)
    pixels_a_second = info.width * info.height * (info.fps or 30.0)
    limit_s = min(window_limit_s, _MAX_SEQUENTIAL_PX / pixels_a_second)
    return plan_windows(info.duration_s, max_frames=max_frames, window_limit_s=limit_s)
