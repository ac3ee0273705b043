"""Figures as the page writes them: a score from 0 to 100 with its band, never a bare percentage."""

from detector import BANDS, Band, Thresholds, report
from detector.words import score_of


def edge(prob: float) -> str:
    """A band edge: whole, with one decimal near the top, where edges lie close together."""
    return f"{100 * prob:.0f}" if prob < 0.95 else f"{min(100 * prob, 99.9):.1f}"


def zone_label(band: Band, low: float, can_be_given: bool) -> str:
    """ "weak, from 88"; a zone that this version cannot give says so."""
    word = report.band_word(band)
    if not can_be_given:
        return f"{word}: not for videos yet"
    return word if band == BANDS[0] else f"{word}, from {edge(low)}"


def band_at(prob: float, thresholds: Thresholds, strongest: Band = BANDS[-1]) -> str:
    """The band that a score lies in, in words, at most the strongest that can be given."""
    return report.band_word(BANDS[min(_zone(prob, thresholds), BANDS.index(strongest))])


def at_point(prob: float, thresholds: Thresholds) -> str:
    """ "strong, score 81": the band that one frame lies in, and its score."""
    return f"{band_at(prob, thresholds)}, score {score_of(prob)}"


def place_by_edges(prob: float, thresholds: Thresholds) -> float:
    """A place from 0 to 1 on a scale of four equal zones: scores against different edges can be compared there."""
    probs = (0.0, thresholds.weak, thresholds.strong, thresholds.very_strong, 1.0)
    zone = _zone(prob, thresholds)
    low, high = probs[zone], probs[zone + 1]
    inside = (prob - low) / (high - low) if high > low else 0.5
    return (zone + min(max(inside, 0.0), 1.0)) / len(BANDS)


def _zone(prob: float, thresholds: Thresholds) -> int:
    return sum(prob > low for low in (thresholds.weak, thresholds.strong, thresholds.very_strong))


def place_in(box: tuple[float, float, float, float], width: int | None, height: int | None) -> str:
    """Where a face is in its picture: "at the left", "at the top right", "in the middle".

    Args:
        box: (x0, y0, x1, y1) in pixels.
        width, height: of the picture.
    """
    if not width or not height:
        return "in the picture"
    x, y = (box[0] + box[2]) / 2 / width, (box[1] + box[3]) / 2 / height
    across = "left" if x < 1 / 3 else "right" if x > 2 / 3 else ""
    down = "top" if y < 1 / 3 else "bottom" if y > 2 / 3 else ""
    place = " ".join(word for word in (down, across) if word)
    return f"at the {place}" if place else "in the middle"
