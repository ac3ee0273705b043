"""Wording, by table; and over every combination of band, status, reason and kind for the words that never appear."""

import csv
import dataclasses
import io
import itertools
import re
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from detector import report
from detector.types import (
    BANDS,
    REASONS,
    Band,
    BandCap,
    Coverage,
    Crowd,
    Face,
    FaceVerdict,
    FileVerdict,
    ImageVerdict,
    Kind,
    Person,
    PictureUsed,
    ProbRange,
    Resaved,
    Score,
    Share,
    StandsOut,
    Thresholds,
    TimelinePoint,
    VideoVerdict,
)
from detector.words import crowd_line, edges_line, no_verdict_message, percent, span_percent
from tests.fakes import verdicts

FORBIDDEN = re.compile(r"\b(real|fake|authentic|proven|certain)\w*|100 ?%|[/\\]|Traceback", re.IGNORECASE)
ENTRY = SimpleNamespace(
    false_alarms={
        "weak": Share(1000, 98, 0.081, 0.118),
        "strong": Share(1000, 21, 0.014, 0.032),
        "very_strong": Share(1000, 3, 0.001, 0.009),
    },
    clip_false_alarms={"weak": Share(90, 5, 0.024, 0.123)},
)


def face(
    number: int = 1, band: Band | None = "strong", scores: tuple[Score, ...] = (), size: float = 113
) -> FaceVerdict:
    return FaceVerdict(
        number=number,
        face=Face((10.0, 10.0, 10.0 + 0.8 * size, 10.0 + size), (), 0.99),
        status="ok" if band else "no_verdict",
        reason=None if band else "face_too_small",
        band=band,
        prob_fake=0.81 if band else None,
        range=None,
        scores=scores if band else (),
        sharpness=100.0,
    )


def person(number: int = 1, band: Band | None = "strong", scores: tuple[Score, ...] = ()) -> Person:
    seen = Face((10.0, 10.0, 90.0, 110.0), (), 0.99)
    timeline = tuple(TimelinePoint(0.5 * i, seen, 0.8 if i % 4 else None, 0.8) for i in range(32))
    return verdicts.person(
        (),
        number,
        band,
        scores=scores if band else (),
        on_screen_s=14.2,
        usable_frames=24 if band else 2,
        worst_window_s=(5.8, 9.1) if band else None,
        worst_time_s=7.2 if band else None,
        timeline=timeline,
    )


def common(kind: Kind, band: Band | None, reason: str | None = None) -> dict[str, Any]:
    return verdicts.about(kind, band, reason=reason, message=REASONS[reason] if reason else None, height=480)


def photo(band: Band | None = "strong", reason: str | None = None, **changes: Any) -> ImageVerdict:
    parts = changes.pop("faces", (face(band=band),))
    verdict = ImageVerdict(**common("image", band, reason), faces=parts)
    return dataclasses.replace(verdict, **changes)


def video(band: Band | None = "strong", reason: str | None = None, **changes: Any) -> VideoVerdict:
    parts = changes.pop("persons", (person(band=band),))
    verdict = VideoVerdict(**common("video", band, reason), persons=parts)
    changes.setdefault("coverage", Coverage(frames=32, duration_s=16.0, analysed_s=16.0, share=1.0))
    return dataclasses.replace(verdict, **changes)


def scores(**above: bool) -> tuple[Score, ...]:
    return tuple(Score(name, 0.8 if up else 0.2, up) for name, up in above.items())


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0, "under 1 %"),
        (0.0099, "under 1 %"),
        (0.01, "1 %"),
        (0.125, "13 %"),
        (0.5, "50 %"),
        (0.81, "81 %"),
        (0.99, "99 %"),
        (0.9901, "over 99 %"),
        (1.0, "over 99 %"),
    ],
)
def test_percent(p: float, text: str) -> None:
    assert percent(p) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.74, 0.87, "74 to 87 %"),
        (0.812, 0.814, "81 %"),
        (0.0, 0.03, "under 1 to 3 %"),
        (0.0, 0.001, "under 1 %"),
        (0.97, 1.0, "97 to over 99 %"),
        (0.0, 1.0, "under 1 to over 99 %"),
    ],
)
def test_span_percent(low: float, high: float, text: str) -> None:
    assert span_percent(low, high) == text


