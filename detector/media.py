"""Untrusted bytes or a path → its picture as an RGB array, within limits.

The kind of a file is told in `detector.sniff`, opening and hashing stand in `detector.source`; their names can be
imported from here. A picture's size is checked in its header before a pixel is decoded, only the
formats of `IMAGE_FORMATS` are ever tried, and whatever a hostile file makes a decoder raise becomes a `MediaError`.
"""

import io
import struct
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Literal, cast

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from detector.clock import Clock
from detector.colour import is_srgb
from detector.errors import MediaError
from detector.pixels import Coding, as_rgb, deep_rgb
from detector.sniff import HEAD_BYTES, IMAGE_FORMATS, SUPPORTED, sniff_format, sniff_kind
from detector.source import (
    Source,
    TimedFile,
    WrappedFile,
    ends_early,
    no_picture,
    open_source,
    raw_file,
    read_head,
    sha256_of,
    size_of,
    too_slow,
)
from detector.tiff import is_raw_tiff, read_directories, whole_pictures

try:
    import pillow_heif
except ImportError:
    pillow_heif = None  # type: ignore[assignment]

__all__ = [
    "HEAD_BYTES",
    "IMAGE_FORMATS",
    "MAX_PICTURES",
    "MAX_PIXELS",
    "MAX_PIXELS_AT_ONCE",
    "MAX_PIXELS_OTHER",
    "MAX_SIDE",
    "RGB",
    "SUPPORTED",
    "Picture",
    "Source",
    "TimedFile",
    "ends_early",
    "iter_pictures",
    "jpeg",
    "no_picture",
    "open_source",
    "picture_count",
    "raw_file",
    "read_head",
    "read_image",
    "sha256_of",
    "size_of",
    "sniff_format",
    "sniff_kind",
    "too_slow",
]

RGB = npt.NDArray[np.uint8]

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


class _FromPage(WrappedFile):
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


def _clock(pictures: int = 1) -> Clock:
    return Clock(_TIME_LIMIT_S * pictures)


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
