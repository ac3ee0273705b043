"""Reports: one content as PDF and HTML from the JSON alone, the same bytes each time, whole for every reader."""

import base64
import dataclasses
import io
import json
import re
import wave
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pikepdf
import pypdfium2
import pytest
from PIL import Image

from detector.paper import pictures_of, to_html, to_pdf
from detector.paper.blocks import Bullets, Figure, Figures, Heading, Name, Paragraph, Table, pieces, visible
from detector.paper.contents import contents
from detector.paper.pdf import has_glyph, printable
from tests.detector.test_schema import IMAGE, IMAGE_JSON, UNREADABLE_JSON, VIDEO_JSON

HOSTILE = "\u05e9\u05dc\u05d5\u05dd \u202egpj.exe <script>alert(1)</script> #text[x] $y$ \u4e2d\u6587 \udc80\n.png"


def picture(number: int = 1, kind: str = "face") -> dict[str, Any]:
    out = io.BytesIO()
    Image.fromarray(np.full((40, 40, 3), 90, np.uint8)).save(out, "JPEG")
    return {
        "kind": kind,
        "number": number,
        "time_s": None,
        "mime": "image/jpeg",
        "alt": f"Face {number}, {kind}.",
        "data": base64.b64encode(out.getvalue()).decode(),
    }


DOCUMENTS = {
    "image": {**IMAGE_JSON, "pictures": [picture(0, "frame"), picture(), picture(kind="map")]},
    "video": {**VIDEO_JSON, "pictures": [picture()]},
    "unreadable": UNREADABLE_JSON,
    "hostile": {**IMAGE_JSON, "file": HOSTILE, "pictures": []},
    "no face": {**IMAGE_JSON, "status": "no_verdict", "reason": "no_face", "message": "No face was found. Try another."}
    | {"band": None, "prob_fake": None, "range": None, "thresholds": None, "faces": []},
}


@pytest.fixture(params=DOCUMENTS)
def document(request: pytest.FixtureRequest) -> dict[str, Any]:
    # through its text: a report is made of what a file or a program gives, not of what is in memory here
    return json.loads(json.dumps(DOCUMENTS[request.param]))  # type: ignore[no-any-return]


