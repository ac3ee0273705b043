"""Public data sets: each read from a tiny folder laid out as its publisher does it, whole and broken."""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from train.data.datasets.clips import Clip
from train.data.samples import check_groups, split_by_person
from train.data.sources import load_clips, load_samples
from train.errors import DataError


def touch(root: Path, names: Iterable[str]) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def splits_of(items: Iterable[Any]) -> dict[str, set[str]]:
    found = defaultdict(set)
    for item in items:
        found[item.group].add(item.split)
    return found


def by_name(clips: Sequence[Clip]) -> dict[str, Clip]:
    assert len({c.name for c in clips}) == len(clips)
    return {c.name: c for c in clips}


# FaceForensics++


FFPP = {"train": [["000", "003"], ["010", "011"]], "val": [["020", "021"]], "test": [["033", "030"]]}


@pytest.fixture
def ffpp(tmp_path: Path) -> Path:
    root = tmp_path / "FaceForensics++"
    for quality in ("c23", "c40"):
        for pair in (p for pairs in FFPP.values() for p in pairs):
            touch(root, (f"original_sequences/youtube/{quality}/videos/{v}.mp4" for v in pair))
            for method in ("Deepfakes", "NeuralTextures"):
                folder = f"manipulated_sequences/{method}/{quality}/videos"
                touch(root, (f"{folder}/{'_'.join(p)}.mp4" for p in (pair, pair[::-1])))
    touch(root, ["manipulated_sequences/Deepfakes/masks/videos/000_003.mp4"])
    for split, pairs in FFPP.items():
        touch(root, [f"splits/{split}.json"])
        (root / "splits" / f"{split}.json").write_text(json.dumps(pairs))
    return root


def test_ffpp_keeps_its_official_split_and_its_pairs_together(ffpp: Path) -> None:
    found = load_clips(ffpp, 0)
    clips = by_name(found.clips)
    assert found.dataset == "FaceForensics++" and found.notes == ()
    # four pairs in two qualities, two originals and two swaps by two methods each
    assert len(clips) == 4 * 2 * (2 + 4) and not any("masks" in name for name in clips)
    assert Counter(c.split for c in found.clips) == {"train": 24, "val": 12, "test": 12}
    fake = clips["manipulated_sequences/NeuralTextures/c40/videos/030_033.mp4"]
    real = clips["original_sequences/youtube/c23/videos/033.mp4"]
    assert (fake.label, fake.method, fake.source, fake.split) == (1, "NeuralTextures", "ffpp-c40", "test")
    assert (real.label, real.method, real.source, real.split) == (0, "none", "ffpp-c23", "test")
    assert fake.group == real.group and len(splits_of(found.clips)) == 4
    check_groups(found.clips)


def test_ffpp_that_is_broken_says_what_is_missing(ffpp: Path) -> None:
    first = ffpp / "manipulated_sequences/Deepfakes/c23/videos/020_021.mp4"
    first.unlink()
    with pytest.raises(DataError, match=r"48 videos, of which 1 are not there.*020_021.*--allow_missing"):
        load_clips(ffpp, 0)
    found = load_clips(ffpp, 0, allow_missing=True)
    assert len(found.clips) == 47 and "1 videos" in found.notes[0]
    (ffpp / "splits/val.json").write_text("{}nonsense")
    with pytest.raises(DataError, match=r"val\.json is not a list of pairs"):
        load_clips(ffpp, 0)
    (ffpp / "splits/val.json").unlink()
    with pytest.raises(DataError, match=r"splits/val\.json is missing.*ondyari/FaceForensics"):
        load_clips(ffpp, 0)


def test_ffpp_wants_both_classes_in_one_quality(ffpp: Path) -> None:
    (ffpp / "original_sequences/youtube/c40").rename(ffpp / "original_sequences/youtube/away")
    with pytest.raises(DataError, match="ffpp-c40 has one class only"):
        load_clips(ffpp, 0)
    (ffpp / "original_sequences").rename(ffpp / "away")
    with pytest.raises(DataError, match="no genuine video"):
        load_clips(ffpp, 0)