def test_a_vote_is_a_count_and_all_else_a_place_on_the_scale() -> None:
    voted = dataclasses.replace(face(1), scores=scores(resnet18=True, mobilenet_v2=False, xception=True), votes=2)
    verdict = photo(faces=(voted, face(2)))
    assert report.estimate(verdict) == report.estimate(voted) == "2 of 3 networks"
    assert report.estimate(verdict.faces[1]) == "81 of 100"
    assert report.estimate(video(persons=(dataclasses.replace(person(1), votes=0, scores=voted.scores),))) == (
        "0 of 3 networks"
    )
    assert report.estimate(photo(None, "no_face", faces=())) == ""


def test_band_words() -> None:
    assert [report.band_word(band) for band in (*BANDS, None)] == [
        "little",
        "weak",
        "strong",
        "very strong",
        "no verdict",
    ]


@pytest.mark.parametrize(
    ("band", "text"),
    [
        ("little", "Little evidence of manipulation"),
        ("weak", "Weak evidence of manipulation"),
        ("strong", "Strong evidence of manipulation"),
        ("very_strong", "Very strong evidence of manipulation"),
        (None, "No verdict"),
    ],
)
def test_headline(band: Band | None, text: str) -> None:
    assert report.headline(photo(band)) == text
    assert report.headline(video(band)) == text


@pytest.mark.parametrize(
    ("verdict", "text"),
    [
        (photo(), "The only face found"),
        (photo(faces=(face(1), face(2), face(3, None))), "Face 1 of 3, the most suspicious"),
        (video(), "The only person found"),
        (video(persons=(person(1), person(2, "little"))), "Person 1 of 2, the most suspicious"),
        (photo(None, "no_face", faces=()), "Photo"),
        (video(None, "too_few_frames"), "Video"),
        (FileVerdict(**common("unknown", None, "empty")), "File"),
    ],
)
def test_eyebrow(verdict: FileVerdict, text: str) -> None:
    assert report.eyebrow(verdict) == text


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (scores(resnet18=True, mobilenet_v2=True), "Both networks lean towards manipulation."),
        (scores(resnet18=False, mobilenet_v2=False), "Neither of the two networks leans towards manipulation."),
        (
            scores(resnet18=True, mobilenet_v2=False),
            "One of two networks leans towards manipulation: ResNet-18.",
        ),
        (scores(a=True, b=True, c=True), "All three networks lean towards manipulation."),
        (scores(a=False, b=False, c=False), "None of the three networks leans towards manipulation."),
        (
            scores(a=True, b=True, c=True, d=True, resnet50=False),
            "Four of five networks lean towards manipulation; ResNet-50 does not.",
        ),
        (
            scores(a=True, b=True, c=True, d=False, e=False),
            "Three of five networks lean towards manipulation; d and e do not.",
        ),
        (
            scores(a=True, b=True, c=False, d=False, e=False),
            "Two of five networks lean towards manipulation: a and b.",
        ),
    ],
)
def test_the_line_on_networks(given: tuple[Score, ...], line: str) -> None:
    assert report.facts(photo(faces=(face(scores=given),)))[0] == line
    assert report.facts(video(persons=(person(scores=given),)))[0] == line
    voted = report.facts(photo(faces=(dataclasses.replace(face(scores=given), votes=1),)))[0]
    assert voted == line.replace("lean towards", "vote for").replace("leans towards", "votes for")


def test_networks_that_agree_are_not_said_to_disagree_with_the_verdict() -> None:
    """A joint score can be strong where no network is above an edge of its own."""
    given = tuple(Score(name, 0.88, False) for name in ("a", "b", "c"))
    assert report.facts(photo("strong", faces=(face(scores=given),)))[0] == (
        "All three networks lean towards manipulation."
    )


def test_one_network_alone_has_nobody_to_agree_with() -> None:
    assert not any("network" in fact for fact in report.facts(photo(faces=(face(scores=scores(resnet18=True)),))))


