"""The one sentence under the headline."""

from dataclasses import replace
from typing import Any

import pytest

from app.plain import plain_sentence, tells_where
from app.words import band_at, place_by_edges, place_in
from detector import Band, Crowd, FaceVerdict, ImageVerdict, Resaved, StandsOut, Thresholds, VideoVerdict
from detector.stored import verdict_of
from tests.detector.test_schema import IMAGE_JSON, VIDEO_JSON


def _photo(band: Band = "strong", resaved: tuple[Resaved, ...] = (), faces: int = 1, **changes: Any) -> ImageVerdict:
    verdict = verdict_of({**IMAGE_JSON, "crowd": None, "region": None})
    assert isinstance(verdict, ImageVerdict)
    face = replace(verdict.faces[0], band=band, resaved=resaved)
    rest: tuple[FaceVerdict, ...] = tuple(replace(face, number=n) for n in range(2, faces + 1))
    return replace(verdict, **{"band": band, "faces": (face, *rest), "width": 330, "height": 600, **changes})


def _video(**changes: Any) -> VideoVerdict:
    verdict = verdict_of({**VIDEO_JSON, "region": None})
    assert isinstance(verdict, VideoVerdict)
    person = replace(verdict.persons[0], stands_out=None, worst_window_s=(2.0, 3.5), worst_time_s=None)
    persons = (replace(person, **changes),)
    return replace(verdict, band=persons[0].band, persons=persons, width=1000, height=1000)


_SAME = (Resaved("jpeg_95", 0.8, "strong"), Resaved("size_50", 0.9, "very_strong"))
_FALLS = (Resaved("jpeg_95", 0.6, "weak"), Resaved("size_50", 0.1, "little"), Resaved("crop", None, None, "no_face"))


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (_photo(resaved=_SAME), "It holds when the picture is saved again."),
        (_photo(resaved=_FALLS), "That is the file as it is: saved again, it can fall to “little”."),
        (_photo(), ""),
        (_photo(faces=3), "Face 1, at the top left."),
        (_photo("little"), "The face does not score as high as weak evidence begins (50 of 100). That clears nothing."),
        (
            _photo("little", faces=2),
            "None of the faces scores as high as weak evidence begins (50 of 100). That clears nothing.",
        ),
        (
            _photo("weak", _SAME, faces=2, crowd=Crowd(9, 12, 0.001, "little")),
            "Face 1, at the top left. It holds when the picture is saved again.",
        ),
        (_video(band="weak"), "Most suspicious from 2.0 to 3.5 s: the face."),
        (
            _video(band="little"),
            "No part of it scores as high as weak evidence begins (50 of 100). That clears nothing.",
        ),
        (
            _video(band="little", stands_out=StandsOut(2.1, 3.8, 10, 0.84, 0.07)),
            "From 2.1 to 3.8 s the face scores 84 of 100, at other times 7: look there.",
        ),
        (verdict_of({**IMAGE_JSON, "band": None, "message": "No face was found."}), "No face was found."),
    ],
)
def test_it_says_where_when_and_whether_it_lasts(verdict: ImageVerdict | VideoVerdict, said: str) -> None:
    assert plain_sentence(verdict) == said


def test_many_faces_together_are_said_where_they_decide() -> None:
    verdict = replace(_photo("weak", crowd=Crowd(9, 12, 0.001, "strong")), band="strong")
    assert plain_sentence(verdict) == (
        "No single face does it: 9 of 12 together score higher than genuine faces do."
    ) and tells_where(verdict)
    assert not tells_where(_photo("weak")) and tells_where(_video(stands_out=StandsOut(2.1, 3.8, 10, 0.84, 0.07)))


def test_one_of_several_persons_is_named_with_a_place() -> None:
    verdict = _video(band="weak")
    two = replace(verdict, persons=(verdict.persons[0], replace(verdict.persons[0], number=2)))
    assert plain_sentence(two).startswith("Most suspicious from 2.0 to 3.5 s: person 1, at the ")


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ((0, 0, 10, 10), "at the top left"),
        ((45, 45, 55, 55), "in the middle"),
        ((90, 45, 100, 55), "at the right"),
        ((45, 90, 55, 130), "at the bottom"),
    ],
)
def test_places_are_said_by_thirds(box: tuple[float, float, float, float], said: str) -> None:
    assert place_in(box, 100, 100) == said
    assert place_in(box, None, None) == "in the picture"


def test_scores_against_different_edges_stand_on_one_scale() -> None:
    low, high = Thresholds(0.2, 0.4, 0.6), Thresholds(0.7, 0.8, 0.9)
    # half way between the edges of weak and strong, by either
    assert place_by_edges(0.3, low) == pytest.approx(place_by_edges(0.75, high)) == pytest.approx(0.375)
    assert place_by_edges(0.0, low) == 0 and place_by_edges(1.0, high) == 1
    assert [place_by_edges(p, low) for p in (0.2, 0.4, 0.6)] == pytest.approx([0.25, 0.5, 0.75])
    assert band_at(0.85, low) == "very strong" and band_at(0.85, high) == "strong"
    assert band_at(0.85, low, "weak") == "weak", "no more than can be given"