def test_actors_of_deepfakedetection_are_split_by_person(tmp_path: Path) -> None:
    actors = [f"{i:02d}" for i in range(1, 15)]
    touch(tmp_path, (f"original_sequences/actors/c23/videos/{a}__walk_down_hall.mp4" for a in actors))
    touch(
        tmp_path,
        (
            f"manipulated_sequences/DeepFakeDetection/c23/videos/{a}_{b}__walk_down_hall__YVGY8LOK.mp4"
            for a in actors
            for b in actors
            if a != b
        ),
    )
    found = load_clips(tmp_path, 0)
    homes = defaultdict(set)
    for clip in found.clips:
        for person in clip.path.stem.split("__")[0].split("_"):
            homes[person].add(clip.split)
    assert len(homes) == 14 and all(len(h) == 1 for h in homes.values())
    for split in ("train", "val", "test"):
        assert {c.label for c in found.clips if c.split == split} == {0, 1}
    assert f"{14 + 14 * 13 - len(found.clips)} videos of DeepFakeDetection" in found.notes[0]


# Celeb-DF v2


@pytest.fixture
def celebdf(tmp_path: Path) -> Path:
    root = tmp_path / "Celeb-DF-v2"
    persons = range(12)
    touch(root, (f"Celeb-real/id{p}_000{v}.mp4" for p in persons for v in range(2)))
    touch(
        root,
        (f"Celeb-synthesis/id{p}_id{q}_000{v}.mp4" for p in persons for q in persons if p != q for v in range(2)),
    )
    touch(root, (f"YouTube-real/{v:05d}.mp4" for v in range(10)))
    test = ["1 YouTube-real/00007.mp4", "1 Celeb-real/id3_0001.mp4", "0 Celeb-synthesis/id3_id5_0001.mp4"]
    (root / "List_of_testing_videos.txt").write_text("\n".join(test) + "\n")
    return root


def test_celebdf_keeps_its_test_list_and_nothing_of_it_in_training(celebdf: Path) -> None:
    found = load_clips(celebdf, 0)
    clips = by_name(found.clips)
    test = {name for name, c in clips.items() if c.split == "test"}
    assert test == {"YouTube-real/00007.mp4", "Celeb-real/id3_0001.mp4", "Celeb-synthesis/id3_id5_0001.mp4"}
    assert clips["Celeb-synthesis/id3_id5_0001.mp4"].label == 1 and clips["Celeb-real/id3_0001.mp4"].label == 0
    # the other ten swaps of that test video are in no split
    assert not any(n.startswith("Celeb-synthesis/id3_") and n.endswith("_0001.mp4") for n in clips.keys() - test)
    assert found.notes[0].startswith("10 videos")
    check_groups(found.clips)
    homes = defaultdict(set)
    for name, clip in clips.items():
        if clip.split != "test" and name.startswith("Celeb"):
            for person in Path(name).stem.split("_")[:-1]:
                homes[person].add(clip.split)
    assert all(len(h) == 1 for h in homes.values()) and {"train"} in homes.values() and {"val"} in homes.values()
    assert {c.label for c in found.clips if c.split == "val"} == {0, 1}
    assert load_clips(celebdf, 0) == found and load_clips(celebdf, 1) != found


def test_celebdf_that_is_broken_says_what_is_wrong(celebdf: Path) -> None:
    listing = celebdf / "List_of_testing_videos.txt"
    text = listing.read_text()
    for change, words in (
        ("0 Celeb-real/id1_0000.mp4\n", "not understood"),
        ("1 Celeb-real/id1_0009.mp4\n", r"1 are not there.*id1_0009"),
        (None, r"is missing.*test set"),
    ):
        if change is None:
            listing.unlink()
        else:
            listing.write_text(text + change)
        with pytest.raises(DataError, match=words):
            load_clips(celebdf, 0)
    listing.write_text("\n")
    with pytest.raises(DataError, match="is empty"):
        load_clips(celebdf, 0)
    listing.write_text(text)
    touch(celebdf, ["Celeb-real/holiday.mp4"])
    with pytest.raises(DataError, match=r"holiday\.mp4 is not named"):
        load_clips(celebdf, 0)
    (celebdf / "Celeb-real/holiday.mp4").unlink()
    (celebdf / "YouTube-real").rename(celebdf / "away")
    with pytest.raises(DataError, match="YouTube-real/ is missing"):
        load_clips(celebdf, 0)


