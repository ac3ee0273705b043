"""Whether a file of video is whole, by the sizes that its container states. Nothing is decoded.

A download that stopped, a full card, a recorder that lost power: what is there can be judged, but the person who asks
must know that there is more. Bare streams state no size, and a transport stream that was cut between two packets has
no mark of it.
"""

import io
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO

_ISO_BOXES = frozenset(b"ftyp moov mdat moof mfra free skip wide uuid sidx styp emsg".split())
_MOST_PARTS = 1_000_000
_EBML_HEADER, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")  # ASF specification, 3.2
_ASF_HEAD = 1 << 16
_TS_PACKETS = (188, 192, 204)


def breaks_off(file: BinaryIO, demuxer: str) -> bool:
    """Whether the file ends before a part that it has begun, or before what it says lies further on."""
    check = _CHECKS.get(demuxer)
    return check is not None and check(file, _size(file))


def may_jump(file: BinaryIO, demuxer: str) -> bool:
    """Whether the times of the packets may start again on the way: formats of which one can be put after another."""
    if demuxer in ("mpegts", "mpeg", "ogg"):
        return True
    if demuxer == "mov":
        return any(name == b"moof" for name, _, _ in _boxes(file, _size(file)))
    if demuxer == "matroska":
        # more after the segment's end, or no stated end: browsers and broadcasters write those
        return any(name == _SEGMENT and end != _size(file) for name, end in _segments(file))
    return False


def holds_second_file(file: BinaryIO, demuxer: str) -> bool:
    """Whether another video follows in the same file that no player would show: only the first one is read."""
    if demuxer == "mov":
        names = [name for name, _, _ in _boxes(file, _size(file))]
        return names.count(b"ftyp") > 1 and names.count(b"moov") > 1
    if demuxer == "flv":
        *_, (last, end, _) = [(0, 0, 0), *_flv_tags(file, _size(file))]
        return last not in _FLV_TAGS and _bytes_at(file, end - 11, 4) == b"FLV\x01"
    if demuxer == "avi":
        length = int.from_bytes(_bytes_at(file, 4, 4), "little")
        following = _bytes_at(file, 8 + length + length % 2, 12)
        return following.startswith(b"RIFF") and following.endswith(b"AVI ")
    if demuxer == "asf":
        properties = _asf_properties(file)
        return properties is not None and _bytes_at(file, properties[0], 16) == _bytes_at(file, 0, 16) != b""
    return False


def asf_stated_s(file: BinaryIO) -> float | None:
    """How long a Windows Media file says it plays, in seconds, which FFmpeg does not tell of one that is cut off."""
    properties = _asf_properties(file)
    return None if properties is None else properties[1]


def _size(file: BinaryIO) -> int:
    return file.seek(0, io.SEEK_END)


def _bytes_at(file: BinaryIO, position: int, count: int) -> bytes:
    try:
        file.seek(position)
    except (OverflowError, ValueError, OSError):
        return b""  # a box may state 64 bits of size, more than any place in a file
    return file.read(count)


def _boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and stated end of every box at the top level (ISO/IEC 14496-12, 4.2)."""
    position = 0
    for _ in range(_MOST_PARTS):
        header = _bytes_at(file, position, 16)
        if len(header) < 8:
            return
        length = int.from_bytes(header[:4], "big")
        if length == 1 and len(header) == 16:
            length = int.from_bytes(header[8:], "big")
        end = size if length == 0 else position + length
        if end < position + 8:
            return
        yield header[4:8], position, end
        position = end


def _iso_breaks_off(file: BinaryIO, size: int) -> bool:
    names = set()
    for name, _, end in _boxes(file, size):
        if end > size and name in _ISO_BOXES:
            return True
        names.add(name)
    return b"moov" not in names


def _element(file: BinaryIO, position: int) -> tuple[int, int, int | None] | None:
    """Id, start of the content and its stated size (None: unknown) of the EBML element there (RFC 8794, 4 to 6)."""
    head = _bytes_at(file, position, 12)
    if not head or head[0] < 0x10:
        return None
    id_bytes = 9 - head[0].bit_length()
    if len(head) <= id_bytes or not head[id_bytes]:
        return None
    size_bytes = 9 - head[id_bytes].bit_length()
    content = id_bytes + size_bytes
    if len(head) < content:
        return None
    mask = (1 << 7 * size_bytes) - 1
    stated = int.from_bytes(head[id_bytes:content], "big") & mask
    return int.from_bytes(head[:id_bytes], "big"), position + content, None if stated == mask else stated


def _segments(file: BinaryIO) -> Iterator[tuple[int, int | None]]:
    """Ids of the elements at the top level, and where they say they end; one without a stated end is the last."""
    position = 0
    for _ in range(_MOST_PARTS):
        element = _element(file, position)
        if element is None:
            return
        name, start, length = element
        end = None if length is None else start + length
        yield name, end
        if end is None:
            return
        position = end


def _matroska_breaks_off(file: BinaryIO, size: int) -> bool:
    position = 0
    for _ in range(_MOST_PARTS):
        element = _element(file, position)
        if element is None:
            return position < size and size - position < 12  # an element's head is cut
        name, start, length = element
        if length is not None and name != _SEGMENT and start + length > size:
            return True
        if name == _SEGMENT and length is not None:
            if start + length > size:
                return True
            position = start + length
        elif length is None or name == _EBML_HEADER:
            position = start + (length or 0)  # a segment or cluster without a stated size: look at what is in it
        else:
            position = start + length
        if position >= size:
            return position > size
    return False


def _riff_breaks_off(file: BinaryIO, size: int) -> bool:
    """AVI: one RIFF chunk after the other (OpenDML). A recorder that was stopped left a size of 0."""
    position = 0
    while position + 12 <= size:
        head = _bytes_at(file, position, 12)
        if not head.startswith(b"RIFF"):
            return False
        length = int.from_bytes(head[4:8], "little")
        if length == 0 or position + 8 + length > size:
            return True
        position += 8 + length + length % 2
    return False


_FLV_TAGS = (8, 9, 18)


def _flv_tags(file: BinaryIO, size: int) -> Iterator[tuple[int, int, int]]:
    """Kind, start of the data and stated end of every tag (Adobe Flash Video File Format, annex E)."""
    position = int.from_bytes(_bytes_at(file, 5, 4), "big") + 4
    for _ in range(_MOST_PARTS):
        head = _bytes_at(file, position, 11)
        if len(head) < 11:
            if head:
                yield head[0], position + 11, size + 1
            return
        end = position + 11 + int.from_bytes(head[1:4], "big") + 4
        yield head[0], position + 11, end
        if head[0] not in _FLV_TAGS:
            return
        position = end


def _flv_breaks_off(file: BinaryIO, size: int) -> bool:
    return any(kind in _FLV_TAGS and end > size for kind, _, end in _flv_tags(file, size))


def _asf_properties(file: BinaryIO) -> tuple[int, float] | None:
    """Size in bytes and length in seconds that a Windows Media file states of itself; None of a live stream."""
    head = _bytes_at(file, 0, _ASF_HEAD)
    at = head.find(_FILE_PROPERTIES)
    if at < 0 or len(head) < at + 92:
        return None
    size, _, _, play, _, preroll, flags = struct.unpack("<QQQQQQI", head[at + 40 : at + 92])
    return None if flags & 1 else (size, play / 1e7 - preroll / 1e3)


def _asf_breaks_off(file: BinaryIO, size: int) -> bool:
    properties = _asf_properties(file)
    return properties is not None and properties[0] > size


def _ogg_breaks_off(file: BinaryIO, size: int) -> bool:
    """The last page ends behind the file's end (RFC 3533, 6)."""
    start = max(0, size - (1 << 17))
    tail = _bytes_at(file, start, size - start)
    at = tail.rfind(b"OggS")
    if at < 0 or len(tail) < at + 27:
        return at >= 0
    count = tail[at + 26]
    lengths = tail[at + 27 : at + 27 + count]
    return len(lengths) < count or at + 27 + count + sum(lengths) > len(tail)


