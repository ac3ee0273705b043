"""The kind of a file by its first bytes alone: nothing here looks at a name."""

import struct

from detector.types import Kind

HEAD_BYTES = 4096
"""How much of a file `sniff_kind` wants to see."""

IMAGE_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "HEIF")
"""The only Pillow plugins that ever see a file."""

SUPPORTED = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF and HEIC photos; MP4, MOV, MKV, WebM, AVI, WMV and MPEG videos"
"""For messages: what a person can bring instead."""

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),
    (0, b"MM\0+", "TIFF"),
    (8, b"WEBP", "WEBP"),
    (8, b"AVI ", "avi"),
    (0, b"\x1aE\xdf\xa3", "matroska"),
    (0, b"FLV\x01", "flv"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (0, b"OggS", "ogg"),
    (0, b"\0\0\1\xba", "mpeg"),
    (0, b"\0\0\1\xb3", "mpegvideo"),
    (0, b"\0\0\1\xb0", "m4v"),
    (0, b"DKIF", "ivf"),
    (0, b"YUV4MPEG2 ", "yuv4mpegpipe"),
    (0, b".RMF", "rm"),
    (0, b"\x06\x0e\x2b\x34\x02\x05\x01\x01", "mxf"),
)
_BMP_HEADERS = tuple(struct.pack("<I", size) for size in (12, 16, 40, 52, 56, 64, 108, 124))
_HEIF_BRANDS = (b"mif1", b"msf1", b"mif2", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
_OTHER_BRANDS = (b"crx ", b"jp2 ", b"jpx ", b"jpm ", b"jxl ")  # ISO boxes, but neither a video nor a picture we read
QUICKTIME_BOXES = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp")  # files from before `ftyp`


def sniff_format(head: bytes) -> str | None:
    """Which format a file has by its first bytes: a Pillow name ("JPEG") or an FFmpeg demuxer ("mov"), else None."""
    for offset, magic, name in _MAGIC:
        if head.startswith(magic, offset) and (offset == 0 or head.startswith(b"RIFF")):
            # "BM" alone begins many a text: a bitmap goes on with the size of its header
            return None if name == "BMP" and head[14:18] not in _BMP_HEADERS else name
    box = head[4:8]
    if box == b"ftyp":
        brand = head[8:12]
        if brand in (b"avif", b"avis"):
            return "AVIF"
        if brand in _HEIF_BRANDS:
            return "HEIF"
        return None if brand in _OTHER_BRANDS else "mov"
    if box in QUICKTIME_BOXES:
        return "mov"
    return _sniff_stream(head)


def _sniff_stream(head: bytes) -> str | None:
    """Bare streams without a file header, as recorders and broadcast equipment write them; they may begin anywhere."""
    start = head.find(b"\0\0\1", 0, 4)
    if start >= 0 and len(head) > start + 4:
        unit, following = head[start + 3], head[start + 4]
        if unit in (0x06, 0x09, 0x27, 0x47, 0x67):  # supplement, delimiter or sequence parameters: ITU-T H.264, 7.4.1
            return "h264"
        if unit in (0x40, 0x42, 0x44, 0x46, 0x4E) and following == 1:  # the same in ITU-T H.265, 7.4.2.2
            return "hevc"
    # MPEG transport stream: a sync byte "G" a packet; packets of 188 bytes, 192 with a time and 204 with a checksum
    for step in (188, 192, 204):
        for first in range(min(step, len(head) - 4 * step)):
            if not head[first::step].strip(b"G"):
                return "mpegts"
    return None


def sniff_kind(head: bytes) -> Kind:
    """Whether it is "image", "video" or "unknown", by content alone.

    Args:
        head: the first `HEAD_BYTES` of the file, or all of it.
    """
    name = sniff_format(head)
    if name is None:
        return "unknown"
    return "image" if name in IMAGE_FORMATS else "video"