# DFDC


def make_dfdc(root: Path, parts: int, videos: int = 4) -> None:
    for part in range(parts):
        folder = root / f"dfdc_train_part_{part}"
        rows: dict[str, dict[str, str]] = {}
        for v in range(videos):
            original = f"real{part}x{v}.mp4"
            rows[original] = {"label": "REAL", "split": "train"}
            for k in range(3):
                rows[f"fake{part}x{v}x{k}.mp4"] = {"label": "FAKE", "split": "train", "original": original}
        touch(folder, rows)
        (folder / "metadata.json").write_text(json.dumps(rows))


def test_dfdc_groups_by_original_and_splits_by_part_where_there_are_enough(tmp_path: Path) -> None:
    make_dfdc(tmp_path / "train", parts=12)
    found = load_clips(tmp_path, 0)
    assert len(found.clips) == 12 * 4 * 4 and len(splits_of(found.clips)) == 12 * 4
    clips = by_name(found.clips)
    fake = clips["train/dfdc_train_part_3/fake3x1x2.mp4"]
    assert fake.group == clips["train/dfdc_train_part_3/real3x1.mp4"].group == "dfdc/real3x1"
    homes = defaultdict(set)
    for clip in found.clips:
        homes[clip.path.parent.name].add(clip.split)
    assert all(len(h) == 1 for h in homes.values())
    assert {s for h in homes.values() for s in h} == {"train", "val", "test"}


def test_dfdc_of_a_few_parts_is_split_by_original(tmp_path: Path) -> None:
    make_dfdc(tmp_path, parts=2, videos=10)
    found = load_clips(tmp_path, 0)
    check_groups(found.clips)
    assert {c.split for c in found.clips} == {"train", "val", "test"}
    assert all(len(s) == 1 for s in splits_of(found.clips).values())


def test_dfdc_keeps_official_validation_and_test(tmp_path: Path) -> None:
    make_dfdc(tmp_path, parts=2)
    for folder, inner in (("validation", ""), ("test", "videos/")):
        touch(tmp_path / folder, (f"{inner}{folder}{i}.mp4" for i in range(2)))
        rows = "".join(f"{folder}{i}.mp4,{i}\n" for i in range(2))
        (tmp_path / folder / "labels.csv").write_text("filename,label\n" + rows)
    clips = by_name(load_clips(tmp_path, 0).clips)
    assert {(n, c.label) for n, c in clips.items() if c.split == "val"} == {
        ("validation/validation0.mp4", 0),
        ("validation/validation1.mp4", 1),
    }
    assert {n for n, c in clips.items() if c.split == "test"} == {"test/videos/test0.mp4", "test/videos/test1.mp4"}
    assert all(c.split == "train" for n, c in clips.items() if n.startswith("dfdc_train_part"))
    (tmp_path / "test/labels.csv").write_text("file,answer\na.mp4,1\n")
    with pytest.raises(DataError, match="columns filename and label"):
        load_clips(tmp_path, 0)
    (tmp_path / "test/labels.csv").unlink()
    with pytest.raises(DataError, match=r"test/labels\.csv is missing"):
        load_clips(tmp_path, 0)


def test_dfdc_that_is_broken_says_what_is_wrong(tmp_path: Path) -> None:
    make_dfdc(tmp_path, parts=1)
    part = tmp_path / "dfdc_train_part_0"
    (part / "fake0x0x0.mp4").unlink()
    with pytest.raises(DataError, match=r"1 are not there.*fake0x0x0"):
        load_clips(tmp_path, 0)
    assert len(load_clips(tmp_path, 0, allow_missing=True).clips) == 15
    for text, words in (
        ("{", "damaged"),
        ("{}", "empty"),
        (json.dumps({"a.mp4": {"label": "MAYBE"}}), "MAYBE"),
        (None, "is missing"),
    ):
        if text is None:
            (part / "metadata.json").unlink()
        else:
            (part / "metadata.json").write_text(text)
        with pytest.raises(DataError, match=words):
            load_clips(tmp_path, 0)