class Reader(HTMLParser):
    """The visible text of a page, and the addresses that it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.alts: list[str] = []
        self._hidden = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._hidden = tag in ("style", "title")
        values = dict(attrs)
        self.addresses += [v for k, v in values.items() if k in ("src", "href", "action") and v]
        if tag == "img":
            self.alts.append(values.get("alt") or "")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False

    def handle_data(self, data: str) -> None:
        self.text += "" if self._hidden else data + " "


def words_of_pdf(data: bytes) -> str:
    pdf = pypdfium2.PdfDocument(data)
    return squeezed(" ".join(page.get_textpage().get_text_bounded() for page in pdf))


def squeezed(text: str) -> str:
    """Without spaces and hyphens: where a line breaks is no content."""
    return re.sub(r"[\s\ufffe\u00ad\u200b-]+", "", text)


def test_the_same_json_gives_the_same_bytes(document: dict[str, Any]) -> None:
    assert to_pdf(document) == to_pdf(json.loads(json.dumps(document)))
    assert to_html(document) == to_html(document)


def test_another_time_changes_nothing_but_the_time(document: dict[str, Any]) -> None:
    later = {**document, "date": "2027-01-01T00:00:00+00:00"}
    one, other = words_of_pdf(to_pdf(document)), words_of_pdf(to_pdf(later))
    assert one != other
    assert one.replace("2026120310:00:00", "TIME") == other.replace("2027010100:00:00", "TIME")


def test_the_pdf_is_tagged_and_says_what_it_is(document: dict[str, Any]) -> None:
    data = to_pdf(document)
    with pikepdf.open(io.BytesIO(data)) as pdf:
        assert str(pdf.Root.Lang) == "en"
        assert bool(pdf.Root.MarkInfo.Marked)
        assert "/StructTreeRoot" in pdf.Root
        assert bool(pdf.Root.ViewerPreferences.DisplayDocTitle)
        with pdf.open_metadata() as metadata:
            assert metadata["pdfaid:part"] == "2" and metadata["pdfaid:conformance"] == "A"
            assert metadata["pdfuaid:part"] == "1"
            assert metadata["dc:title"].startswith("Unmask report")
        # nothing runs, nothing is fetched, nothing hangs in it
        assert not {"/OpenAction", "/Names", "/AcroForm"} & set(pdf.Root.keys())
        fonts = {str(o.BaseFont) for o in pdf.objects if isinstance(o, pikepdf.Dictionary) and "/BaseFont" in o}
        assert fonts and all("+" in name for name in fonts)  # parts of fonts, embedded
        alts = [str(o.Alt) for o in pdf.objects if isinstance(o, pikepdf.Dictionary) and "/Alt" in o]
    figures = [
        f for b in contents(document) for f in (b.items if isinstance(b, Figures) else [b]) if isinstance(f, Figure)
    ]
    assert sorted(printable(visible(f.alt)) for f in figures) == sorted(alts)


def test_pages_have_something_on_them(document: dict[str, Any]) -> None:
    for page in pypdfium2.PdfDocument(to_pdf(document)):
        grey = np.asarray(page.render(scale=0.5).to_pil().convert("L"))
        assert (grey < 160).sum() > 100
        # nothing is cut off at the border
        for edge in (grey[:8], grey[-8:], grey[:, :8], grey[:, -8:]):
            assert edge.min() > 200


def test_both_say_the_same(document: dict[str, Any]) -> None:
    pdf, reader = words_of_pdf(to_pdf(document)), Reader()
    reader.feed(to_html(document))
    page = squeezed(reader.text)
    for block in contents(document):
        for text in texts_of(block):
            if has_right_to_left(text):
                continue  # a PDF gives such letters in the order in which they stand
            whole = "".join(piece.text for piece in pieces(text))
            assert squeezed(whole) in page
            assert squeezed(printable(whole)) in pdf


def has_right_to_left(text: str) -> bool:
    return any("\u0590" <= c <= "\u08ff" for c in text)


def texts_of(block: object) -> list[str]:
    match block:
        case Heading(text=text) | Paragraph(text=text):
            return [text]
        case Bullets(items=items):
            return list(items)
        case Table(head=head, rows=rows):
            return [*head, *(cell for row in rows for cell in row)]
        case Figure(caption=caption):
            return [caption]
        case Figures(items=figures):
            return [figure.caption for figure in figures]
    raise AssertionError(block)


def test_the_page_loads_nothing_and_runs_nothing(document: dict[str, Any]) -> None:
    reader = Reader()
    text = to_html(document)
    reader.feed(text)
    assert "script" not in reader.tags and "link" not in reader.tags and "iframe" not in reader.tags
    assert all(address.startswith("data:image/") for address in reader.addresses)
    assert "default-src 'none'" in unescape(text)
    assert all(reader.alts)


@pytest.mark.parametrize("kind", ["image", "video"])
def test_what_an_editor_asks_for_is_there(kind: str) -> None:
    document: dict[str, Any] = {**DOCUMENTS[kind]}
    told = squeezed(Reader_text(to_html(document)))
    for wanted in (
        document["file"],
        document["sha256"],
        f"{document['size_bytes']:,} bytes",
        "2026-12-03 10:00:00 UTC",
        "Unmask 0.1.0",
        "weights 2026-12-02",
        "cd" * 32,
        "openvino",
        "00ff00ff00ff00ff",
        "The file says something.",
        "A camera.",
        "Grok.",
        "Limits",
        "How to cite",
        "How to repeat",
        "not proof",
        "https://a.example/",
        "The voice was not judged",
    ):
        assert squeezed(wanted) in told, wanted


def test_what_the_file_says_of_its_making_comes_before_the_band_and_silence_does_not() -> None:
    provenance = DOCUMENTS["image"]["provenance"]
    silent = {**provenance["credentials"], "state": "none", "facts": [], "claims": []}
    tells, none = (
        [block.text for block in contents({**DOCUMENTS["image"], "provenance": about}) if isinstance(block, Paragraph)]
        for about in (provenance, {**provenance, "credentials": silent, "marks": []})
    )
    assert tells[0] == "The file says: The file says something." and tells[1:3] == none[:2]


def Reader_text(html: str) -> str:
    reader = Reader()
    reader.feed(html)
    return reader.text


def test_a_foreign_name_cannot_reorder_a_line_or_become_markup() -> None:
    document: dict[str, Any] = {**DOCUMENTS["hostile"]}
    html = to_html(document)
    assert "\u202e" not in html and "[U+202E]" in html
    assert re.search(r"<bdi>[^<]*gpj\.exe", html)
    assert "<script>" not in html and "&lt;script&gt;" in html
    words = words_of_pdf(to_pdf(document))
    # pdfium mirrors the bracket beside the Hebrew letters
    assert "U+202E]gpj.exe<script>alert(1)</script>#text[x]$y$[U+4E2D][U+6587][U+DC80].png" in words
    assert [piece.isolated for piece in pieces(Name("abc"))] == [True]
    assert [piece.isolated for piece in pieces("from “\u05e9\u05dc” 12, and “abc” x")] == [False, True, False]


def test_every_character_has_a_glyph_or_is_written_as_its_number() -> None:
    assert has_glyph("é") and has_glyph("Ж") and has_glyph("×") and not has_glyph("\u4e2d")
    assert printable("caf\u00e9 \u4e2d \U0001f600") == "caf\u00e9 [U+4E2D] [U+1F600]"


def test_what_is_no_verdict_makes_no_report() -> None:
    with pytest.raises(ValueError, match="schema version"):
        to_pdf({"schema_version": "1.0"})
    with pytest.raises(ValueError, match="schema version"):
        to_html({})


@pytest.mark.parametrize("kind", ["image", "video"])
def test_the_golden_report_is_built_as_it_was(kind: str) -> None:
    """Every heading and label of a report, in order; its sentences are tested where they are made."""
    built: list[str] = []
    for block in contents(DOCUMENTS[kind]):
        match block:
            case Heading(text=text, level=level):
                built.append(f"{level} {text}")
            case Table(head=(), rows=rows):
                built.append(" | ".join(row[0] for row in rows))
            case Table(head=head):
                built.append(" | ".join(head))
            case _:
                built.append(type(block).__name__)
    asked = {"image": "Region asked for", "video": "Part asked for | Region asked for"}[kind]
    assert built == [*FINDING, *GOLDEN[kind], *(line.replace("ASKED", asked) for line in SAID_OF_NETWORKS)]


FINDING = [
    "1 Unmask report",
    "Paragraph",
    "Paragraph",
    "Paragraph",
    "Figure",
    "Paragraph",
    "Bullets",
    "2 The file",
]
SAYS = [
    "Paragraph",
    "2 What the file says about itself",
    "Paragraph",
    "3 Content Credentials",
    "Paragraph",
    "Fact | Finding",
    "3 Labels without a signature",
    "Finding | Where | How it is known",
    "3 How the file came to be",
    "Finding | Where | How it is known",
]
RATES = ["2 Measured error rates", "Paragraph"]
GOLDEN = {
    "image": [
        "Name as received | Kind | Size | Picture | SHA-256 | Perceptual hash | Perceptual hashes | Analysed",
        "Figures",
        *SAYS,
        "2 Faces",
        "3 Face 1: strong",
        "Figures",
        "Evidence | Score | Probability | Copies | Stability | Size | Sharpness | ResNet-18",
        "3 Face 2: no verdict",
        "Evidence | Size | Sharpness",
        *RATES,
        "Band or stronger | Genuine media that reached it | 95 % interval",
    ],
    "video": [
        "Name as received | Kind | Size | Picture | Duration | Looked at | SHA-256 | Perceptual hash"
        " | Perceptual hashes | Analysed",
        *SAYS,
        "2 Persons",
        "3 Person 1: strong",
        "Figures",
        "Evidence | Score | Probability | Stability | On screen | Size | Most suspicious | ResNet-18",
        "Figure",
        *RATES,
        "Paragraph",
    ],
}
SAID_OF_NETWORKS = [
    "2 Limits",
    "Bullets",
    "2 What to do next",
    "Bullets",
    "2 How this was made",
    "Tool | Weights | Networks | ResNet-18, SHA-256 | Computed by | ASKED | Trust lists",
    "3 How to cite",
    "Paragraph",
    "3 How to repeat",
    "Paragraph",
]


def test_the_whole_is_shown_with_its_faces_numbered() -> None:
    whole = np.full((300, 900, 3), 120, np.uint8)
    out = io.BytesIO()
    Image.fromarray(whole).save(out, "PNG")
    verdict = dataclasses.replace(IMAGE, picture=None)
    found = pictures_of(out.getvalue(), verdict, None)
    assert [(p["kind"], p["number"]) for p in found] == [("frame", 0), ("face", 1), ("face", 2)]
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(found[0]["data"]))))
    assert shown.shape == (213, 640, 3) and "number" in found[0]["alt"]
    # the box of the face, at its place in the smaller copy, and nothing far from it
    assert shown[:120, :90].std() > 5 and shown[:, 300:].std() < 3
    without = pictures_of(out.getvalue(), dataclasses.replace(verdict, faces=()), None)
    assert [(p["kind"], p["alt"]) for p in without] == [("frame", "The whole picture.")]


def test_a_high_picture_leaves_room_and_a_broken_one_is_refused() -> None:
    out = io.BytesIO()
    Image.fromarray(np.full((90, 30, 3), 90, np.uint8)).save(out, "PNG")
    high = {**picture(0, "frame"), "mime": "image/png", "data": base64.b64encode(out.getvalue()).decode()}
    figures = {
        figure.alt: figure.width
        for block in contents({**IMAGE_JSON, "pictures": [high, picture()]})
        if isinstance(block, Figures)
        for figure in block.items
    }
    assert figures == {high["alt"]: pytest.approx(0.5 / 3), picture()["alt"]: 0.3}
    with pytest.raises(ValueError, match="picture"):
        contents({**IMAGE_JSON, "pictures": [{**high, "data": base64.b64encode(b"none").decode()}]})


def test_what_was_asked_for_is_said_and_can_be_asked_for_again() -> None:
    told = Reader_text(to_html(DOCUMENTS["video"]))
    assert "--models average --from 0.50 --to 18.00 --region 10,20,300,400 FILE" in told
    assert squeezed("0.50 s to 18.00 s") in squeezed(told)
    asked = {**VIDEO_JSON, "max_frames": 48, "region": None, "coverage": {**VIDEO_JSON["coverage"], "part_s": None}}
    assert "--models average --max-frames 48 FILE" in Reader_text(to_html(asked))


def test_words_that_promise_too_much_do_not_appear(document: dict[str, Any]) -> None:
    told = " ".join(text for block in contents({**document, "file": "x"}) for text in texts_of(block))
    assert not re.search(r"\b(verified|authentic|tamper\w*|real|fake)\b", told, re.I)


def test_sound_becomes_a_wav_as_long_as_the_video(tmp_path: Path) -> None:
    from detector.wav import write_wav
    from tests.detector.test_marks import clip

    out = io.BytesIO()
    seconds = write_wav(clip(), out)
    out.seek(0)
    with wave.open(out) as made:
        assert (made.getframerate(), made.getnchannels(), made.getsampwidth()) == (48000, 2, 2)
        assert abs(made.getnframes() / 48000 - seconds) < 1e-6
        assert 0.3 < seconds < 0.8
