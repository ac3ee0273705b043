"""Untrusted bytes or a path → what kind of file it is, its hash, and its picture as an RGB array, within limits.

Nothing here looks at a file's name. A picture's size is checked in its header before a pixel is decoded, only the
formats of `IMAGE_FORMATS` are ever tried, and whatever a hostile file makes a decoder raise becomes a `MediaError`.
"""

import hashlib
import io
import struct
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from detector.clock import Clock
from detector.colour import is_srgb
from detector.errors import MediaError
from detector.pixels import Coding, as_rgb, deep_rgb
from detector.tiff import is_raw, is_raw_tiff, read_directories, whole_pictures
from detector.types import Kind

try:
    import pillow_heif
except ImportError:
    pillow_heif = None  # type: ignore[assignment]

Source = Path | bytes
RGB = npt.NDArray[np.uint8]

HEAD_BYTES = 4096
"""How much of a file `sniff_kind` wants to see."""

IMAGE_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "HEIF")
"""The only Pillow plugins that ever see a file."""

SUPPORTED = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF and HEIC photos; MP4, MOV, MKV, WebM, AVI, WMV and MPEG videos"
"""For messages: what a person can bring instead."""

MAX_SIDE = 40_000
MAX_PIXELS = {"JPEG": 89_478_485, "MPO": 89_478_485, "HEIF": 50_331_648, "AVIF": 50_331_648, "WEBP": 30_000_000}
"""Width times height above which a picture is refused by its header; `MAX_PIXELS_OTHER` for the other formats.

The largest is Pillow's own threshold for bombs. The others keep the decoder's peak under about 750 MB: libwebp takes 21
bytes a pixel, libheif and libavif 13 to 15, Pillow itself 6, and libjpeg in the worst case (progressive CMYK) 9.
"""
MAX_PIXELS_OTHER = 64_000_000
MAX_PIXELS_AT_ONCE = 50_331_648
"""8192 x 6144, the largest common camera: what is larger comes at half its size."""

MAX_PICTURES = 16
"""Pictures of one file that are looked at: frames of an animation, pages, shots of a burst."""

_TIME_LIMIT_S = 12.0  # for one picture
_BUILDING = ("GIF", "PNG", "WEBP", "AVIF")  # formats whose frames build on those before
_MAX_BUILT_PX = 1.5e9
_CODING_BYTES = 1 << 16  # in which PNG and ISO files say how colours are coded

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
_QUICKTIME_BOXES = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp")  # files from before `ftyp`


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
    if box in _QUICKTIME_BOXES:
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


@contextmanager
def open_source(source: Source) -> Iterator[BinaryIO]:
    """The file, opened for reading and always closed.

    Raises:
        MediaError: "unreadable" if there is no regular file that may be read (a pipe or device could block for ever),
            "empty" if it has no bytes.
    """
    if isinstance(source, bytes):
        if not source:
            raise _empty()
        yield io.BytesIO(source)
        return
    try:
        if not source.is_file():
            raise MediaError("There is no such file. Check its name and place and try again.")
        file = source.open("rb")
    except (OSError, ValueError) as error:
        raise MediaError("The file could not be opened. Check that you may read it and try again.") from error
    with file:
        if not file.read(1):
            raise _empty()
        file.seek(0)
        yield file


def read_head(source: Source) -> bytes:
    """The first `HEAD_BYTES` of a file, for `sniff_kind`. Raises MediaError as `open_source` does."""
    with open_source(source) as file:
        return file.read(HEAD_BYTES)


def sha256_of(source: Source) -> str:
    """SHA-256 of the bytes in hex, read in pieces; of an empty file too. Raises MediaError if it cannot be opened."""
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    try:
        with open_source(source) as file:
            digest = hashlib.sha256()
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
            return digest.hexdigest()
    except MediaError as error:
        if error.reason == "empty":
            return hashlib.sha256().hexdigest()
        raise


def size_of(source: Source) -> int | None:
    """Bytes of a file; None if it cannot be looked at."""
    if isinstance(source, bytes):
        return len(source)
    try:
        return source.stat().st_size
    except (OSError, ValueError):
        return None


