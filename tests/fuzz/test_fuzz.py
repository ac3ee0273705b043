"""The fuzzer's own parts: its files are whole ones, and it notices a child that dies and a mistake."""

import os

import pytest

from detector import apart
from detector.apart import iter_frames, read_image
from detector.media import sniff_kind
from tests.fuzz.__main__ import wrong_with
from tests.fuzz.seeds import seeds


def test_it_starts_from_whole_files_of_every_kind() -> None:
    for name, data in seeds().items():
        if sniff_kind(data[:4096]) == "video":
            assert len(list(iter_frames(data))) >= 7, name
        else:
            assert read_image(data).shape == (96, 96, 3), name


def test_it_notices_what_must_not_happen(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = seeds()["exif.jpg"]
    assert wrong_with(photo) is None and wrong_with(photo[:500]) is None
    read = apart.iter_pictures

    def killed(data: bytes, limit: int) -> object:
        with apart._children.one() as child:
            child.start()
            assert child.pid is not None
            os.kill(child.pid, 9)
            apart._asked(child, {"next": 0, "most": 1})
        return read(data, limit)

    monkeypatch.setattr(apart, "iter_pictures", killed)
    assert "died" in str(wrong_with(photo))

    def mistaken(data: bytes, limit: int) -> object:
        with apart._children.one() as child:
            apart._asked(child, {"do": "nothing", "args": {}, "path": "/"})
        return read(data, limit)

    monkeypatch.setattr(apart, "iter_pictures", mistaken)
    assert "KeyError" in str(wrong_with(photo))
