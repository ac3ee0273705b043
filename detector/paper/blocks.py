"""Blocks that a report is built of, however it is printed; and texts in pieces, so that no name can reorder a line."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

MAX_SUBJECTS = 12
"""Faces or persons that a report shows, the most suspicious first; its JSON has all."""
WHOLE = 0
"""Number of the picture that shows all of them: the whole photo, or a whole frame."""
_QUOTED = re.compile(r"“[^”]*”")


class Piece(NamedTuple):
    """A part of a text. `isolated`: foreign, so its direction must not touch what stands around it."""

    text: str
    isolated: bool


class Name(str):
    """A text that comes from elsewhere, such as the name of a file: shown as it is, and isolated."""


@dataclass(frozen=True, slots=True)
class Heading:
    """The title of a part; level 1 is the largest."""

    text: str
    level: int = 1


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Sentences that belong together, and how they are set."""

    text: str
    kind: Literal["normal", "lead", "small", "quote"] = "normal"


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list without numbers."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a head; with an empty head, a list of facts with their labels in the first column."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture with what it shows in words. `width`: as a share of the page's."""

    data: bytes
    mime: Literal["image/jpeg", "image/png", "image/svg+xml"]
    alt: str
    caption: str
    width: float = 1.0


@dataclass(frozen=True, slots=True)
class Figures:
    """Pictures side by side."""

    items: tuple[Figure, ...]


Block = Heading | Paragraph | Bullets | Table | Figure | Figures


def pieces(text: str) -> tuple[Piece, ...]:
    """A text with what is foreign in it told apart: a `Name` wholly, else quotations that run from right to left."""
    if isinstance(text, Name):
        return (Piece(visible(text), True),)
    return tuple(_split(visible(text)))


def visible(text: str) -> str:
    """The same text with characters that cannot be seen written as numbers; every kind of space becomes one."""
    shown = []
    for c in text:
        unseen = unicodedata.category(c)[0] == "C" and not c.isspace()
        shown.append(" " if c.isspace() else f"[U+{ord(c):04X}]" if unseen else c)
    return "".join(shown)


def _split(text: str) -> Iterator[Piece]:
    start = 0
    for match in _QUOTED.finditer(text):
        if not any(unicodedata.bidirectional(c) in ("R", "AL", "AN") for c in match[0]):
            continue
        if match.start() > start:
            yield Piece(text[start : match.start()], False)
        yield Piece(match[0], True)
        start = match.end()
    if start < len(text) or not text:
        yield Piece(text[start:], False)
