"""`python -m train sources` on repositories made here: crops, tiles, history, repetitions, groups, and what trains."""

import csv
import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.faces.detect import FaceDetector
from detector.media import read_image
from train.__main__ import main
from train.data.datasets.pack import read_packs
from train.data.mirrors import index
from train.data.mirrors.pictures import (
    MAX_CROP_PX,
    compression_of,
    cut_faces,
    parts_of,
    same_history,
)
from train.data.mirrors.store import part_file
from train.data.sources import load_samples
from train.errors import DataError

HEAD = "slice,label,kind,method,genre,repository,files,take,part,group,split,cap,jpeg,train,val,test,licence,note"
Row = str
MakeTable = Callable[..., Path]


def encoded(picture: np.ndarray, ending: str = ".jpg", quality: int = 90) -> bytes:
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality] if ending == ".jpg" else []
    return cv2.imencode(ending, picture[..., ::-1], settings)[1].tobytes()


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def mirrors(tmp_path_factory: pytest.TempPathFactory, portrait_path: Path) -> Path:
    """Two repositories. p/one: a.jpg, removed.jpg (in history alone), two tiles in pair.png, case1/out.png, notes.txt.
    p/two: a smaller, harder compressed copy of a.jpg, and a pointer in place of a file."""
    root = tmp_path_factory.mktemp("mirrors")
    face = read_image(portrait_path)[:320, 80:400]
    mirrored = np.ascontiguousarray(face[:, ::-1])
    turned, back = (
        cv2.warpAffine(face, cv2.getRotationMatrix2D((160, 160), angle, 1), (320, 320), borderMode=cv2.BORDER_REFLECT)
        for angle in (16, -16)
    )
    one, two = root / "w1", root / "w2"
    for folder in (one, two):
        (folder / "case1").mkdir(parents=True)
        git(folder, "init", "-q")
    (one / "a.jpg").write_bytes(encoded(face))
    (one / "removed.jpg").write_bytes(encoded(mirrored))
    (one / "notes.txt").write_text("no picture")
    git(one, "add", "-A")
    git(one, "commit", "-m", "first")
    (one / "removed.jpg").unlink()
    (one / "pair.png").write_bytes(encoded(np.hstack([mirrored, back]), ".png"))
    (one / "case1" / "out.png").write_bytes(encoded(turned, ".png"))
    git(one, "add", "-A")
    git(one, "commit", "-m", "second")
    (two / "copy.jpg").write_bytes(encoded(cv2.resize(face, (240, 240), interpolation=cv2.INTER_AREA), quality=60))
    (two / "pointer.jpg").write_text("version https://git-lfs.github.com/spec/v1\n")
    git(two, "add", "-A")
    git(two, "commit", "-m", "first")
    for folder, name in ((one, "p+one"), (two, "p+two")):
        git(folder, "clone", "-q", "--bare", str(folder), str(root / name))
    return root


@pytest.fixture
def table(tmp_path: Path) -> MakeTable:
    """Writes a table of these rows."""

    def write(*rows: Row) -> Path:
        path = tmp_path / "sources.csv"
        path.write_text("\n".join((HEAD, *rows, "")))
        return path

    return write


PHOTOS = "photos,real,real,none,event,p/one,^(a|removed).jpg$,pictures,,file,train,,,,,,none,"
COPY = "copies,real,real,none,web,p/two,\\.jpg$,pictures,,file,{split},,,,,,none,"
CASE = "cases,fake,synthesis,G,,p/one,out\\.png$,gallery,,(case\\d)/,train,,,,,,none,"
TILE = "tiles,fake,edit,E,,p/one,pair\\.png$,pictures,0.5 0 1 1,source,train,,,,,,none,"


def take(mirrors: Path, out: Path, table: Path, *more: str) -> int:
    return main(
        ["sources", "--mirrors", str(mirrors), "--out", str(out), "--table", str(table), "--workers", "1", *more]
    )


