"""A decoded Pillow picture of any mode and depth → RGB of 8 bits in sRGB, laid on white where it is transparent.

What says how colours are coded, in the order in which it counts: code points of H.273 (PNG's cICP, the nclx of AVIF and
HEIC, a profile's own), an ICC profile, PNG's gamma.
"""

import io
import struct
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from detector.colour import is_srgb, to_srgb

RGB = npt.NDArray[np.uint8]

Coding = tuple[int, int]
"""Primaries and transfer, code points of H.273."""

_SRGB_GAMMA = 0.45455
_ALMOST = 2  # of 255: what two profiles of sRGB differ by


def as_rgb(image: Image.Image, coding: Coding | None = None, *, halve: bool = False) -> Image.Image:
    """The picture in mode "RGB".

    Args:
        image: decoded; 16-bit and float ones are scaled by their own full range, which Pillow would cut.
        coding: of its colours, where the file says it by code points; else its profile or gamma counts.
        halve: gives half its width and height.
    """
    stored = image.info.get("icc_profile")
    coding = coding or coding_of_profile(stored)
    profile = _Profile(stored) if stored and coding is None else None
    if profile is not None and profile.gray is not None and image.mode in ("L", "LA", "I;16", "I;16B", "I;16L"):
        image = _gray_by_curve(image, profile.gray)
        profile = None
    picture = _as_8_bit(image)
    picture = _on_white(picture.reduce(2) if halve else picture)
    if picture.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        picture = ImageCms.profileToProfile(picture, lab, srgb, outputMode="RGB") or picture
    elif profile is not None and picture.mode in ("RGB", "CMYK"):
        picture = profile.applied(picture)
    picture = picture.convert("RGB")
    if coding is not None and not is_srgb(*coding):
        return Image.fromarray(to_srgb(np.asarray(picture), *coding))
    gamma = image.info.get("gamma")
    if coding is None and profile is None and gamma and "srgb" not in image.info:
        return _by_gamma(picture, float(gamma))
    return picture


def deep_rgb(file: IO[bytes], coding: Coding) -> RGB | None:
    """A PNG of 16 bits in sRGB, by FFmpeg; None where it is not one, or FFmpeg cannot read it.

    Pillow keeps 8 of its bits, too few for codes that reach up to 10,000 cd/m².
    """
    import av  # here alone, so that a machine that only trains does without it

    try:
        with av.open(file, format="png_pipe", mode="r") as container:
            frame = next(container.decode(video=0))
            stored = frame.to_ndarray() if frame.format.name in ("rgb48be", "rgba64be") else None
    except (av.FFmpegError, StopIteration, ValueError):
        return None
    if stored is None:
        return None
    codes: npt.NDArray[np.uint16] = np.asarray(stored[..., :3], np.uint16)
    if stored.shape[2] == 4:
        share = stored[..., 3:].astype(np.float32) / 65535
        codes = (codes * share + 65535 * (1 - share)).astype(np.uint16)
    return np.asarray(to_srgb(np.ascontiguousarray(codes), *coding, bits=16))


def coding_of_profile(profile: bytes | None) -> Coding | None:
    """The code points in a profile that states them (ICC.1:2022, 9.2.17), as cameras and screenshots of HDR have it."""
    if not profile or len(profile) < 132:
        return None
    count = min(struct.unpack(">I", profile[128:132])[0], 100)
    for i in range(count):
        entry = profile[132 + 12 * i : 144 + 12 * i]
        if len(entry) == 12 and entry[:4] == b"cicp":
            offset = struct.unpack(">I", entry[4:8])[0]
            tag = profile[offset : offset + 12]
            return (tag[8], tag[9]) if len(tag) == 12 and tag[:4] == b"cicp" else None
    return None


