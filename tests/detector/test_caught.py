"""Would it have seen a manipulation? The measured share for pictures like this one, beside little evidence alone."""

import dataclasses

import pytest

from detector.caught import AS_THEY_CAME, caught_of, jpeg_quality
from detector.evidence import Credentials, Line, Provenance
from detector.evidence_words import caught_line
from detector.results import Figure, Measured
from detector.types import Caught
from tests.detector.test_schema import IMAGE

SHARES = {
    AS_THEY_CAME: 0.44,
    "JPEG 70": 0.42,
    "JPEG 50": 0.39,
    "JPEG 30": 0.33,
    "face of 96 px": 0.42,
    "face of 64 px": 0.38,
}
CHANGED = {name: Measured(300, 300, {"tpr": Figure(share, share - 0.1, share + 0.1)}) for name, share in SHARES.items()}


def of_quality(quality: int | None) -> Provenance:
    lines = () if quality is None else (Line("history.tables_standard", "derived", "x", "y", value=str(quality)),)
    return Provenance("s", Credentials("none", "n"), history=lines)


@pytest.mark.parametrize(
    ("face_px", "quality", "change"),
    [
        (400.0, None, AS_THEY_CAME),
        (400.0, 95, AS_THEY_CAME),
        (400.0, 75, "JPEG 70"),
        (400.0, 35, "JPEG 30"),
        (100.0, None, "face of 96 px"),
        (60.0, 75, "face of 64 px"),
        (100.0, 35, "JPEG 30"),
    ],
)
def test_of_the_changes_that_fit_the_one_that_hides_most_is_said(
    face_px: float, quality: int | None, change: str
) -> None:
    found = caught_of(CHANGED, face_px, of_quality(quality))
    assert found == Caught(change, SHARES[change], SHARES[change] - 0.1, SHARES[change] + 0.1, 300)


def test_what_was_not_measured_is_not_said() -> None:
    assert caught_of({}, 100.0, None) is None
    assert caught_of({AS_THEY_CAME: Measured(300, 300, {})}, 100.0, None) is None
    assert jpeg_quality(None) is None and jpeg_quality(of_quality(None)) is None and jpeg_quality(of_quality(80)) == 80


def test_it_is_said_beside_little_evidence_alone() -> None:
    little = dataclasses.replace(IMAGE, band="little")
    text = caught_line(little)
    assert "300 manipulated test faces" in text and "JPEG 50" in text and "39 %" in text and "31 to 48 %" in text
    assert caught_line(IMAGE) == caught_line(dataclasses.replace(little, caught=None)) == ""
