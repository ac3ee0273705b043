"""Labels without a signature and the history of a file: files made here, each with one thing to find; hostile ones."""

import contextlib
import io
import json
import struct
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pillow_heif
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as some
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from detector.evidence import Line, Provenance, plain
from detector.provenance.exif import read_exif
from detector.provenance.history import perceptual_hash, quantisation
from detector.provenance.packets import MAX_PACKET, collect_packets
from detector.provenance.reading import read_file
from detector.provenance.sources import SOURCE_TYPES, source_type
from detector.provenance.xmp import BadXmp, read_xmp

pillow_heif.register_heif_opener()
CV = "http://cv.iptc.org/newscodes/digitalsourcetype/"
WEBUI = "a portrait\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 12345, Size: 512x512"
COMFY = json.dumps(
    {"3": {"class_type": "KSampler", "inputs": {"seed": 1}}, "9": {"class_type": "SaveImage", "inputs": {}}}
)
AIGC = json.dumps({"Label": "1", "ContentProducer": "0011911", "ProduceID": "x"})
GROK = "Signature: " + "Ab3/" * 40
UUID = "4800156b-8880-4786-9056-7ca3da449d8c"


def xmp(inner: str, attributes: str = "") -> bytes:
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        'xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/" '
        f'{attributes}>{inner}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def source(code: str) -> bytes:
    return xmp("", f'Iptc4xmpExt:DigitalSourceType="{CV}{code}"')


def pixels(width: int = 64, height: int = 48) -> Image.Image:
    ramp = np.linspace(0, 255, width * height * 3).reshape(height, width, 3)
    return Image.fromarray(ramp.astype(np.uint8))


def saved(kind: str, image: Image.Image | None = None, **options: Any) -> bytes:
    out = io.BytesIO()
    (image or pixels()).save(out, kind, **options)
    return out.getvalue()


def png(*texts: tuple[str, str], kind: str = "tEXt") -> bytes:
    info = PngInfo()
    for key, value in texts:
        if kind == "iTXt":
            info.add_itxt(key, value, zip=True)
        else:
            info.add_text(key, value, zip=kind == "zTXt")
    return saved("PNG", pnginfo=info)


def exif(**tags: Any) -> Image.Exif:
    block = Image.Exif()
    names = {
        "make": 0x010F,
        "model": 0x0110,
        "software": 0x0131,
        "artist": 0x013B,
        "description": 0x010E,
        "time": 0x0132,
    }
    for name, value in tags.items():
        if name in names:
            block[names[name]] = value
    inner = block.get_ifd(0x8769)
    if "taken" in tags:
        inner[0x9003] = tags["taken"]
    if "comment" in tags:
        inner[0x9286] = tags["comment"]
    return block


def look(data: bytes, name: str = "file") -> Provenance:
    return read_file(data, name)


def marks(data: bytes, name: str = "file") -> list[str]:
    return [line.code for line in look(data, name).marks]


def history(data: bytes, name: str = "file") -> dict[str, Line]:
    return {line.code.removeprefix("history."): line for line in look(data, name).history}


def extended_jpeg() -> bytes:
    """XMP too large for one segment, in two pieces in the wrong order."""
    body, guid, data = source("trainedAlgorithmicMedia"), b"0" * 32, saved("JPEG")
    half = len(body) // 2
    segments = b""
    for start, piece in ((half, body[half:]), (0, body[:half])):
        content = b"http://ns.adobe.com/xmp/extension/\0" + guid + struct.pack(">II", len(body), start) + piece
        segments += b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content
    return data[:2] + segments + data[2:]


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def clip(**tags: str) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format="mp4", options={"movflags": "use_metadata_tags"}) as container:
        container.metadata.update(tags)
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("aac", rate=48000)
        for i in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 40 * i, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        heard = av.AudioFrame.from_ndarray(np.zeros((1, 24000), np.float32), format="flt", layout="mono")
        heard.sample_rate = 48000
        container.mux(sound.encode(heard))
        container.mux(stream.encode())
        container.mux(sound.encode())
    return out.getvalue()