BOTH = scores(resnet18=True, mobilenet_v2=True)
AGREE = "Both networks lean towards manipulation."


@pytest.mark.parametrize(
    ("verdict", "lines"),
    [
        (photo(faces=(face(scores=BOTH),)), (AGREE, "1 face found, 113 pixels on its longer side.")),
        (
            photo(faces=(face(1, scores=BOTH), face(2, "little"), face(3, None))),
            (AGREE, "3 faces found, 2 of them could be judged; face 1 is 113 pixels on its longer side."),
        ),
        (photo(None, "no_face", faces=()), ("The whole picture was looked at, 640 x 480 pixels.",)),
        (
            photo(None, "face_too_small", faces=(face(1, None, size=24), face(2, None, size=12))),
            ("2 faces found, the largest 24 pixels.", "The whole picture was looked at, 640 x 480 pixels."),
        ),
        (
            video(persons=(person(scores=BOTH),)),
            (
                AGREE,
                "Most suspicious from 5.8 s to 9.1 s, in 5 frames.",
                "The face could be judged in 24 of 32 frames.",
            ),
        ),
        (
            video(
                persons=(person(1, scores=BOTH), person(2, None)),
                coverage=Coverage(frames=32, duration_s=48.4, analysed_s=30.0, share=0.6198),
            ),
            (
                AGREE,
                "Most suspicious from 5.8 s to 9.1 s, in 5 frames.",
                "The face could be judged in 24 of 32 frames; 1 of 2 persons could be judged.",
                "62 % of the video was looked at, 30.0 s of 48.4 s.",
            ),
        ),
        (
            video(None, "no_face", persons=(), coverage=Coverage(32, None, None, 0.996)),
            ("32 frames looked at.",),
        ),
        (
            video(None, "too_few_frames", persons=(person(1, None),)),
            ("1 person found, with at most 2 frames clear enough to judge.", "32 frames looked at."),
        ),
        (dataclasses.replace(photo(None, "truncated", faces=()), status="unreadable"), ()),
        (FileVerdict(**{**common("unknown", None, "empty"), "status": "unreadable"}), ()),
    ],
)
def test_facts(verdict: FileVerdict, lines: tuple[str, ...]) -> None:
    assert report.facts(verdict) == lines


def test_a_high_probability_of_little_evidence_is_explained() -> None:
    edges = Thresholds(0.88, 0.93, 0.99)
    line = "Weak evidence begins at 88 of 100 here: 1 in 10 genuine {} scores that or more."
    assert report.facts(photo("little", thresholds=edges))[0] == line.format("photos")
    assert report.facts(video("little", thresholds=edges))[0] == line.format("videos")
    counted = dataclasses.replace(face(band="little"), votes=1)
    for unlike in (
        photo("weak", thresholds=edges),
        photo("little", thresholds=edges, prob_fake=0.5),
        photo("little", thresholds=edges, faces=(counted,)),
        photo(None, thresholds=edges),
    ):
        assert not any("evidence begins" in fact for fact in report.facts(unlike))


APART = StandsOut(2.12, 3.84, 10, 0.854, 0.072)


def test_a_part_that_stands_out_is_in_headline_quotation_and_facts_whatever_the_band() -> None:
    for band in ("little", "weak"):
        verdict = video(band, persons=(dataclasses.replace(person(band=band), stands_out=APART),))  # type: ignore[arg-type]
        assert report.headline(verdict) == f"{band.capitalize()} evidence of manipulation (2.1 to 3.8 s stands out)"
        assert "The part from 2.1 to 3.8 s stands out from the rest." in report.quote(verdict)
        assert report.facts(verdict)[0] == (
            "2.1 to 3.8 s stands out: the 10 frames there score 85 of 100, the others 7. Look there, and for a cut."
        )
    # of several persons the clearest one is named
    two = video(persons=(person(1), dataclasses.replace(person(2, "little"), stands_out=APART)))
    assert "frames of person 2 there" in report.facts(two)[0]
    assert "stands out" not in report.headline(video())


