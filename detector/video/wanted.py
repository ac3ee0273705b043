"""The frames of wanted times, and no more decoding than they need."""

import bisect
import itertools
import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from detector.clock import Clock
from detector.video.container import Decoded, Decoder, Media, Packet, packets_of, seconds_of, seek, step_of
from detector.video.plan import Window

_SAME_S = 1e-6
_REACH = 0.4  # share of the spacing by which a wanted time may move
_LONG_GROUP = 12  # in shorter ones moving a time saves next to nothing
_JUMP_S = 2.0  # nearer frames are reached faster by reading on
_GROUP_PACKETS, _GROUP_BYTES = 300, 1 << 25


class _Group(NamedTuple):
    """A keyframe and the packets up to the next one, in order of decoding; a very long group comes in parts.

    Attributes:
        packets: at least one.
        times_s: when the frame of each packet is shown.
        end_s: when the next group's first frame is shown, infinite at the end of the file.
        closed: no later packet needs these.
        timed: every packet says when its frame is shown, and all differ.
    """

    packets: list[Packet]
    times_s: list[float]
    end_s: float
    closed: bool
    timed: bool

    @property
    def start_s(self) -> float:
        return min(self.times_s)


def _groups(media: Media, clock: Clock) -> Iterator[_Group]:
    """Groups from where the file stands. One is closed when the frames after the next keyframe are all shown later."""
    packets: list[Packet] = []
    times_s: list[float] = []

    def cut(count: int, closed: bool) -> _Group:
        group, shown = packets[:count], times_s[:count]
        del packets[:count], times_s[:count]
        stated = {packet.pts for packet in group}
        timed = None not in stated and len(stated) == len(group)
        return _Group(group, shown, times_s[0] if times_s else math.inf, closed, timed)

    time_s, step_s, held = -step_of(media), step_of(media), 0
    for packet in packets_of(media, clock):
        if not packet.size:
            continue  # the end
        stated_s = seconds_of(media, packet.dts if packet.pts is None else packet.pts)
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


def wanted_frames(media: Media, clock: Clock, windows: Sequence[Window]) -> Iterator[Decoded]:
    """The frames on the screen at the windows' times, or close to them; each once, in order.

    Whole groups without a wanted frame are not decoded, nor what follows the last wanted frame of a group, nor frames
    that no other frame needs.
    """
    gap_s = windows[1].start_s - windows[0].end_s if len(windows) > 1 else 0.0
    spacings = [b - a for window in windows for a, b in itertools.pairwise(window.times_s)]
    reach_s = _REACH * min(spacings, default=0.0)
    if reach_s < 2 * step_of(media):
        reach_s = 0.0  # so close that two times might come to mean one frame
    later = deque(windows)
    times: deque[float] = deque()
    targets: deque[float] = deque()
    decoder = Decoder(media)
    skip: Literal["DEFAULT", "NONREF"] = "DEFAULT" if media.interlaced else "NONREF"
    last_wanted_s = sought_s = given_s = -1.0
    last: Decoded | None = None
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
        if media.interlaced:
            may_leave_out = may_leave_out and not here  # the lines of a frame are filled in from those beside it
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
            for decoded in decoder.feed(packet, skip if group.timed and t not in wanted else "DEFAULT")
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
        far = next_s - group.end_s > _JUMP_S and next_s > sought_s and not media.joined
        if far and _keyframe_s(media, next_s) > group.end_s:
            sought_s = next_s  # once: some files jump to where they were
            if seek(media, next_s):
                decoder.jumped()
                groups = _groups(media, clock)
    for decoded in decoder.finish():
        last = decoded
    if last is not None and last.time_s > given_s and (targets or given_s < 0) and not clock.expired:
        yield last  # the file ends before the frame that was wanted


def frames_from(media: Media, clock: Clock, start_s: float) -> Iterator[Decoded]:
    """All frames of a file that can only be read from its start, beginning no later than the one shown at a time.

    Groups of frames that are over by then are not decoded.
    """
    decoder = Decoder(media)
    for group in _groups(media, clock):
        if group.closed and group.timed and group.end_s <= start_s:
            continue
        for packet in group.packets:
            yield from decoder.feed(packet)
    yield from decoder.finish()


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


def _keyframe_s(media: Media, time_s: float) -> float:
    """Time of the keyframe to which a jump to `time_s` would lead; `time_s` itself if the file has no index."""
    entries = media.stream.index_entries
    index = entries.search_timestamp(int(time_s / media.time_base) + media.start)
    return time_s if index < 0 else float((entries[index].timestamp - media.start) * media.time_base)
