"""A video's properties and its frames: spread over all of it, at one time, or all between two times."""

import itertools
import math
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
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
    seek,
)
from detector.video.extent import extent_of
from detector.video.plan import Window, plan_windows, sample_times
from detector.video.upright import Turn, rotation_of, turn_of, upright
from detector.video.wanted import frames_from, wanted_frames

_MAX_SEQUENTIAL_PX = 1.2e9  # about 10 s of decoding on two busy cores: 43 s of 720p, 19 s of 1080p, at 30 a second
_PROBE_S = 5.0
_LEAD_S = 0.1  # a first picture that is later by less stands at the beginning
_ROUNDING_S = 0.0015  # times are shown and stored in milliseconds


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """A video as far as it is known before its frames are read.

    Attributes:
        width, height: of the first frame in pixels as `iter_frames` gives it, upright, with square pixels; a frame over
            9.4 megapixels (4K cinema is less) comes at half its size.
        fps: average frames a second, not rounded; None if unknown.
        duration_s: when the last picture that is there ends; None if neither the file nor a quick look through all its
            packets tells.
        codec: FFmpeg's name, such as "h264".
        rotation: degrees that the stored frames were turned clockwise to stand upright: 0, 90, 180 or 270.
        start_s: when the first picture is shown: later than 0 where the sound begins before it.
        cut_off: the file breaks off before its end.
        stated_s: when the last picture would end by what the file says, where it breaks off and says so.
        second_file: another video follows in the same file, which players do not show.
        joined: recordings with times of their own follow each other; their pictures are shown one after the other.
        interlaced: the stored frames hold two moments each; those that `iter_frames` gives hold the first.
    """

    width: int
    height: int
    fps: float | None
    duration_s: float | None
    codec: str
    rotation: int
    start_s: float = 0.0
    cut_off: bool = False
    stated_s: float | None = None
    second_file: bool = False
    joined: bool = False
    interlaced: bool = False


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
            image = upright(decoded, turn_of(decoded.frame))
            extent = extent_of(source, media)
            return VideoInfo(
                width=image.shape[1],
                height=image.shape[0],
                fps=fps_of(media.stream),
                duration_s=extent.end_s,
                codec=media.codec,
                rotation=rotation_of(decoded.frame),
                start_s=decoded.time_s if decoded.time_s > _LEAD_S else 0.0,
                cut_off=extent.cut_off,
                stated_s=extent.stated_s,
                second_file=extent.second_file,
                joined=media.joined,
                interlaced=media.interlaced,
            )
        raise nothing_decoded(media, clock)