PLACES = {
    "JPEG": saved("JPEG", xmp=source("trainedAlgorithmicMedia")),
    "extended": extended_jpeg(),
    "PNG iTXt": png(("XML:com.adobe.xmp", source("trainedAlgorithmicMedia").decode()), kind="iTXt"),
    "PNG tEXt": png(("XML:com.adobe.xmp", source("trainedAlgorithmicMedia").decode())),
    "PNG zTXt": png(("XML:com.adobe.xmp", source("trainedAlgorithmicMedia").decode()), kind="zTXt"),
    "WebP": saved("WEBP", xmp=source("trainedAlgorithmicMedia")),
    "TIFF": saved("TIFF", tiffinfo={700: source("trainedAlgorithmicMedia")}),
    "HEIC": saved("HEIF", xmp=source("trainedAlgorithmicMedia")),
    "AVIF": saved("AVIF", xmp=source("trainedAlgorithmicMedia")),
    "MP4, box of its own": clip()
    + box(b"uuid", bytes.fromhex("be7acfcb97a942e89c71999491e3afac") + source("trainedAlgorithmicMedia")),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_digital_source_type_is_found_wherever_xmp_may_stand(place: str) -> None:
    found = look(PLACES[place])
    assert [(line.code, line.basis, line.says) for line in found.marks] == [
        ("mark.trainedAlgorithmicMedia", "observed", "generated")
    ]
    assert "remove or forge" in found.marks[0].text and "generative model" in found.summary


@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        (png(("parameters", WEBUI)), "stable_diffusion", "generated"),
        (saved("JPEG", exif=exif(comment=b"UNICODE\0" + WEBUI.encode("utf-16-be"))), "stable_diffusion", "generated"),
        (saved("JPEG", exif=exif(comment=b"ASCII\0\0\0" + WEBUI.encode())), "stable_diffusion", "generated"),
        (png(("prompt", COMFY)), "comfyui", "generated"),
        (png(("prompt", json.dumps({"1": {"class_type": "LoadImage", "inputs": {}}}))), "comfyui", "nothing"),
        (
            png(("invokeai_metadata", json.dumps({"positive_prompt": "x", "seed": 1, "steps": 20}))),
            "invokeai",
            "generated",
        ),
        (
            png(("parameters", json.dumps({"base_model": "m", "prompt": "x", "seed": "1", "sampler": "dpm"}))),
            "fooocus",
            "generated",
        ),
        (
            png(("Comment", json.dumps({"prompt": "x", "steps": 28, "seed": 1, "sampler": "k", "scale": 5.0}))),
            "novelai",
            "generated",
        ),
        (png(("Description", f"a face --v 6 Job ID: {UUID}")), "midjourney", "generated"),
        (saved("JPEG", exif=exif(description=GROK, artist=UUID)), "grok", "generated"),
        (saved("PNG", pnginfo=None, exif=exif(software="Adobe Firefly 3")), "software", "may_be_generated"),
        (png(("AIGC", AIGC)), "aigc", "generated"),
        (png(("AIGC", AIGC.replace('"1"', '"3"'))), "aigc", "may_be_generated"),
        (
            saved("JPEG", exif=exif(comment=b"ASCII\0\0\0" + json.dumps({"AIGC": json.loads(AIGC)}).encode())),
            "aigc",
            "generated",
        ),
        (saved("JPEG", xmp=xmp(f"<TC260:AIGC>{AIGC}</TC260:AIGC>".replace('"', "&quot;"))), "aigc", "generated"),
        (clip(AIGC=AIGC), "aigc", "generated"),
        (saved("JPEG", xmp=xmp("", 'photoshop:Credit="Edited with Google AI"')), "credit", "partly_generated"),
        (saved("JPEG", xmp=xmp("", 'photoshop:Credit="Made with Google AI"')), "credit", "generated"),
        (saved("JPEG") + b'PhotoEditor_Re_Edit_Data{"genAIType":8}', "telephone_edit", "partly_generated"),
        (saved("JPEG", xmp=xmp("<Iptc4xmpExt:AISystemUsed>X</Iptc4xmpExt:AISystemUsed>")), "AISystemUsed", "generated"),
    ],
)
def test_a_generator_is_known_by_what_it_writes(data: bytes, code: str, says: str) -> None:
    found = [line for line in look(data).marks if line.code == f"mark.{code}"]
    assert [line.says for line in found] == [says]
    assert "remove or forge" in found[0].text