def read(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_faces_pictures_and_history_are_taken_and_load(mirrors: Path, tmp_path: Path, table: MakeTable) -> None:
    out = tmp_path / "out"
    assert take(mirrors, out, table(PHOTOS, CASE, TILE)) == 0
    faces = read(out / "faces.csv")
    assert {(f["slice"], f["label"], f["original"], f["group"]) for f in faces} == {
        ("photos", "real", "a.jpg", "photos/a.jpg"),
        ("photos", "real", "removed.jpg", "photos/removed.jpg"),
        ("cases", "fake", "case1/out.png", "cases/case1"),
        ("tiles", "fake", "pair.png", "tiles"),
    }
    for face in faces:
        crop = read_image(out / face["path"])
        assert crop.shape == (int(face["height"]), int(face["width"]), 3)
        assert abs(int(face["width"]) - 1.5 * int(face["native_face_px"])) <= 2
    assert {f["compression"] for f in faces if f["label"] == "real"} == {"jpeg:90"}
    assert all(f["compression"].startswith("png>jpeg:") for f in faces if f["label"] == "fake")
    # a tile is no whole picture
    assert {p["original"] for p in read(out / "pictures.csv")} == {"a.jpg", "removed.jpg", "case1/out.png"}
    rows = read_packs(out)
    assert {(s.source, s.label, s.split) for s in rows} == {
        ("photos", 0, "train"), ("cases", 1, "train"), ("tiles", 1, "train"),
    }  # fmt: skip


def test_a_second_run_takes_nothing_again_and_writes_the_same(
    mirrors: Path, tmp_path: Path, table: MakeTable, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    rows = table(PHOTOS, COPY.format(split="train"))
    assert take(mirrors, out, rows, "--only", "photos") == 0
    assert "p/two" not in capsys.readouterr().out
    first = {p: p.read_bytes() for p in (out / "faces").rglob("*.jpg")}
    assert take(mirrors, out, rows) == 0
    said = capsys.readouterr().out
    assert "p/two: 1 faces" in said and "1 unreadable" in said and "p/one:" not in said
    assert {p: p.read_bytes() for p in first} == first
    before = (out / "faces.csv").read_bytes()
    part_file(out, "p/one").unlink()
    assert take(mirrors, out, rows) == 0
    assert (out / "faces.csv").read_bytes() == before


@pytest.mark.parametrize(("split", "stays"), [("train", "photos"), ("val", "copies"), ("test", "copies")])
def test_a_copy_stays_once_in_the_split_that_needs_it_more(
    mirrors: Path, tmp_path: Path, table: MakeTable, split: str, stays: str
) -> None:
    out = tmp_path / "out"
    # equals are told apart by their names, so training keeps the first path
    stays = min("photos", "copies") if split == "train" else stays
    assert take(mirrors, out, table(PHOTOS, COPY.format(split=split))) == 0
    originals = {f["original"] for f in read(out / "faces.csv")}
    assert "removed.jpg" in originals
    assert originals & {"a.jpg", "copy.jpg"} == {"copy.jpg" if stays == "copies" else "a.jpg"}
    assert [r["reason"] for r in read(out / "left_out.csv")] == ["looks like another"]


def test_whatever_is_in_the_packs_is_left_out(mirrors: Path, tmp_path: Path, table: MakeTable) -> None:
    out, packs = tmp_path / "out", tmp_path / "packs"
    assert take(mirrors, packs, table(COPY.format(split="test"))) == 0
    assert take(mirrors, out, table(PHOTOS), "--packs", str(packs)) == 0
    assert {f["original"] for f in read(out / "faces.csv")} == {"removed.jpg"}
    assert [(r["original"], r["reason"]) for r in read(out / "left_out.csv")] == [("a.jpg", "in the packs")]


def test_rejected_files_leave_with_their_picture(
    mirrors: Path, tmp_path: Path, table: MakeTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, rows = tmp_path / "out", table(PHOTOS)
    assert take(mirrors, out, rows) == 0
    blob = next(f["blob"] for f in read(out / "faces.csv") if f["original"] == "a.jpg")
    monkeypatch.setattr(index, "REJECTED", tmp_path / "rejected.txt")
    (tmp_path / "rejected.txt").write_text(f"{blob}\n")
    assert take(mirrors, out, rows, "--index_only") == 0
    for name in ("faces.csv", "pictures.csv"):
        assert {f["original"] for f in read(out / name)} == {"removed.jpg"}


def test_a_group_in_two_splits_is_refused(
    mirrors: Path, tmp_path: Path, table: MakeTable, capsys: pytest.CaptureFixture[str]
) -> None:
    same_group = "{name},real,real,none,,{repo},a.jpg|copy.jpg,pictures,,(.) => anna,{split},,,,,,none,"
    rows = table(
        same_group.format(name="x", repo="p/one", split="train"), same_group.format(name="y", repo="p/two", split="val")
    )
    assert take(mirrors, tmp_path / "out", rows) == 1
    assert "'anna' is in train and val" in capsys.readouterr().err


def test_a_cap_and_an_unknown_slice(
    mirrors: Path, tmp_path: Path, table: MakeTable, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = table(PHOTOS.replace(",file,train,,", ",file,train,1,"))
    assert take(mirrors, tmp_path / "out", rows) == 0
    assert len(read(tmp_path / "out" / "faces.csv")) == 1
    assert take(mirrors, tmp_path / "out", rows, "--only", "nothing") == 1
    assert "no slice nothing" in capsys.readouterr().err


def test_folders_that_share_a_picture_or_a_group_do_not_load_together(
    mirrors: Path, tmp_path: Path, table: MakeTable
) -> None:
    out = tmp_path / "out"
    assert take(mirrors, out, table(PHOTOS, CASE)) == 0
    plain = tmp_path / "plain"
    for split in ("train", "val"):
        for name in ("real", "fake"):
            folder = plain / split / name
            folder.mkdir(parents=True)
            (folder / f"{split}{name}_1.jpg").write_bytes(next((out / "faces").rglob("*.jpg")).read_bytes())
    assert {s.source for s in load_samples(plain, 0, more=[out])} >= {"photos", "cases"}
    with pytest.raises(DataError, match="give each folder once"):
        load_samples(plain, 0, more=[out, out])
    with pytest.raises(DataError, match=r"has no faces\.csv"):
        load_samples(plain, 0, more=[tmp_path])


def test_large_faces_keep_at_most_448_px_and_small_ones_are_not_enlarged(portrait_path: Path) -> None:
    picture = read_image(portrait_path)
    for scale in (0.5, 1.0, 5.0):
        image = cv2.resize(picture, None, fx=scale, fy=scale)
        (crop, *_) = cut_faces(image, FaceDetector().detect([image])[0], 20)
        assert crop.image.shape[0] == min(MAX_CROP_PX, round(crop.face_px * 1.5))
        assert 0 <= crop.outside < 0.5


def test_parts_of_a_frame() -> None:
    frame = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    assert [p.shape for p in parts_of(frame, "")] == [(6, 8, 3)]
    (left,) = parts_of(frame, "0 0 0.5 1")
    assert np.array_equal(left, frame[:, :4])
    tiles = list(parts_of(frame, "grid 1 0 3 3 4 3"))
    assert len(tiles) == 4 and np.array_equal(tiles[1], frame[:3, 5:8])


def test_compression_is_read_and_lossless_pictures_are_saved_once(portrait_path: Path) -> None:
    picture = np.ascontiguousarray(read_image(portrait_path)[:64, :64])
    assert compression_of(encoded(picture, quality=73)) == "jpeg:73"
    assert compression_of(encoded(picture, ".png")) == "png"
    assert compression_of(b"nothing") == "unknown"
    assert same_history(picture, "jpeg:60", "", "s")[0] is picture
    once, said = same_history(picture, "png", "", "s")
    assert said.startswith("png>jpeg:") and 75 <= int(said.rpartition(":")[2]) <= 95
    assert np.array_equal(once, same_history(picture, "png", "", "s")[0])
    assert same_history(picture, "jpeg:95", "all 75-75", "s")[1] == "jpeg:95>jpeg:75"
