"""Whole files to start from: one of each kind, small, made here."""

import io
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pillow_heif
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from tests.fakes.credentials import make_signer, sign

_XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreatorTool="Camera 1.0" '
    b'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    b'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"/>'
    b"</rdf:RDF></x:xmpmeta>"
)
_PHOTO = Path(__file__).resolve().parents[2] / "app" / "samples" / "astronaut.jpg"


def seeds() -> dict[str, bytes]:
    """Ending of its name -> the file."""
    with Image.open(_PHOTO) as opened:
        photo = opened.convert("RGB").resize((96, 96))
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112], exif[0x011A] = "Maker", "Model", 6, IFDRational(72, 1)
    found = {
        "exif.jpg": _saved(photo, "JPEG", exif=exif, xmp=_XMP),
        "progressive.jpg": _saved(photo, "JPEG", progressive=True),
        "cmyk.jpg": _saved(photo.convert("CMYK"), "JPEG"),
        "png": _saved(photo, "PNG", exif=exif),
        "16.png": bytes(cv2.imencode(".png", np.asarray(photo).astype(np.uint16) * 256)[1]),
        "webp": _saved(photo, "WEBP", exif=exif, xmp=_XMP),
        "gif": _saved(photo, "GIF", save_all=True, append_images=[photo.rotate(90), photo.rotate(180)]),
        "tif": _saved(photo, "TIFF", compression="tiff_lzw", exif=exif),
        "bmp": _saved(photo, "BMP"),
        "avif": _saved(photo, "AVIF", exif=exif),
        "c2pa.jpg": sign(_saved(photo, "JPEG"), "image/jpeg", make_signer()),
    }
    pillow_heif.register_heif_opener(thumbnails=False)
    found["heic"] = _saved(photo, "HEIF", exif=exif.tobytes(), xmp=_XMP)
    for container, codec in (
        ("mp4", "libx264"),
        ("matroska", "libx264"),
        ("avi", "mpeg4"),
        ("mpegts", "mpeg2video"),
        ("webm", "libvpx"),
    ):
        found[container] = _clip(photo, container, codec)
    return found


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _clip(photo: Image.Image, container: str, codec: str) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        stream = out.add_stream(codec, rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 96, 96, "yuv420p"
        sound = out.add_stream("libopus" if container == "webm" else "aac", rate=48_000, layout="mono")
        for i in range(8):
            out.mux(stream.encode(av.VideoFrame.from_image(photo.rotate(5 * i))))
        heard = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.float32), format="fltp", layout="mono")
        heard.sample_rate = 48_000
        out.mux([*stream.encode(None), *sound.encode(heard), *sound.encode(None)])
    return buffer.getvalue()
