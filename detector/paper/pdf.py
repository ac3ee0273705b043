"""A report as PDF by Typst: PDF/A-2a (to keep) and PDF/UA-1 (for everyone), with the fonts that Typst brings.

Nothing of the machine goes in: no system fonts, no packages, no clock but the verdict's own time. The same JSON gives
the same bytes.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from detector.errors import DetectorError
from detector.paper.blocks import (
    Block,
    Bullets,
    Figure,
    Figures,
    Heading,
    Paragraph,
    Piece,
    Table,
    pieces,
)
from detector.paper.contents import contents, title
from detector.version import __version__

_TEMPLATE = Path(__file__).with_name("report.typ")
_WIDTHS = {2: (20, 80), 3: (56, 24, 20)}
_FORMATS = {"image/jpeg": "jpg", "image/png": "png", "image/svg+xml": "svg"}


class ReportError(DetectorError):
    """A report cannot be made; the message says why and what to do."""


def to_pdf(document: Mapping[str, Any]) -> bytes:
    """The report of a verdict in schema version 2, with its `pictures` if there are any.

    Raises:
        ValueError: not such a document.
        ReportError: the PDF writer is not installed.
    """
    data = {
        "title": title(document),
        "author": f"Unmask {__version__}",
        "footer": title(document),
        "blocks": [_block(block) for block in contents(document)],
    }
    return _compiled(data, _timestamp(document["date"]))


def _block(block: Block) -> dict[str, Any]:
    match block:
        case Heading(text, level):
            return {"kind": "heading", "level": level, "text": _said(text)}
        case Paragraph(text, kind):
            return {"kind": kind, "text": _said(text)}
        case Bullets(items):
            return {"kind": "bullets", "items": [_said(item) for item in items]}
        case Table(head, rows):
            return {
                "kind": "table",
                "head": [_said(cell) for cell in head],
                "rows": [[_said(cell) for cell in row] for row in rows],
                "widths": _WIDTHS.get(len(head), ()),
            }
        case Figure():
            return {"kind": "figure", **_figure(block)}
        case Figures(items):
            return {"kind": "figures", "items": [_figure(item) for item in items]}


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        # Typst takes what it is given from memory for text: a picture goes in as numbers
        "data": list(figure.data),
        "format": _FORMATS[figure.mime],
        "alt": "".join(piece["text"] for piece in _said(figure.alt)),
        "caption": _said(figure.caption),
        "width": figure.width,
    }


def _said(text: str) -> list[dict[str, Any]]:
    return [Piece(printable(piece.text), piece.isolated)._asdict() for piece in pieces(text)]


def printable(text: str) -> str:
    """The same text with what the fonts have no glyph for written as its number: U+4E2D as "[U+4E2D]"."""
    return "".join(c if c.isascii() or has_glyph(c) else f"[U+{ord(c):04X}]" for c in text)


@lru_cache(4096)
def has_glyph(character: str) -> bool:
    """Whether the fonts of a report can show a character. Typst refuses to write a PDF/A with one that they cannot."""
    text = [{"text": character, "isolated": False}]
    data = {"title": "x", "author": "x", "footer": "x", "blocks": [{"kind": "normal", "text": text}]}
    try:
        _compiled(data, 0)
    except ReportError:
        raise
    except RuntimeError:
        return False
    return True


def _compiled(data: dict[str, Any], timestamp: int) -> bytes:
    try:
        import typst
    except ImportError as error:
        raise ReportError("A report needs the package typst. Install it with: pip install typst") from error
    files: Any = {"main.typ": _TEMPLATE.read_bytes(), "data.json": json.dumps(data).encode("ascii")}
    pdf = typst.compile(
        files,
        format="pdf",
        ignore_system_fonts=True,
        pdf_standards=["a-2a", "ua-1"],
        timestamp=timestamp,
    )
    assert isinstance(pdf, bytes)
    return pdf


def _timestamp(date: str) -> int:
    try:
        return int(datetime.fromisoformat(date).timestamp())
    except ValueError as error:
        raise ValueError(f"the verdict's date is no time: {date!r}") from error