@pytest.mark.parametrize(
    "data",
    [
        png(("parameters", "the parameters of my camera")),
        png(("prompt", "hello")),
        png(("prompt", json.dumps({"class_type": "KSampler"}))),
        png(("workflow", json.dumps({"nodes": "none"}))),
        png(("AIGC", json.dumps({"Label": "9", "ContentProducer": "x"}))),
        png(("Comment", json.dumps({"seed": 1}))),
        saved("JPEG", exif=exif(description=GROK, artist="A. Photographer")),
        saved("JPEG", exif=exif(description="Signature: me", artist=UUID)),
        saved("JPEG", exif=exif(description="Steps: 20 up the hill", software="Sorapong 2")),
        saved("JPEG", xmp=xmp("", 'photoshop:Credit="Reuters"')),
        saved("JPEG") + b'{"genAIType":0}',
        saved("JPEG", xmp=source("somethingElse")),
    ],
)
def test_a_key_or_a_word_alone_is_no_mark(data: bytes) -> None:
    assert marks(data) == []


def test_codes_say_generated_perhaps_or_camera_and_an_enhancement_is_no_generation() -> None:
    says = {code: meaning.says for code, meaning in SOURCE_TYPES.items()}
    assert says["trainedAlgorithmicMedia"] == "generated"
    assert says["compositeWithTrainedAlgorithmicMedia"] == "partly_generated"
    assert says["composite"] == says["compositeSynthetic"] == says["screenCapture"] == "may_be_generated"
    assert says["digitalArt"] == "may_be_generated" and says["digitalCreation"] == "nothing"
    assert says["digitalCapture"] == says["computationalCapture"] == says["negativeFilm"] == "camera"
    assert says["algorithmicallyEnhanced"] == says["humanEdits"] == "edited"
    for written in (f"{CV}digitalCapture", "digsrctype:digitalcapture", " digitalCapture ", f"{CV}digitalCapture/"):
        assert source_type(written) == ("digitalCapture", SOURCE_TYPES["digitalCapture"])
    assert source_type("") is None and source_type("https://example.org/") is None


def test_absence_is_said_to_mean_nothing() -> None:
    assert "means nothing" in look(saved("JPEG")).summary


def test_an_entity_a_dtd_and_deep_nesting_are_refused() -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><a>&b;</a>'
    deep = b"<a>" * 5000 + b"</a>" * 5000
    external = b'<!DOCTYPE a SYSTEM "http://example.org/x.dtd"><a/>'
    for hostile in (bomb, deep, external, b"<a>" * 50_000, b"no xml", b"<a" + b" b='c'" * 100_000 + b"/>"):
        began = time.process_time()
        with pytest.raises(BadXmp):
            read_xmp(hostile, "here")
        assert time.process_time() - began < 2
    found = look(saved("JPEG", xmp=bomb))
    assert found.marks == () and found.problem is not None


def test_sizes_that_a_file_only_claims_cost_nothing() -> None:
    huge = struct.pack(">I4s", 100_000_000, b"iTXt") + b"XML:com.adobe.xmp"
    bomb = png(("parameters", "Steps: 1 Seed: 1 Size: 1 " + "A" * 20_000_000), kind="zTXt")
    webp = saved("WEBP", xmp=source("trainedAlgorithmicMedia"))
    webp = webp.replace(b"XMP " + struct.pack("<I", len(source("trainedAlgorithmicMedia"))), b"XMP \xff\xff\xff\x7f")
    for data in (b"\x89PNG\r\n\x1a\n" + huge, bomb, webp, box(b"ftyp", b"mp42") + b"\xff\xff\xff\xffmoov"):
        began = time.process_time()
        packets = collect_packets(io.BytesIO(data))
        assert time.process_time() - began < 1
        assert all(len(packet) <= MAX_PACKET for packet, _ in packets.xmp)
    assert look(bomb).problem is not None


EVERY = [saved("JPEG", xmp=source("composite"), exif=exif(make="Cam", taken="2026:01:01 10:00:00")), extended_jpeg()]
EVERY += [PLACES["PNG iTXt"], PLACES["WebP"], PLACES["AVIF"], PLACES["TIFF"], PLACES["MP4, box of its own"]]


@effort(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    which=some.sampled_from(EVERY),
    places=some.lists(some.tuples(some.floats(0, 0.999), some.binary(min_size=1, max_size=6)), min_size=1, max_size=8),
    keep=some.floats(0.05, 1),
)
def test_no_damage_to_a_file_raises(which: bytes, places: list[tuple[float, bytes]], keep: float) -> None:
    data = bytearray(which)
    for at, junk in places:
        start = int(at * len(data))
        data[start : start + len(junk)] = junk
    data = data[: max(1, int(keep * len(data)))]
    found = look(bytes(data))
    assert found.summary and all(line.text == plain(line.text, 1000) for line in found.lines)


