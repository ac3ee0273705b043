"""A report as one HTML file that loads nothing: the same content as the PDF."""

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from detector.paper.blocks import Block, Bullets, Figure, Figures, Heading, Paragraph, Table, pieces
from detector.paper.contents import contents, title
from detector.version import __version__

_STYLE = Path(__file__).with_name("report.css")
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def to_html(document: Mapping[str, Any]) -> str:
    """The report of a verdict in schema version 2, with its `pictures` if there are any.

    Raises:
        ValueError: not such a document.
    """
    body = "\n".join(map(_block, contents(document)))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="generator" content="Unmask {escape(__version__)}">\n'
        f"<title>{escape(title(document))}</title>\n"
        f"<style>\n{_STYLE.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n"
        "</body>\n</html>\n"
    )


def _block(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{_said(text)}</h{level}>"
        case Paragraph(text, kind):
            if kind == "quote":
                return f"<blockquote>{_said(text)}</blockquote>"
            return f'<p class="{kind}">{_said(text)}</p>'
        case Bullets(items):
            return "<ul>" + "".join(f"<li>{_said(item)}</li>" for item in items) + "</ul>"
        case Table(head, rows):
            return _table(head, rows)
        case Figure():
            return _figure(block)
        case Figures(items):
            return '<div class="figures">' + "".join(map(_figure, items)) + "</div>"


def _table(head: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> str:
    top = "<thead><tr>" + "".join(f'<th scope="col">{_said(c)}</th>' for c in head) + "</tr></thead>" if head else ""
    lines = []
    for first, *rest in rows:
        label = f"<td>{_said(first)}</td>" if head else f'<th scope="row">{_said(first)}</th>'
        lines.append(f"<tr>{label}{''.join(f'<td>{_said(cell)}</td>' for cell in rest)}</tr>")
    return f'<table class="{"listed" if head else "facts"}">{top}<tbody>{"".join(lines)}</tbody></table>'


def _figure(figure: Figure) -> str:
    data = base64.b64encode(figure.data).decode("ascii")
    caption = f"<figcaption>{_said(figure.caption)}</figcaption>"
    return f'<figure><img src="data:{figure.mime};base64,{data}" alt="{escape(figure.alt)}">{caption}</figure>'


def _said(text: str) -> str:
    return "".join(f"<bdi>{escape(p.text)}</bdi>" if p.isolated else escape(p.text) for p in pieces(text))
