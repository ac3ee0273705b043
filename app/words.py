"""Figures as the page writes them: a score from 0 to 100 with its band, never a bare percentage."""

from detector import BANDS, Band, Thresholds, report


def score(prob: float) -> str:
    """A probability as a score: "84", "over 99", "under 1"."""
    return report.percent(prob).removesuffix(" %")


def edge(prob: float) -> str:
    """A band edge: whole, with one decimal near the top, where edges lie close together."""
    return f"{100 * prob:.0f}" if prob < 0.95 else f"{min(100 * prob, 99.9):.1f}"


def zone_label(band: Band, low: float, can_be_given: bool) -> str:
    """ "weak, from 88"; a zone that this version cannot give says so."""
    word = report.band_word(band)
    if not can_be_given:
        return f"{word}: not for videos yet"
    return word if band == BANDS[0] else f"{word}, from {edge(low)}"


def at_point(prob: float, thresholds: Thresholds) -> str:
    """ "strong, score 81": the band that one frame lies in, and its score."""
    edges: tuple[tuple[float, Band], ...] = (
        (thresholds.very_strong, "very_strong"),
        (thresholds.strong, "strong"),
        (thresholds.weak, "weak"),
    )
    band = next((name for low, name in edges if prob >= low), BANDS[0])
    return f"{report.band_word(band)}, score {score(prob)}"