@effort(max_examples=60, deadline=None)
@given(packet=some.binary(max_size=400) | some.text(max_size=200).map(lambda t: xmp(f"<xmp:a>{t}</xmp:a>")))
def test_no_packet_raises_anything_but_bad_xmp(packet: bytes) -> None:
    with contextlib.suppress(BadXmp):
        read_xmp(packet, "here")


@effort(max_examples=60, deadline=None)
@given(block=some.binary(max_size=300), mark=some.sampled_from([b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b""]))
def test_no_exif_raises(block: bytes, mark: bytes) -> None:
    read_exif(mark + block)


@pytest.mark.parametrize("quality", [10, 50, 75, 90, 95, 100])
def test_the_quality_of_standard_tables_is_found(quality: int) -> None:
    tables = collect_packets(io.BytesIO(saved("JPEG", quality=quality))).tables
    assert quantisation(tables) == (quality, "standard")


def test_photoshop_s_and_unknown_tables_are_told_apart() -> None:
    tables = collect_packets(io.BytesIO(saved("JPEG", quality="web_high"))).tables
    assert quantisation(tables)[1] == "photoshop"
    odd = saved("JPEG", qtables=[[7 + i % 13 for i in range(64)]] * 2)
    assert quantisation(collect_packets(io.BytesIO(odd)).tables)[1] == "own"


def test_camera_software_and_times_are_held_against_each_other() -> None:
    told = exif(
        make="Canon",
        model="EOS R5",
        software="Adobe Photoshop 26.1",
        taken="2026:03:01 10:00:00",
        time="2026:05:02 11:00:00",
    )
    found = history(saved("JPEG", exif=told))
    assert found["camera"].says == "camera" and "Anybody can write" in found["camera"].text
    assert found["software"].says == "edited"
    assert "written anew after" in found["times"].text
    earlier = history(saved("JPEG", exif=exif(taken="2026:03:01 10:00:00", time="2020:01:01 00:00:00")))
    assert "Both cannot be right" in earlier["times"].text


def test_times_of_xmp_are_held_against_each_other_and_the_camera_s() -> None:
    record = xmp("", 'xmp:CreateDate="2026-03-01T10:00:00+01:00" xmp:ModifyDate="2026-05-02T11:00:00Z"')
    found = history(saved("JPEG", xmp=record, exif=exif(taken="2020:01:01 10:00:00")))
    assert "changed 2026-05-02 11:00" in found["xmp_times"].text
    assert "disagree" in found["times_disagree"].text
    broken = xmp("", 'xmp:CreateDate="soon" xmp:ModifyDate="2026-05-02"')
    assert "xmp_times" not in history(saved("JPEG", xmp=broken))


def with_thumbnail(image: Image.Image, small: Image.Image) -> bytes:
    """A JPEG whose EXIF holds a preview, written by hand: Pillow keeps none."""
    preview = saved("JPEG", small)
    entry = struct.Struct(">HHII")
    first = struct.pack(">H", 1) + entry.pack(0x0112, 3, 1, 1 << 16) + struct.pack(">I", 8 + 2 + 12 + 4)
    at = 8 + len(first) + 2 + 24 + 4
    second = struct.pack(">H", 2) + entry.pack(0x0201, 4, 1, at) + entry.pack(0x0202, 4, 1, len(preview)) + bytes(4)
    return saved("JPEG", image, exif=b"Exif\0\0MM\0*\0\0\0\x08" + first + second + preview)


def test_a_preview_that_shows_something_else_is_said(made_face_image: np.ndarray) -> None:
    face = Image.fromarray(made_face_image)
    small = face.resize((128, 128))
    assert "thumbnail_same" in history(with_thumbnail(face, small))
    other = Image.fromarray(made_face_image[::-1].copy()).resize((128, 128))
    assert "thumbnail_differs" in history(with_thumbnail(face, other))
    assert "thumbnail_shape" in history(with_thumbnail(face.crop((0, 0, 512, 200)), small))
    # cameras fill the preview of a wide picture with black
    barred = Image.new("RGB", (128, 128))
    barred.paste(face.crop((0, 100, 512, 388)).resize((128, 72)), (0, 28))
    assert "thumbnail_same" in history(with_thumbnail(face.crop((0, 100, 512, 388)), barred))


