"""What a browser may ask for when a file is looked at once more."""

import pytest

from app.look import Look, look_of

_WHOLE = {"region": None, "start": 0, "end": 6.0, "frames": 32}


@pytest.mark.parametrize(
    ("asked", "look"),
    [
        (_WHOLE, None),
        ({**_WHOLE, "start": 2}, Look(start_s=2.0, end_s=6.0)),
        ({**_WHOLE, "start": 1.5, "end": 99}, Look(start_s=1.5, end_s=6.0)),
        ({**_WHOLE, "frames": 128}, Look(max_frames=128)),
        ({**_WHOLE, "frames": 129}, None),
        ({**_WHOLE, "start": 4, "end": 2}, None),
        ({**_WHOLE, "start": "2"}, None),
        ({**_WHOLE, "region": [0.1, 0.2, 0.5, 0.9]}, Look(region=(0.1, 0.2, 0.5, 0.9))),
        ({**_WHOLE, "region": [0, 0, 1, 1]}, None),
        ("all of it", None),
        (None, None),
    ],
)
def test_of_a_video(asked: object, look: Look | None) -> None:
    assert look_of(asked, 6.0) == look


@pytest.mark.parametrize(
    ("region", "look"),
    [
        ([0.25, 0.25, 0.75, 0.75], Look(region=(0.25, 0.25, 0.75, 0.75))),
        ([-0.5, 0.25, 0.75, 7], Look(region=(0.0, 0.25, 0.75, 1.0))),
        ([0.5, 0.5, 0.51, 0.9], None),
        ([0.5, 0.5, 0.4, 0.9], None),
        ([0.5, 0.5, 0.9], None),
        ([0.5, 0.5, 0.9, None], None),
        ([0.5, 0.5, 0.9, True], None),
        (None, None),
    ],
)
def test_of_a_photo_the_region_alone(region: object, look: Look | None) -> None:
    assert look_of({"region": region, "start": 1, "end": 2, "frames": 64}, None) == look


def test_only_what_is_unusual_is_told_and_said() -> None:
    assert Look().options() == {} and Look().in_words == []
    look = Look(start_s=2.0, end_s=4.0, max_frames=64, region=(0.0, 0.0, 0.5, 0.5))
    assert look.options() == {"start_s": 2.0, "end_s": 4.0, "max_frames": 64, "region": (0.0, 0.0, 0.5, 0.5)}
    assert look.in_words == ["2.0 to 4.0 s", "64 frames", "a part of the picture"]
    assert Look(start_s=3.0).in_words == ["from 3.0 s on"]
