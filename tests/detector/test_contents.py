"""What a picture file holds: several pictures, previews, raw data, and colours that are coded otherwise than sRGB."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from detector.errors import MediaError
from detector.media import MAX_PICTURES, iter_pictures, picture_count, read_image, sniff_kind

COLOURS = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255)}


def encoded(picture: Image.Image, image_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, image_format, **options)
    return buffer.getvalue()


def several(image_format: str, count: int = 3) -> bytes:
    pillow_heif.register_heif_opener()
    names = [list(COLOURS)[i % 3] for i in range(count)]
    pictures = [Image.new("RGB", (64, 64), name) for name in names]
    options: dict[str, Any] = {} if image_format in ("TIFF", "MPO", "HEIF") else {"duration": 100}
    return encoded(pictures[0], image_format, save_all=True, append_images=pictures[1:], **options)


def near(pixels: np.ndarray, colour: tuple[int, int, int], tolerance: int = 12) -> bool:
    middle = pixels[pixels.shape[0] // 2, pixels.shape[1] // 2]
    return bool(np.abs(middle.astype(int) - colour).max() <= tolerance)


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF", "MPO", "HEIF"])
def test_every_picture_of_a_file_comes_with_its_number(image_format: str) -> None:
    data = several(image_format)
    assert picture_count(data) == 3
    found = list(iter_pictures(data))
    assert [(p.number, p.of) for p in found] == [(1, 3), (2, 3), (3, 3)]
    for picture, colour in zip(found, COLOURS.values(), strict=True):
        assert near(picture.image, colour, 30)
        assert np.array_equal(read_image(data, picture.number), picture.image)
    assert np.array_equal(read_image(data), found[0].image)
    with pytest.raises(MediaError) as refused:
        read_image(data, 4)
    assert refused.value.reason == "unsupported"


@pytest.mark.parametrize("image_format", ["GIF", "TIFF"])
def test_of_very_many_some_come_from_all_over(image_format: str) -> None:
    numbers = [p.number for p in iter_pictures(several(image_format, 40))]
    assert len(numbers) == MAX_PICTURES and numbers[0] == 1 and numbers[-1] == 40
    assert numbers == sorted(numbers)


def test_a_still_is_one_picture() -> None:
    data = encoded(Image.new("RGB", (20, 10), "red"), "JPEG")
    assert picture_count(data) == 1
    assert [(p.number, p.of, p.image.shape) for p in iter_pictures(data)] == [(1, 1, (10, 20, 3))]


def test_a_damaged_picture_among_several_is_left_out() -> None:
    data = several("GIF")
    whole = list(iter_pictures(data))
    cut = list(iter_pictures(data[: len(data) - 60]))
    assert 1 <= len(cut) < len(whole)


def test_a_gain_map_is_no_picture() -> None:
    """As telephones store HDR: a second, smaller or grey picture in the same JPEG."""
    photo = Image.new("RGB", (64, 64), "red")
    for second in (Image.new("RGB", (16, 16), "blue"), Image.new("L", (64, 64), 90)):
        data = encoded(photo, "MPO", save_all=True, append_images=[second])
        assert picture_count(data) == 1
        assert near(next(iter(iter_pictures(data))).image, (255, 0, 0), 5)


def tiff(directories: list[dict[int, tuple[str, tuple[int, ...]]]], strips: list[bytes], big_endian: bool) -> bytes:
    """A TIFF by hand: directories one after the other; a value of ("sub", (i,)) is the offset of directory i."""
    order = ">" if big_endian else "<"
    places: list[int] = []
    at = 8
    for tags in directories:
        places.append(at)
        at += 2 + 12 * (len(tags) + 2) + 4
    body, data_at = b"", at
    for strip in strips:
        body += strip
    top = [i for i in range(len(directories)) if not any(v == ("sub", (i,)) for d in directories for v in d.values())]
    out = (b"MM\0*" if big_endian else b"II*\0") + struct.pack(order + "I", places[top[0]])
    for i, tags in enumerate(directories):
        strip_at = data_at + sum(map(len, strips[:i]))
        full = {**tags, 273: ("I", (strip_at,)), 279: ("I", (len(strips[i]),))}
        out += struct.pack(order + "H", len(full))
        for tag, (form, values) in sorted(full.items()):
            value = places[values[0]] if form == "sub" else values[0]
            kind = {"H": 3, "I": 4, "sub": 4, "B": 1}[form]
            packed = struct.pack(order + "I", value)
            if form == "H":
                packed = struct.pack(order + "HH", value, 0)
            if form == "B":
                packed = bytes(values)
            out += struct.pack(order + "HHI", tag, kind, len(values)) + packed
        following = top[top.index(i) + 1] if i in top and top.index(i) + 1 < len(top) else None
        out += struct.pack(order + "I", 0 if following is None else places[following])
    return out + body


def gray(width: int, height: int, **more: tuple[str, tuple[int, ...]]) -> dict[int, tuple[str, tuple[int, ...]]]:
    plain = {256: ("I", (width,)), 257: ("I", (height,)), 258: ("H", (8,)), 259: ("H", (1,)), 262: ("H", (1,))}
    return {**plain, 277: ("H", (1,)), 278: ("I", (height,)), **{int(k[1:]): v for k, v in more.items()}}


@pytest.mark.parametrize("big_endian", [False, True])
def test_a_preview_in_front_does_not_stand_for_the_picture_behind_it(big_endian: bool) -> None:
    preview = gray(8, 4, t254=("I", (1,)), t330=("sub", (1,)))
    data = tiff([preview, gray(64, 32, t254=("I", (0,)))], [bytes(32), bytes([200]) * 2048], big_endian)
    assert picture_count(data) == 1
    for pixels in (read_image(data), next(iter(iter_pictures(data))).image):
        assert pixels.shape == (32, 64, 3) and near(pixels, (200, 200, 200), 0)


def test_thumbnails_and_masks_among_pages_are_no_pages() -> None:
    pages = [gray(8, 8), gray(4, 4, t254=("I", (1,))), gray(8, 8, t254=("I", (4,))), gray(8, 8, t254=("I", (2,)))]
    data = tiff(pages, [bytes([v]) * (16 if v == 20 else 64) for v in (10, 20, 30, 40)], False)
    assert picture_count(data) == 2
    assert [(p.number, int(p.image[0, 0, 0])) for p in iter_pictures(data)] == [(1, 10), (2, 40)]


@pytest.mark.parametrize(
    "raw",
    [
        {"t254": ("I", (1,)), "t330": ("sub", (1,)), "t50706": ("B", (1, 4, 0, 0))},  # DNG, its preview first
        {"t262": ("H", (32803,))},  # colour filter array
        {"t254": ("I", (1,)), "t330": ("sub", (1,)), "t259": ("H", (34713,))},  # Nikon
    ],
)
def test_a_raw_file_is_not_judged_by_its_preview(raw: dict[str, Any]) -> None:
    data = tiff([gray(8, 4, **raw), gray(64, 32)], [bytes(32), bytes(2048)], False)
    assert sniff_kind(data) == "image"
    for read in (read_image, picture_count, lambda d: list(iter_pictures(d))):
        with pytest.raises(MediaError) as refused:
            read(data)
        assert refused.value.reason == "raw" and "Export it as JPEG or TIFF" in str(refused.value)


def test_canons_raw_files_are_known() -> None:
    made = tiff([gray(8, 4)], [bytes(32)], False)
    data = made[:4] + struct.pack("<I", 16) + b"CR\2\0" + bytes(4) + made[8:]
    with pytest.raises(MediaError) as refused:
        read_image(data)
    assert refused.value.reason == "raw"


@pytest.mark.parametrize(
    "head", [b"FUJIFILMCCD-RAW 0201", b"IIRO\x08\0\0\0", b"IIU\0\x18\0\0\0", b"\0\0\0\x18ftypcrx "]
)
def test_raw_files_of_other_makers_are_known(head: bytes) -> None:
    with pytest.raises(MediaError) as refused:
        read_image(head + bytes(200))
    assert refused.value.reason == "raw"


def png(rows: np.ndarray, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG by hand from (H, W, 3) uint8 or uint16, with chunks in front of the pixels."""
    height, width = rows.shape[:2]
    deep = rows.dtype == np.uint16
    packed = b"".join(b"\0" + row.astype(">u2" if deep else np.uint8).tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, 16 if deep else 8, 2, 0, 0, 0)
    out = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), *chunks, (b"IDAT", zlib.compress(packed)), (b"IEND", b"")):
        out += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return out