def iter_frames(
    source: Source,
    *,
    max_frames: int = 32,
    window_limit_s: float = 60.0,
    windows: Sequence[Window] | None = None,
    budget_s: float | None = None,
    info: VideoInfo | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[VideoFrame, None, None]:
    """Gives up to `max_frames` frames in order of time, spread over the whole video; each frame at most once.

    A short video is read from start to end. For a long one, or one whose frames are so large that decoding all would
    take about 10 s, it jumps once to each window of `plan_windows`, whose start moves to a keyframe close by. Only what
    the wanted frames need is decoded, and of each group of frames the last wanted one lies up to two fifths of the
    spacing beside its even place where that saves decoding the group's end. Damaged packets are skipped, and so are
    frames that the decoder marks as damaged. The file is open while the generator runs and is closed with it
    (`contextlib.closing`).

    Args:
        source: the video.
        max_frames: at most so many.
        window_limit_s: videos longer than this are looked at in windows.
        windows: where to look instead, in order and apart (`windows_of`).
        budget_s: seconds of work (`Clock`) for reading and decoding; `BUDGET_S` for each 32 frames by default.
        info: what `probe` said of it, if it was asked already.
        should_stop: asked at every packet; when it says True, it ends as if the time were over.

    Raises:
        MediaError: as `probe`, if not one frame can be given; "too_slow", after the frames given so far, when
            `budget_s` ran out: what was given is not all that was wanted.
    """
    info = info or probe(source)
    clock = Clock(BUDGET_S * max(1.0, max_frames / 32) if budget_s is None else budget_s, should_stop)
    with opened(source, clock, info.joined) as media:
        media.interlaced = info.interlaced
        turn: Turn | None = None
        for decoded in wanted_frames(media, clock, windows or windows_of(info, max_frames, window_limit_s)):
            turn = turn or turn_of(decoded.frame)
            frame = VideoFrame(decoded.time_s, upright(decoded, turn))
            with clock.stopped():
                yield frame
        if clock.overdrawn:
            raise too_slow()
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
            frames = frames_from(media, clock, time_s) if media.joined else decoded_frames(media, clock)
            for decoded in frames:
                if decoded.time_s > time_s + _ROUNDING_S and (shown is not None or jump):
                    break
                shown = decoded
            if clock.expired:
                raise too_slow()
            if shown is not None:
                return upright(shown, turn_of(shown.frame))
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
    with ExitStack() as files:
        media = files.enter_context(opened(source, clock))
        frames = decoded_frames(media, clock) if seek(media, start_s) else frames_from(media, clock, start_s)
        first = next(frames, None)
        if first is None or first.time_s > start_s + _ROUNDING_S:  # it jumped too far, or to nowhere
            media = files.enter_context(opened(source, clock, media.joined))
            frames = frames_from(media, clock, start_s)
            first = next(frames, None)
        turn: Turn | None = None
        before: Decoded | None = None
        for decoded in itertools.chain((first,) if first else (), frames, (None,)):
            if should_stop is not None and should_stop():
                return
            if decoded is not None and decoded.time_s <= start_s:
                before = decoded
                continue
            wanted = [d for d in (before, decoded) if d is not None and d.time_s < end_s]
            before = None
            for shown in wanted:
                turn = turn or turn_of(shown.frame)
                frame = VideoFrame(shown.time_s, upright(shown, turn))
                with clock.stopped():
                    yield frame
            if decoded is not None and decoded.time_s >= end_s:
                break
        if clock.expired:
            raise too_slow()
        if turn is None:
            raise nothing_decoded(media, clock)


def windows_of(
    info: VideoInfo, max_frames: int = 32, window_limit_s: float = 60.0, part_s: tuple[float, float] | None = None
) -> tuple[Window, ...]:
    """Where `iter_frames` looks: in one window over the whole video or the part, or in several over a long one.

    Args:
        info: of the video.
        max_frames: at most so many.
        window_limit_s: what is longer is looked at in windows.
        part_s: (start, end) within which to look; the whole video by default.
    """
    start_s, end_s = part_s or (info.start_s, info.duration_s or math.inf)
    if math.isinf(end_s):  # then it cannot be spread: twice a second from the start
        return (Window(start_s, end_s, sample_times(max_frames / 2, max_frames, start_s)),)
    return plan_windows(
        end_s - start_s, max_frames=max_frames, window_limit_s=window_limit(info, window_limit_s), start_s=start_s
    )


def window_limit(info: VideoInfo, most_s: float = 60.0) -> float:
    """Seconds up to which a video of that size is read from start to end."""
    return min(most_s, _MAX_SEQUENTIAL_PX / (info.width * info.height * (info.fps or 30.0)))


def part_of(info: VideoInfo, start_s: float | None, end_s: float | None) -> tuple[float, float] | None:
    """The part of a video between two times, cut to where it has pictures; None if neither time was asked for.

    Raises:
        MediaError: "outside": there is no picture between them.
    """
    if start_s is None and end_s is None:
        return None
    ends_s = math.inf if info.duration_s is None else info.duration_s
    start_s, end_s = max(start_s or 0.0, info.start_s), min(math.inf if end_s is None else end_s, ends_s)
    if not start_s < end_s:
        there = f"from {info.start_s:.1f} s on" if info.duration_s is None else f"{info.start_s:.1f} to {ends_s:.1f} s"
        raise MediaError(f"The video has no picture in that part. Choose one within {there}.", "outside")
    return start_s, end_s
