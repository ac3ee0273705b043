"""What decodes untrusted files is no older than the last advisory that reaches us; raise a floor with its advisory."""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import PIL
import pillow_heif
import pytest
from PIL import features

Version = tuple[int, ...]


def version(text: str) -> Version:
    return tuple(int(number) for number in re.findall(r"\d+", text))


def of_pillow(library: str) -> Callable[[], Version]:
    return lambda: version(features.version(library) or "")


def of_heif(line: str) -> Callable[[], Version]:
    return lambda: version(str(pillow_heif.libheif_info()["decoders"][line]).partition("version ")[2])


def of_opencv(line: str) -> Callable[[], Version]:
    """A library that OpenCV brings, by its own build information: "PNG:  libpng.so (ver 1.6.58)"."""
    return lambda: version(re.findall(rf"^ +{line}: .*\(ver (?:\d+ - )?([\d.]+)", cv2.getBuildInformation(), re.M)[0])


@pytest.mark.parametrize(
    ("have", "floor"),
    [
        # CVE-2026-84383, out-of-bounds write in scale_nearest_neighbor; heap overflows up to 1.23.5
        pytest.param(lambda: version(pillow_heif.libheif_version()), "1.23.6", id="libheif"),
        # GHSA-xp3h-6f5r-8cxp, use after free between rows, mended in 1.1.2
        pytest.param(of_heif("libde265"), "1.1.2", id="libde265 in libheif"),
        # CVE-2026-96639, stale storage in files of several frames; GHSA-5x8w-8jj5-q52h, JPEG decoder's buffer
        pytest.param(lambda: version(PIL.__version__), "13.0.0", id="Pillow"),
        # CVE-2023-4863, Huffman tables
        pytest.param(of_pillow("webp"), "1.3.2", id="libwebp in Pillow"),
        # CVE-2025-48174, makeRoom
        pytest.param(of_pillow("avif"), "1.3.0", id="libavif in Pillow"),
        # CVE-2025-9900, write by a crafted height
        pytest.param(of_pillow("libtiff"), "4.7.1", id="libtiff in Pillow"),
        # CVE-2026-8461, MagicYUV's heap write: FFmpeg 8.1.2, whose libavcodec is 62.28.102
        pytest.param(lambda: av.library_versions["libavcodec"], "62.28.102", id="FFmpeg in av"),
        # CVE-2025-53644, use after free in the JPEG reader
        pytest.param(lambda: version(cv2.__version__), "4.12.0", id="OpenCV"),
        # CVE-2026-22801, over-read while writing
        pytest.param(of_opencv("PNG"), "1.6.54", id="libpng in OpenCV"),
        pytest.param(of_opencv("AVIF"), "1.3.0", id="libavif in OpenCV"),
        pytest.param(of_opencv("TIFF"), "4.7.1", id="libtiff in OpenCV"),
    ],
)
def test_no_decoder_is_older_than_its_advisory(have: Callable[[], Version], floor: str) -> None:
    assert have() >= version(floor)


def test_requirements_ask_for_a_safe_heif_reader(repo_root: Path) -> None:
    lines = (repo_root / "requirements.txt").read_text().splitlines()
    assert any(line.startswith("pillow-heif>=1.8.1") for line in lines), "1.8.1 is the first with libheif 1.23.6"
    assert not any(line.startswith("pi-heif") for line in lines), "its newest carries libheif 1.23.0"


def test_opencv_reads_no_file_of_a_user(repo_root: Path) -> None:
    """Its wheels trail behind (the FFmpeg of 5.0.0.93 is 8.1.1): pictures go to Pillow and videos to av."""
    reads = re.compile(r"imread|imdecode|imcount|VideoCapture|FileStorage|readNet|CascadeClassifier")
    found = []
    for path in sorted([*repo_root.glob("detector/**/*.py"), *repo_root.glob("app/**/*.py")]):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef):
                calls = (node for node in ast.walk(function) if isinstance(node, ast.Attribute))
                found += [
                    f"{path.relative_to(repo_root).as_posix()}:{function.name}" for c in calls if reads.match(c.attr)
                ]
    assert found == ["detector/media.py:jpeg"], "only what OpenCV has encoded itself is decoded by it"
