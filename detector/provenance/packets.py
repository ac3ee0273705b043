"""An untrusted file → the packets of metadata in it, collected by walking its container, within limits of size.

Nothing is decoded here but text that a PNG holds compressed. Every loop is bounded and every size that a file states is
held against what the file has, so that a hostile file costs time in proportion to its own length at most. Formats: JPEG
(ITU-T T.81, Annex B), PNG (third edition), WebP, GIF, TIFF (through Pillow), and ISO boxes (ISO/IEC 14496-12 and
23008-12): HEIC, AVIF, MP4, MOV.
"""

import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from PIL import Image

from detector.media import HEAD_BYTES, sniff_format

MAX_PACKET = 4 << 20
"""Bytes of one packet of XMP, EXIF, IPTC or text; what is larger is passed over."""
MAX_PACKETS = 64
MAX_PICTURE = 256 << 20
"""Bytes of a picture file that are read; what lies behind is not looked at."""
_MAX_STEPS = 20_000  # boxes, chunks or segments: no real file comes near
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
_XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_NOT_DATA = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # in coded data, FF is followed by 0, a restart mark, or a marker
_CONTAINERS = (b"moov", b"udta", b"trak", b"mdia", b"meta", b"ilst", b"minf")


class Text(NamedTuple):
    """A named text of the container: a chunk of a PNG, a comment of a JPEG."""

    key: str
    value: str
    where: str


@dataclass(slots=True)
class Packets:
    """The packets that a container holds beside its pixels. `format` is a name of `detector.media.sniff_format`.

    Attributes:
        xmp: packets as they stand, with the place of each; extended XMP put together.
        exif: the TIFF block, without the mark in front of it.
        iptc: IPTC-IIM records.
        texts: comments and text chunks.
        credentials: whether there is a place for Content Credentials with something in it.
        tables: quantisation tables of a JPEG, 64 values each in zigzag order.
        sampling: of a JPEG, (horizontal, vertical) sampling of each component.
        size_px: (width, height) as a JPEG's frame header states it.
        progressive: whether a JPEG is.
        second_pictures: whether a JPEG announces further pictures behind the first (MPF).
        trailing: bytes behind the end of the picture, and how they begin.
        passed_over: packets that are too large or broken.
    """

    format: str | None
    size: int
    xmp: list[tuple[bytes, str]] = field(default_factory=list)
    exif: bytes | None = None
    iptc: bytes | None = None
    texts: list[Text] = field(default_factory=list)
    credentials: bool = False
    tables: dict[int, tuple[int, ...]] = field(default_factory=dict)
    sampling: tuple[tuple[int, int], ...] = ()
    size_px: tuple[int, int] | None = None
    progressive: bool = False
    second_pictures: bool = False
    trailing: tuple[int, bytes] = (0, b"")
    passed_over: int = 0

    def add_xmp(self, packet: bytes, where: str) -> None:
        if len(packet) > MAX_PACKET or len(self.xmp) >= MAX_PACKETS:
            self.passed_over += 1
        else:
            self.xmp.append((packet, where))

    def add_text(self, key: bytes, value: bytes, where: str) -> None:
        if len(value) > MAX_PACKET or len(self.texts) >= MAX_PACKETS:
            self.passed_over += 1
        else:
            self.texts.append(Text(key.decode("latin-1"), _decoded(value), where))

    def add_exif(self, block: bytes) -> None:
        block = block.removeprefix(b"Exif\0\0")
        if len(block) > MAX_PACKET or self.exif is not None:
            self.passed_over += 1
        else:
            self.exif = block