def test_a_dark_border_of_the_picture_itself_is_no_difference(made_face_image: np.ndarray) -> None:
    dark = Image.new("RGB", (512, 512))
    dark.paste(Image.fromarray(made_face_image).resize((320, 320)), (100, 90))
    assert "thumbnail_same" in history(with_thumbnail(dark, dark.resize((128, 128))))
    # nothing to compare: neither the same nor another
    black = Image.new("RGB", (256, 256))
    assert not [code for code in history(with_thumbnail(black, black.resize((64, 64)))) if code.startswith("thumbnail")]


@pytest.mark.parametrize(
    ("tail", "word"),
    [(b"\xff\xd8\xff\xe0", "second picture"), (b"\0\0\0\x18ftypmp42", "video"), (b"PK\3\4", "no part")],
)
def test_what_hangs_behind_the_picture_is_said(tail: bytes, word: str) -> None:
    assert word in history(saved("JPEG") + tail)["trailing"].text
    assert word in history(png(("a", "b")) + tail)["trailing"].text


def test_likeness_is_said_as_likeness() -> None:
    assert history(saved("JPEG"), "IMG-20260101-WA0003.jpg")["named_messenger"].basis == "inferred"
    assert "screenshot" in history(saved("PNG"), "Screenshot 2026-01-01.png")["named_screenshot"].text
    assert "not proof" in history(saved("PNG", pixels(1170, 2532)))["like_screenshot"].text
    assert "WhatsApp" in history(saved("JPEG", pixels(1600, 900)))["like_messenger"].text
    assert "like_messenger" not in history(saved("JPEG", pixels(1600, 900), exif=exif(make="Nikon")))
    assert history(saved("JPEG"))["bare"].basis == "inferred"
    # a generator's untouched file names no camera either
    assert "bare" not in history(PLACES["JPEG"])


def test_a_video_tells_its_writer_its_coding_and_its_sound() -> None:
    data = clip(make="Apple", creation_time="2026-01-02T03:04:05Z")
    found = look(data)
    told = {line.code for line in found.history}
    assert {"history.software", "history.coding", "history.camera"} <= told
    assert found.sound is not None and (found.sound.codec, found.sound.rate) == ("aac", 48000)
    assert found.sound.to_dict()["judged"] is False


@pytest.mark.parametrize(("a", "b", "degrees"), [(0, 1, "90"), (-1, 0, "180"), (0, -1, "270"), (1, 0, None)])
def test_a_video_that_the_player_turns_says_so(a: int, b: int, degrees: str | None) -> None:
    data = clip()
    at = data.index(b"tkhd") + 4 + 40
    turned = data[:at] + struct.pack(">ii", a << 16, b << 16) + data[at + 8 :]
    line = history(turned).get("rotation")
    assert (line.value if line else None) == degrees


def test_a_video_of_several_pieces_says_so() -> None:
    entry = struct.pack(">IIHH", 100, 0, 1, 0)
    edits = box(b"edts", box(b"elst", struct.pack(">II", 0, 3) + 3 * entry))
    data = box(b"ftyp", b"mp42\0\0\0\0mp42") + box(b"moov", box(b"trak", edits))
    assert "from 3 pieces" in history(data)["cuts"].text


def test_a_perceptual_hash_is_alike_for_what_looks_alike(made_face_image: np.ndarray) -> None:
    def apart(one: str, other: str) -> int:
        return (int(one, 16) ^ int(other, 16)).bit_count()

    kept = perceptual_hash(made_face_image)
    smaller = np.asarray(Image.fromarray(made_face_image).resize((200, 200)))
    assert len(kept) == 16 and apart(kept, perceptual_hash(smaller)) <= 6
    assert apart(kept, perceptual_hash(made_face_image[::-1].copy())) > 16


def test_texts_of_a_file_cannot_break_or_reorder_a_line() -> None:
    assert plain("a\u202eb\nc\x1b[2Jd\0") == "ab c[2Jd"
    assert len(plain("x" * 10_000)) == 300
    found = look(png(("Description", f"\u202eevil\x1b[2J Job ID: {UUID}")))
    assert "\x1b" not in str(found.to_dict()) and "\u202e" not in str(found.to_dict())


ORIGINS = {
    "grok-1.jpg": {"mark.grok"},
    "mj_metadata.png": {"mark.trainedAlgorithmicMedia", "mark.midjourney"},
    "doubao_metadata.png": {"mark.aigc"},
}


@pytest.mark.parametrize("name", ORIGINS)
def test_untouched_files_of_real_generators_give_their_row(name: str, provenance_dir: Path) -> None:
    found = read_file(provenance_dir / name, name)
    assert {line.code for line in found.marks} == ORIGINS[name]
    assert found.credentials.state == "none"