def read_image(source: Source, number: int | None = None) -> RGB:
    """Reads a photo; of a file that holds several pictures the main one, or the one of that number from 1.

    EXIF orientation is applied where browsers apply it, transparency is laid on white, 16-bit and float pictures are
    scaled (not cut) to 8 bits, and colours are converted to sRGB where the file codes them otherwise. A picture over 50
    megapixels is halved.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        MediaError: "empty", "unsupported" (no format of `IMAGE_FORMATS`, or no picture of that number), "raw",
            "too_large" (by its header), "truncated", "unreadable" (damaged) or "too_slow".
    """
    if number is not None:
        for picture in _pictures(source, lambda count: (number - 1,) if 0 < number <= count else ()):
            return picture.image
        raise MediaError(f"The file holds no picture {number}. Choose another number.", "unsupported")
    try:
        clock = _clock()
        with _opened(source, clock) as image:
            return _decoded(image, source, clock)
    except MediaError as error:
        if error.reason != "unreadable" or sniff_format(read_head(source)) != "BMP":
            raise
        return _read_odd_bitmap(source, error)


@dataclass(frozen=True, slots=True)
class Picture:
    """One of the pictures in a file: its number from 1, how many there are, and (H, W, 3) uint8 RGB."""

    number: int
    of: int
    image: RGB


def iter_pictures(source: Source, limit: int = MAX_PICTURES) -> Iterator[Picture]:
    """The pictures of a file in order: one of a still; frames of an animation, pages, or shots of a burst.

    Previews, masks and gain maps are none. Of more than `limit` those spread evenly over all come, the first among
    them; of an animation whose frames build on each other only those that can be reached by decoding 1.5 gigapixels.
    Pictures that are damaged are left out.

    Raises:
        MediaError: as `read_image`, if not one picture can be read.
    """
    refusal: MediaError | None = None
    came = False
    try:
        for picture in _pictures(source, lambda count: _spread(count, limit)):
            came = True
            yield picture
    except MediaError as error:
        refusal = error
    if not came:
        # the plain way has a second reader for odd files, and the right words if that fails too
        yield Picture(1, 1, read_image(source))
    elif refusal is not None and refusal.reason == "too_large":
        raise refusal


def picture_count(source: Source) -> int:
    """How many pictures a file holds, as `iter_pictures` counts them. Raises MediaError as `read_image` does."""
    clock = _clock()
    with _opened(source, clock) as image:
        return len(_frames(image, source, clock)) if image.format != "TIFF" else len(_pages(source))