def collect_packets(file: BinaryIO) -> Packets:
    """Walks a file from its beginning. Never raises for what is in it: what is broken is passed over."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    name = sniff_format(file.read(HEAD_BYTES))
    file.seek(0)
    packets = Packets(name, size)
    try:
        if name in ("HEIF", "AVIF", "mov"):
            _walk_boxes(file, packets)
        elif name == "TIFF":
            _tiff(file, packets)
        elif name in _PICTURES:
            _PICTURES[name](file.read(MAX_PICTURE), packets)
    except (struct.error, IndexError, ValueError, OSError, EOFError, zlib.error):
        packets.passed_over += 1
    return packets


def _jpeg(data: bytes, packets: Packets) -> None:
    extended: dict[bytes, dict[int, bytes]] = {}
    at = 2
    for _ in range(_MAX_STEPS):
        if data[at : at + 1] != b"\xff":
            break
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0xD9:
            _trailing(data, at + 2, packets)
            break
        if 0xD0 <= marker <= 0xD8 or marker == 1:
            at += 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        body = data[at + 4 : at + 2 + length]
        at += 2 + length
        if marker == 0xDA:
            coded = _NOT_DATA.search(data, at)
            if coded is None:
                break
            at = coded.start()
        else:
            _segment(marker, body, packets, extended)
    for pieces in extended.values():
        packets.add_xmp(b"".join(pieces[start] for start in sorted(pieces)), "extended XMP in a JPEG")


def _segment(marker: int, body: bytes, packets: Packets, extended: dict[bytes, dict[int, bytes]]) -> None:
    if marker == 0xE1 and body.startswith(b"Exif\0"):
        packets.add_exif(body[6:])
    elif marker == 0xE1 and body.startswith(_XMP):
        packets.add_xmp(body[len(_XMP) :], "XMP in a JPEG")
    elif marker == 0xE1 and body.startswith(_EXTENDED_XMP):
        guid, (_, start) = body[35:67], struct.unpack_from(">II", body, 67)
        pieces = extended.setdefault(guid, {})
        if len(extended) <= 4 and sum(map(len, pieces.values())) <= MAX_PACKET:
            pieces[start] = body[75:]
    elif marker == 0xE2 and body.startswith(b"MPF\0"):
        packets.second_pictures = True
    elif marker == 0xEB and body[:2] == b"JP":
        packets.credentials = True
    elif marker == 0xED and body.startswith(_PHOTOSHOP):
        _photoshop(body[len(_PHOTOSHOP) :], packets)
    elif marker == 0xFE:
        packets.add_text(b"comment", body, "comment in a JPEG")
    elif marker == 0xDB:
        _quantisation(body, packets)
    elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
        height, width, count = struct.unpack_from(">HHB", body, 1)
        packets.size_px, packets.progressive = (width, height), marker in (0xC2, 0xC6, 0xCA, 0xCE)
        packets.sampling = tuple((body[7 + 3 * i] >> 4, body[7 + 3 * i] & 15) for i in range(min(count, 4)))


def _quantisation(body: bytes, packets: Packets) -> None:
    at = 0
    while at < len(body) and len(packets.tables) < 4:
        wide, number = body[at] >> 4, body[at] & 15
        values = struct.unpack_from(">64H" if wide else "64B", body, at + 1)
        packets.tables[number] = values
        at += 129 if wide else 65


def _photoshop(body: bytes, packets: Packets) -> None:
    at = 0
    for _ in range(1000):
        if body[at : at + 4] != b"8BIM":
            return
        (number,) = struct.unpack_from(">H", body, at + 4)
        at += 6 + (body[at + 6] + 2) // 2 * 2  # the name, with its length, on an even number of bytes
        (size,) = struct.unpack_from(">I", body, at)
        if number == 0x0404:
            packets.iptc = body[at + 4 : at + 4 + size]
        at += 4 + (size + 1) // 2 * 2


def _png(data: bytes, packets: Packets) -> None:
    at = 8
    for _ in range(_MAX_STEPS):
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length] if kind in _PNG_CHUNKS and length <= MAX_PACKET else b""
        at += 12 + length
        if kind == b"IEND":
            _trailing(data, at, packets)
            return
        if kind == b"caBX" and length:
            packets.credentials = True
        elif kind in _PNG_CHUNKS and length > MAX_PACKET:
            packets.passed_over += 1
        elif kind == b"eXIf":
            packets.add_exif(body)
        elif body:
            _png_text(kind, body, packets)


def _png_text(kind: bytes, body: bytes, packets: Packets) -> None:
    key, _, rest = body.partition(b"\0")
    if kind == b"iTXt":
        packed, rest = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
    else:
        packed, rest = kind == b"zTXt", rest[1:] if kind == b"zTXt" else rest
    if packed:
        unpacker = zlib.decompressobj()
        rest = unpacker.decompress(rest, MAX_PACKET)
        if unpacker.unconsumed_tail:
            packets.passed_over += 1
            return
    where = f"PNG chunk {kind.decode('ascii')}"
    if key in (b"XML:com.adobe.xmp", b"XMP", b"Raw profile type xmp"):
        packets.add_xmp(_profile(rest) if key.startswith(b"Raw") else rest, f"XMP in a {where}")
    elif key in (b"Raw profile type exif", b"Raw profile type APP1"):
        packets.add_exif(_profile(rest))
    else:
        packets.add_text(key, rest, where)


def _decoded(text: bytes) -> str:
    """Latin-1 by the standard, UTF-8 by the habit of most writers."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _profile(text: bytes) -> bytes:
    """ImageMagick writes profiles as text: a name, a length, and hexadecimal digits."""
    return bytes.fromhex(b"".join(text.split()[2:]).decode("ascii"))