def test_how_much_is_looked_at_and_what_stands_out_share_the_brackets() -> None:
    little = Coverage(frames=32, duration_s=600.0, analysed_s=18.0, share=0.03)
    verdict = video(persons=(dataclasses.replace(person(), stands_out=APART),), coverage=little)
    assert report.headline(verdict).endswith("(3 % of the video looked at, 2.1 to 3.8 s stands out)")


def resaved(**bands: Band | None) -> tuple[Resaved, ...]:
    return tuple(Resaved(c, 0.5 if b else None, b, None if b else "no_face") for c, b in bands.items())


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (resaved(jpeg_95="strong", size_50="strong"), ""),
        (resaved(jpeg_95="very_strong"), ""),
        (
            resaved(jpeg_95="strong", size_50="little"),
            "This does not outlast every copy: at half its size it would be little. Look for the original.",
        ),
        (
            resaved(jpeg_75="weak", size_75="little", size_50=None),
            "This does not outlast every copy: at three quarters of its size it would be little; saved as JPEG 75 it "
            "would be only weak; at half its size the face could not be judged. Look for the original.",
        ),
    ],
)
def test_a_band_that_falls_in_copies_says_so(changes: tuple[Resaved, ...], line: str) -> None:
    verdict = photo(faces=(dataclasses.replace(face(), resaved=changes),))
    assert (report.facts(verdict)[0] == line) == bool(line)
    assert ("saved again give less evidence" in report.quote(verdict)) == bool(line)
    assert report.headline(verdict).endswith("(fragile)") == bool(line)


def test_a_face_that_no_copy_shows_may_be_none() -> None:
    verdict = photo(faces=(dataclasses.replace(face(), resaved=resaved(jpeg_95=None, size_50=None)),))
    assert report.facts(verdict)[0].startswith("In no copy that is saved again was a face found there")
    assert "fragile" not in report.headline(verdict)


def test_every_fact_says_what_it_answers() -> None:
    falls = dataclasses.replace(face(), resaved=resaved(size_50="little"), scores=scores(a=True, b=True))
    lines = report.facts_by_aspect(photo(faces=(falls, face(2))))
    assert [aspect for aspect, _ in lines] == ["more", "sure", "seen"]
    assert tuple(line for _, line in lines) == report.facts(photo(faces=(falls, face(2))))
    apart = dataclasses.replace(person(), stands_out=APART, scores=scores(a=True, b=True))
    assert [a for a, _ in report.facts_by_aspect(video(persons=(apart,)))][:3] == ["where", "sure", "where"]
    assert {a for a, _ in report.facts_by_aspect(video(None, "no_face", persons=()))} == {"seen"}


def test_which_picture_of_several_is_named_everywhere() -> None:
    verdict = photo(picture=PictureUsed(2, 4, (1, 2, 3, 4)))
    assert report.headline(verdict) == "Strong evidence of manipulation (picture 2 of 4)"
    assert "the face in picture 2 of 4 in this file was manipulated" in report.quote(verdict)
    line = "The file holds 4 pictures, all 4 were looked at. This is about picture 2, the most suspicious."
    assert report.facts(verdict)[-1] == line
    some = photo(picture=PictureUsed(2, 40, tuple(range(1, 17))))
    assert "16 of them were looked at" in report.facts(some)[-1]
    none = photo(None, "no_face", faces=(), picture=PictureUsed(1, 4, (1, 2, 3, 4)))
    assert report.facts(none) == ("The file holds 4 pictures, all 4 were looked at. None shows a face.",)


def test_a_chosen_region_is_named() -> None:
    verdict = photo(None, "no_face", faces=(), region=(320.0, 0.0, 640.0, 240.0))
    assert report.facts(verdict) == (
        "A part of the picture was looked at, as asked: 320 x 240 pixels of 640 x 480, from 320, 0.",
    )
    assert report.headline(verdict) == "No verdict (in the chosen region)"
    assert "Only a chosen part of the picture was looked at." in report.quote(photo(region=(0.0, 0.0, 9.0, 9.0)))