def test_dfdc_preview_keeps_its_test_persons_and_splits_the_others(tmp_path: Path) -> None:
    rows: dict[str, dict[str, Any]] = {}
    for people, part in ((range(100, 120), "train"), (range(200, 204), "test")):
        for p in people:
            rows[f"original_videos/{p}/{p}_A_001.mp4"] = {
                "label": "real", "set": part, "augmentations": [], "target_id": p, "swapped_id": None,
            }  # fmt: skip
            for q in people:
                if p != q:
                    rows[f"method_A/{p}/{p}_A/{q}_{p}_A_001.mp4"] = {
                        "label": "fake", "set": part, "augmentations": [], "target_id": p, "swapped_id": q,
                    }  # fmt: skip
    touch(tmp_path, rows)
    (tmp_path / "dataset.json").write_text(json.dumps(rows))
    found = load_clips(tmp_path, 0)
    check_groups(found.clips)
    assert {int(c.group.removeprefix("dfdc/")) for c in found.clips if c.split == "test"} == set(range(200, 204))
    homes = defaultdict(set)
    for clip in found.clips:
        homes[rows[clip.name]["target_id"]].add(clip.split)
        homes[rows[clip.name]["swapped_id"] or rows[clip.name]["target_id"]].add(clip.split)
    assert all(len(h) == 1 for h in homes.values())
    assert {c.method for c in found.clips} == {"none", "method_A"}
    assert {c.label for c in found.clips if c.split == "val"} == {0, 1}
    del rows["original_videos/100/100_A_001.mp4"]["target_id"]
    (tmp_path / "dataset.json").write_text(json.dumps(rows))
    with pytest.raises(DataError, match="lacks a label"):
        load_clips(tmp_path, 0)


# 140k real and fake faces


@pytest.fixture
def faces140k(tmp_path: Path) -> Path:
    for number, split in enumerate(("train", "valid", "test")):
        with (tmp_path / f"{split}.csv").open("w", newline="") as handle:
            table = csv.writer(handle)
            table.writerow(["", "original_path", "id", "label", "label_str", "path"])
            for i, (label, stem) in enumerate((("real", f"3135{number}"), ("fake", f"00F8LKZT{number}J"))):
                name = f"{split}/{label}/{stem}.jpg"
                touch(tmp_path / "real_vs_fake/real-vs-fake", [name])
                table.writerow([i, f"/kaggle/input/{stem}.jpg", stem, int(label == "real"), label, name])
    return tmp_path


def test_faces140k_has_the_publishers_splits(faces140k: Path) -> None:
    samples = load_samples(faces140k, 0)
    assert Counter((s.split, s.label) for s in samples) == {(x, y): 1 for x in ("train", "val", "test") for y in (0, 1)}
    assert all(s.read() == b"x" and s.source == "140k" for s in samples)
    assert {(s.label, s.method) for s in samples} == {(0, "none"), (1, "StyleGAN")}


def test_faces140k_that_is_broken_says_what_is_wrong(faces140k: Path) -> None:
    table = faces140k / "valid.csv"
    text = table.read_text()
    table.write_text(text.replace("real,valid/real", "fake,valid/real"))
    with pytest.raises(DataError, match="does not fit"):
        load_samples(faces140k, 0)
    table.write_text(text)
    next((faces140k / "real_vs_fake/real-vs-fake/test/fake").iterdir()).unlink()
    with pytest.raises(DataError, match=r"6 pictures, of which 1 are not there.*test/fake"):
        load_samples(faces140k, 0)
    table.unlink()
    with pytest.raises(DataError, match=r"valid\.csv is missing"):
        load_samples(faces140k, 0)


