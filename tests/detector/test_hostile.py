"""Hostile metadata, drawn by Hypothesis: deep nesting, entity bombs, and sizes that a block only claims."""

import io
import struct
import time
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as some

from detector.provenance import read_provenance
from detector.provenance.exif import read_exif
from detector.provenance.packets import MAX_PACKET, collect_packets
from detector.provenance.xmp import MAX_VALUE, BadXmp, read_xmp
from tests.detector.test_marks import saved

SLOW = list(HealthCheck)
CLAIMS = some.sampled_from([0, 1, 7, 100_000_000, 0x7FFFFFFF, 0xFFFFFFFF])
"""Sizes that a block states and does not have."""
MOST_S = 2.0
"""Processor time that a small hostile block may take."""


def superbox(inner: bytes, claim: int | None = None, kind: bytes = b"c2pa") -> bytes:
    """A JUMBF superbox (ISO/IEC 19566-5) around a content; `claim`: the length that it states instead of its own."""
    about = kind + bytes.fromhex("00110010800000aa00389b71") + b"\x03" + kind + b"\0"
    body = struct.pack(">I4s", 8 + len(about), b"jumd") + about + inner
    return struct.pack(">I4s", 8 + len(body) if claim is None else claim, b"jumb") + body


def jpeg_with(store: bytes) -> bytes:
    """A JPEG with a manifest store in as many APP11 segments as it takes, each with the box's header (C2PA, A.3.1)."""
    plain = saved("JPEG")
    parts = [store[8:][i : i + 60_000] for i in range(0, max(1, len(store) - 8), 60_000)]
    segments = b""
    for number, part in enumerate(parts, 1):
        body = b"JP" + struct.pack(">HI", 1, number) + store[:8] + part
        segments += b"\xff\xeb" + struct.pack(">H", 2 + len(body)) + body
    return plain[:2] + segments + plain[2:]


def cbor(depth: int, claim: int) -> bytes:
    """A CBOR box (RFC 8949): arrays in arrays around a text that claims a length."""
    body = b"\x81" * depth + b"\x7a" + struct.pack(">I", claim) + b"short"
    return struct.pack(">I4s", 8 + len(body), b"cbor") + body


@effort(max_examples=25, deadline=None, suppress_health_check=SLOW)
@given(
    boxes=some.integers(1, 1200),
    arrays=some.sampled_from([0, 1, 100, 5000, 60_000]),
    text=CLAIMS,
    claim=some.none() | CLAIMS,
    kind=some.sampled_from([b"c2pa", b"c2ma", b"c2as", b"c2cl", b"cbor"]),
)
def test_nested_and_boastful_credentials_are_damaged_ones(
    boxes: int, arrays: int, text: int, claim: int | None, kind: bytes
) -> None:
    store = cbor(arrays, text)
    for depth in range(boxes):
        store = superbox(store, claim if depth == boxes // 2 else None, kind)
    found = read_provenance(jpeg_with(superbox(store)), "x")
    # whatever the library made of it, also where it ended its process: there is an answer, and never a signer
    assert found.summary and found.credentials.state in ("unreadable", "not_read", "none", "present")
    assert found.credentials.fact("signer") is None
    assert found.credentials.claims == ()


@pytest.mark.parametrize("depth", [2000, 200_000])
def test_the_next_file_is_read_after_the_deepest_store(depth: int) -> None:
    read_provenance(jpeg_with(superbox(cbor(depth, 0xFFFFFFFF))), "x")
    assert read_provenance(saved("JPEG"), "y").credentials.state == "none"


@effort(max_examples=40, deadline=None, suppress_health_check=SLOW)
@given(
    depth=some.integers(0, 400),
    entities=some.integers(0, 12),
    copies=some.integers(1, 10),
    attributes=some.integers(0, 3000),
    value=some.integers(0, 100_000),
    cut=some.floats(0.2, 1),
)
def test_an_xmp_packet_is_read_in_bounds_or_refused(
    depth: int, entities: int, copies: int, attributes: int, value: int, cut: float
) -> None:
    bomb = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * copies if i else "x" * 50}">' for i in range(entities))
    head = f"<!DOCTYPE a [{bomb}]>" if entities else ""
    end = f"&e{entities - 1};" if entities else "v" * value
    many = "".join(f' p:a{i}="1"' for i in range(attributes))
    text = f'{head}<p:r xmlns:p="http://example.org/"{many}>{"<p:d>" * depth}{end}{"</p:d>" * depth}</p:r>'
    packet = text.encode()[: max(1, int(cut * len(text)))]
    began = time.process_time()
    with suppress(BadXmp):
        found = read_xmp(packet, "here")
        assert entities == 0 and all(len(item.value) <= MAX_VALUE for item in found)
    assert time.process_time() - began < MOST_S


TAGS = some.sampled_from(
    [0x0100, 0x010E, 0x010F, 0x0110, 0x0112, 0x0131, 0x0132, 0x013B, 0x0201, 0x0202, 0x8769, 0x8825, 0x9003, 0x9286]
)
OFFSETS = some.sampled_from([0, 8, 100]) | some.integers(0, 400)
ENTRIES = some.lists(some.tuples(TAGS, some.integers(0, 16), CLAIMS | some.integers(0, 40), OFFSETS), max_size=20)


@effort(max_examples=80, deadline=None, suppress_health_check=SLOW)
@given(
    entries=ENTRIES,
    count=some.none() | some.integers(0, 0xFFFF),
    following=some.sampled_from([0, 8, 20, 0xFFFFFFFF]),
    order=some.sampled_from(["<", ">"]),
    tail=some.binary(max_size=200),
)
def test_an_exif_block_of_claims_and_circles_is_read_in_bounds(
    entries: list[tuple[int, int, int, int]], count: int | None, following: int, order: str, tail: bytes
) -> None:
    """Lengths that are not there, directories that point at themselves, and a number of entries that is a lie."""
    body = b"".join(struct.pack(f"{order}HHII", *entry) for entry in entries)
    stated = len(entries) if count is None else count
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    block = head + struct.pack(f"{order}H", stated) + body + struct.pack(f"{order}I", following) + tail
    began = time.process_time()
    found = read_exif(block)
    assert len(found.thumbnail) <= len(block) and len(found.description) <= len(block)
    assert time.process_time() - began < MOST_S


@effort(max_examples=40, deadline=None, suppress_health_check=SLOW)
@given(
    depth=some.integers(1, 3000),
    kind=some.sampled_from([b"moov", b"udta", b"trak", b"meta", b"uuid"]),
    claim=some.none() | CLAIMS,
)
def test_boxes_in_boxes_cost_no_more_than_their_length(depth: int, kind: bytes, claim: int | None) -> None:
    inner = b"XMP_" * 4
    for level in range(depth):
        inner = struct.pack(">I4s", 8 + len(inner) if level or claim is None else claim, kind) + inner
    data = struct.pack(">I4s4sI", 16, b"ftyp", b"mp42", 0) + inner
    began = time.process_time()
    packets = collect_packets(io.BytesIO(data))
    assert sum(len(packet) for packet, _ in packets.xmp) <= MAX_PACKET
    assert time.process_time() - began < MOST_S
