"""An XMP packet from an untrusted file → its properties as plain texts.

No entities, no DTD, nothing external (defusedxml), and nothing deeper or longer than a camera or editor writes.
"""

import io
import re
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from detector.evidence import plain
from detector.provenance.packets import MAX_PACKET

MAX_DEPTH = 32
MAX_ELEMENTS = 20_000
MAX_VALUE = 8192
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_TAG = re.compile(r"^\{([^}]*)\}(.*)$", re.S)


class Property(NamedTuple):
    """A value with the namespace and local name of its nearest named property."""

    namespace: str
    name: str
    value: str
    where: str


class BadXmp(ValueError):
    """A packet that is no XMP, or that is built to do harm; the message says which, without quoting it."""


def read_xmp(packet: bytes, where: str) -> tuple[Property, ...]:
    """Every property with a text, in order; of structures each field, of lists each item.

    Raises:
        BadXmp: not well-formed, too deep, too long, or with entities.
    """
    # what stands around the packet: padding, and a mark that may itself be broken
    start, end = packet.find(b"<"), packet.rfind(b">")
    body = packet[start : end + 1] if 0 <= start < end else b""
    if not body or len(body) > MAX_PACKET:
        raise BadXmp("no XML")
    properties: list[Property] = []
    trail: list[str] = []
    count = 0
    try:
        for event, element in iterparse(io.BytesIO(body), events=("start", "end"), forbid_dtd=True):
            if event == "start":
                count += 1
                trail.append(element.tag)
                if len(trail) > MAX_DEPTH or count > MAX_ELEMENTS:
                    raise BadXmp("too deep or too long")
                ours = ((name, value) for name, value in element.attrib.items() if _is_ours(name))
                properties += (_property(name, value, where) for name, value in ours)
            else:
                properties += _text_of(element, trail, where)
                trail.pop()
                element.clear()
    except (ParseError, DefusedXmlException, ValueError, LookupError, RecursionError) as error:
        if isinstance(error, BadXmp):
            raise
        raise BadXmp("damaged or with entities") from error
    return tuple(properties)


def _text_of(element: "Element[str]", trail: list[str], where: str) -> list[Property]:
    if element.text is None or not element.text.strip():
        resource = element.attrib.get(f"{_RDF}resource")
        return [_property(element.tag, resource, where)] if resource and _is_ours(element.tag) else []
    named = next((tag for tag in reversed(trail) if _is_ours(tag)), None)
    return [] if named is None else [_property(named, element.text, where)]


def _is_ours(tag: str) -> bool:
    return not tag.startswith((_RDF, "{adobe:ns:meta/}", "{http://www.w3.org/XML/"))


def _property(tag: str, value: str, where: str) -> Property:
    match = _TAG.match(tag)
    namespace, name = (match[1], match[2]) if match else ("", tag)
    return Property(plain(namespace), plain(name, 80), value.strip()[:MAX_VALUE], where)
