"""Feeds damaged files to what reads untrusted ones: `python -m tests.fuzz --minutes 10`.

Whole files of every kind (photos, clips, with EXIF, XMP and Content Credentials) are damaged by Hypothesis: bytes
turned, cut out, put in or doubled, numbers made huge. Each is decoded and read for what it says of itself, both in the
product's child processes. Allowed are a picture or a MediaError, and a provenance; a child that dies, a mistake in this
program and an answer that takes long are told, and the file that did it is written to --out.
"""

import argparse
import hashlib
import itertools
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

from detector import apart
from detector.errors import MediaError
from detector.media import sniff_kind
from detector.provenance import _PROBLEMS, read_provenance
from tests.fuzz.seeds import seeds

SLOW_S = 30.0
"""By the clock; a busy machine takes longer than a hostile file may."""
_NUMBERS = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\x01", b"\x80\0\0\0")
_BATCH = 200

Damage = Callable[[bytearray], None]


def _turned(at: float, value: int) -> Damage:
    def damage(data: bytearray) -> None:
        if data:
            data[int(at * (len(data) - 1))] ^= value

    return damage


def _cut(at: float, share: float) -> Damage:
    def damage(data: bytearray) -> None:
        start = int(at * len(data))
        del data[start : start + 1 + int(share * share * len(data))]

    return damage


def _put(at: float, piece: bytes) -> Damage:
    def damage(data: bytearray) -> None:
        start = int(at * len(data))
        data[start : start + len(piece)] = piece

    return damage


def _doubled(at: float, to: float, share: float) -> Damage:
    def damage(data: bytearray) -> None:
        start, length = int(at * len(data)), 1 + int(share * share * min(len(data), 1 << 16))
        place = int(to * len(data))
        data[place:place] = data[start : start + length]

    return damage


# most of what parsers go by stands near the beginning
_places = st.one_of(st.floats(0, 1), st.floats(0, 0.1), st.floats(0, 0.01))
damages = st.lists(
    st.one_of(
        st.builds(_turned, _places, st.integers(1, 255)),
        st.builds(_cut, _places, st.floats(0, 1)),
        st.builds(_put, _places, st.one_of(st.sampled_from(_NUMBERS), st.binary(min_size=1, max_size=16))),
        st.builds(_doubled, _places, _places, st.floats(0, 1)),
    ),
    min_size=1,
    max_size=6,
)


def wrong_with(data: bytes) -> str | None:
    """What the product does with a file that it must not; None where all is well."""
    began = time.monotonic()
    try:
        if sniff_kind(data[:4096]) == "video":
            info = apart.probe(data)
            for _ in itertools.islice(apart.iter_frames(data, max_frames=4, info=info), 4):
                pass
            for _ in itertools.islice(apart.iter_sound(data, 0.0, 1.0), 100):
                pass
        else:
            for picture in apart.iter_pictures(data, 3):
                assert picture.image.ndim == 3
    except MediaError as error:
        if "ended the process" in str(error):
            return "a child died while it decoded"
    except RuntimeError as error:
        return f"a mistake: {error}"
    provenance = read_provenance(data, "file")
    if provenance.problem in _PROBLEMS.values():
        return f"provenance: {provenance.problem}"
    took_s = time.monotonic() - began
    return f"took {took_s:.1f} s" if took_s > SLOW_S else None


def fuzz(minutes: float, out: Path, seed: int) -> Counter[str]:
    """Runs so long; files that did harm are written to `out`. Returns executions by kind of file, and findings."""
    files = seeds()
    counted: Counter[str] = Counter()
    end = time.monotonic() + 60 * minutes

    @settings(
        max_examples=_BATCH,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(sorted(files)), damages)
    def run(name: str, how: list[Damage]) -> None:
        if time.monotonic() > end:
            return
        data = bytearray(files[name])
        for damage in how:
            damage(data)
        counted[name] += 1
        wrong = wrong_with(bytes(data))
        if wrong is not None:
            counted["findings"] += 1
            out.mkdir(parents=True, exist_ok=True)
            stem = hashlib.sha256(data).hexdigest()[:16]
            (out / f"{stem}.{name}").write_bytes(data)
            print(f"{stem}.{name}: {wrong}", flush=True)

    while time.monotonic() < end:
        seeded(seed)(run)()
        seed += 1
    return counted


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    counted = fuzz(options.minutes, options.out, options.seed)
    findings = counted.pop("findings", 0)
    print(f"{counted.total()} executions, {findings} findings: " + ", ".join(f"{k} {n}" for k, n in counted.items()))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