@pytest.mark.parametrize(("degrees", "word"), [(180, "upside down"), (90, "sideways"), (270, "sideways")])
def test_turned_faces_are_named(degrees: int, word: str) -> None:
    lying = dataclasses.replace(face(), face=dataclasses.replace(face().face, turned_deg=degrees))
    assert f"The picture lies {word}" in report.facts(photo(faces=(lying,)))[-1]


def test_many_faces_together_are_named() -> None:
    faces = (face(1, "little"), face(2, "little"))
    verdict = photo("weak", faces=faces, crowd=Crowd(30, 60, 0.0075, "weak"))
    assert report.facts(verdict)[0] == (
        "30 of 60 faces score higher than 9 in 10 genuine faces do. So many together are weak evidence, whatever a "
        "single one is."
    )
    assert "that faces in this photo (30 of 60 counted together) were manipulated" in report.quote(verdict)
    assert not any("together" in fact for fact in report.facts(photo(crowd=Crowd(1, 60, 0.9, "little"))))


def test_why_a_video_gets_less_than_a_photo() -> None:
    verdict = video("little", persons=(dataclasses.replace(person(band="little"), photo_band="strong"),))
    assert "A photo with this score would be strong evidence. A video needs more" in report.facts(verdict)[-1]
    same = video("weak", persons=(dataclasses.replace(person(band="weak"), photo_band="weak"),))
    assert not any("A photo with" in fact for fact in report.facts(same))


def test_the_edges_of_the_scale_are_written_out() -> None:
    edges = Thresholds(0.882, 0.94, 0.995)
    assert edges_line(photo(thresholds=edges)) == "Bands begin at: weak 88, strong 94, very strong over 99."
    capped = video("little", thresholds=edges, band_cap=BandCap("weak", "too_few_clips", 51, 149))
    assert edges_line(capped) == "Bands begin at: weak 88. This version gives a video no more."
    assert edges_line(photo(None, "no_face", faces=())) == ""


@pytest.mark.parametrize(
    ("kind", "tried", "parts"),
    [
        ("image", (), ("No face was found.", "crop and turn a copy")),
        ("image", ("turned",), ("The picture was also looked at turned sideways and upside down.",)),
        (
            "image",
            ("turned", "closer"),
            ("upside down and at a larger scale, for tiny faces.", "a part of"),
        ),
        ("video", ("turned",), ("The frames were also looked at turned", "by its times")),
    ],
)
def test_without_a_face_it_says_what_was_tried_and_what_helps(kind: Kind, tried: tuple[str, ...], parts: Any) -> None:
    message = no_verdict_message("no_face", kind, tried)
    assert message is not None and all(part in message for part in parts)
    assert no_verdict_message(None, kind, tried) is None
    assert "resolution" in (no_verdict_message("face_too_small", kind, ()) or "")


def test_range_text() -> None:
    assert report.range_text(photo()) == ""
    assert report.range_text(photo(range=ProbRange(0.74, 0.87, "re-encoding"))) == "if saved again 74 to 87"
    assert report.range_text(video(range=ProbRange(0.74, 0.87, "bootstrap"))) == "95 % interval 74 to 87"


@pytest.mark.parametrize(
    ("band", "line"),
    [
        (
            "very_strong",
            "On genuine media from sources it never saw, this version reaches this band in 3 of 1000 "
            "(95 % interval under 1 %).",
        ),
        (
            "strong",
            "On genuine media from sources it never saw, this version reaches this band or a stronger one in 21 of "
            "1000 (95 % interval 1 to 3 %).",
        ),
        (
            "weak",
            "On genuine media from sources it never saw, this version reaches this band or a stronger one in 98 of "
            "1000 (95 % interval 8 to 12 %).",
        ),
        (
            "little",
            "On genuine media from sources it never saw, this version stays in this band in 902 of 1000 (95 % interval "
            "88 to 92 %). Manipulations of a new kind can stay in it too.",
        ),
        (None, ""),
    ],
)
def test_error_rate_line(band: Band | None, line: str) -> None:
    assert report.error_rate_line(photo(band), ENTRY) == line


