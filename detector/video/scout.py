"""A quick look over a long video: some of its keyframes, small, without what lies between them."""

import itertools
from collections.abc import Callable, Generator, Iterator

from detector.clock import Clock
from detector.media import Source, too_slow
from detector.video.container import Decoded, Decoder, Media, Packet, opened, packets_of, seconds_of, seek
from detector.video.frames import VideoFrame, VideoInfo
from detector.video.upright import Turn, turn_of, upright

MAX_SCOUTS = 120
_MAX_PIXELS = 2.5e8  # that are decoded: 120 keyframes of 1080p, 30 of 4K
_SIDE_PX = 640
_BUDGET_S = 20.0
_LATER_S = 0.5
_INDEXED = ("mov", "matroska", "avi")  # whose files hold a list of their keyframes


def iter_scouts(
    source: Source,
    info: VideoInfo,
    start_s: float,
    end_s: float,
    *,
    most: int = MAX_SCOUTS,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[VideoFrame, None, None]:
    """Keyframes between two times, in order, at most so many, at most 640 pixels wide and high.

    Encoders set a keyframe at every cut, so that what is seen but shortly has one of its own. Where there are more,
    they are taken evenly, and always the last one. What cannot be read ends it early.

    Raises:
        MediaError: as `probe`; "too_slow", after the frames given so far, when the look took too much work.
    """
    clock = Clock(_BUDGET_S, should_stop)
    most = max(8, min(most, int(_MAX_PIXELS / max(1, info.width * info.height))))
    with opened(source, clock, info.joined) as media:
        turn: Turn | None = None
        decoder = Decoder(media)
        keyframes = _in_passing if media.joined else _sought
        for packet in keyframes(media, clock, start_s, end_s, most):
            decoder.jumped()
            for decoded in _decoded(decoder, packet):
                turn = turn or turn_of(decoded.frame)
                frame = VideoFrame(decoded.time_s, upright(decoded, turn, _SIDE_PX))
                with clock.stopped():
                    yield frame
        if clock.overdrawn:
            raise too_slow()


def _decoded(decoder: Decoder, packet: Packet) -> Iterator[Decoded]:
    yield from decoder.feed(packet)
    yield from decoder.finish()


def _sought(media: Media, clock: Clock, start_s: float, end_s: float, most: int) -> Iterator[Packet]:
    """Keyframes by the file's index, or at even times where it has none."""
    last_s = -1.0
    places = _keyframes_s(media, start_s, end_s, most) or _even(start_s, end_s, most)
    for time_s, next_s in itertools.pairwise((*places, end_s)):
        # indices hold times of decoding, which lie somewhat before those of presentation
        if time_s <= last_s or not seek(media, time_s + min(_LATER_S, (next_s - time_s) / 2)):
            continue
        for packet in packets_of(media, clock):
            shown_s = seconds_of(media, packet.dts if packet.pts is None else packet.pts)
            if packet.size and packet.is_keyframe and shown_s is not None:
                if last_s < shown_s < end_s:
                    last_s = shown_s
                    yield packet
                break
        if clock.expired:
            return


def _in_passing(media: Media, clock: Clock, start_s: float, end_s: float, most: int) -> Iterator[Packet]:
    """Keyframes of a file that can only be read from start to end."""
    next_s, step_s = start_s, (end_s - start_s) / most
    for packet in packets_of(media, clock):
        shown_s = seconds_of(media, packet.pts)
        if packet.size and packet.is_keyframe and shown_s is not None and next_s <= shown_s < end_s:
            next_s = shown_s + step_s
            yield packet


def _even(start_s: float, end_s: float, count: int) -> list[float]:
    """As many times, the last one so late that the jump leads to the last keyframe."""
    return [*(start_s + (end_s - start_s) * i / count for i in range(count - 1)), max(start_s, end_s - 2 * _LATER_S)]


def _keyframes_s(media: Media, start_s: float, end_s: float, most: int) -> list[float]:
    """Times of up to so many keyframes by the index, the last one among them; none if it does not list them."""
    if media.demuxer not in _INDEXED:
        return []
    seek(media, end_s)  # some formats read their index only then
    stated = (seconds_of(media, entry.timestamp) for entry in media.stream.index_entries if entry.is_keyframe)
    times = sorted({time_s for time_s in stated if time_s is not None and start_s <= time_s < end_s})
    if len(times) < 2 or len(times) <= most:
        return times if len(times) > 1 else []
    return [times[round(i * (len(times) - 1) / (most - 1))] for i in range(most)]