def _webp(data: bytes, packets: Packets) -> None:
    (stated,) = struct.unpack_from("<I", data, 4)
    at, end = 12, 8 + stated
    for _ in range(_MAX_STEPS):
        if at + 8 > min(end, len(data)):
            break
        kind, length = struct.unpack_from("<4sI", data, at)
        body = data[at + 8 : at + 8 + length] if kind in (b"EXIF", b"XMP ") else b""
        if kind == b"EXIF":
            packets.add_exif(body)
        elif kind == b"XMP ":
            packets.add_xmp(body, "XMP in a WebP")
        elif kind == b"C2PA" and length:
            packets.credentials = True
        at += 8 + length + length % 2
    _trailing(data, end, packets)


def _gif(data: bytes, packets: Packets) -> None:
    start = data.find(b"XMP DataXMP")
    if start >= 0:
        end = data.find(b"<?xpacket end", start)
        packets.add_xmp(data[start + 11 : end if end > 0 else start + 11 + MAX_PACKET], "XMP in a GIF")
    packets.credentials = data.find(b"C2PA_GIF") >= 0


def _tiff(file: BinaryIO, packets: Packets) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(file, formats=("TIFF",)) as image:
                tags = dict(image.tag_v2)  # type: ignore[attr-defined]
        except Exception as error:  # Pillow raises anything on hostile tags
            raise ValueError("not a TIFF that can be read") from error
    for number, where in ((700, "XMP in a TIFF"),):
        if isinstance(tags.get(number), bytes):
            packets.add_xmp(tags[number], where)
    if isinstance(tags.get(33723), bytes):
        packets.iptc = tags[33723][:MAX_PACKET]
    packets.credentials = 52545 in tags
    file.seek(0)
    if packets.size <= 64 << 20:
        packets.exif = file.read()


class Box(NamedTuple):
    """A box of an ISO file: its kind, where its content begins, and where it ends."""

    kind: bytes
    start: int
    end: int


def boxes(file: BinaryIO, start: int, end: int) -> Iterator[Box]:
    """The boxes between two places of a file."""
    for _ in range(_MAX_STEPS):
        if start + 8 > end:
            return
        file.seek(start)
        header = file.read(16)
        if len(header) < 8:
            return
        length, kind = struct.unpack_from(">I4s", header)
        skip = 8
        if length == 1 and len(header) == 16:
            (length,), skip = struct.unpack_from(">Q", header, 8), 16
        elif length == 0:
            length = end - start
        if length < skip:
            return
        yield Box(kind, start + skip, min(start + length, end))
        start += length


def content(file: BinaryIO, box: Box, limit: int = MAX_PACKET) -> bytes:
    """The bytes that a box holds; none where it is larger than the limit."""
    if box.end - box.start > limit:
        return b""
    file.seek(box.start)
    return file.read(box.end - box.start)


