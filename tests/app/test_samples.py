"""The cards of the samples promise what the published networks really say."""

from pathlib import Path

import pytest

from app.components.samples import SAMPLES, Sample, lesson_of
from detector import Detector

_FOLDER = Path(__file__).parents[2] / "app" / "samples"
_SAID = {
    "hopper.jpg": "genuine, and nothing was found",
    "astronaut.jpg": "genuine, and nothing was found",
    "astronaut_edited.jpg": "This version finds it.",
    "clip.mp4": "says which part stands out",
    "two_portraits.jpg": "This version misses it",
}


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: str(sample.file))
def test_the_published_networks_say_what_the_card_promises(sample: Sample, detector: Detector) -> None:
    assert _SAID[sample.file] in lesson_of(sample, detector.file(_FOLDER / sample.file))


def test_one_is_genuine_one_is_caught_one_is_missed_and_every_file_has_its_source_written_down() -> None:
    cards = [_SAID[sample.file] for sample in SAMPLES if sample.title]
    assert {said.split()[0] for said in cards} == {"genuine,", "This", "says"}
    assert any("finds" in said for said in cards) and any("misses" in said for said in cards)
    notes = (_FOLDER / "LICENSE.md").read_text()
    files = {path.name for path in _FOLDER.iterdir()} - {"LICENSE.md"}
    assert files == {sample.file for sample in SAMPLES}
    assert all(f"`{name}`" in notes for name in files)