def test_a_rate_that_was_not_measured_is_not_made_up() -> None:
    entry = SimpleNamespace(false_alarms={}, clip_false_alarms={})
    assert report.error_rate_line(photo(), entry) == ""
    assert "was not measured" in report.error_rate_line(video(), entry)
    assert "was not measured" in report.error_rate_line(video("strong"), ENTRY)


def test_a_video_has_the_rate_of_videos() -> None:
    line = "On persons in genuine videos that set no edge, this version reaches this band or a stronger one in 5 of 90"
    assert report.error_rate_line(video("weak"), ENTRY) == f"{line} (95 % interval 2 to 12 %)."


def test_a_capped_band_is_said_with_its_reason() -> None:
    assert report.cap_text(photo()) == report.cap_text(video()) == ""
    lowered = video("weak", band_cap=BandCap("weak", "too_few_clips", 60, 150, applied=True))
    said = "With these weights a video gets at most “weak”. Too few genuine videos were at hand to show that a "
    said += "stronger band keeps its promise. That takes at least 150 genuine persons; 60 were at hand."
    assert report.cap_text(lowered) == said
    assert f"The score alone would reach a stronger band. {said}" in report.facts(lowered)
    unlowered = video("weak", band_cap=BandCap("weak", "not_measured", 0, None))
    assert not any("stronger band" in fact for fact in report.facts(unlowered))


@pytest.mark.parametrize(
    ("verdict", "text"),
    [
        (
            photo(),
            "Unmask 1.0 (weights 2026-12-02) finds strong evidence that the face in this photo was manipulated. "
            "This is a lead, not proof.",
        ),
        (
            photo("very_strong", faces=(face(1, "very_strong"), face(2, "little"))),
            "Unmask 1.0 (weights 2026-12-02) finds very strong evidence that face 1 of 2 in this photo was "
            "manipulated. This is a lead, not proof.",
        ),
        (
            video(),
            "Unmask 1.0 (weights 2026-12-02) finds strong evidence that the face in this video was manipulated "
            "between 5.8 s and 9.1 s. This is a lead, not proof.",
        ),
        (
            video(persons=(person(1), person(2, None))),
            "Unmask 1.0 (weights 2026-12-02) finds strong evidence that the face of person 1 of 2 in this video was "
            "manipulated between 5.8 s and 9.1 s. This is a lead, not proof.",
        ),
        (
            video("little"),
            "Unmask 1.0 (weights 2026-12-02) finds little evidence that the face in this video was manipulated. "
            "This is a lead, not proof.",
        ),
        (
            photo(None, "no_face", faces=(), message="No face was found. Try a larger picture."),
            "Unmask 1.0 (weights 2026-12-02) gives no verdict on this photo: no face was found. "
            "That says nothing for or against manipulation.",
        ),
        (
            FileVerdict(**{**common("unknown", None, "empty"), "weights_date": ""}),
            "Unmask 1.0 gives no verdict on this file: the file is empty. "
            "That says nothing for or against manipulation.",
        ),
    ],
)
def test_quote(verdict: FileVerdict, text: str) -> None:
    assert report.quote(verdict) == text


def test_reason_text_prefers_the_message_with_its_next_step() -> None:
    assert report.reason_text(photo(None, "no_face", message="No face was found. Try a larger picture.")) == (
        "No face was found. Try a larger picture."
    )
    assert report.reason_text(photo(None, "no_face", message=None)) == "No face was found."
    assert report.reason_text(photo("weak")) == ""


def every_verdict() -> list[FileVerdict]:
    """Every band with every number of faces or persons, every reason with every kind."""
    judged: list[FileVerdict] = []
    for band, others, above in itertools.product(BANDS, range(4), range(4)):
        marks = scores(**{name: i < above for i, name in enumerate(("resnet18", "mobilenet_v2", "efficientnet_b0"))})
        for low, high in ((0.0, 1.0), (0.4, 0.6)):
            judged += [
                photo(
                    band,
                    faces=(face(1, band, marks), *(face(2 + i, None) for i in range(others))),
                    range=ProbRange(low, high, "re-encoding"),
                    prob_fake=high,
                ),
                video(
                    band,
                    persons=(person(1, band, marks), *(person(2 + i, None) for i in range(others))),
                    range=ProbRange(low, high, "bootstrap"),
                    prob_fake=high,
                    coverage=Coverage(frames=32, duration_s=100.0, analysed_s=99.0, share=high),
                ),
            ]
    silent: list[FileVerdict] = []
    for reason, kind, status in itertools.product((*REASONS, None), get_args(Kind), ("no_verdict", "unreadable")):
        base = {**common(kind, None, reason), "status": status}
        silent.append(FileVerdict(**base))
        if kind == "image":
            silent += [ImageVerdict(**base, faces=faces) for faces in ((), (face(1, None),))]
        if kind == "video":
            silent += [VideoVerdict(**base, persons=persons) for persons in ((), (person(1, None),))]
    return judged + silent


