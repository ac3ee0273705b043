"""The versioned JSON schema that CLI, app and API share, pinned key by key.

Whoever changes an expectation here also decides on `SCHEMA_VERSION`: a new key raises the minor number, a renamed,
removed or reinterpreted one the major number.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from detector import (
    BANDS,
    CAP_REASONS,
    CHANGES,
    REASONS,
    SCHEMA_VERSION,
    TRIED,
    BandCap,
    BandFalls,
    Caught,
    Coverage,
    Credentials,
    Crowd,
    Face,
    FaceVerdict,
    FileVerdict,
    FrameHash,
    ImageVerdict,
    Line,
    Measured,
    ModelUsed,
    Person,
    PictureUsed,
    ProbRange,
    Provenance,
    Resaved,
    Score,
    Share,
    SoundTrack,
    StandsOut,
    Step,
    Thresholds,
    TimelinePoint,
    VideoVerdict,
)
from detector.report import to_json
from detector.stored import verdict_of

FACE = Face(
    box=(10.04, 20.0, 110.0, 150.26),
    landmarks=((40.0, 60.0), (80.0, 60.0), (60.0, 90.0), (45.0, 120.0), (75.0, 120.06)),
    confidence=0.99912345,
    turned_deg=180,
)
PROVENANCE = Provenance(
    summary="The file says something.",
    credentials=Credentials(
        "present",
        "Some.",
        facts=(Line("binding.match", "derived", "The bytes fit.", "Content Credentials"),),
        claims=(Line("claim.digitalCapture", "observed", "A camera.", "Content Credentials", "camera", "uri"),),
        manifests=2,
        trust_list="2026-08-21",
    ),
    marks=(Line("mark.grok", "inferred", "Grok.", "EXIF", "generated"),),
    history=(Line("history.bare", "inferred", "Nothing.", "EXIF and XMP"),),
    sound=SoundTrack("aac", 48000, 2, 6.0049, None),
    perceptual_hash="00ff00ff00ff00ff",
    frame_hashes=(FrameHash(1.2349, "0f0f0f0f0f0f0f0f"),),
)
PROVENANCE_JSON: dict[str, Any] = {
    "summary": "The file says something.",
    "credentials": {
        "state": "present",
        "text": "Some.",
        "facts": [
            {
                "code": "binding.match",
                "basis": "derived",
                "text": "The bytes fit.",
                "where": "Content Credentials",
                "says": "nothing",
                "value": None,
            }
        ],
        "claims": [
            {
                "code": "claim.digitalCapture",
                "basis": "observed",
                "text": "A camera.",
                "where": "Content Credentials",
                "says": "camera",
                "value": "uri",
            }
        ],
        "manifests": 2,
        "trust_list": "2026-08-21",
    },
    "marks": [
        {
            "code": "mark.grok",
            "basis": "inferred",
            "text": "Grok.",
            "where": "EXIF",
            "says": "generated",
            "value": None,
        }
    ],
    "history": [
        {
            "code": "history.bare",
            "basis": "inferred",
            "text": "Nothing.",
            "where": "EXIF and XMP",
            "says": "nothing",
            "value": None,
        }
    ],
    "sound": {
        "codec": "aac",
        "rate": 48000,
        "channels": 2,
        "duration_s": 6.0,
        "language": None,
        "judged": False,
    },
    "perceptual_hash": "00ff00ff00ff00ff",
    "frame_hashes": [{"time_s": 1.23, "hash": "0f0f0f0f0f0f0f0f"}],
    "problem": None,
}
COMMON: dict[str, Any] = {
    "sha256": "ab" * 32,
    "status": "ok",
    "reason": None,
    "message": None,
    "band": "strong",
    "prob_fake": 0.812349,
    "width": 640,
    "height": 480,
    "ensemble": "average",
    "models": (ModelUsed("resnet18", "cd" * 32),),
    "thresholds": Thresholds(0.5, 0.7, 0.900001),
    "version": "0.1.0",
    "weights_date": "2026-12-02",
    "date": "2026-12-03T10:00:00Z",
    "size_bytes": 12345,
    "engines": {"resnet18": "openvino", "faces": "torch"},
    "measured": Measured(
        {"weak": Share(511, 41, 0.06, 0.11)}, {}, BandFalls(Share(30, 21, 0.5, 0.84), None, "validation")
    ),
    "provenance": PROVENANCE,
    "next_steps": (Step("ask_sender", "Ask", "Ask the sender."), Step("search", "S", "T", "https://a.example/", "P")),
    "region": (10.0, 20.0, 300.0, 400.0),
    "tried": ("turned",),
}
COMMON_JSON: dict[str, Any] = {
    "schema_version": "2.4",
    "sha256": "ab" * 32,
    "status": "ok",
    "reason": None,
    "message": None,
    "band": "strong",
    "prob_fake": 0.8123,
    "width": 640,
    "height": 480,
    "ensemble": "average",
    "models": [{"name": "resnet18", "sha256": "cd" * 32}],
    "thresholds": {"weak": 0.5, "strong": 0.7, "very_strong": 0.9},
    "version": "0.1.0",
    "weights_date": "2026-12-02",
    "date": "2026-12-03T10:00:00Z",
    "size_bytes": 12345,
    "engines": {"resnet18": "openvino", "faces": "torch"},
    "max_frames": None,
    "measured": {
        "false_alarms": {"weak": {"n": 511, "k": 41, "low": 0.06, "high": 0.11}},
        "clip_false_alarms": {},
        "band_falls": {
            "genuine": {"n": 30, "k": 21, "low": 0.5, "high": 0.84},
            "manipulated": None,
            "faces": "validation",
        },
    },
    "provenance": PROVENANCE_JSON,
    "next_steps": [
        {"code": "ask_sender", "title": "Ask", "text": "Ask the sender.", "link": None, "privacy": None},
        {"code": "search", "title": "S", "text": "T", "link": "https://a.example/", "privacy": "P"},
    ],
    "region": [10.0, 20.0, 300.0, 400.0],
    "tried": ["turned"],
}

WHOLE: dict[str, Any] = {
    "start_s": 0.0,
    "part_s": None,
    "scouted": 0,
    "incomplete": False,
    "available_s": None,
    "second_file": False,
    "stopped": False,
}

IMAGE = ImageVerdict(
    **COMMON,
    file="photo.jpg",
    kind="image",
    range=ProbRange(0.74, 0.87, "re-encoding"),
    coverage=Coverage(frames=1, duration_s=None, analysed_s=None, share=1.0),
    faces=(
        FaceVerdict(
            number=1,
            face=FACE,
            status="ok",
            reason=None,
            band="strong",
            prob_fake=0.812349,
            range=ProbRange(0.74, 0.87, "re-encoding"),
            scores=(Score("resnet18", 0.812349, True, 0.79004, Thresholds(0.6, 0.79004, 0.9)),),
            sharpness=120.06,
            resaved=(Resaved("size_75", 0.74004, "weak"), Resaved("size_50", None, None, "no_face")),
        ),
        FaceVerdict(2, FACE, "no_verdict", "face_too_small", None, None, None, (), 9.0),
    ),
    picture=PictureUsed(2, 4, (1, 2, 4)),
    crowd=Crowd(9, 12, 0.00123456, "weak", 0.02),
    caught=Caught("JPEG 50", 0.39004, 0.31, 0.476, 300),
)
SCORE_JSON: dict[str, Any] = {
    "model": "resnet18",
    "prob_fake": 0.8123,
    "above_threshold": True,
    "threshold": 0.79,
    "thresholds": {"weak": 0.6, "strong": 0.79, "very_strong": 0.9},
}
IMAGE_JSON: dict[str, Any] = {
    **COMMON_JSON,
    "file": "photo.jpg",
    "kind": "image",
    "range": {"low": 0.74, "high": 0.87, "kind": "re-encoding"},
    "coverage": {"frames": 1, "duration_s": None, "analysed_s": None, "share": 1.0, **WHOLE},
    "picture": {"number": 2, "of": 4, "looked_at": [1, 2, 4]},
    "caught": {"change": "JPEG 50", "share": 0.39, "low": 0.31, "high": 0.476, "n": 300},
    "crowd": {"above": 9, "of": 12, "chance": 0.001235, "band": "weak", "rate": 0.02},
    "faces": [
        {
            "number": 1,
            "box": [10.0, 20.0, 110.0, 150.3],
            "landmarks": [[40.0, 60.0], [80.0, 60.0], [60.0, 90.0], [45.0, 120.0], [75.0, 120.1]],
            "confidence": 0.9991,
            "turned_deg": 180,
            "size_px": 130.3,
            "sharpness": 120.1,
            "status": "ok",
            "reason": None,
            "band": "strong",
            "prob_fake": 0.8123,
            "range": {"low": 0.74, "high": 0.87, "kind": "re-encoding"},
            "scores": [SCORE_JSON],
            "votes": None,
            "resaved": [
                {"change": "size_75", "prob_fake": 0.74, "band": "weak", "reason": None},
                {"change": "size_50", "prob_fake": None, "band": None, "reason": "no_face"},
            ],
        },
        {
            "number": 2,
            "box": [10.0, 20.0, 110.0, 150.3],
            "landmarks": [[40.0, 60.0], [80.0, 60.0], [60.0, 90.0], [45.0, 120.0], [75.0, 120.1]],
            "confidence": 0.9991,
            "turned_deg": 180,
            "size_px": 130.3,
            "sharpness": 9.0,
            "status": "no_verdict",
            "reason": "face_too_small",
            "band": None,
            "prob_fake": None,
            "range": None,
            "scores": [],
            "votes": None,
            "resaved": [],
        },
    ],
}

VIDEO = VideoVerdict(
    **COMMON,
    file="clip.mp4",
    kind="video",
    range=ProbRange(0.74, 0.87, "bootstrap"),
    coverage=Coverage(
        frames=48,
        duration_s=18.402,
        analysed_s=18.4,
        share=0.99991,
        start_s=0.251,
        part_s=(0.501, 18.0),
        scouted=120,
        incomplete=True,
        available_s=15.123,
        second_file=True,
        stopped=True,
    ),
    persons=(
        Person(
            number=1,
            status="ok",
            reason=None,
            band="strong",
            prob_fake=0.812349,
            range=ProbRange(0.74, 0.87, "bootstrap"),
            scores=(Score("resnet18", 0.812349, True, 0.79004, Thresholds(0.6, 0.79004, 0.9)),),
            on_screen_s=14.204,
            usable_frames=1,
            worst_window_s=(5.801, 9.1),
            worst_time_s=7.20049,
            timeline=(TimelinePoint(7.20049, FACE, 0.9, 0.85004), TimelinePoint(8.0, FACE, None, None)),
            stands_out=StandsOut(5.8004, 9.1, 12, 0.87, 0.06),
            photo_band="very_strong",
        ),
    ),
    band_cap=BandCap("strong", "too_few_clips", 160, 598, applied=True),
)
VIDEO_JSON: dict[str, Any] = {
    **COMMON_JSON,
    "file": "clip.mp4",
    "kind": "video",
    "range": {"low": 0.74, "high": 0.87, "kind": "bootstrap"},
    "coverage": {
        "frames": 48,
        "duration_s": 18.4,
        "analysed_s": 18.4,
        "share": 0.9999,
        "start_s": 0.25,
        "part_s": [0.5, 18.0],
        "scouted": 120,
        "incomplete": True,
        "available_s": 15.12,
        "second_file": True,
        "stopped": True,
    },
    "band_cap": {
        "band": "strong",
        "reason": "too_few_clips",
        "message": "Too few genuine videos were at hand to show that a stronger band keeps its promise. That takes at "
        "least 598 genuine persons; 160 were at hand.",
        "persons": 160,
        "needed": 598,
        "applied": True,
    },
    "persons": [
        {
            "number": 1,
            "status": "ok",
            "reason": None,
            "band": "strong",
            "prob_fake": 0.8123,
            "range": {"low": 0.74, "high": 0.87, "kind": "bootstrap"},
            "scores": [SCORE_JSON],
            "votes": None,
            "on_screen_s": 14.2,
            "usable_frames": 1,
            "worst_window_s": [5.8, 9.1],
            "worst_time_s": 7.2,
            "stands_out": {
                "start_s": 5.8,
                "end_s": 9.1,
                "frames": 12,
                "prob_inside": 0.87,
                "prob_outside": 0.06,
            },
            "photo_band": "very_strong",
            "timeline": [
                {"time_s": 7.2, "box": [10.0, 20.0, 110.0, 150.3], "prob_fake": 0.9, "smoothed": 0.85},
                {"time_s": 8.0, "box": [10.0, 20.0, 110.0, 150.3], "prob_fake": None, "smoothed": None},
            ],
        }
    ],
}

UNREADABLE = FileVerdict(
    file="notes.mp4",
    sha256="ef" * 32,
    kind="unknown",
    status="unreadable",
    reason="unsupported",
    message="This kind of file is not supported. Save it as JPEG, PNG or MP4.",
    band=None,
    prob_fake=None,
    range=None,
    width=None,
    height=None,
    coverage=None,
    ensemble="average",
    models=(),
    thresholds=None,
    version="0.1.0",
    weights_date="2026-12-02",
    date="2026-12-03T10:00:00Z",
)
UNREADABLE_JSON: dict[str, Any] = {
    "schema_version": "2.4",
    "file": "notes.mp4",
    "sha256": "ef" * 32,
    "kind": "unknown",
    "status": "unreadable",
    "reason": "unsupported",
    "message": "This kind of file is not supported. Save it as JPEG, PNG or MP4.",
    "band": None,
    "prob_fake": None,
    "range": None,
    "width": None,
    "height": None,
    "coverage": None,
    "ensemble": "average",
    "models": [],
    "thresholds": None,
    "version": "0.1.0",
    "weights_date": "2026-12-02",
    "date": "2026-12-03T10:00:00Z",
    "size_bytes": None,
    "engines": None,
    "max_frames": None,
    "measured": None,
    "provenance": None,
    "next_steps": [],
    "region": None,
    "tried": [],
}

CASES = [(IMAGE, IMAGE_JSON), (VIDEO, VIDEO_JSON), (UNREADABLE, UNREADABLE_JSON)]
IDS = ["image", "video", "unreadable"]


def test_the_version_is_pinned() -> None:
    assert SCHEMA_VERSION == "2.4"


def test_the_codes_are_pinned() -> None:
    assert BANDS == ("little", "weak", "strong", "very_strong")
    assert set(REASONS) == {
        "no_face",
        "raw",
        "outside",
        "face_too_small",
        "face_too_blurred",
        "too_few_frames",
        "empty",
        "unreadable",
        "unsupported",
        "too_large",
        "truncated",
        "no_video",
        "too_slow",
    }
    assert tuple(CHANGES) == ("jpeg_95", "jpeg_75", "jpeg_50", "size_75", "size_50", "crop")
    assert set(TRIED) == {"turned", "closer"}
    assert set(CAP_REASONS) == {"not_measured", "too_few_clips", "too_many_alarms"}


def test_a_cap_needs_a_band_below_the_strongest_and_a_known_reason() -> None:
    assert BandCap("weak", "not_measured", 0, None).message == CAP_REASONS["not_measured"]
    for band, reason in (("very_strong", "not_measured"), ("weak", "mood"), ("none", "not_measured")):
        with pytest.raises(ValueError, match="capped"):
            BandCap(band, reason, 0, None)  # type: ignore[arg-type]


def test_a_video_without_a_cap_says_so() -> None:
    assert dataclasses.replace(VIDEO, band_cap=None).to_dict()["band_cap"] is None


@pytest.mark.parametrize(("verdict", "expected"), CASES, ids=IDS)
def test_the_schema_is_pinned(verdict: FileVerdict, expected: dict[str, Any]) -> None:
    assert verdict.to_dict() == expected


@pytest.mark.parametrize(("verdict", "expected"), CASES, ids=IDS)
def test_json_gives_the_same_values_back(verdict: FileVerdict, expected: dict[str, Any]) -> None:
    line = to_json(verdict)
    assert "\n" not in line and line.isascii()
    assert json.loads(line) == expected
    assert json.loads(to_json(verdict, indent=2)) == expected


@pytest.fixture(scope="module")
def published(repo_root: Path) -> jsonschema.Draft202012Validator:
    """The schema as it is published, for programs that read the JSON."""
    schema = json.loads((repo_root / "detector" / "verdict.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize(("verdict", "expected"), CASES, ids=IDS)
def test_the_published_schema_describes_it(
    verdict: FileVerdict, expected: dict[str, Any], published: jsonschema.Draft202012Validator
) -> None:
    published.validate(expected)
    for key in expected:
        with pytest.raises(jsonschema.ValidationError):
            published.validate({k: v for k, v in expected.items() if k != key})
    with pytest.raises(jsonschema.ValidationError):
        published.validate({**expected, "another": 1})


def test_the_published_schema_knows_every_code(published: jsonschema.Draft202012Validator) -> None:
    image = published.schema["$defs"]["image"]["properties"]
    assert set(image["reason"]["enum"]) == {*REASONS, None} and image["band"]["enum"] == [*BANDS, None]
    assert published.schema["$defs"]["band_cap"]["properties"]["reason"]["enum"] == list(CAP_REASONS)


@pytest.mark.parametrize(("verdict", "expected"), CASES, ids=IDS)
def test_a_verdict_comes_back_from_its_json(verdict: FileVerdict, expected: dict[str, Any]) -> None:
    again = verdict_of(json.loads(to_json(verdict)))
    assert type(again) is type(verdict)
    assert again.to_dict() == expected


@pytest.mark.parametrize(
    "values", [{}, {"schema_version": "1.2"}, {"schema_version": "2.0"}, {**IMAGE_JSON, "faces": [{}]}]
)
def test_what_is_no_verdict_of_this_version_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"schema version 2\.4"):
        verdict_of(values)


def test_a_face_is_as_large_in_its_report_as_on_the_page() -> None:
    found = dataclasses.replace(FACE, box=(271.54, 0.0, 311.0, 20.0))
    read = dataclasses.replace(FACE, box=tuple(found.to_dict()["box"]))
    # 39.46 pixels, and 39.5 in JSON
    assert round(found.size_px) != round(read.size_px) and found.side_px == read.side_px


def test_a_name_that_no_encoding_can_hold_is_still_json() -> None:
    odd = dataclasses.replace(IMAGE, file="caf\u00e9 \udc80 \u2028.jpg")
    assert json.loads(to_json(odd))["file"] == odd.file


def test_a_value_that_json_cannot_hold_is_a_bug_not_a_file() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(dataclasses.replace(IMAGE, prob_fake=float("nan")))


@pytest.mark.parametrize(("verdict", "_expected"), CASES, ids=IDS)
def test_results_are_frozen(verdict: FileVerdict, _expected: dict[str, Any]) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        verdict.band = "little"  # type: ignore[misc]
