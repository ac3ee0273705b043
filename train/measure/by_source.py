"""False alarms source by source: what a newsroom meets is one studio, one agency, one camera at a time.

A mean over sources hides the one where everything alarms. So an edge has to hold for nine of ten sources that did not
set it, beside holding in the mean. As in hierarchical conformal prediction (Dunn, Wasserman and Ramdas,
"Distribution-Free Prediction Sets for Two-Layer Hierarchical Models", JASA 2023): a source is one draw, and the edge is
an order statistic of what each source asks for. Pure functions.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from detector.results import SourceAlarms

KEPT_BY = 0.9
"""Share of further sources that keep an edge's promise."""
TOLERANCE = 2.0
"""A source keeps the promise while at most so many times the promised share of its faces alarms: the mean over sources
keeps the promise itself."""
MIN_FACES = 10
"""Of fewer faces nobody can say what share of them alarms: such a source counts in the mean, not by itself."""
_ROUNDING = 1e-9


def edge_for_most(scores: np.ndarray, sources: np.ndarray, rate: float, kept_by: float = KEPT_BY) -> float | None:
    """The score above which nine of ten further sources have at most `TOLERANCE` times `rate` of their faces.

    Each source asks for the edge at which it would keep the promise; of S sources, the one at place 0.9 (S + 1) is
    taken, so that a further source of the same kind asks for less with that chance. With fewer than nine sources it is
    the highest, and the chance is S / (S + 1).

    Args:
        scores: of N genuine faces.
        sources: (N,) names.
        rate: the promised share.
        kept_by: share of further sources.

    Returns:
        None where no source has faces enough, or where every face may alarm.
    """
    share = TOLERANCE * rate
    names, counts = np.unique(sources, return_counts=True)
    asked = [
        # so many of its faces may lie above
        np.sort(scores[sources == name])[::-1][math.floor(share * n + _ROUNDING)]
        for name, n in zip(names, counts, strict=True)
        if n >= MIN_FACES and share < 1
    ]
    if not asked:
        return None
    place = min(len(asked), math.ceil(kept_by * (len(asked) + 1) - _ROUNDING))
    return float(np.sort(asked)[place - 1])


def left_out_alarms(
    scores: np.ndarray,
    sources: np.ndarray,
    rate: float,
    set_edge: Callable[[np.ndarray, np.ndarray, Sequence[float]], list[float]],
) -> SourceAlarms | None:
    """Each source in turn judged by an edge that the others set.

    Args:
        scores: of N genuine faces.
        sources: (N,) names.
        rate: the promised share.
        set_edge: scores, sources and rates to edges, as `train.measure.calibrate.edges_for_sources`.

    Returns:
        Shares in four decimals; None where fewer than two sources have faces enough.
    """
    names = np.unique(sources)
    shares: dict[str, float] = {}
    counts: dict[str, tuple[int, int]] = {}
    for name in names:
        own = sources == name
        if own.all():
            continue
        above = int((scores[own] > set_edge(scores[~own], sources[~own], [rate])[0]).sum())
        shares[str(name)] = above / int(own.sum())
        if own.sum() >= MIN_FACES:
            counts[str(name)] = (int(own.sum()), above)
    if len(counts) < 2:
        return None
    judged = np.array([shares[name] for name in counts])
    worst = list(counts)[int(judged.argmax())]
    return SourceAlarms(
        rate=rate,
        mean=round(float(np.mean(list(shares.values()))), 4),
        high=round(float(np.quantile(judged, KEPT_BY, method="inverted_cdf")), 4),
        worst=round(shares[worst], 4),
        worst_source=worst,
        kept=round(float((judged <= TOLERANCE * rate + _ROUNDING).mean()), 4),
        sources=counts,
    )