class _Profile:
    """An ICC profile.

    Attributes:
        gray: what it makes of the shades 0 to 255, (256,); None where it is no profile of grey pictures.
    """

    def __init__(self, data: bytes) -> None:
        self._profile: ImageCms.ImageCmsProfile | None = None
        self.gray: npt.NDArray[np.uint8] | None = None
        try:
            self._profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
            if self._profile.profile.xcolor_space.strip() == "GRAY":
                ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
                # lcms's shortcut is several shades off in the shadows of a linear profile
                self.gray = np.asarray(self._to_srgb(ramp, ImageCms.Flags.NOOPTIMIZE))[0, :, 0]
        except (ImageCms.PyCMSError, OSError, ValueError):
            self._profile = None  # damaged or unfit: as in viewers without colour management

    def applied(self, picture: Image.Image) -> Image.Image:
        """An "RGB" or "CMYK" picture in sRGB; as it is where the profile does not fit it or is that of sRGB."""
        if self._profile is None or self.gray is not None:
            return picture
        try:
            if picture.mode == "RGB":
                few = np.mgrid[0:256:51, 0:256:51, 0:256:51].reshape(3, 1, -1).transpose(1, 2, 0).astype(np.uint8)
                converted = np.asarray(self._to_srgb(Image.fromarray(few)))
                # by what it does and not by its name: "sRGB, linear" is none
                if np.abs(converted.astype(int) - few).max() <= _ALMOST:
                    return picture
            return self._to_srgb(picture)
        except (ImageCms.PyCMSError, OSError, ValueError):
            return picture

    def _to_srgb(self, picture: Image.Image, flags: ImageCms.Flags = ImageCms.Flags.NONE) -> Image.Image:
        assert self._profile is not None
        srgb = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(picture, self._profile, srgb, outputMode="RGB", flags=flags) or picture


def _gray_by_curve(image: Image.Image, curve: npt.NDArray[np.uint8]) -> Image.Image:
    """Grey of 8 or 16 bits through its profile."""
    alpha = image.getchannel("A") if image.mode == "LA" else None
    values = np.asarray(image.getchannel("L") if alpha else image)
    full = 255 if image.mode in ("L", "LA") else _full_range(image)
    # between two shades of 8 bits along a straight line of light, which is steep in the shadows of a linear profile
    light = np.interp(np.arange(full + 1) * (255 / full), np.arange(256), _light(curve / 255))
    table = np.rint(255 * _code(light)).astype(np.uint8)
    gray = Image.fromarray(table[np.minimum(values, full)])
    return gray if alpha is None else Image.merge("LA", (gray, alpha))


def _by_gamma(picture: Image.Image, gamma: float) -> Image.Image:
    """By PNG's gAMA, which browsers go by: the power of light that was stored."""
    if not 0.1 < gamma < 10 or abs(gamma / _SRGB_GAMMA - 1) < 0.05:
        return picture
    codes = np.rint(255 * _code(np.linspace(0, 1, 256) ** (1 / gamma)))
    return picture.point(codes.astype(int).tolist() * 3)


def _light(code: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """sRGB's curve: 0 to 1 as stored to 0 to 1 of light."""
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def _code(light: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """The reverse of `_light`."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    return white


def _as_8_bit(image: Image.Image) -> Image.Image:
    """The picture in a mode of 8 bits a channel; deeper ones are scaled by their own full range, which Pillow cuts."""
    mode = image.mode
    if mode.startswith("I;16"):
        return _scaled(np.asarray(image), 0, _full_range(image))
    if mode == "I":
        values = np.asarray(image)
        return _scaled(values, 0, 65535 if values.max(initial=0) <= 65535 else int(values.max()))
    if mode == "F":
        values = np.asarray(image)
        finite = np.isfinite(values)
        low, high = (float(pick(values, where=finite, initial=0)) for pick in (np.min, np.max))
        full = next((full for full in (1.0, 255.0, 65535.0) if high <= full), high)
        return _scaled(values, low, full)
    if mode in ("P", "PA", "1"):
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image


def _full_range(image: Image.Image) -> int:
    """The white of a 16-bit picture: 12-bit TIFFs are unpacked to 16 bits without scaling."""
    tags: Any = getattr(image, "tag_v2", {})
    bits = tags.get(258, (16,))  # BitsPerSample
    return int(2 ** min(max(int(bits[0]), 8), 16)) - 1


def _scaled(values: npt.NDArray[Any], black: float, white: float) -> Image.Image:
    scale = np.float32(255 / max(white - black, 1e-9))
    scaled = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), 256):  # a block at a time: floats of the whole would take four times its memory
        block = np.nan_to_num((values[top : top + 256].astype(np.float32) - np.float32(black)) * scale)
        scaled[top : top + 256] = np.clip(np.rint(block), 0, 255)
    return Image.fromarray(scaled)
