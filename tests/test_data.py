"""Data in: layouts, splits that share no group, batches, augmentation, self-blending."""

import csv
import io
import tarfile
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detector.types import Face
from train.data.augment import Augmentation, degrade, jitter_frame, rescale
from train.data.batches import Draw, PairedBatches, TrainFaces, source_weights
from train.data.datasets.clips import read_clips
from train.data.datasets.pack import read_packs
from train.data.samples import (
    HELD_OUT_SOURCES,
    DataError,
    Sample,
    check_splits,
    fingerprint,
    hold_out_sources,
    split_by_group,
    unseen_sources,
)
from train.data.self_blend import SelfBlend, face_mask, self_blend
from train.data.sources import find_data_root, load_samples

FACE = Face((70, 50, 170, 190), ((95, 105), (145, 105), (120, 135), (100, 160), (140, 160)), 0.99)


def sample(name: str, label: int, source: str = "a", group: str | None = None, split: str = "train") -> Sample:
    return Sample(Path(name), None, name, label, source, group or name, "m", split)  # type: ignore[arg-type]


def picture(rng: np.random.Generator, size: int = 240) -> np.ndarray:
    small = rng.integers(0, 255, (12, 12, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("names", [("real_data", "fake_data"), ("real", "fake")])
def test_plain_folder_is_split_by_group(tmp_path: Path, names: tuple[str, str]) -> None:
    for name in names:
        (tmp_path / name).mkdir()
        for person in range(20):
            for frame in range(3):
                (tmp_path / name / f"p{person}_{frame}.jpg").write_bytes(b"x")
    samples = load_samples(tmp_path, 0)
    assert len(samples) == 120
    splits = defaultdict(set)
    for s in samples:
        splits[s.group].add(s.split)
    assert all(len(v) == 1 for v in splits.values()) and len(splits) == 40
    assert {s.split for s in samples} == {"train", "val", "test"}
    assert load_samples(tmp_path, 0) == samples
    assert fingerprint(load_samples(tmp_path, 1)) != fingerprint(samples)


def test_folder_with_splits_keeps_them(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        for name in ("real", "fake"):
            (tmp_path / split / name).mkdir(parents=True)
            (tmp_path / split / name / "one.png").write_bytes(b"x")
    assert Counter((s.split, s.label) for s in load_samples(tmp_path, 0)) == {
        (split, label): 1 for split in ("train", "val", "test") for label in (0, 1)
    }


def test_missing_or_odd_data_say_how_to_lay_them_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="real_data"):
        find_data_root(None)
    (tmp_path / "data" / "real").mkdir(parents=True)
    (tmp_path / "data" / "real" / "a.jpg").write_bytes(b"x")
    assert find_data_root(None) == Path("data")
    with pytest.raises(DataError, match="fake_data"):
        load_samples(Path("data"), 0)
    monkeypatch.setenv("UNMASK_DATA", str(tmp_path / "data"))
    assert find_data_root(None) == tmp_path / "data"
    assert find_data_root(tmp_path) == tmp_path


def test_a_group_in_two_splits_is_refused() -> None:
    good = [sample("a", 0), sample("b", 1), sample("c", 0, split="val"), sample("d", 1, split="val")]
    check_splits(good)
    with pytest.raises(DataError, match="two splits"):
        check_splits([*good, sample("e", 0, group="a", split="val")])
    with pytest.raises(DataError, match="'val'"):
        check_splits([s for s in good if s.split == "train"])


def test_held_out_sources_never_train() -> None:
    name = HELD_OUT_SOURCES[0]
    samples = hold_out_sources([sample("a", 0, source=name), sample("b", 0), sample("c", 1)])
    assert [s.split for s in samples] == ["val", "train", "train"]
    assert unseen_sources(samples, "val") == {name}


def make_packs(root: Path, rows: list[tuple[str, str, str]]) -> None:
    with tarfile.open(root / "faces-a.tar", "w") as tar:
        for path, _, _ in rows:
            data = b"picture " + path.encode()
            info = tarfile.TarInfo(path)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    with (root / "faces.csv").open("w", newline="") as handle:
        table = csv.writer(handle)
        table.writerow(["path", "pack", "label", "method", "slice", "group", "split"])
        for path, label, split in rows:
            table.writerow([path, "faces-a", label, "m", path.split("/")[0], path, split])


def test_packs_are_read_in_place(tmp_path: Path) -> None:
    rows = [("s/real/1.jpg", "real", "train"), ("s/fake/2.jpg", "fake", "val")]
    make_packs(tmp_path, rows)
    samples = read_packs(tmp_path)
    assert [(s.label, s.split, s.source) for s in samples] == [(0, "train", "s"), (1, "val", "s")]
    assert samples[1].read() == b"picture s/fake/2.jpg"


def test_broken_packs_say_what_is_wrong(tmp_path: Path) -> None:
    make_packs(tmp_path, [("s/real/1.jpg", "real", "train")])
    text = (tmp_path / "faces.csv").read_text()
    (tmp_path / "faces.csv").write_text(text.replace("train", "holiday"))
    with pytest.raises(DataError, match="holiday"):
        read_packs(tmp_path)
    (tmp_path / "faces.csv").write_text(text.replace("s/real/1.jpg,faces-a", "s/real/9.jpg,faces-a"))
    with pytest.raises(DataError, match="does not hold"):
        read_packs(tmp_path)
    (tmp_path / "faces.csv").write_text(text.replace("faces-a", "faces-b"))
    with pytest.raises(DataError, match=r"faces-b\.tar is missing"):
        read_packs(tmp_path)


def test_clips_are_read_and_checked(tmp_path: Path) -> None:
    assert read_clips(tmp_path) == []
    (tmp_path / "one.mp4").write_bytes(b"x")
    (tmp_path / "videos.csv").write_text("file,label,slice,group,split\none.mp4,fake,dfl,g,test\n")
    clip = read_clips(tmp_path)[0]
    assert (clip.label, clip.source, clip.split) == (1, "dfl", "test")
    (tmp_path / "one.mp4").unlink()
    with pytest.raises(DataError, match="missing"):
        read_clips(tmp_path)


def test_the_packs_splits_share_no_group(data_dir: Path) -> None:
    samples = load_samples(data_dir, 0)
    check_splits(samples)
    assert not {s.source for s in samples if s.split == "train"} & set(HELD_OUT_SOURCES)
    assert len(unseen_sources(samples, "val")) >= 5


def test_random_splits_share_no_group_and_keep_both_labels() -> None:
    samples = [
        sample(f"{g}-{i}-{label}", label, group=f"g{g}") for g in range(40) for i in range(2) for label in (0, 1)
    ]
    done = split_by_group(samples, np.random.default_rng(0))
    check_splits(done)
    assert {(s.split, s.label) for s in done} == {(p, c) for p in ("train", "val", "test") for c in (0, 1)}


def test_batches_are_balanced_paired_and_repeatable() -> None:
    samples = [sample(f"r{i}", 0) for i in range(50)] + [sample(f"f{i}", 1) for i in range(50)]
    sampler = PairedBatches(samples, 16, 5, twins=0.5, seed=3)
    first = list(sampler)
    assert list(sampler) == first and len(first) == 5
    for batch in first:
        genuine, twins = batch[:8], batch[8:12]
        assert all(samples[d.index].label == 0 and not d.twin for d in genuine)
        assert [(d.index, d.seed) for d in twins] == [(d.index, d.seed) for d in genuine[:4]]
        assert all(samples[d.index].label == 1 for d in batch[12:])
    sampler.epoch = 1
    assert list(sampler) != first


def test_partners_share_person_or_clip_with_a_fake_of_their_batch() -> None:
    # one genuine and one manipulated face of each of 20 persons, and 200 genuine faces of others
    samples = [replace(sample(f"{label}{i}", label), group=f"p{i}") for i in range(20) for label in (0, 1)]
    samples += [sample(f"r{i}", 0, "others") for i in range(200)]
    for batch in PairedBatches(samples, 16, 5, twins=0.5, seed=3, partners=0.5):
        partners, fakes = batch[4:8], batch[12:]
        assert [samples[d.index].group for d in partners][::-1] == [samples[d.index].group for d in fakes]
        assert all(samples[d.index].label == 0 for d in partners)
        assert [d.index for d in batch[8:12]] == [d.index for d in batch[:4]]  # twins are made of the others
    # a fake with no genuine face of its group leaves the draw as it was
    lonely = [sample(f"r{i}", 0) for i in range(50)] + [replace(sample(f"f{i}", 1), group=f"x{i}") for i in range(50)]
    plain = list(PairedBatches(lonely, 16, 5, twins=0.5, seed=3))
    assert list(PairedBatches(lonely, 16, 5, twins=0.5, seed=3, partners=0.5)) == plain


def test_windows_are_parts_of_the_same_crop_until_the_last_epochs(tmp_path: Path) -> None:
    samples = [sample(f"r{i}", 0) for i in range(9)] + [sample(f"f{i}", 1) for i in range(9)]
    sampler = PairedBatches(samples, 4, 2, twins=0.5, seed=3, whole_from=2)
    for epoch, whole in ((0, False), (1, False), (2, True)):
        sampler.epoch = epoch
        assert {d.whole for batch in sampler for d in batch} == {whole}
    path = tmp_path / "a.png"
    Image.fromarray(picture(np.random.default_rng(0))).save(path)
    framing = replace(Augmentation(), clean=1.0)
    dataset = TrainFaces([replace(sample("a", 0), path=path)], {"a": FACE}, 96, framing, window_px=64)
    whole, _ = dataset[Draw(0, 5)]
    window, _ = dataset[Draw(0, 5, whole=False)]
    assert whole.shape == (3, 96, 96) and window.shape == (3, 64, 64)
    places = [(y, x) for y in range(33) for x in range(33) if (whole[:, y : y + 64, x : x + 64] == window).all()]
    assert len(places) == 1
    # a twin sees the same window as its original
    twin, _ = dataset[Draw(0, 5, twin=True, whole=False)]
    whole_twin, _ = dataset[Draw(0, 5, twin=True)]
    y, x = places[0]
    assert (whole_twin[:, y : y + 64, x : x + 64] == twin).all()


def test_a_large_source_does_not_drown_a_small_one() -> None:
    samples = [sample(f"l{i}", 0, "large") for i in range(900)] + [sample(f"s{i}", 0, "small") for i in range(9)]
    weights = source_weights(samples, range(len(samples)))
    assert weights.sum() == pytest.approx(1)
    assert weights[:900].sum() / weights[900:].sum() == pytest.approx(10)


def test_a_twin_differs_from_its_partner_only_inside_the_blend(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "a.png"
    Image.fromarray(picture(rng)).save(path)
    dataset = TrainFaces([replace(sample("a", 0), path=path)], {"a": FACE}, 96, replace(Augmentation(), clean=1.0))
    plain, label = dataset[Draw(0, 5)]
    twin, twin_label = dataset[Draw(0, 5, twin=True)]
    assert (label, twin_label) == (0.0, 1.0)
    assert plain.shape == twin.shape == (3, 96, 96)
    assert (dataset[Draw(0, 5)][0] == plain).all()
    assert not (plain == twin).all()


def test_degrading_is_deterministic_and_leaves_its_argument() -> None:
    image = picture(np.random.default_rng(1))
    before = image.copy()
    options = replace(Augmentation(), clean=0.0, grey=1.0, noise=1.0, blur=1.0, jpeg=1.0, rescale=1.0, colour=1.0)
    a, b = (degrade(image, options, np.random.default_rng(2)) for _ in range(2))
    assert np.array_equal(a, b) and np.array_equal(image, before)
    assert a.shape == image.shape and a.dtype == np.uint8 and not np.array_equal(a, image)
    assert degrade(image, replace(options, clean=1.0), np.random.default_rng(0)) is image
    assert rescale(image, 400, np.random.default_rng(0)) is image


def test_framing_stays_near_the_detectors_crop() -> None:
    options = Augmentation()
    for seed in range(50):
        frame = jitter_frame(FACE, options, np.random.default_rng(seed))
        assert abs(frame.center_x - 120) < 20 and 140 * 1.3 * 0.9 < frame.side < 140 * 1.3 * 1.15


def test_blend_is_inside_the_face_and_deterministic() -> None:
    image = picture(np.random.default_rng(3))
    before = image.copy()
    for seed in range(30):
        twin, mask = self_blend(image, FACE, np.random.default_rng(seed))
        again, _ = self_blend(image, FACE, np.random.default_rng(seed))
        assert np.array_equal(twin, again) and np.array_equal(image, before)
        assert twin.shape == image.shape and twin.dtype == np.uint8
        assert mask.shape == (240, 240) and mask.min() >= 0 and mask.max() <= 1 + 1e-6
        ys, xs = np.nonzero(mask > 0.1 * mask.max())
        assert 40 < xs.mean() < 200 and 40 < ys.mean() < 220
        assert mask[:4].max() < 0.2 and mask[-4:].max() < 0.2


def test_no_blend_gives_the_original_back_but_for_the_outer_look() -> None:
    image = picture(np.random.default_rng(4))
    still = SelfBlend(
        shift_rgb=0, hue_deg=0, saturation=0, value=0, brightness=0, contrast=0, translate_x=0, translate_y=0,
        scale=0, ratios=(0.0,),
    )  # fmt: skip
    for seed in range(20):
        twin, mask = self_blend(image, FACE, np.random.default_rng(seed), still)
        assert mask.max() == 0
        # what is left is sharpening or softening of the base, where the base was the side to change
        assert np.abs(twin.astype(int) - image).mean() < 25
    assert any(
        np.array_equal(self_blend(image, FACE, np.random.default_rng(seed), still)[0], image) for seed in range(20)
    )


def test_a_mask_needs_landmarks() -> None:
    with pytest.raises(ValueError, match="five landmarks"):
        face_mask(replace(FACE, landmarks=()), (240, 240), SelfBlend(), np.random.default_rng(0))