def pq(nits: np.ndarray) -> np.ndarray:
    y = (nits / 10_000) ** 0.1593017578125
    return np.asarray(((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375)


def srgb(light: np.ndarray) -> np.ndarray:
    return np.asarray(255 * np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055))


LIGHT = np.array([0.01, 0.05, 0.2, 0.4, 0.55])


@pytest.mark.parametrize("deep", [True, False])
def test_a_png_in_hdr_looks_as_it_did_in_sdr(deep: bool) -> None:
    full = 65535 if deep else 255
    codes = np.rint(pq(LIGHT * 203) * full).astype(np.uint16 if deep else np.uint8)
    rows = np.repeat(np.tile(codes, (4, 1))[..., None], 3, 2)
    pixels = read_image(png(rows, (b"cICP", bytes([9, 16, 0, 1]))))
    assert np.abs(pixels[2] - srgb(LIGHT)[:, None]).max() <= (1.5 if deep else 4)
    # a chunk for sRGB changes nothing
    plain = read_image(png(rows, (b"cICP", bytes([1, 13, 0, 1]))))
    assert np.abs(plain[2, :, 0] - codes / full * 255).max() <= 1


def test_an_avif_and_a_heic_in_hdr_look_as_they_did_in_sdr() -> None:
    pillow_heif.register_heif_opener()
    codes = np.rint(pq(LIGHT * 203) * 255).astype(np.uint8)
    rows = np.repeat(np.repeat(codes, 32)[None].repeat(64, 0)[..., None], 3, 2)
    heic = pillow_heif.from_pillow(Image.fromarray(rows))
    buffer = io.BytesIO()
    heic.save(buffer, quality=100, chroma=444, color_primaries=9, transfer_characteristics=16, matrix_coefficients=9)
    found = read_image(buffer.getvalue())
    assert np.abs(found[32, 16::32, 1] - srgb(LIGHT)).max() <= 6
    avif = encoded(Image.fromarray(rows), "AVIF", quality=100, subsampling="4:4:4")
    at = avif.index(b"colrnclx") + 8
    hdr = avif[:at] + struct.pack(">HH", 9, 16) + avif[at + 4 :]
    assert np.abs(read_image(hdr)[32, 16::32, 1] - srgb(LIGHT)).max() <= 6


def icc(space: bytes, gamma: float) -> bytes:
    """An ICC profile of version 2: grey, or RGB with the primaries of sRGB; `gamma` is that of its curve."""
    curve = b"curv\0\0\0\0" + (
        struct.pack(">I", 0) if gamma == 1 else struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    )
    fixed = lambda *v: b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(x * 65536) for x in v))  # noqa: E731
    name = b"sRGB, but linear\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(4 + 4 + 2 + 1 + 67)
    tags = {b"desc": text, b"cprt": b"text\0\0\0\0none\0\0\0\0", b"wtpt": fixed(0.9642, 1, 0.8249)}
    if space == b"GRAY":
        tags[b"kTRC"] = curve
    else:
        tags |= {b"rXYZ": fixed(0.4360, 0.2225, 0.0139), b"gXYZ": fixed(0.3851, 0.7169, 0.0971)}
        tags |= {b"bXYZ": fixed(0.1431, 0.0606, 0.7141), b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    table, body = struct.pack(">I", len(tags)), b""
    for tag, data in tags.items():
        padded = data + bytes(-len(data) % 4)
        table += tag + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(data))
        body += padded
    size = 128 + len(table) + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"none", 0x02100000, b"mntr", space, b"XYZ ") + bytes(12)
    header += b"acsp" + bytes(24) + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    return header + bytes(128 - len(header)) + table + body


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "JPEG"])
def test_a_grey_profile_counts(image_format: str) -> None:
    shades = np.tile(np.repeat(np.arange(16, 256, 24, dtype=np.uint8), 8), (16, 1))
    options: dict[str, Any] = {"quality": 100} if image_format == "JPEG" else {}
    data = encoded(Image.fromarray(shades), image_format, icc_profile=icc(b"GRAY", 1.0), **options)
    assert np.abs(read_image(data)[4, 4::8, 1] - srgb(shades[4, 4::8] / 255)).max() <= 3


def test_a_grey_profile_counts_in_sixteen_bits_too() -> None:
    codes = np.linspace(200, 65000, 64).astype(np.uint16)
    data = encoded(Image.fromarray(np.tile(codes, (8, 1))), "PNG", icc_profile=icc(b"GRAY", 1.0))
    assert np.abs(read_image(data)[4, :, 1] - srgb(codes / 65535)).max() <= 3


def test_a_linear_profile_counts_whatever_its_name() -> None:
    rows = np.tile(np.repeat(np.arange(16, 256, 24, dtype=np.uint8), 8)[None, :, None], (16, 1, 3))
    found = read_image(encoded(Image.fromarray(rows), "PNG", icc_profile=icc(b"RGB ", 1.0)))
    assert np.abs(found[4, 4::8, 1] - srgb(rows[4, 4::8, 1] / 255)).max() <= 3
    same = read_image(encoded(Image.fromarray(rows), "PNG", icc_profile=icc(b"RGB ", 2.2)))
    assert np.abs(same.astype(int) - rows).max() <= 12


def test_the_gamma_of_a_png_counts() -> None:
    rows = np.tile(np.arange(5, 250, 5, dtype=np.uint8)[None, :, None], (4, 1, 3))
    found = read_image(png(rows, (b"gAMA", struct.pack(">I", 100_000))))
    assert np.abs(found[2, :, 0] - srgb(rows[2, :, 0] / 255)).max() <= 1
    for chunks in ([(b"gAMA", struct.pack(">I", 45_455))], [(b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 100_000))]):
        assert np.array_equal(read_image(png(rows, *chunks)), rows)