def _pictures(source: Source, chosen: Callable[[int], Sequence[int]]) -> Iterator[Picture]:
    """Those pictures that `chosen` picks by their index, given how many there are."""
    pages = _pages(source)
    if len(pages) > 1:
        for index in chosen(len(pages)):
            with _kept_going(), _opened(source, clock := _clock(), page=pages[index]) as image:
                yield Picture(index + 1, len(pages), _decoded(image, source, clock))
        return
    clock = _clock(MAX_PICTURES)
    with _opened(source, clock) as image:
        frames = _frames(image, source, clock)
        reach = len(frames)
        if image.format in _BUILDING:
            reach = max(1, min(reach, int(_MAX_BUILT_PX // max(1, image.width * image.height))))
        wanted = chosen(len(frames))
        if len(wanted) > 1 and reach < len(frames):
            wanted = _spread(reach, len(wanted))
        for index in wanted:
            with _kept_going():
                if len(frames) > 1:
                    with _as_media_error(source, clock):
                        image.seek(frames[index])
                    _check_size(image.size, image.format)
                pixels = _decoded(image, source, clock)
                with clock.stopped():
                    yield Picture(index + 1, len(frames), pixels)


@contextmanager
def _kept_going() -> Iterator[None]:
    """A damaged picture among several is left out; one that is too large or slow ends them all."""
    try:
        yield
    except MediaError as error:
        if error.reason not in ("unreadable", "truncated"):
            raise


def _spread(count: int, limit: int) -> tuple[int, ...]:
    """At most `limit` of `count` indices, evenly, the first and the last among them."""
    return tuple(sorted({round(i) for i in np.linspace(0, count - 1, min(count, limit))}))


def _frames(image: Image.Image, source: Source, clock: Clock) -> tuple[int, ...]:
    """Indices of the frames that are pictures of their own."""
    with _as_media_error(source, clock):
        count = int(getattr(image, "n_frames", 1))
        entries = (getattr(image, "mpinfo", None) or {}).get(0xB002, ())
        if image.format != "MPO" or len(entries) != count:
            return tuple(range(count))
        size = image.size
        indices = [0]
        for index, entry in enumerate(entries[1:], 1):
            kind = str(entry["Attribute"]["MPType"])
            if "Thumbnail" in kind:
                continue
            image.seek(index)
            # gain maps of HDR and depth maps name no kind: they are smaller, or grey
            if kind != "Undefined" or (image.size == size and image.mode == "RGB"):
                indices.append(index)
        image.seek(0)
        return tuple(indices)


def _pages(source: Source) -> tuple[int, ...]:
    """Where the directories of a TIFF lie that hold whole pictures; empty for other files."""
    with open_source(source) as file:
        if sniff_format(file.read(HEAD_BYTES)) != "TIFF":
            return ()
        return whole_pictures(read_directories(file))


def _decoded(image: Image.Image, source: Source, clock: Clock) -> RGB:
    """The picture that is open, upright, in sRGB, halved where it is huge."""
    with _as_media_error(source, clock):
        if _is_huge(image) and image.format in ("JPEG", "MPO"):
            image.draft(None, (image.width // 2, image.height // 2))  # libjpeg decodes at half size by itself
        # Pillow also turns by XMP, as browsers and phones do not, and a TIFF while it loads it
        for key in ("xmp", "XML:com.adobe.xmp"):
            image.info.pop(key, None)
        image.load()
        coding = _coding(source, image.format)
        pixels = _deep_png(source, coding) if coding is not None and image.format == "PNG" else None
        if pixels is None:
            pixels = np.asarray(as_rgb(image, coding, halve=_is_huge(image)))
        return np.ascontiguousarray(_turned(pixels, _orientation(image)))


def _coding(source: Source, image_format: str | None) -> Coding | None:
    """Primaries and transfer that a PNG, AVIF or HEIC states by code points of H.273; None where it states none."""
    if image_format not in ("PNG", "AVIF", "HEIF"):
        return None
    with open_source(source) as file:
        head = file.read(_CODING_BYTES)
    if image_format == "PNG":
        at = head.find(b"\0\0\0\x04cICP", 8, head.find(b"IDAT"))
        return (head[at + 8], head[at + 9]) if at >= 0 and len(head) > at + 9 else None
    at = head.find(b"colrnclx")
    if at < 0 or len(head) < at + 12:
        return None
    primaries, transfer = struct.unpack(">HH", head[at + 8 : at + 12])
    return primaries, transfer


def _deep_png(source: Source, coding: Coding) -> RGB | None:
    """A still PNG of 16 bits whose colours are coded otherwise than sRGB, with all of its bits."""
    with open_source(source) as file:
        head = file.read(HEAD_BYTES)
        if is_srgb(*coding) or head[24:25] != b"\x10" or b"acTL" in head:
            return None
        file.seek(0)
        return deep_rgb(file, coding)


def _read_odd_bitmap(source: Source, refusal: MediaError) -> RGB:
    """FFmpeg reads bitmaps that Pillow refuses: unusual bit fields, more colours in the palette than it can use."""
    import av  # here alone, so that a machine that only trains does without it

    with open_source(source) as file:
        header = file.read(26)
        if len(header) < 26:
            raise refusal
        width, height = struct.unpack("<ii", header[18:])
        _check_size((abs(width), abs(height)), "BMP")
        file.seek(0)
        try:
            with av.open(file, "r", format="bmp_pipe", options={"max_pixels": str(MAX_PIXELS_OTHER)}) as container:
                frame = next(container.decode(video=0))
                return cast(RGB, frame.to_ndarray(format="rgb24"))
        except (av.FFmpegError, StopIteration, ValueError) as error:
            raise refusal from error


def jpeg(image: RGB, quality: int) -> RGB:
    """Encodes as JPEG and decodes again: what a picture loses when it is saved once more."""
    done, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR) if done else None
    if decoded is None:
        raise ValueError("OpenCV cannot encode this picture as JPEG")
    return np.ascontiguousarray(decoded[..., ::-1], dtype=np.uint8)


def ends_early(file: BinaryIO) -> bool:
    """Whether a RIFF or ISO file (WebP, AVI, MP4, MOV, HEIC, AVIF) is shorter than it says or lacks its directory."""
    file.seek(0, io.SEEK_END)
    size = file.tell()
    file.seek(0)
    head = file.read(12)
    if head.startswith(b"RIFF") and len(head) == 12:
        return int.from_bytes(head[4:8], "little") + 8 > size
    if head[4:8] not in (b"ftyp", *_QUICKTIME_BOXES):
        return False
    position, boxes = 0, set()
    for _ in range(1000):  # no real file has that many boxes at its top level
        file.seek(position)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1 and len(header) == 16:
            length = int.from_bytes(header[8:], "big")
        boxes.add(header[4:8])
        position += length
        if length < 8 or position >= size:
            break
    return position > size or not boxes & {b"moov", b"meta"}


class _Wrapped(io.RawIOBase):
    """A file whose bytes come changed or not at all: everything but reading is the file's own."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


class TimedFile(_Wrapped):
    """A file that seems to end once `has_time()` says no.

    Decoders that take a file piece by piece (JPEG, PNG, GIF, every video) stop there in their own thread and in their
    own ordinary way; those that decode the whole at once are bounded by the limits on size.
    """

    def __init__(self, file: BinaryIO, has_time: Callable[[], bool]) -> None:
        super().__init__(file)
        self._has_time = has_time

    def read(self, size: int = -1, /) -> bytes:
        return self._file.read(size) if self._has_time() else b""


class _FromPage(_Wrapped):
    """A TIFF whose header points to another of its directories first."""

    def __init__(self, file: BinaryIO, offset: int) -> None:
        super().__init__(file)
        file.seek(0)
        head = file.read(16)
        order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
        big = 43 in head[2:4]
        self._at, size = (8, 8) if big else (4, 4)
        self._pointer = offset.to_bytes(size, order)
        file.seek(0)

    def read(self, size: int = -1, /) -> bytes:
        start = self._file.tell()
        data = bytearray(self._file.read(size))
        for i, value in enumerate(self._pointer, self._at - start):
            if 0 <= i < len(data):
                data[i] = value
        return bytes(data)


def no_picture(head: bytes) -> MediaError:
    """The error for a file that begins so and can be read neither as picture nor as video."""
    if is_raw(head):
        return raw_file()
    return MediaError(f"This is no photo or video that can be read. Supported: {SUPPORTED}.", "unsupported")


def raw_file() -> MediaError:
    """The error for a raw file without a preview."""
    return MediaError(
        "This is a camera's raw file: it holds what the sensor measured, not yet a picture. Export it as JPEG or TIFF "
        "and check that copy.",
        "raw",
    )


def _clock(pictures: int = 1) -> Clock:
    return Clock(_TIME_LIMIT_S * pictures)


def too_slow() -> MediaError:
    """The error for a file that takes more work than it may."""
    return MediaError("Reading the file took too long. Save it again in a common format and try that copy.", "too_slow")


def _empty() -> MediaError:
    return MediaError("The file is empty. Export or download it again.", "empty")


@contextmanager
def _opened(source: Source, clock: Clock, page: int | None = None) -> Iterator[Image.Image]:
    """The picture with its header read and its size checked, not yet decoded; of a TIFF the page at that offset."""
    with open_source(source) as file:
        head = file.read(HEAD_BYTES)
        name = sniff_format(head)
        if name not in IMAGE_FORMATS:
            raise no_picture(head)
        if name == "TIFF":
            directories = read_directories(file)
            if is_raw_tiff(file, directories):
                raise raw_file()
            whole = whole_pictures(directories)
            page = whole[0] if page is None and whole else page
            # the one that Pillow opens by itself
            page = None if directories and page == directories[0].offset else page
        file.seek(0)
        if name == "HEIF":
            if pillow_heif is None:
                raise MediaError("HEIC pictures need the package pillow-heif. Save the picture as JPEG.", "unsupported")
            pillow_heif.register_heif_opener(thumbnails=False, decode_threads=2)
        # Pillow's documented way to make its warning an error; and what it says of damaged metadata would only puzzle
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
        whole_file = file if page is None else cast(BinaryIO, _FromPage(file, page))
        timed = cast(BinaryIO, TimedFile(whole_file, lambda: not clock.expired))
        if name == "GIF":
            _check_size(_gif_extent(timed), name)
            timed.seek(0)
        with _as_media_error(source, clock):
            # "mif1" may hold either kind of compression; every other format is tried with its one plugin
            image = Image.open(timed, formats=("AVIF", "HEIF") if name == "HEIF" else (name,))
        with image:
            _check_size(image.size, image.format)
            if name == "JPEG":
                # libjpeg walks the whole picture for each scan of a progressive file, and a scan can be 150 bytes long:
                # small pieces, so that the time limit is looked at often
                setattr(image, "decodermaxblock", 4096)  # noqa: B010 - ImageFile's, not of Image.open's stated type
            yield image


def _gif_extent(file: BinaryIO) -> tuple[int, int]:
    """Width and height that the frames of a GIF reach: later ones may lie outside its own size (GIF89a, section 20)."""
    head = file.read(13)
    if len(head) < 13:
        return 0, 0
    width, height, flags = struct.unpack("<HHB", head[6:11])
    _skip_colours(file, flags)
    while (mark := file.read(1)) in (b"!", b","):
        if mark == b",":
            descriptor = file.read(9)
            if len(descriptor) < 9:
                break
            x, y, frame_width, frame_height, flags = struct.unpack("<HHHHB", descriptor)
            width, height = max(width, x + frame_width), max(height, y + frame_height)
            _skip_colours(file, flags)
        file.seek(1, io.SEEK_CUR)  # the kind of extension, or the code size of the frame
        while (length := file.read(1)) > b"\0":
            file.seek(length[0], io.SEEK_CUR)
    return width, height


def _skip_colours(file: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        file.seek(3 << ((flags & 7) + 1), io.SEEK_CUR)


def _is_huge(image: Image.Image) -> bool:
    return image.width * image.height > MAX_PIXELS_AT_ONCE


def _check_size(size: tuple[int, int], image_format: str | None) -> None:
    width, height = size
    if width * height > MAX_PIXELS.get(image_format or "", MAX_PIXELS_OTHER) or max(width, height) > MAX_SIDE:
        raise MediaError(
            f"The picture is too large: {width:,} x {height:,} pixels. Save a copy as JPEG with at most 50 megapixels.",
            "too_large",
        )


@contextmanager
def _as_media_error(source: Source, clock: Clock) -> Iterator[None]:
    """Around calls into Pillow alone: its plugins raise nearly anything on hostile bytes."""
    try:
        yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise MediaError(
            "The picture is too large. Save a copy as JPEG with at most 50 megapixels.", "too_large"
        ) from error
    except Exception as error:
        if clock.expired:
            raise too_slow() from error
        if _is_cut_off(error, source):
            raise MediaError(
                "The picture is incomplete: the file ends too early. Copy or download it again.", "truncated"
            ) from error
        raise MediaError(
            "The picture is damaged and could not be read. Copy or download it again, or save a new copy of it."
        ) from error


def _is_cut_off(error: Exception, source: Source) -> bool:
    text = str(error).lower()
    if isinstance(error, EOFError) or "truncated" in text or "unexpected end" in text:
        return True
    with open_source(source) as file:
        return ends_early(file)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8, where browsers go by it; 1 where there is none or the metadata are damaged.

    They do in JPEG and PNG, and not in WebP (Chromium, measured). Pillow gives AVIF's irot and imir as EXIF, and has
    turned HEIC and TIFF already.
    """
    if image.format not in ("JPEG", "MPO", "PNG", "AVIF"):
        return 1
    try:
        exif = Image.Exif()
        exif.load(image.info.get("exif", b""))
        value = exif.get(0x0112, 1)
    except Exception:  # a damaged EXIF block raises anything, and the picture itself has been read
        return 1
    return value if isinstance(value, int) else 1


def _turned(pixels: RGB, orientation: int) -> RGB:
    """Upright, by EXIF 2.32 section 4.6.4: where row 0 and column 0 of the stored picture belong."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels
