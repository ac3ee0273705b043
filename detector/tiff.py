"""The directories of a TIFF: which hold a whole picture, and whether they are those of a camera's raw file.

TIFF 6.0 with SubIFDs (TIFF Technical Note 1), BigTIFF, and the tags of DNG 1.7 and TIFF/EP that raw files have.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_NEW_SUBFILE, _SUBFILE, _WIDTH, _HEIGHT, _COMPRESSION, _PHOTOMETRIC, _SUB_IFDS = 254, 255, 256, 257, 259, 262, 330
_DNG_VERSION = 50706
_WANTED = {_NEW_SUBFILE, _SUBFILE, _WIDTH, _HEIGHT, _COMPRESSION, _PHOTOMETRIC, _SUB_IFDS, _DNG_VERSION}
_TYPES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_SENSOR = {32803, 34892}  # colour filter array, linear raw
_RAW_COMPRESSIONS = {32767, 32769, 32770, 34713, 65000, 65535}  # Sony, Epson, Samsung, Nikon, Kodak, Pentax
_MOST = 512  # directories, and values of a tag

_RAW_MAGIC = (
    (0, b"FUJIFILMCCD-RAW"),
    (0, b"IIRO"),
    (0, b"IIRS"),
    (0, b"MMOR"),  # Olympus
    (0, b"IIU\0"),  # Panasonic
    (0, b"FOVb"),  # Sigma
    (0, b"\0MRM"),  # Minolta
    (6, b"HEAPCCDR"),
    (4, b"ftypcrx "),  # Canon
)


@dataclass(frozen=True, slots=True)
class Directory:
    """One directory: where it lies, the values of the tags that count here, and the directories below it."""

    offset: int
    tags: dict[int, tuple[int, ...]]
    below: tuple["Directory", ...] = ()

    def first(self, tag: int, default: int = 0) -> int:
        return (self.tags.get(tag) or (default,))[0]

    @property
    def is_reduced(self) -> bool:
        """Whether it is a smaller version of another picture."""
        return bool(self.first(_NEW_SUBFILE) & 1) or self.first(_SUBFILE) == 2

    @property
    def is_mask(self) -> bool:
        return bool(self.first(_NEW_SUBFILE) & 4)

    @property
    def pixels(self) -> int:
        return self.first(_WIDTH) * self.first(_HEIGHT)


def is_raw(head: bytes) -> bool:
    """Whether a file that is no TIFF begins like a camera's raw file."""
    return any(head.startswith(magic, offset) for offset, magic in _RAW_MAGIC)


def is_raw_tiff(file: BinaryIO, directories: tuple[Directory, ...]) -> bool:
    """Whether a TIFF is a raw file: it says so, or a directory holds what a sensor measured."""
    file.seek(8)
    if file.read(2) == b"CR":  # Canon's CR2
        return True
    every = [*directories, *(d for top in directories for d in top.below)]
    return any(
        _DNG_VERSION in d.tags
        or d.first(_PHOTOMETRIC) in _SENSOR
        or (d.first(_COMPRESSION) in _RAW_COMPRESSIONS and len(every) > 1)
        for d in every
    )


def whole_pictures(directories: tuple[Directory, ...]) -> tuple[int, ...]:
    """Offsets of the directories that are pictures of their own, in order: no previews, no masks.

    A preview stands for the picture in a directory below it, as some programs store it. If all are previews, the
    largest counts.
    """
    offsets: list[int] = []
    for top in directories:
        if top.is_mask:
            continue
        if not top.is_reduced:
            offsets.append(top.offset)
            continue
        whole = [d for d in top.below if not d.is_reduced and not d.is_mask and d.pixels >= top.pixels]
        offsets += [max(whole, key=lambda d: d.pixels).offset] if whole else []
    if not offsets and directories:
        offsets = [max(directories, key=lambda d: d.pixels).offset]
    return tuple(offsets)


def read_directories(file: BinaryIO) -> tuple[Directory, ...]:
    """The directories of a TIFF in order, each with those below it; what is damaged ends the list."""
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 16:
        return ()
    big = struct.unpack(order + "H", head[2:4])[0] == 43
    offset = struct.unpack(order + ("Q" if big else "I"), head[8:16] if big else head[4:8])[0]
    return tuple(_chain(file, order, big, offset, set(), depth=0))


def _chain(file: BinaryIO, order: str, big: bool, offset: int, seen: set[int], depth: int) -> Iterator[Directory]:
    while offset and offset not in seen and len(seen) < _MOST:
        seen.add(offset)
        try:
            tags, following = _directory(file, order, big, offset)
        except (struct.error, OverflowError, ValueError, OSError):
            return
        below = tuple(
            next(_chain(file, order, big, sub, seen, depth + 1), None) for sub in tags.get(_SUB_IFDS, ()) if depth == 0
        )
        yield Directory(offset, tags, tuple(d for d in below if d is not None))
        offset = following if depth == 0 else 0


def _directory(file: BinaryIO, order: str, big: bool, offset: int) -> tuple[dict[int, tuple[int, ...]], int]:
    """The tags of one directory that count here, and where the next one lies."""
    count_form, entry_bytes, word = ("Q", 20, "Q") if big else ("H", 12, "I")
    inline = struct.calcsize("<" + word)
    file.seek(offset)
    count = struct.unpack(order + count_form, file.read(struct.calcsize("<" + count_form)))[0]
    if count > 4096:
        raise ValueError("no directory has so many tags")
    entries = file.read(count * entry_bytes)
    after = file.read(inline)
    tags: dict[int, tuple[int, ...]] = {}
    for i in range(count):
        entry = entries[i * entry_bytes : (i + 1) * entry_bytes]
        tag, kind = struct.unpack(order + "HH", entry[:4])
        if tag not in _WANTED or kind not in _TYPES:
            continue
        number = min(struct.unpack(order + word, entry[4 : 4 + inline])[0], _MOST)
        form = order + str(number) + _TYPES[kind]
        size = struct.calcsize(form)
        data = entry[4 + inline : 4 + inline + size]
        if size > inline:
            file.seek(struct.unpack(order + word, entry[4 + inline :])[0])
            data = file.read(size)
        tags[tag] = struct.unpack(form, data)
    return tags, struct.unpack(order + word, after)[0] if len(after) == inline else 0
