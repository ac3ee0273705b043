"""Would it have seen a manipulation? The share of manipulated test faces that is caught in pictures like this one.

From the table of changed pictures in `weights/results.csv`: the same faces saved coarser and made smaller. Of the
changes that fit this photo, the one under which least is caught is said.
"""

from collections.abc import Mapping

from detector.evidence import Provenance
from detector.results import Measured
from detector.types import Caught

AS_THEY_CAME = "as they came"
_SIZES = (("face of 64 px", 80.0), ("face of 96 px", 128.0))
"""Change -> the largest face, by its longer side in pixels, that it stands for."""
_QUALITIES = (("JPEG 30", 40), ("JPEG 50", 60), ("JPEG 70", 80))
"""Change -> the best JPEG quality that it stands for."""


def caught_of(changed: Mapping[str, Measured], face_px: float, provenance: Provenance | None) -> Caught | None:
    """What is known for a face of this size in a file of this compression; None where nothing was measured.

    Args:
        changed: of the network or ensemble that judged: change -> figures.
    """
    fitting = [AS_THEY_CAME]
    fitting += [name for name, most in _SIZES if face_px <= most][:1]
    quality = jpeg_quality(provenance)
    if quality is not None:
        fitting += [name for name, most in _QUALITIES if quality <= most][:1]
    known = [(name, changed[name]) for name in fitting if name in changed and "tpr" in changed[name].figures]
    if not known:
        return None
    # the last of equals: a change that fits says more than none
    name, found = min(reversed(known), key=lambda item: item[1].figures["tpr"].value)
    rate = found.figures["tpr"]
    return Caught(name, rate.value, rate.low, rate.high, found.manipulated)


def jpeg_quality(provenance: Provenance | None) -> int | None:
    """The estimated quality of a JPEG by its tables; None for other files."""
    lines = provenance.history if provenance is not None else ()
    value = next((line.value for line in lines if line.code.startswith("history.tables_")), None)
    return int(value) if value is not None and value.isdigit() else None
