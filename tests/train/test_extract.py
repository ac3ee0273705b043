"""Faces out of videos: cut, resumed after a kill, trained on."""

import csv
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import cv2
import numpy as np
import pytest

from detector.faces.align import MARGIN
from detector.media import read_image
from detector.video import iter_frames
from train.__main__ import main
from train.data import extract
from train.data.datasets.clips import Clip
from train.data.extract import Cutting, extract_faces
from train.data.sources import load_clips, load_samples
from train.errors import DataError
from train.measure.same_frames import frame_figures, moment, store_frames

CUTTING = Cutting(frames=3, margin=1.5, size_px=200, min_face_px=40, quality=95)
TABLE_HEAD = "path,pack,label,method,slice,group,split,width,height,native_face_px,video,time_s"


def write_video(path: Path, picture: np.ndarray, frames: int = 6) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=Fraction(6), options={"preset": "ultrafast", "crf": "12"})
        stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], "yuv420p"
        for i in range(frames):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.roll(picture, i, axis=1), format="rgb24")))
        out.mux(stream.encode(None))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, portrait_path: Path) -> Path:
    """Six videos with a face, one without, one that is none."""
    root = tmp_path_factory.mktemp("videos")
    picture = cv2.cvtColor(cv2.imread(str(portrait_path)), cv2.COLOR_BGR2RGB)[:320, 80:400]
    for split in ("train", "val", "test"):
        for name in ("real", "fake"):
            write_video(root / split / name / "a.mp4", picture if name == "real" else 255 - (255 - picture) // 2)
    write_video(root / "train" / "real" / "empty.mp4", np.full((64, 64, 3), 90, np.uint8))
    (root / "train" / "fake" / "broken.mp4").write_bytes(b"\0\0\0\x18ftypmp42 and nothing more")
    return root


@pytest.fixture
def clips(videos: Path) -> list[Clip]:
    return load_clips(videos, 0).clips


def files_of(out: Path) -> dict[str, bytes]:
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def whole(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All faces, cut out without a break."""
    out = tmp_path_factory.mktemp("out") / "faces"
    extract_faces(load_clips(videos, 0).clips, out, CUTTING, workers=1)
    return out


def test_faces_are_cut_with_the_products_detector_and_keep_what_is_known(whole: Path, clips: list[Clip]) -> None:
    rows = list(csv.DictReader((whole / "faces.csv").read_text().splitlines()))
    assert (whole / "faces.csv").read_text().splitlines()[0] == TABLE_HEAD
    assert len(rows) == 6 * 3
    assert {(r["label"], r["split"], r["slice"], r["method"]) for r in rows} == {
        (label, split, "videos0", method)
        for label, method in (("real", "none"), ("fake", "unknown"))
        for split in ("train", "val", "test")
    }
    times = [float(r["time_s"]) for r in rows[:3]]
    assert 0 < times[0] < 0.34 < times[1] < 0.6 < times[2] < 1
    for row in rows:
        picture = read_image(whole / row["path"])
        assert picture.shape[:2] == (int(row["height"]), int(row["width"]))
        assert int(row["width"]) == min(200, round(1.5 * int(row["native_face_px"]))) or int(row["width"]) < 200
    skipped = list(csv.DictReader((whole / "skipped.csv").read_text().splitlines()))
    assert [r["video"] for r in skipped] == ["train/fake/broken.mp4", "train/real/empty.mp4"]
    assert skipped[0]["reason"] in ("truncated", "unreadable") and skipped[1]["reason"] == "no_face"
    assert str(clips[0].path.parent) not in "".join((whole / n).read_text() for n in ("faces.csv", "skipped.csv"))


def test_what_comes_out_is_what_training_takes(whole: Path, videos: Path) -> None:
    samples = load_samples(whole, 0)
    groups = {c.group for c in load_clips(videos, 0).clips}
    assert len(samples) == 18 and {s.group for s in samples} < groups
    assert all(s.member is None and len(s.read()) > 1000 for s in samples)
    with pytest.raises(DataError, match="is not there"):
        (whole / samples[0].name).rename(whole / "away")
        try:
            load_samples(whole, 0)
        finally:
            (whole / "away").rename(whole / samples[0].name)


def test_finished_videos_are_not_done_again(
    whole: Path, clips: list[Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "faces"
    stored, done = extract._store, []

    def killed(folder: Path, *rest: object) -> dict[str, object]:
        done.append(folder.name)
        if len(done) == 8:  # in the middle of the third video
            raise KeyboardInterrupt
        return stored(folder, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(extract, "_store", killed)
    with pytest.raises(KeyboardInterrupt):
        extract_faces(clips, out, CUTTING, workers=1)
    assert not (out / "faces.csv").exists()
    with pytest.raises(DataError, match="does not hold all its faces"):
        load_samples(out, 0)
    before = {n: p.stat().st_mtime_ns for n in files_of(out) if (p := out / n).name == "clip.json"}
    assert len(before) >= 2 and list(out.rglob("*.partial"))

    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(extract, "_store", stored)
    extract_faces(clips, out, CUTTING, workers=1, on_progress=lambda *at: asked.append(at))
    assert asked[-1] == (len(clips) - len(before), len(clips) - len(before))
    assert all((out / n).stat().st_mtime_ns == at for n, at in before.items())
    assert files_of(out) == files_of(whole)
    # a third time there is only the unreadable one to try
    asked.clear()
    extract_faces(clips, out, CUTTING, workers=1, on_progress=lambda *at: asked.append(at))
    assert asked == [(1, 1)] and files_of(out) == files_of(whole)


@pytest.mark.slow
def test_a_killed_process_leaves_nothing_half_done(
    whole: Path, videos: Path, clips: list[Clip], tmp_path: Path
) -> None:
    """SIGKILL, as the memory manager of the system does it, in the middle of a picture."""
    out = tmp_path / "faces"
    code = f"""
import os, signal
from pathlib import Path
from train.data import extract
from train.data.sources import load_clips
stored, count = extract._store, 0
def store(folder, *rest):
    global count
    count += 1
    row = stored(folder, *rest)
    if count == 5:
        file = folder / row["file"]
        file.write_bytes(file.read_bytes()[:100])
        os.kill(os.getpid(), signal.SIGKILL)
    return row
extract._store = store
extract.extract_faces(load_clips(Path({str(videos)!r}), 0).clips, Path({str(out)!r}), extract.{CUTTING!r}, workers=1)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(extract.__file__).parents[2])}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == -signal.SIGKILL
    assert sum(p.name == "clip.json" for p in out.rglob("*")) == 1
    extract_faces(clips, out, CUTTING, workers=1)
    assert files_of(out) == files_of(whole)


