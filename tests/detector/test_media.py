"""detector.media on pictures that the tests make: kinds, depths, colours, orientation, limits and damage."""

import base64
import hashlib
import io
import os
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from detector import media
from detector.errors import MediaError
from detector.media import (
    open_source,
    picture_count,
    read_head,
    read_image,
    sha256_of,
    sniff_format,
    sniff_kind,
)

# 24 x 16, top left red, bottom right blue; nothing that the tests may rely on can write this format
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAWhtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAA"
    "ACJpbG9jAAAAAERAAAEAAQAAAAABjAABAAAAAAAAAGQAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRt"
    "AAAAAAABAAAA6GlwcnAAAADJaXBjbwAAAHVodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMA"
    "AAMAHroCQGEAAQApQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbqrprm4CGgwIAAAAyAAAADAIRiAAEABkQBwXPBiQAAABRpc3BlAAAA"
    "AAAAAEAAAABAAAAAKGNsYXAAAAAYAAAAAQAAABAAAAAB////2AAAAAL////QAAAAAgAAABBwaXhpAAAAAAMICAgAAAAXaXBtYQAA"
    "AAAAAAABAAEEgQIEgwAAAGxtZGF0AAAAYCgBrwnIeAHDQCOYlv9sf/y3yEzVaaigHfn4h1sUn0VNrwvpVhV8Irf+hSvgK/fBoiTn"
    "gVPPXkMAiQivvgmr3UnL4CouKLrkvA9A/ovjYPljEuj9/ew8bRoo3a77RH57gA=="
)


def encoded(picture: Image.Image, image_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, image_format, **options)
    return buffer.getvalue()