def test_forbidden_words_never_appear() -> None:
    verdicts = every_verdict()
    assert {v.band for v in verdicts} == {*BANDS, None}
    assert {v.reason for v in verdicts} == {*REASONS, None}
    for verdict in verdicts:
        shown = [
            report.headline(verdict),
            report.eyebrow(verdict),
            report.reason_text(verdict),
            report.range_text(verdict),
            report.error_rate_line(verdict, ENTRY),
            report.quote(verdict),
            report.band_word(verdict.band),
            "" if verdict.prob_fake is None else percent(verdict.prob_fake),
            *report.facts(verdict),
        ]
        for text in shown:
            assert not FORBIDDEN.search(text), text
            assert "None" not in re.sub(r"None of the", "", text) and "  " not in text, text
        high_for_little = verdict.band == "little" and (verdict.prob_fake or 0) > 0.5
        assert len(report.facts(verdict)) <= 4 + high_for_little
        if verdict.band:
            assert len(report.facts(verdict)) >= 2
            assert report.quote(verdict).endswith("This is a lead, not proof.")


def test_forbidden_words_are_not_in_the_tables_either() -> None:
    for text in (*report.BAND_WORDS.values(), report.PROBABILITY_HELP, *REASONS.values()):
        assert not FORBIDDEN.search(text), text


def table(*verdicts: FileVerdict) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(report.to_csv(*verdicts), newline="")))


def test_the_table_has_every_person_at_every_time() -> None:
    rows = table(video(persons=(person(1), person(2, None))))
    assert tuple(rows[0]) == tuple(report.CSV_COLUMNS)
    assert len(rows) == 64 and [row["number"] for row in rows[::32]] == ["1", "2"]
    assert rows[1] == {
        "file": "x",
        "sha256": "0" * 64,
        "kind": "video",
        "number": "1",
        "time_s": "0.5",
        "x0": "10.0",
        "y0": "10.0",
        "x1": "90.0",
        "y1": "110.0",
        "prob_fake": "0.8",
        "smoothed": "0.8",
        "overall": "0.81",
        "band": "strong",
        "reason": "",
    }
    assert rows[0]["prob_fake"] == "", "a frame that was not judged"
    assert (rows[40]["overall"], rows[40]["band"], rows[40]["reason"]) == ("", "", "too_few_frames")


def test_the_table_of_photos_has_a_line_a_face_and_of_others_one_with_the_reason() -> None:
    rows = table(photo(faces=(face(1), face(2, None))), photo(None, "no_face", faces=()))
    assert [(r["number"], r["time_s"], r["smoothed"], r["prob_fake"], r["band"], r["reason"]) for r in rows] == [
        ("1", "", "", "0.81", "strong", ""),
        ("2", "", "", "", "", "face_too_small"),
        ("", "", "", "", "", "no_face"),
    ]
    assert not report.to_csv(photo(), header=False).startswith("file,")


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("clip.mp4", "clip.mp4"),
        ("=HYPERLINK(1).jpg", "'=HYPERLINK(1).jpg"),
        ("+1.jpg", "'+1.jpg"),
        ("-1.jpg", "'-1.jpg"),
        ("@SUM(1).jpg", "'@SUM(1).jpg"),
        ("  =1.jpg", "'  =1.jpg"),
        ("\t=1.jpg", "'\t=1.jpg"),
        ('a,"b"\n=1.jpg', 'a,"b"\n=1.jpg'),
        ("un\udcffcodable.jpg", "un?codable.jpg"),
    ],
)
def test_a_name_is_no_formula_for_a_spreadsheet(name: str, cell: str) -> None:
    assert [row["file"] for row in table(photo(file=name))] == [cell]


