"""Colours of the evidence bands: one set for the page's figures and for what is drawn onto pictures."""

from detector.types import Band

AREAS: dict[str, dict[Band, str]] = {
    "light": {"little": "#4F7CAC", "weak": "#C9A227", "strong": "#D2691E", "very_strong": "#9B2226"},
    "dark": {"little": "#7FA8D1", "weak": "#E0BE4F", "strong": "#EE8A43", "very_strong": "#E5656A"},
}
"""Theme ("light" or "dark") to band to colour."""
NO_VERDICT: dict[str, str] = {"light": "#5F6678", "dark": "#9AA2B4"}


def on_picture(band: Band | None) -> tuple[int, int, int]:
    """RGB for a box on a photo or frame: of the dark palette, since few pictures are lighter than that is."""
    colour = NO_VERDICT["dark"] if band is None else AREAS["dark"][band]
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