def quarters(width: int = 40, height: int = 24) -> Image.Image:
    """Red, green, blue and white quarters, in reading order."""
    pixels = np.full((height, width, 3), 255, np.uint8)
    pixels[: height // 2, : width // 2] = (255, 0, 0)
    pixels[: height // 2, width // 2 :] = (0, 255, 0)
    pixels[height // 2 :, : width // 2] = (0, 0, 255)
    return Image.fromarray(pixels)


def noise(width: int = 320, height: int = 240) -> Image.Image:
    return Image.fromarray(np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8))


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has no pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


def near(pixels: np.ndarray, y: int, x: int, colour: tuple[int, int, int], tolerance: int = 12) -> bool:
    return bool(np.abs(pixels[y, x].astype(int) - colour).max() <= tolerance)


@pytest.mark.parametrize(
    ("head", "name", "kind"),
    [
        (b"", None, "unknown"),
        (b"hello, this is text", None, "unknown"),
        (b"BMW is a make of car, not a bitmap", None, "unknown"),
        (b"PK\x03\x04" + bytes(40), None, "unknown"),
        (b"%PDF-1.7\n", None, "unknown"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", None, "unknown"),
        (b"\xff\xd8\xff\xe0" + bytes(40), "JPEG", "image"),
        (b"\0\0\0\x20ftypavif" + bytes(20), "AVIF", "image"),
        (b"\0\0\0\x20ftypheic" + bytes(20), "HEIF", "image"),
        (b"\0\0\0\x20ftypisom" + bytes(20), "mov", "video"),
        (b"\0\0\0\x20ftypqt  " + bytes(20), "mov", "video"),
        (b"\0\0\0\x20ftypcrx " + bytes(20), None, "unknown"),
        (b"\0\0\x10\0moov" + bytes(20), "mov", "video"),
        (b"\x1aE\xdf\xa3" + bytes(40), "matroska", "video"),
        (b"RIFF\0\0\0\0AVI LIST", "avi", "video"),
        (b"RIFF\0\0\0\0WAVEfmt ", None, "unknown"),
        (b"1234\0\0\0\0AVI LIST", None, "unknown"),
        (b"\0\0\0\x01\x67" + bytes(40), "h264", "video"),
        (b"\0\0\0\x01\x40\x01" + bytes(40), "hevc", "video"),
        ((b"G" + bytes(187)) * 8, "mpegts", "video"),
        (bytes(3) + (b"G" + bytes(187)) * 8, "mpegts", "video"),
        ((bytes(4) + b"G" + bytes(187)) * 8, "mpegts", "video"),
    ],
)
def test_the_kind_is_in_the_content(head: bytes, name: str | None, kind: str) -> None:
    assert (sniff_format(head), sniff_kind(head)) == (name, kind)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
def test_every_format_is_recognised_and_read(image_format: str, tmp_path: Path) -> None:
    data = encoded(quarters(), image_format)
    path = tmp_path / "wrong.mp4"
    path.write_bytes(data)
    assert sniff_kind(read_head(path)) == "image"
    for source in (data, path):
        pixels = read_image(source)
        assert pixels.shape == (24, 40, 3) and pixels.dtype == np.uint8 and pixels.flags.c_contiguous
        assert near(pixels, 3, 5, (255, 0, 0), 25) and near(pixels, 3, 35, (0, 255, 0), 25)
        assert near(pixels, 20, 5, (0, 0, 255), 25) and near(pixels, 20, 35, (255, 255, 255), 25)


def test_the_pictures_of_telephones_are_read() -> None:
    assert sniff_kind(HEIC) == "image"
    pixels = read_image(HEIC)
    assert pixels.shape == (16, 24, 3)
    assert near(pixels, 3, 3, (200, 40, 30), 25) and near(pixels, 13, 20, (20, 60, 220), 25)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_heic_photo_of_a_telephone_is_upright_and_whole(orientation: int) -> None:
    """Telephones note how the picture is turned, and store a thumbnail in front of it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    pillow_heif.register_heif_opener()
    data = encoded(quarters(192, 128), "HEIF", quality=95, exif=exif.tobytes(), thumbnails=[64])
    pixels = read_image(data)
    turned = {1: 0, 3: 2, 6: 3, 8: 1}[orientation]
    expected = np.rot90(np.asarray(quarters(192, 128)), turned)
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).mean() < 8


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    undo = {  # how a camera that is held so stores an upright scene
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = quarters().transpose(undo[orientation]) if orientation in undo else quarters()
    exif = Image.Exif()
    exif[0x0112] = orientation
    for image_format in ("PNG", "TIFF", "JPEG"):
        options = {"quality": 100, "subsampling": 0} if image_format == "JPEG" else {}
        pixels = read_image(encoded(stored, image_format, exif=exif.tobytes(), **options))
        assert pixels.shape == (24, 40, 3)
        assert np.abs(pixels.astype(int) - np.asarray(quarters())).max() <= (30 if options else 0)


XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    b"</rdf:RDF></x:xmpmeta>"
)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_orientation_in_xmp_is_left_alone_as_browsers_leave_it(image_format: str) -> None:
    options: dict[str, Any] = {"xmp": XMP}
    if image_format == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", XMP.decode())
        options = {"pnginfo": text}
    if image_format == "TIFF":
        options = {"tiffinfo": {700: XMP}}
    data = encoded(quarters(160, 96), image_format, **options)
    with Image.open(io.BytesIO(data)) as image:
        assert image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    pixels = read_image(data)
    assert pixels.shape == (96, 160, 3)
    assert near(pixels, 10, 10, (255, 0, 0), 40)


def test_orientation_of_each_format_is_what_chromium_makes_of_it() -> None:
    """Measured in Chromium: EXIF counts in JPEG and PNG, irot in AVIF, nothing in WebP."""
    exif = Image.Exif()
    exif[0x0112] = 6
    shapes = {}
    for image_format in ("JPEG", "PNG", "WEBP", "AVIF"):
        shapes[image_format] = read_image(encoded(quarters(160, 96), image_format, exif=exif.tobytes())).shape[:2]
    assert shapes == {"JPEG": (160, 96), "PNG": (160, 96), "AVIF": (160, 96), "WEBP": (96, 160)}


def test_damaged_exif_does_not_hide_the_picture() -> None:
    data = encoded(quarters(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff nonsense")
    assert read_image(data).shape == (24, 40, 3)


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_sixteen_bit_gray_is_scaled_and_not_cut(image_format: str) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(8, 0)
    pixels = read_image(encoded(Image.fromarray(ramp), image_format))
    assert np.abs(pixels[0, :, 0].astype(int) - np.arange(256)).max() <= 1
    assert np.array_equal(pixels[..., 0], pixels[..., 2])


def test_sixteen_bit_colour_is_scaled() -> None:
    rows = b"".join(b"\0" + struct.pack(">HHH", 65535, 32768, 128) * 4 for _ in range(4))
    chunks = b""
    for kind, body in (
        (b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ):
        chunks += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    assert near(read_image(b"\x89PNG\r\n\x1a\n" + chunks), 2, 2, (255, 128, 0), 1)


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0])
def test_floats_are_scaled_by_their_range(white: float) -> None:
    ramp = np.linspace(0, white, 256, dtype=np.float32)[None].repeat(300, 0)
    ramp[5, 5] = np.nan
    pixels = read_image(encoded(Image.fromarray(ramp), "TIFF"))
    assert np.abs(pixels[0, :, 0].astype(int) - np.arange(256)).max() <= 1


@pytest.mark.parametrize("image_format", ["JPEG", "TIFF"])
def test_cmyk_has_its_colours(image_format: str) -> None:
    """Pillow writes CMYK JPEGs inverted, as Adobe does."""
    pixels = read_image(encoded(quarters().convert("CMYK"), image_format))
    assert near(pixels, 3, 5, (255, 0, 0), 30) and near(pixels, 20, 35, (255, 255, 255), 10)


def test_lab_has_its_colours() -> None:
    lab = ImageCms.profileToProfile(
        quarters(), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    pixels = read_image(encoded(lab, "TIFF"))
    assert near(pixels, 3, 5, (255, 0, 0), 12) and near(pixels, 20, 35, (255, 255, 255), 6)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "L"])
def test_transparency_is_laid_on_white(mode: str) -> None:
    picture = quarters().convert("RGBA")
    picture.putalpha(Image.fromarray(np.uint8([[0] * 40] * 12 + [[255] * 40] * 12)))
    pixels = read_image(encoded(picture.convert(mode), "PNG"))
    assert pixels.shape == (24, 40, 3)
    if mode in ("RGBA", "LA", "P"):
        assert near(pixels, 3, 5, (255, 255, 255), 2)
    if mode in ("RGBA", "P"):
        assert near(pixels, 20, 5, (0, 0, 255), 2)


def test_half_transparent_is_mixed_with_white() -> None:
    pixels = read_image(encoded(Image.new("RGBA", (4, 4), (200, 0, 100, 128)), "WEBP", lossless=True))
    assert near(pixels, 2, 2, (227, 127, 177), 2)


def test_a_profile_is_applied_and_a_damaged_one_is_not() -> None:
    gray = Image.new("RGB", (4, 4), (60, 120, 180))
    linear = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()  # fits no RGB picture
    for profile in (linear, b"no profile at all"):
        assert near(read_image(encoded(gray, "PNG", icc_profile=profile)), 1, 1, (60, 120, 180), 0)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert near(read_image(encoded(gray, "PNG", icc_profile=srgb)), 1, 1, (60, 120, 180), 0)
    swapped = srgb.replace(b"rXYZ", b"tXYZ").replace(b"bXYZ", b"rXYZ").replace(b"tXYZ", b"bXYZ")
    swapped = swapped.replace("sRGB".encode("utf-16-be"), "nRGB".encode("utf-16-be")).replace(b"sRGB", b"nRGB")
    assert near(read_image(encoded(gray, "PNG", icc_profile=swapped)), 1, 1, (180, 120, 60), 2)


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame(image_format: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "lime", "blue")]
    data = encoded(frames[0], image_format, save_all=True, append_images=frames[1:])
    assert near(read_image(data), 8, 8, (255, 0, 0), 8)
    assert picture_count(data) == 3
    assert picture_count(encoded(frames[0], image_format)) == 1


@pytest.mark.parametrize("size", [(50_000, 50_000), (60_000, 100), (100, 40_001), (9000, 8000)])
def test_too_large_by_the_header(size: tuple[int, int]) -> None:
    started = time.process_time()
    with pytest.raises(MediaError, match=f"{size[0]:,}|too large") as caught:
        read_image(png_header(*size))
    assert caught.value.reason == "too_large"
    assert time.process_time() - started < 1.0


def test_a_gif_whose_later_frame_is_huge_is_too_large() -> None:
    data = encoded(Image.new("P", (8, 8)), "GIF")
    bomb = data[:-1] + b"," + struct.pack("<HHHHB", 65535, 65535, 100, 100, 0) + b"\x08\x01\0\0;"
    assert read_image(data).shape == (8, 8, 3)
    with pytest.raises(MediaError) as caught:
        read_image(bomb)
    assert caught.value.reason == "too_large"


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_a_very_large_picture_comes_at_half_its_size(image_format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "MAX_PIXELS_AT_ONCE", 640 * 480 - 1)
    pixels = read_image(encoded(quarters(640, 480), image_format))
    assert pixels.shape == (240, 320, 3)
    assert near(pixels, 30, 50, (255, 0, 0)) and near(pixels, 200, 300, (255, 255, 255))


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "HEIF"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.97])
def test_truncated_says_so(image_format: str, share: float) -> None:
    data = HEIC if image_format == "HEIF" else encoded(noise(), image_format)
    with pytest.raises(MediaError) as caught:
        read_image(data[: int(len(data) * share)])
    assert caught.value.reason == "truncated"
    assert "again" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"not a picture at all", "unsupported"),
        (b"<html><body>404</body></html>", "unsupported"),
        (b"PK\x03\x04" + bytes(100), "unsupported"),
        (b"\0\0\0\x20ftypisom" + bytes(100), "unsupported"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "unreadable"),
        (b"\xff\xd8\xff\xe0" + bytes(100), "unreadable"),
        (b"BM" + bytes(12) + struct.pack("<I", 40) + b"\xff" * 100, "unreadable"),
    ],
)
def test_what_cannot_be_read_says_why(data: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "secret-source-name.jpg"
    path.write_bytes(data)
    for source in (data, path):
        with pytest.raises(MediaError) as caught:
            read_image(source)
        assert caught.value.reason == reason
        message = str(caught.value)
        assert message.endswith(".") and "\n" not in message and "secret" not in message


def test_a_bitmap_that_pillow_refuses() -> None:
    """16 bits a pixel, 4 for each channel, by bit fields."""
    header = struct.pack("<IiiHHIIiiII", 56, 8, 4, 1, 16, 3, 8 * 4 * 2, 2835, 2835, 0, 0)
    masks = struct.pack("<IIII", 0x0F00, 0x00F0, 0x000F, 0xF000)
    body = header + masks + struct.pack("<H", 0xFF08) * 32
    data = b"BM" + struct.pack("<IHHI", 14 + len(body), 0, 0, 14 + 56) + body
    assert near(read_image(data), 1, 1, (255, 0, 136), 20)


def test_no_time_left_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "_TIME_LIMIT_S", -1.0)
    with pytest.raises(MediaError) as caught:
        read_image(encoded(noise(), "PNG"))
    assert caught.value.reason == "too_slow"


def test_hashes_in_pieces_and_of_nothing(tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    path = tmp_path / "file"
    path.write_bytes(data)
    assert sha256_of(path) == sha256_of(data) == hashlib.sha256(data).hexdigest()
    path.write_bytes(b"")
    assert sha256_of(path) == sha256_of(b"") == hashlib.sha256(b"").hexdigest()


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing", Path("/dev/zero"), Path("nul\0byte")):
        with pytest.raises(MediaError) as caught, open_source(path):
            pass
        assert caught.value.reason == "unreadable" and "/" not in str(caught.value)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(MediaError), open_source(tmp_path / "pipe"):
            pass
