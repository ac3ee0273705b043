"""What was not looked at, and the check that would look at it."""

from dataclasses import replace
from typing import Any

import pytest

from app.look import Look
from app.unseen import unseen
from detector import Coverage, FileVerdict, ImageVerdict, VideoVerdict
from detector.stored import verdict_of
from tests.detector.test_schema import IMAGE_JSON, VIDEO_JSON


def _video(coverage: Coverage, **changes: Any) -> VideoVerdict:
    verdict = verdict_of({**VIDEO_JSON, "persons": [], "region": None})
    assert isinstance(verdict, VideoVerdict)
    return replace(verdict, **{"max_frames": 32, "coverage": coverage, **changes})


@pytest.mark.parametrize(
    ("coverage", "text", "look"),
    [
        (Coverage(32, 16.0, 16.0, 1.0), None, None),
        (Coverage(32, 34.0, 32.0, 0.94), None, None),
        (
            Coverage(32, 60.0, 32.0, 0.533),
            "A sample: 32 frames from start to end, 32.0 s of 60.0 s were looked at, 53 %.",
            Look(max_frames=64),
        ),
        (
            Coverage(32, 3600.0, 18.0, 0.005, scouted=61),
            "A sample: 32 frames from start to end, 18.0 s of 3600.0 s were looked at, under 1 %.",
            Look(max_frames=256),
        ),
        (
            Coverage(10, 12.4, 4.1, 0.33, stopped=True),
            "Stopped early, because reading this file took too much work: 4.1 s of 12.4 s were looked at, 33 %.",
            Look(start_s=4.1),
        ),
        (
            Coverage(32, 603.0, 8.0, 0.0133, start_s=3.0, part_s=(12.0, 20.0)),
            "Only the part from 12.0 to 20.0 s of 603.0 s was looked at, as asked.",
            Look(),
        ),
        (
            Coverage(32, 60.0, 31.2, 0.52, incomplete=True, available_s=31.2),
            "A part of the file is missing: 31.2 s of 60.0 s were looked at, 52 %. The file breaks off: look for a "
            "whole copy.",
            None,
        ),
        (
            Coverage(32, None, 16.0, 0.0),
            "A sample: 32 frames from start to end, how much that is of the whole is unknown.",
            None,
        ),
    ],
)
def test_of_a_video(coverage: Coverage, text: str | None, look: Look | None) -> None:
    found = unseen(_video(coverage))
    assert (found.text if found else None) == text
    assert (found.look if found else None) == look
    assert found is None or bool(found.button) == (look is not None)


def test_when_all_frames_that_can_be_chosen_were_looked_at_there_is_no_button() -> None:
    found = unseen(_video(Coverage(256, 3600.0, 140.0, 0.04), max_frames=256))
    assert found is not None and found.look is None and not found.button


def test_the_rest_of_a_video_begins_behind_the_last_frame_with_a_face() -> None:
    verdict = verdict_of(VIDEO_JSON)
    assert isinstance(verdict, VideoVerdict)
    last = max(point.time_s for person in verdict.persons for point in person.timeline)
    stopped = Coverage(3, last + 60, 0.5, 0.01, stopped=True)
    found = unseen(replace(verdict, coverage=stopped, region=None))
    assert found is not None and found.look == Look(start_s=max(last, 0.5))


def test_of_a_photo_only_a_chosen_part_is_worth_a_line() -> None:
    photo = verdict_of({**IMAGE_JSON, "region": None})
    assert isinstance(photo, ImageVerdict) and unseen(photo) is None
    found = unseen(replace(photo, region=(0.0, 0.0, 40.0, 40.0)))
    assert found is not None and found.look == Look() and found.button == "Check the whole picture"


def test_a_file_that_cannot_be_read_has_no_line() -> None:
    assert unseen(FileVerdict(**{f: getattr(verdict_of(IMAGE_JSON), f) for f in _FIELDS})) is None


_FIELDS = tuple(f for f in FileVerdict.__dataclass_fields__ if f != "region")
