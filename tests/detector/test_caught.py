"""Would it have seen a manipulation? The measured share for pictures like this one, beside little evidence alone."""

import dataclasses
from pathlib import Path

import pytest

from detector.caught import blurred_below, caught_of, jpeg_quality
from detector.evidence import Credentials, Line, Provenance
from detector.manifest import read_manifest
from detector.results import Figure, LimitCurves, Measured, Shrunk, read_results
from detector.schema import AS_THEY_CAME, BLUR
from detector.types import Caught, Resaved, Share
from detector.words import caught_line, falls_line
from tests.detector.test_schema import IMAGE, VIDEO

SHARES = {
    AS_THEY_CAME: 0.44,
    "JPEG 70": 0.42,
    "JPEG 50": 0.39,
    "JPEG 30": 0.33,
    "face of 96 px": 0.42,
    "face of 64 px": 0.38,
    "blur": 0.23,
}
CHANGED = {name: Measured(300, 300, {"tpr": Figure(share, share - 0.1, share + 0.1)}) for name, share in SHARES.items()}


def of_quality(quality: int | None) -> Provenance:
    lines = () if quality is None else (Line("history.tables_standard", "derived", "x", "y", value=str(quality)),)
    return Provenance("s", Credentials("none", "n"), history=lines)


@pytest.mark.parametrize(
    ("face_px", "sharpness", "quality", "change"),
    [
        (400.0, 300.0, None, AS_THEY_CAME),
        (400.0, 300.0, 95, AS_THEY_CAME),
        (400.0, 300.0, 75, "JPEG 70"),
        (400.0, 300.0, 35, "JPEG 30"),
        (100.0, 300.0, None, "face of 96 px"),
        (60.0, 300.0, 75, "face of 64 px"),
        (100.0, 300.0, 35, "JPEG 30"),
        (400.0, 56.0, None, AS_THEY_CAME),
        (400.0, 54.0, None, "blur"),
        (60.0, 20.0, 35, "blur"),
    ],
)
def test_of_the_changes_that_fit_the_one_that_hides_most_is_said(
    face_px: float, sharpness: float, quality: int | None, change: str
) -> None:
    found = caught_of(CHANGED, face_px, sharpness, of_quality(quality), 55.0)
    assert found == Caught(change, SHARES[change], SHARES[change] - 0.1, SHARES[change] + 0.1, 300)


def test_what_was_not_measured_is_not_said() -> None:
    assert caught_of({}, 100.0, 300.0, None, 55.0) is None
    assert caught_of({AS_THEY_CAME: Measured(300, 300, {})}, 100.0, 300.0, None, 55.0) is None
    found = caught_of(CHANGED, 400.0, 20.0, None, None)
    assert found is not None and found.change == AS_THEY_CAME
    assert jpeg_quality(None) is None and jpeg_quality(of_quality(None)) is None and jpeg_quality(of_quality(80)) == 80


def test_how_unsharp_a_face_must_be_to_be_like_the_blurred_ones_is_measured() -> None:
    rows = tuple(Shrunk(0.8, 0.01, median, median / 2, blur_px=px) for px, median in ((2.0, 21), (1.5, 40), (1.0, 90)))
    limits = LimitCurves(600, Shrunk(0.9, 0.02, 300, 80), (), rows)
    assert blurred_below(limits) == pytest.approx(60)
    assert blurred_below(None) is blurred_below(dataclasses.replace(limits, by_blur=rows[:2])) is None


def test_the_published_set_can_tell(repo_root: Path) -> None:
    results = read_results(read_manifest(repo_root / "weights"))
    assert results is not None and BLUR in results.choices["average"].changed
    edge = blurred_below(results.curves.limits)
    assert edge is not None and 20 < edge < 200


def test_of_a_video_it_is_said_that_it_was_not_measured() -> None:
    assert "not measured" in caught_line(dataclasses.replace(VIDEO, band="little"))
    assert caught_line(VIDEO) == ""


def test_how_often_a_band_falls_so_is_said_beside_one_that_does() -> None:
    text = falls_line(IMAGE)
    assert "validation faces" in text and "21 of 30 genuine ones (50 to 84 %)" in text and "manipulated" not in text
    measured = IMAGE.measured
    assert measured is not None and measured.band_falls is not None
    both = dataclasses.replace(measured.band_falls, manipulated=Share(100, 40, 0.31, 0.5), faces="test")
    text = falls_line(dataclasses.replace(IMAGE, measured=dataclasses.replace(measured, band_falls=both)))
    assert "Of test faces" in text and "40 of 100 manipulated ones (31 to 50 %)" in text
    steady = dataclasses.replace(IMAGE.faces[0], resaved=(Resaved("jpeg_50", 0.8, "strong"),))
    without = dataclasses.replace(measured, band_falls=None)
    for other in (
        dataclasses.replace(IMAGE, faces=(steady,)),
        dataclasses.replace(IMAGE, measured=without),
        dataclasses.replace(IMAGE, band="weak"),
        dataclasses.replace(IMAGE, faces=()),
        VIDEO,
    ):
        assert falls_line(other) == ""


def test_it_is_said_beside_little_evidence_alone() -> None:
    little = dataclasses.replace(IMAGE, band="little")
    text = caught_line(little)
    assert "300 manipulated test faces" in text and "JPEG 50" in text and "39 %" in text and "31 to 48 %" in text
    assert caught_line(IMAGE) == caught_line(dataclasses.replace(little, caught=None)) == ""