def _ts_breaks_off(file: BinaryIO, size: int) -> bool:
    """The last packet of a transport stream is no whole one."""
    head = _bytes_at(file, 0, 8 * max(_TS_PACKETS))
    for step in _TS_PACKETS:
        for first in range(step):
            if len(head) > first + 4 * step and not head[first::step].strip(b"G"):
                at = 4 if step == 192 else 0  # a time stands in front of each packet
                return (size - (first - at)) % step != 0 and _synced(file, size, step, first)
    return False


def _synced(file: BinaryIO, size: int, step: int, first: int) -> bool:
    """Whether packets still begin at the same places near the end: a joined file may have moved them."""
    last = first + (size - 1 - first) // step * step
    return all(_bytes_at(file, last - i * step, 1) == b"G" for i in range(4) if last - i * step >= 0)


def _ps_breaks_off(file: BinaryIO, size: int) -> bool:
    """The last packet of a program stream (ISO/IEC 13818-1, 2.5.3) ends behind the file's end."""
    start = max(0, size - (1 << 17))
    tail = _bytes_at(file, start, size - start)
    at = len(tail)
    while (at := tail.rfind(b"\0\0\1", 0, at)) >= 0:
        kind = tail[at + 3] if at + 3 < len(tail) else 0
        if kind in (0xB9, 0xBA):  # the end, or a new pack
            return kind == 0xBA and len(tail) < at + 12
        if kind in (0xBB, 0xBC, 0xBD, 0xBE, 0xBF) or 0xC0 <= kind <= 0xEF:
            length = int.from_bytes(tail[at + 4 : at + 6], "big")
            return len(tail) < at + 6 or at + 6 + length > len(tail)
    return False


def _mxf_breaks_off(file: BinaryIO, size: int) -> bool:
    """The closing partition that the header names lies behind the file's end (SMPTE ST 377-1, 7.1)."""
    head = _bytes_at(file, 0, 64)
    if len(head) < 64:
        return True
    value = 17 + (head[16] & 0x7F if head[16] & 0x80 else 0)
    footer = int.from_bytes(head[value + 24 : value + 32], "big")
    return footer >= size


def _ivf_breaks_off(file: BinaryIO, size: int) -> bool:
    stated = int.from_bytes(_bytes_at(file, 24, 4), "little")
    position, frames = int.from_bytes(_bytes_at(file, 6, 2), "little"), 0
    while position + 12 <= size:
        position += 12 + int.from_bytes(_bytes_at(file, position, 4), "little")
        frames += 1
    return position != size or (stated != 0xFFFFFFFF and frames < stated)


_CHECKS: dict[str, Callable[[BinaryIO, int], bool]] = {
    "mov": _iso_breaks_off,
    "matroska": _matroska_breaks_off,
    "avi": _riff_breaks_off,
    "flv": _flv_breaks_off,
    "asf": _asf_breaks_off,
    "ogg": _ogg_breaks_off,
    "mpegts": _ts_breaks_off,
    "mpeg": _ps_breaks_off,
    "mxf": _mxf_breaks_off,
    "ivf": _ivf_breaks_off,
}
