"""What a picture and a timeline are drawn from."""

import pytest

from app import track, words
from detector import BandCap, Coverage, Face, Person, VideoVerdict
from detector.words import score_of
from tests.fakes.verdicts import about, person

_FACE = Face((64.0, 36.0, 128.0, 108.0), (), 0.9)


def _person(probs: list[float | None], times: list[float], number: int = 1, **changes: object) -> Person:
    seen = {"worst_window_s": (1.0, 2.0), "worst_time_s": times[0]}
    return person([(t, _FACE, p) for t, p in zip(times, probs, strict=True)], number, **{**seen, **changes})


def _video(*persons: Person, share: float = 1.0, duration_s: float = 10.0, cap: BandCap | None = None) -> VideoVerdict:
    coverage = Coverage(10, duration_s, share * duration_s, share)
    return VideoVerdict(**about("video", "strong", coverage=coverage), persons=persons, band_cap=cap)


def _kinds(verdict: VideoVerdict) -> list[tuple[str, float, float]]:
    return [(gap["kind"], gap["from"], gap["to"]) for gap in track.picture_of(verdict)["gaps"]]


def test_a_point_has_its_place_its_words_and_its_box() -> None:
    found = track.picture_of(_video(_person([0.1, 0.8, None], [0.0, 1.0, 2.0])))
    points = found["people"][0]["points"]
    assert [point["words"] for point in points] == ["little, score 10", "strong, score 80", "not judged"]
    assert points[1]["box"] == pytest.approx([0.1, 0.1, 0.2, 0.3])
    assert 0 < points[0]["y"] < points[1]["y"] < 1 and points[2]["y"] is None


def test_the_whole_video_seen_and_judged_has_no_gaps() -> None:
    assert _kinds(_video(_person([0.5] * 10, [0.5 + i for i in range(10)]))) == []


def test_three_kinds_of_gap_are_told_apart() -> None:
    seen = [0.5 + i for i in range(10)]
    # nobody on screen from 3 to 7
    away = _person([0.5] * 6, [t for t in seen if not 3 < t < 7])
    assert _kinds(_video(away)) == [("noface", 3.0, 7.0)]
    # read up to 4 only
    assert _kinds(_video(_person([0.5] * 4, seen[:4]), share=0.4)) == [("unread", 4.0, 10.0)]
    # turned away from 2 to 4
    turned = _person([0.5, 0.5, None, None, *[0.5] * 6], seen)
    assert _kinds(_video(turned)) == [("unjudged", 2.0, 4.0)]


def test_what_another_person_covers_is_no_gap() -> None:
    seen = [0.5 + i for i in range(10)]
    verdict = _video(_person([0.5] * 10, seen), _person([0.1, 0.1], [seen[0], seen[9]], 2, band="little"))
    assert _kinds(verdict) == []


def test_zones_that_cannot_be_given_are_shut_and_say_so() -> None:
    cap = BandCap("weak", "too_few_clips", 60, 600)
    bands = track.picture_of(_video(_person([0.5], [1.0]), cap=cap))["bands"]
    assert [band["open"] for band in bands] == [True, True, False, False]
    assert [band["label"] for band in bands] == [
        "little",
        "weak, from 50",
        "strong: not for videos yet",
        "very strong: not for videos yet",
    ]
    assert bands[0]["from"] == 0 and bands[-1]["to"] == 1


def test_the_most_suspicious_part_is_named_unless_there_is_little() -> None:
    (part,) = track.picture_of(_video(_person([0.1, 0.8], [1.0, 2.0])))["parts"]
    assert part == {"from": 1.0, "to": 2.0, "label": "most suspicious 1.0 to 2.0 s"}
    assert track.picture_of(_video(_person([0.1, 0.2], [1.0, 2.0], band="little")))["parts"] == []


@pytest.mark.parametrize("end", [0.4, 1.0, 6.0, 59.5, 600.0, 7200.0])
def test_the_axis_is_labelled_from_end_to_end_with_few_ticks(end: float) -> None:
    found = track.ticks(end)
    assert found[0]["t"] == 0 and found[-1]["t"] == end
    assert len(found) <= 9
    assert [tick["t"] for tick in found] == sorted(tick["t"] for tick in found)


@pytest.mark.parametrize(("prob", "said"), [(0.0, "0"), (0.52, "52"), (0.985, "98.5"), (0.99996, "99.9")])
def test_edges_never_read_as_certainty(prob: float, said: str) -> None:
    assert words.edge(prob) == said


@pytest.mark.parametrize(("prob", "said"), [(0.0, "under 1"), (0.845, "85"), (0.999, "over 99")])
def test_scores_never_read_as_certainty(prob: float, said: str) -> None:
    assert score_of(prob) == said