def test_a_folder_is_not_filled_in_two_ways(whole: Path, clips: list[Clip], tmp_path: Path) -> None:
    before = files_of(whole)
    with pytest.raises(DataError, match="choose another --out"):
        extract_faces(clips, whole, replace(CUTTING, margin=2.0), workers=1)
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(DataError, match="holds something else"):
        extract_faces(clips, tmp_path, CUTTING, workers=1)
    assert files_of(whole) == before and files_of(tmp_path) == {"letter.txt": b"dear"}
    outside = replace(clips[0], name="../outside.mp4")
    with pytest.raises(DataError, match="outside"):
        extract_faces([outside], tmp_path / "new", CUTTING, workers=1)


def test_the_command(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "faces"
    arguments = ["faces", "--data_root", str(videos), "--out", str(out), "--frames", "1", "--workers", "1"]
    assert main([*arguments, "--only", "*/a.mp4"]) == 0
    said = capsys.readouterr().out
    assert "6 videos" in said and "train: 1 genuine, 1 manipulated" in said
    assert "6 faces of 6 videos in faces/" in said and "python -m train cnn --data_root faces" in said
    assert json.loads((out / "extraction.json").read_text())["margin"] >= MARGIN
    assert main([*arguments, "--only", "*.avi"]) == 1
    assert "one is called" in capsys.readouterr().err
    assert main([*arguments, "--frames", "2"]) == 1
    assert "choose another --out" in capsys.readouterr().err


def test_videos_without_any_face_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "grey.mp4"
    write_video(path, np.full((64, 64, 3), 90, np.uint8))
    clip = Clip(path, 0, "s", "g", "train", "none", "grey.mp4")
    with pytest.raises(DataError, match="no face was found in any of 1 videos"):
        extract_faces([clip], tmp_path / "out", CUTTING, workers=1)
    assert "grey.mp4,no_face" in (tmp_path / "out" / "skipped.csv").read_text()


def test_frames_that_the_product_looks_at_are_stored_as_training_faces(clips: list[Clip], tmp_path: Path) -> None:
    chosen = [c for c in clips if c.path.name == "a.mp4"]
    stored = store_frames(chosen, 3, tmp_path, workers=1)
    assert set(stored) == {moment(c, f.time_s) for c in chosen for f in iter_frames(c.path, max_frames=3)}
    for (name, _), sample in stored.items():
        clip = next(c for c in chosen if c.name == name)
        assert (sample.label, sample.source, sample.group) == (clip.label, clip.source, clip.group)
        picture = read_image(sample.read())
        assert picture.shape[0] == picture.shape[1] <= 240


def _judged(*probs: float | None) -> Any:
    """What stands for a video: one person, a frame a second."""
    return SimpleNamespace(
        persons=(SimpleNamespace(timeline=[SimpleNamespace(time_s=t, prob_fake=p) for t, p in enumerate(probs)]),)
    )


def test_product_and_loader_are_compared_on_the_frames_that_both_judged(clips: list[Clip]) -> None:
    genuine, fake = replace(clips[0], label=0, name="g"), replace(clips[0], label=1, name="f")
    verdicts = [_judged(0.2, 0.4, None, 0.99), _judged(0.3, 0.9, 0.8, 0.1)]
    by_loader = {(n, float(t)): 0.0 for n in "gf" for t in range(3)} | {("f", 1.0): 2.0, ("g", 0.0): -1.0}
    found = frame_figures([genuine, fake], verdicts, by_loader)
    # genuine .2 .4 against .3 .9 .8 (the fourth frames have no loader): 5 of 6 pairs; loader -1 0 against 0 2 0: 5 of 6
    assert found["frames"] == 5 and found["product"] == found["loader"] == 0.8333
    assert found["difference"] == {"value": 0.0, "low": None, "high": None, "n": 5}, "two persons are too few"
    many = [replace(c, group=f"p{i}", name=f"{c.name}{i}") for i in range(6) for c in (genuine, fake)]
    scores = {(c.name, float(t)): float(c.label) for c in many for t in range(3)}
    better = frame_figures(many, verdicts * 6, scores)
    assert better["loader"] == 1.0 and better["difference"]["value"] == -0.1667
    assert better["difference"]["low"] <= -0.1667 <= better["difference"]["high"] < 0
    assert frame_figures([genuine], verdicts[:1], by_loader)["difference"] is None
