"""An EXIF block from an untrusted file → the few fields that tell where a picture comes from."""

import warnings
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from PIL import ExifTags, Image

from detector.evidence import plain
from detector.provenance.packets import MAX_PACKET

MAX_COMMENT = 64 << 10


@dataclass(frozen=True, slots=True)
class Exif:
    """Fields of EXIF 3.0 as they stand; texts cleaned, but for the user comment, which rules parse first."""

    make: str = ""
    model: str = ""
    software: str = ""
    artist: str = ""
    description: str = ""
    comment: str = ""
    taken: datetime | None = None
    written: datetime | None = None
    has_place: bool = False
    orientation: int = 1
    thumbnail: bytes = b""


def read_exif(block: bytes | None) -> Exif:
    """The fields of a block; an empty result where there is none or it is damaged."""
    if not block or len(block) > (64 << 20):
        return Exif()
    exif = Image.Exif()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exif.load(b"Exif\0\0" + block)
            tags = dict(exif)
        except Exception:  # Pillow's reader raises nearly anything on hostile bytes
            return Exif()
        inner, later = _part(exif, ExifTags.IFD.Exif), _part(exif, ExifTags.IFD.IFD1)
        place = _part(exif, ExifTags.IFD.GPSInfo)
    orientation = tags.get(ExifTags.Base.Orientation)
    return Exif(
        make=plain(_text(tags.get(ExifTags.Base.Make)), 80),
        model=plain(_text(tags.get(ExifTags.Base.Model)), 80),
        software=plain(_text(tags.get(ExifTags.Base.Software)), 120),
        artist=plain(_text(tags.get(ExifTags.Base.Artist)), 200),
        description=_text(tags.get(ExifTags.Base.ImageDescription))[:MAX_COMMENT],
        comment=_comment(inner.get(ExifTags.Base.UserComment)),
        taken=_time(inner.get(ExifTags.Base.DateTimeOriginal)),
        written=_time(tags.get(ExifTags.Base.DateTime)),
        has_place=any(number in place for number in (2, 4)),
        orientation=orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1,
        thumbnail=_thumbnail(block, later),
    )


def _part(exif: Image.Exif, part: ExifTags.IFD) -> dict[int, Any]:
    try:
        return dict(exif.get_ifd(part))
    except Exception:  # as above
        return {}


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        value = value[:MAX_COMMENT].decode("utf-8", "replace")
    return value.strip("\0 ") if isinstance(value, str) else ""


def _comment(value: Any) -> str:
    """The user comment, whose first eight bytes name its encoding (EXIF 3.0, section 4.6.6)."""
    if not isinstance(value, bytes):
        return _text(value)
    name, body = value[:8], value[8 : 8 + MAX_COMMENT]
    if name.startswith(b"UNICODE"):
        # writers disagree on the order of bytes: ASCII has its zero first or second
        return body.decode("utf-16-be" if body[:1] == b"\0" else "utf-16-le", "replace").strip("\0 ")
    return _text(body if name.startswith((b"ASCII", b"\0\0\0\0", b"JIS")) else value)


def _time(value: Any) -> datetime | None:
    try:
        return datetime.strptime(_text(value)[:19], "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None


def _thumbnail(block: bytes, tags: dict[int, Any]) -> bytes:
    start, length = tags.get(0x0201), tags.get(0x0202)
    if not isinstance(start, int) or not isinstance(length, int) or not 0 < length <= MAX_PACKET or start < 0:
        return b""
    return block[start : start + length]
