"""The meaning of the words and numbers of a verdict."""

import html

from app import words
from detector import FileVerdict, report


def how_to_read(verdict: FileVerdict) -> str:
    """The meaning of the words and numbers of a verdict, as HTML."""
    edges = ""
    if verdict.thresholds is not None:
        t = verdict.thresholds
        edges = (
            f"For this file the bands begin at {words.edge(t.weak)} (weak), {words.edge(t.strong)} "
            f"(strong) and {words.edge(t.very_strong)} (very strong). The scale gives each band room to be "
            "read; it is not drawn to one measure."
        )
    span = (
        "The 95 % interval comes from drawing pieces of the video again and again: a wide one means that the pieces "
        "disagree."
        if verdict.kind == "video"
        else "“If saved again” is the lowest and highest score over harmless copies of the photo: "
        "JPEG at quality 95, 75 and 50, three quarters and half of its size, and slightly cropped. A wide range "
        "means that the finding hangs on details that such copies destroy."
    )
    weak, strong, very_strong = (f"{100 * rate:g} %" for rate in report.promised_rates(verdict).values())
    shares = f"{weak} come out as weak or more, {strong} as strong or more, {very_strong} as very strong."
    sections = (
        (
            "The bands are false-alarm rates",
            (
                f"Their edges were set on persons in genuine videos, so that of new ones at most {shares} With "
                "several persons, or a longer look at one, they move up, since more chances are more false alarms."
                if verdict.kind == "video"
                else f"Their edges were set on genuine faces of sources that no network was trained on: {shares} With "
                "several faces they move up, since more faces are more chances for a false alarm."
            )
            + f" {edges} {report.cap_text(verdict)}".rstrip(),
        ),
        ("The score", report.PROBABILITY_HELP),
        ("The range", span),
        (
            "Little evidence does not clear a file",
            "Manipulations of a kind that the networks never saw, strong compression and small faces leave few traces. "
            "“Little” means that nothing was found, not that nothing is there.",
        ),
        (
            "No verdict",
            "Faces that are too small or too blurred are not judged: on such faces the networks were hardly better "
            "than a guess.",
        ),
        (
            "A lead, not proof",
            "Use a finding to ask further: find the source, earlier copies and other recordings of the same moment.",
        ),
    )
    body = "".join(f"<h3>{html.escape(title)}</h3><p>{html.escape(text)}</p>" for title, text in sections)
    return f'<div class="um-read">{body}</div>'
