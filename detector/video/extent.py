"""When the pictures of a file begin and end, and whether all that it promises is there. Nothing is decoded."""

from dataclasses import dataclass

import av

from detector.clock import Clock
from detector.media import Source
from detector.video.container import Media, Survey, fps_of, opened, packets_of, seconds_of, seek, step_of, survey
from detector.video.whole import asf_stated_s, breaks_off, holds_second_file

_SCAN_S = 10.0
_LACKING_S, _LACKING = 1.0, 0.02
"""Statements are rounded: so many seconds, or this share of all, may be missing in a whole file."""
_LONGEST_S = 1e6
_OWN_LENGTHS = ("mov", "avi", "mpegts", "mpeg", "mxf")
"""Containers that tell how long each of their streams is; of the others FFmpeg gives that of the longest."""
_NO_INDEX = ("flv", "ogg", "asf")


@dataclass(frozen=True, slots=True)
class Extent:
    """Of the pictures in a file.

    Attributes:
        end_s: when the last one that is there ends, on a player's clock; None if it could not be found out.
        stated_s: when the last one would end by what the file says, where that is later.
        cut_off: the file breaks off.
        second_file: behind the video another one follows, which no player shows.
    """

    end_s: float | None
    stated_s: float | None
    cut_off: bool
    second_file: bool


def extent_of(source: Source, media: Media) -> Extent:
    """Looks at the file's structure and, where that does not tell, at its packets. Moves the open file's position."""
    cut = breaks_off(media.file, media.demuxer)
    stated_s = _stated_end_s(media)
    surveyed = media.survey
    if surveyed is None and (cut or stated_s is None):
        surveyed = _scanned(source, media.joined)
    if surveyed is not None and surveyed.end_s:
        end_s: float | None = surveyed.end_s
    elif media.demuxer not in _OWN_LENGTHS and stated_s is not None:
        end_s = _last_picture_s(source, stated_s) or stated_s
    else:
        end_s = stated_s
    if cut:
        stated_s = max(filter(None, (stated_s, _counted_s(media), _asf_s(media))), default=None)
    lacking = (
        surveyed is not None
        and not media.joined
        and None not in (end_s, stated_s)
        and stated_s - end_s > max(_LACKING_S, _LACKING * stated_s)  # type: ignore[operator]
    )
    cut = cut or lacking or (surveyed is not None and not surveyed.whole)
    return Extent(
        end_s=end_s,
        stated_s=stated_s if cut and stated_s and (end_s is None or stated_s > end_s) else None,
        cut_off=cut,
        second_file=holds_second_file(media.file, media.demuxer),
    )


def _sensible(seconds: float | None) -> float | None:
    return seconds if seconds is not None and 0 < seconds < _LONGEST_S else None


def _stated_end_s(media: Media) -> float | None:
    """When the pictures end by the file's header; None if it states nothing that can be."""
    stream = media.stream
    if stream.duration is not None:
        return _sensible(seconds_of(media, (stream.start_time or 0) + stream.duration))
    duration = media.container.duration
    return None if duration is None else _sensible(duration / av.time_base)


def _counted_s(media: Media) -> float | None:
    fps = fps_of(media.stream)
    return _sensible(media.stream.frames / fps) if fps and media.stream.frames else None


def _asf_s(media: Media) -> float | None:
    return _sensible(asf_stated_s(media.file)) if media.demuxer == "asf" else None


def _scanned(source: Source, joined: bool) -> Survey | None:
    clock = Clock(_SCAN_S)
    with opened(source, clock, joined) as media:
        return survey(media, clock)


def _last_picture_s(source: Source, stated_s: float) -> float | None:
    """When the last picture ends, by the packets from the last keyframe on: sound may go on for longer."""
    clock = Clock(_SCAN_S)
    end_s = 0.0
    with opened(source, clock, False) as media:
        if media.demuxer in _NO_INDEX or not seek(media, stated_s):
            surveyed = survey(media, clock)
            return surveyed.end_s if surveyed else None
        for packet in packets_of(media, clock):
            shown_s = seconds_of(media, packet.dts if packet.pts is None else packet.pts)
            if packet.size and shown_s is not None:
                length_s = float(packet.duration * media.time_base) if packet.duration else step_of(media)
                end_s = max(end_s, shown_s + length_s)
        return None if clock.expired else _sensible(end_s)
