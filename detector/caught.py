"""Would it have seen a manipulation? The share of manipulated test faces that is caught in pictures like this one.

From the table of changed pictures in `weights/results.csv`: the same faces saved coarser, made smaller and blurred. Of
the changes that fit this photo, the one under which least is caught is said.
"""

import math
from collections.abc import Mapping

from detector.evidence import Provenance
from detector.results import LimitCurves, Measured
from detector.schema import AS_THEY_CAME, BLUR
from detector.types import Caught

_SIZES = (("face of 64 px", 80.0), ("face of 96 px", 128.0))
"""Change -> the largest face, by its longer side in pixels, that it stands for."""
_QUALITIES = (("JPEG 30", 40), ("JPEG 50", 60), ("JPEG 70", 80))
"""Change -> the best JPEG quality that it stands for."""
BLUR_PX = 1.5
"""How much the test faces of `BLUR` are blurred: the standard deviation in pixels of a face of 128 px."""


def caught_of(
    changed: Mapping[str, Measured],
    face_px: float,
    sharpness: float,
    provenance: Provenance | None,
    blurred_below: float | None,
) -> Caught | None:
    """The share caught of faces of this size and sharpness in a file of this compression; None where nothing is.

    Args:
        changed: of the network or ensemble that judged: change -> figures.
        face_px: longer side of the face box.
        sharpness: as `detector.faces.align.sharpness` measures it.
        blurred_below: as `blurred_below` finds it.
    """
    fitting = [AS_THEY_CAME]
    fitting += [name for name, most in _SIZES if face_px <= most][:1]
    if blurred_below is not None and sharpness <= blurred_below:
        fitting.append(BLUR)
    quality = jpeg_quality(provenance)
    if quality is not None:
        fitting += [name for name, most in _QUALITIES if quality <= most][:1]
    known = [(name, changed[name]) for name in fitting if name in changed and "tpr" in changed[name].figures]
    if not known:
        return None
    # the last of equals: a change that fits says more than none
    name, nearest = min(reversed(known), key=lambda item: item[1].figures["tpr"].value)
    rate = nearest.figures["tpr"]
    return Caught(name, rate.value, rate.low, rate.high, nearest.manipulated)


def blurred_below(limits: LimitCurves | None) -> float | None:
    """The sharpness below which a face is more like the blurred test faces than like any sharper ones.

    Half-way, as ratios, between the median sharpness of validation faces at `BLUR_PX` and at the next lighter blur that
    was measured; None where either was not. A face is unsharp for other reasons, too: taken from few pixels, smoothed,
    or dark. What hides the traces of manipulation is the same.
    """
    medians = {row.blur_px: row.median_sharpness for row in limits.by_blur} if limits is not None else {}
    lighter = [px for px in medians if px is not None and px < BLUR_PX]
    if BLUR_PX not in medians or not lighter:
        return None
    return math.sqrt(medians[BLUR_PX] * medians[max(lighter)])


def jpeg_quality(provenance: Provenance | None) -> int | None:
    """The estimated quality of a JPEG by its tables; None for other files."""
    lines = provenance.history if provenance is not None else ()
    value = next((line.value for line in lines if line.code.startswith("history.tables_")), None)
    return int(value) if value is not None and value.isdigit() else None