@pytest.mark.parametrize(
    ("coverage", "words", "sentence", "fact"),
    [
        (Coverage(32, 16.0, 16.0, 1.0), "", "", None),
        (Coverage(32, 34.0, 32.0, 0.941), "", "", "94 % of the video was looked at, 32.0 s of 34.0 s."),
        (
            Coverage(32, 60.0, 32.0, 0.533),
            "53 % of the video looked at",
            "53 % of the video was looked at. ",
            "53 % of the video was looked at, 32.0 s of 60.0 s.",
        ),
        (
            Coverage(32, 600.0, 18.0, 0.03, scouted=61),
            "3 % of the video looked at",
            "3 % of the video was looked at. ",
            "3 % of the video was looked at, 18.0 s of 600.0 s; faces alone were looked for in 61 more frames between "
            "start and end.",
        ),
        (
            Coverage(32, 600.0, 1.6, 0.003),
            "under 1 % of the video looked at",
            "Under 1 % of the video was looked at. ",
            "Under 1 % of the video was looked at, 1.6 s of 600.0 s.",
        ),
        (
            Coverage(32, 603.0, 8.0, 0.0133, start_s=3.0, part_s=(12.0, 20.0)),
            "12.0 to 20.0 s looked at",
            "Only the part from 12.0 to 20.0 s was looked at. ",
            "1 % of the video was looked at, 8.0 s of 600.0 s, as asked only from 12.0 to 20.0 s.",
        ),
        (
            Coverage(32, 60.0, 31.2, 0.52, incomplete=True, available_s=31.2),
            "52 % of the video looked at, incomplete file",
            "52 % of the video was looked at. The file is incomplete. ",
            "The file is incomplete: it breaks off at 31.2 s of 60.0 s. Look for a whole copy.",
        ),
        (
            Coverage(32, 200.0, 32.0, 0.16, incomplete=True, available_s=200.0),
            "16 % of the video looked at, incomplete file",
            "16 % of the video was looked at. The file is incomplete. ",
            "The file is incomplete: it breaks off at 200.0 s. Look for a whole copy.",
        ),
        (
            Coverage(32, None, 16.0, 0.0),
            "16.0 s of a video of unknown length looked at",
            "16.0 s of a video of unknown length was looked at. ",
            "16.0 s of a video of unknown length was looked at.",
        ),
        (
            Coverage(32, 4.0, 4.0, 1.0, second_file=True),
            "",
            "",
            "Another video follows in the same file. Players do not show it, and it was not looked at.",
        ),
    ],
)
def test_what_was_not_looked_at_stands_in_headline_and_quotation(
    coverage: Coverage, words: str, sentence: str, fact: str | None
) -> None:
    for verdict in (video("weak", coverage=coverage), video(None, "no_face", persons=(), coverage=coverage)):
        plain = "Weak evidence of manipulation" if verdict.band else "No verdict"
        assert report.coverage_words(verdict) == words
        assert report.headline(verdict) == (f"{plain} ({words})" if words else plain)
        assert sentence in report.quote(verdict) and ("incomplete" in report.quote(verdict)) == coverage.incomplete
        assert fact is None or fact in report.facts(verdict)


def test_many_suspicious_faces_are_named_also_where_they_are_little_evidence() -> None:
    said = crowd_line(Crowd(13, 60, 0.4, "little"))
    assert said.startswith("13 of 60 faces score higher than 9 in 10") and "about 6 would" in said
    assert "look at each" in said
    assert crowd_line(Crowd(6, 60, 0.14, "little", 0.02)).startswith("6 of 60 faces score higher than 49 in 50")
    assert crowd_line(Crowd(6, 60, 1.0, "little")) == crowd_line(None) == ""
    assert "are weak evidence" in crowd_line(Crowd(25, 60, 0.019, "weak"))