def test_a_picture_in_two_of_the_publishers_splits_is_a_leak(faces140k: Path) -> None:
    folder = faces140k / "real_vs_fake/real-vs-fake/test/real"
    (folder / "31352.jpg").rename(folder / "31350.jpg")
    table = faces140k / "test.csv"
    table.write_text(table.read_text().replace("31352", "31350"))
    with pytest.raises(DataError, match=r"140k/real/31350.*that is a leak"):
        load_samples(faces140k, 0)


# Real and Fake Face Detection


@pytest.mark.parametrize("inside", ["", "real_and_fake_face", "real_and_fake_face_detection/real_and_fake_face"])
def test_ciplab_is_found_and_split(tmp_path: Path, inside: str) -> None:
    base = tmp_path / inside
    touch(base, (f"training_real/real_{i:05d}.jpg" for i in range(20)))
    touch(base, (f"training_fake/{('easy', 'mid', 'hard')[i % 3]}_{i}_0110.jpg" for i in range(20)))
    samples = load_samples(tmp_path, 0)
    assert Counter(s.label for s in samples) == {0: 20, 1: 20}
    assert {s.split for s in samples} == {"train", "val", "test"} and len(splits_of(samples)) == 40
    assert {s.method for s in samples} == {"none", "Photoshop composite"} and {s.source for s in samples} == {"yonsei"}


def test_ciplab_that_is_broken_says_what_is_wrong(tmp_path: Path) -> None:
    touch(tmp_path, ["training_real/real_00001.jpg"])
    with pytest.raises(DataError, match="training_fake/ is missing or empty"):
        load_samples(tmp_path, 0)
    touch(tmp_path, ["training_fake/face.jpg"])
    with pytest.raises(DataError, match=r"face\.jpg is not named"):
        load_samples(tmp_path, 0)


# plain folders of videos, and what is shared


def test_plain_folders_of_videos_are_split_by_group(tmp_path: Path) -> None:
    for name in ("real", "fake"):
        touch(tmp_path, (f"{name}/clip_{i}.mp4" for i in range(20)))
        touch(tmp_path, (f"{name}/anna/{i}.MOV" for i in range(3)))
    found = load_clips(tmp_path, 0)
    assert len(found.clips) == 46 and len(splits_of(found.clips)) == 41
    assert {c.split for c in found.clips} == {"train", "val", "test"}
    check_groups(found.clips)


@pytest.mark.parametrize("names", [["real/a.mp4", "real/b.jpg"], ["notes.txt"], []])
def test_a_folder_without_videos_of_both_classes_says_so(tmp_path: Path, names: list[str]) -> None:
    touch(tmp_path, names)
    with pytest.raises(DataError, match="needs videos in real_data/"):
        load_clips(tmp_path, 0)


@pytest.mark.parametrize(
    "names",
    [["real/a.mp4", "fake/b.mp4"], ["videos.csv"], ["Celeb-real/id0_0000.mp4"], ["original_sequences/x/y.mp4"]],
)
def test_training_on_videos_says_to_cut_out_faces_first(tmp_path: Path, names: list[str]) -> None:
    touch(tmp_path, names)
    with pytest.raises(DataError, match="python -m train faces --data_root"):
        load_samples(tmp_path, 0)


def test_a_swap_between_persons_of_two_splits_is_left_out() -> None:
    people = [f"p{i}" for i in range(10)]
    clips = [Clip(Path(f"{a}{b}"), 1, "s", a, "train", name=f"{a} {b}") for a in people for b in people if a != b]
    kept, apart = split_by_person(clips, lambda c: c.name.split(), np.random.default_rng(0), 0.2, 0.2)
    homes = defaultdict(set)
    for clip in kept:
        for person in clip.name.split():
            homes[person].add(clip.split)
    assert all(len(h) == 1 for h in homes.values())
    # two, two and six persons, each with each of their own
    assert Counter(c.split for c in kept) == {"val": 2, "test": 2, "train": 30} and apart == 90 - 34