def _walk_boxes(file: BinaryIO, packets: Packets) -> None:
    last = 0
    for box in boxes(file, 0, packets.size):
        last = box.end
        if box.kind == b"uuid":
            file.seek(box.start)
            name = file.read(16)
            if name == _C2PA_BOX:
                packets.credentials = True
            elif name == _XMP_BOX:
                packets.add_xmp(content(file, Box(b"", box.start + 16, box.end)), "XMP in a box of its own")
        elif box.kind == b"moov":
            _user_data(file, box, packets, 0)
        elif box.kind == b"meta":
            _items(file, box, packets)
    if last and packets.size > last:
        file.seek(last)
        packets.trailing = (packets.size - last, file.read(16))


def _user_data(file: BinaryIO, parent: Box, packets: Packets, depth: int) -> None:
    for box in boxes(file, parent.start, parent.end):
        if box.kind == b"XMP_":
            packets.add_xmp(content(file, box), "XMP in the video's user data")
        elif box.kind in (b"udta", b"trak") and depth < 3:
            _user_data(file, box, packets, depth + 1)


def _items(file: BinaryIO, meta: Box, packets: Packets) -> None:
    """EXIF and XMP items of a HEIC or AVIF picture, by their places (ISO/IEC 23008-12, Annex A)."""
    kinds: dict[int, tuple[bytes, bytes]] = {}
    places: dict[int, list[tuple[int, int]]] = {}
    for box in boxes(file, meta.start + 4, meta.end):
        if box.kind == b"iinf":
            kinds = _item_kinds(file, box)
        elif box.kind == b"iloc":
            places = _item_places(content(file, box))
    for number, (kind, media) in kinds.items():
        if kind not in (b"Exif", b"mime"):
            continue
        pieces = [
            content(file, Box(b"", at, min(at + n, packets.size)))
            for at, n in places.get(number, [])[:16]
            if 0 <= at < packets.size
        ]
        body = b"".join(pieces)
        if kind == b"Exif" and len(body) > 4:
            packets.add_exif(body[4 + int.from_bytes(body[:4], "big") :])
        elif media.startswith(b"application/rdf+xml") and body:
            packets.add_xmp(body, "XMP item of the picture")


def _item_kinds(file: BinaryIO, box: Box) -> dict[int, tuple[bytes, bytes]]:
    file.seek(box.start)
    head = 6 if file.read(1) == b"\0" else 8
    kinds: dict[int, tuple[bytes, bytes]] = {}
    for entry in boxes(file, box.start + head, box.end):
        body = content(file, entry, 4096)
        if entry.kind != b"infe" or len(body) < 12 or body[0] < 2 or len(kinds) >= 4096:
            continue
        wide = 4 if body[0] == 3 else 2
        number = int.from_bytes(body[4 : 4 + wide], "big")
        kind = body[6 + wide : 10 + wide]
        names = body[10 + wide :].split(b"\0")
        kinds[number] = (kind, names[1] if len(names) > 1 else b"")
    return kinds


def _item_places(body: bytes) -> dict[int, list[tuple[int, int]]]:
    version, sizes = body[0], struct.unpack_from(">H", body, 4)[0]
    of_offset, of_length, of_base = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    of_index = sizes & 15 if version in (1, 2) else 0
    at = 6
    wide = 4 if version == 2 else 2

    def number(width: int) -> int:
        nonlocal at
        at += width
        if at > len(body):
            raise ValueError("the table of places ends early")
        return int.from_bytes(body[at - width : at], "big")

    places: dict[int, list[tuple[int, int]]] = {}
    for _ in range(min(number(wide), 4096)):
        item = number(wide)
        method = number(2) & 15 if version in (1, 2) else 0
        number(2)
        base = number(of_base)
        extents = []
        for _ in range(min(number(2), 256)):
            number(of_index)
            offset = number(of_offset)
            extents.append((base + offset, number(of_length)))
        if method == 0:
            places[item] = extents
    return places


def _trailing(data: bytes, end: int, packets: Packets) -> None:
    if end < len(data):
        packets.trailing = (packets.size - end, data[end : end + 16])


_PNG_CHUNKS = (b"tEXt", b"zTXt", b"iTXt", b"eXIf")
_PICTURES = {"JPEG": _jpeg, "PNG": _png, "WEBP": _webp, "GIF": _gif}
