"""Data in: layouts, splits that share no group, batches, augmentation, self-blending."""

import csv
import io
import tarfile
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from detector.types import Face
from train.data import batches
from train.data.augment import AUGMENTATIONS, Augmentation, change_colour, degrade, jitter_frame, rescale
from train.data.batches import Draw, EvalFaces, PairedBatches, TrainFaces, source_weights, twins_of
from train.data.datasets.clips import read_clips
from train.data.datasets.pack import read_packs
from train.data.folds import FOLDS, Fold, check_folds, leave_out
from train.data.samples import (
    HELD_OUT_SOURCES,
    Sample,
    check_splits,
    fingerprint,
    hold_out_sources,
    split_by_group,
    unseen_sources,
)
from train.data.self_blend import (
    MEAN_OUTLINE,
    MEAN_POINTS,
    SelfBlend,
    fit_mean_face,
    genuine_side,
    pose_of,
    self_blend,
    similarity,
)
from train.data.sources import find_data_root, load_samples
from train.errors import DataError

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
        assert [d.paired for d in genuine] == [True] * 4 + [False] * 4
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


def test_a_teacher_says_what_is_learned_of_a_face_and_a_twin_keeps_its_label(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(picture(np.random.default_rng(0))).save(path)
    samples = [replace(sample(name, 0), path=path) for name in ("a", "b")]
    dataset = TrainFaces(samples, {"a": FACE, "b": FACE}, 64, Augmentation(), targets={"a": 0.3})
    assert [dataset[draw][1] for draw in (Draw(0, 5), Draw(0, 5, twin=True), Draw(1, 5))] == [0.3, 1.0, 0.0]


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
    differing, unpaired = [], []
    for seed in range(20):
        plain, label = dataset[Draw(0, seed, paired=True)]
        twin, twin_label = dataset[Draw(0, seed, twin=True)]
        assert (label, twin_label) == (0.0, 1.0)
        assert plain.shape == twin.shape == (3, 96, 96)
        assert (dataset[Draw(0, seed, paired=True)][0] == plain).all()
        differing.append(float((plain != twin).any(dim=0).float().mean()))
        unpaired.append(float((dataset[Draw(0, seed)][0] != twin).any(dim=0).float().mean()))
    # a whole face is about half of its crop
    assert min(differing) > 0 and max(differing) < 0.7 < max(unpaired)


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


def turned(face: Face, degrees: float, scale: float, shift: tuple[float, float]) -> tuple[np.ndarray, Face]:
    """A similarity transform, and the face after it."""
    matrix = cv2.getRotationMatrix2D((120, 120), degrees, scale)
    matrix[:, 2] += shift
    marks = np.array(face.landmarks) @ matrix[:, :2].T + matrix[:, 2]
    x0, y0, x1, y1 = face.box
    corners = np.array([[x0, y0], [x1, y1]]) @ matrix[:, :2].T + matrix[:, 2]
    box = (*corners.min(axis=0), *corners.max(axis=0))
    return matrix, Face(tuple(map(float, box)), tuple((float(x), float(y)) for x, y in marks), 0.99)  # type: ignore[arg-type]


def test_similarity_finds_turn_scale_and_shift() -> None:
    matrix, face = turned(FACE, 25, 1.7, (11, -4))
    assert similarity(np.array(FACE.landmarks), np.array(face.landmarks)) == pytest.approx(matrix)
    assert pose_of(face) == pytest.approx(pose_of(FACE))
    # a mirrored face has no similarity with itself
    mirrored = np.array(FACE.landmarks) * (-1, 1)
    found = similarity(mirrored, np.array(FACE.landmarks))
    assert np.abs(mirrored @ found[:, :2].T + found[:, 2] - np.array(FACE.landmarks)).max() > 5
    with pytest.raises(ValueError, match="do not form a face"):
        similarity(np.ones((5, 2)), MEAN_POINTS)


def test_the_mean_face_is_fitted_to_turned_and_narrow_faces() -> None:
    front = MEAN_POINTS * 60 + 100
    for points in (front, front * (0.6, 1) + (40, 0)):  # seen from the front, and turned to the side
        matrix = fit_mean_face(replace(FACE, landmarks=tuple(map(tuple, points))))
        assert MEAN_POINTS @ matrix[:, :2].T + matrix[:, 2] == pytest.approx(points)
    # in profile five points say little: the outline keeps its proportions
    matrix = fit_mean_face(replace(FACE, landmarks=tuple(map(tuple, front * (0.2, 1)))))
    assert matrix[0, 0] == pytest.approx(matrix[1, 1]) and matrix[0, 1] == pytest.approx(-matrix[1, 0])


def test_blend_is_deterministic_and_its_mask_inside_the_face() -> None:
    image = picture(np.random.default_rng(3))
    before = image.copy()
    fitted = fit_mean_face(FACE)
    # the outline with the whole forehead, and a tenth of the face around it for shift, softening and chance
    outline = MEAN_OUTLINE + np.where(MEAN_OUTLINE[:, 1:] < 0, (0, -0.75), 0)
    hull = cv2.convexHull((outline @ fitted[:, :2].T + fitted[:, 2]).astype(np.float32))
    head = cv2.fillConvexPoly(np.zeros((240, 240), np.uint8), np.rint(hull).astype(np.int32), 1)
    outside_px = cv2.distanceTransform(1 - head, cv2.DIST_L2, 5)
    shares = []
    for seed in range(60):
        twin, mask = self_blend(image, FACE, np.random.default_rng(seed))
        again, same = self_blend(image, FACE, np.random.default_rng(seed))
        assert np.array_equal(twin, again) and np.array_equal(mask, same) and np.array_equal(image, before)
        assert twin.shape == image.shape and twin.dtype == np.uint8
        assert mask.shape == (240, 240) and mask.dtype == np.float32 and mask.min() == 0 and 0.2 < mask.max() <= 1
        assert outside_px[mask > 0.02].max() < 0.1 * FACE.size_px
        shares.append(mask[head == 1].sum() / mask.sum())
    assert min(shares) > 0.9 and np.mean(shares) > 0.98
    assert not np.array_equal(*(self_blend(image, FACE, np.random.default_rng(seed))[0] for seed in (0, 1)))


def test_a_pair_differs_inside_the_mask_alone() -> None:
    image = picture(np.random.default_rng(5))
    donor = picture(np.random.default_rng(6)), FACE
    untouched = 0
    for seed in range(30):
        genuine = genuine_side(image, FACE, np.random.default_rng(seed))
        for given in (None, donor):
            twin, mask = self_blend(image, FACE, np.random.default_rng(seed), donor=given)
            assert np.array_equal(twin[mask == 0], genuine[mask == 0])
            assert np.abs(twin.astype(int) - genuine)[mask > 0.2].mean() > 0.5
        untouched += np.array_equal(genuine, image)
    assert 5 < untouched < 25  # either side is the one that is changed


def test_the_settings_are_the_papers() -> None:
    found = SelfBlend()
    assert (found.shift_rgb, found.brightness, found.contrast) == (20, 0.1, 0.1)
    assert (found.translate_x, found.translate_y, found.scale) == (0.03, 0.015, 0.05)
    assert (found.elastic_alpha, found.elastic_sigma) == (50, 7)
    assert found.kernels_px == (5, 25) and sorted(found.ratios) == [0.25, 0.5, 0.75, 1, 1, 1]
    image = picture(np.random.default_rng(5))
    tops = [self_blend(image, FACE, np.random.default_rng(seed))[1].max() for seed in range(40)]
    # the ratio is what is blended in at most, however small the part
    assert set(np.round(tops, 5)) == {0.25, 0.5, 0.75, 1}


def test_local_masks_cover_little_and_whole_masks_much() -> None:
    image = picture(np.random.default_rng(6))

    def areas(parts: float) -> list[float]:
        options = SelfBlend(parts=parts, ratios=(1.0,))
        return [float(self_blend(image, FACE, np.random.default_rng(s), options)[1].sum()) for s in range(40)]

    assert np.median(areas(1.0)) < 0.5 * np.median(areas(0.0))
    assert min(areas(1.0)) > 100


def test_zero_ratio_gives_the_original_back() -> None:
    image = picture(np.random.default_rng(4))
    donor = picture(np.random.default_rng(5)), FACE
    for seed in range(20):
        for given in (None, donor):
            options = SelfBlend(ratios=(0.0,))
            twin, mask = self_blend(image, FACE, np.random.default_rng(seed), options, given)
            assert np.array_equal(twin, image) and twin is not image and mask.max() == 0


def test_a_donor_is_brought_onto_the_landmarks_with_matched_colours() -> None:
    rng = np.random.default_rng(7)
    noise = rng.integers(0, 40, (240, 240, 3), dtype=np.uint8)
    base = noise + np.array([90, 80, 70], np.uint8)
    still = SelfBlend(
        shift_rgb=0, hsv=0, brightness=0, contrast=0, translate_x=0, translate_y=0, scale=0, ratios=(1.0,), parts=0,
        coarse=(1.0, 1.0), sharpen=(0.0, 0.0),
    )  # fmt: skip
    for degrees, scale, shift in ((0, 1.0, (0, 0)), (20, 1.3, (-20, -30)), (-35, 0.8, (15, 10)), (10, 2.4, (200, 150))):
        _, face = turned(FACE, degrees, scale, shift)
        other = rng.integers(100, 140, (620, 620, 3), dtype=np.uint8)
        for x, y in face.landmarks:
            cv2.circle(other, (round(x), round(y)), max(2, round(4 * scale)), (255, 255, 255), -1)
        twin, mask = self_blend(base, FACE, np.random.default_rng(0), still, (other, face))
        for x, y in FACE.landmarks[:4]:
            around = twin[int(y) - 8 : int(y) + 9, int(x) - 8 : int(x) + 9].astype(int).sum(axis=2)
            ys, xs = np.nonzero(around > around.max() - 60)
            assert abs(xs.mean() - 8) < 2 and abs(ys.mean() - 8) < 2, (degrees, scale)
        full = mask > 0.99
        assert np.abs(twin[full].mean(axis=0) - base[full].mean(axis=0)).max() < 12


def test_a_blend_needs_landmarks_and_sensible_shares() -> None:
    with pytest.raises(ValueError, match="five landmarks"):
        self_blend(picture(np.random.default_rng(0)), replace(FACE, landmarks=()), np.random.default_rng(0))
    with pytest.raises(ValueError, match="shares"):
        SelfBlend(ratios=(1.5,))


def test_a_face_that_reaches_out_of_the_picture_is_blended_all_the_same() -> None:
    image = picture(np.random.default_rng(8))
    for shift in ((-110, 0), (120, 100), (0, -400)):
        _, face = turned(FACE, 0, 1.0, shift)
        for seed in range(10):
            twin, mask = self_blend(image, face, np.random.default_rng(seed))
            assert twin.shape == image.shape and np.isfinite(mask).all()
    assert mask.max() == 0  # the last one lies outside


def made_faces(folder: Path, count: int) -> tuple[list[Sample], dict[str, Face]]:
    rng = np.random.default_rng(9)
    samples = []
    for i in range(count):
        path = folder / f"{i}.png"
        Image.fromarray(picture(rng)).save(path)
        samples.append(replace(sample(f"r{i}", 0, source=f"s{i % 2}", group=f"g{i % 4}"), path=path))
    return samples, {s.name: turned(FACE, i, 1.0, (0, 0))[1] for i, s in enumerate(samples)}


def test_donors_are_other_persons_of_the_same_source(tmp_path: Path) -> None:
    samples, faces = made_faces(tmp_path, 12)
    lone = replace(samples[0], name="lone", source="alone", group="lone")
    samples.append(lone)
    faces["lone"] = FACE
    sampler = PairedBatches(samples, 16, 20, twins=1.0, seed=0, cross=0.5, faces=faces)
    batches = list(sampler)
    assert list(sampler) == batches
    donated = [d for batch in batches for d in batch if d.donor is not None]
    assert len(donated) == 4 * 20 and all(d.twin for d in donated)
    for d in donated:
        one, two = samples[d.index], samples[d.donor or 0]
        assert two.label == 0 and two.group != one.group
        assert one is lone or one.source == two.source
    assert any(samples[d.index] is lone for d in donated)
    # without the share nothing else of a batch changes
    plain = next(iter(PairedBatches(samples, 16, 1, twins=1.0, seed=0)))
    assert [replace(d, donor=None) for d in batches[0]] == plain
    dataset = TrainFaces(samples, faces, 64, replace(Augmentation(), clean=1.0))
    crossed, label = dataset[donated[0]]
    assert label == 1.0 and (crossed != dataset[replace(donated[0], donor=None)][0]).any()
    with pytest.raises(ValueError, match="faces"):
        PairedBatches(samples, 16, 1, twins=1.0, seed=0, cross=0.5)


def test_genuine_faces_alone_make_batches_and_a_validation_set(tmp_path: Path) -> None:
    samples, faces = made_faces(tmp_path, 8)
    batch = next(iter(PairedBatches(samples, 8, 1, twins=1.0, seed=0)))
    assert [d.twin for d in batch] == [False] * 4 + [True] * 4
    with pytest.raises(ValueError, match="twins = 1"):
        PairedBatches(samples, 8, 1, twins=0.5, seed=0)
    twins, twin_faces = twins_of(samples, faces)
    assert [t.label for t in twins] == [1] * 8 and [t.group for t in twins] == [s.group for s in samples]
    crops = EvalFaces(samples + twins, faces | twin_faces, 64)
    assert all((crops[i] != crops[i + 8]).any() and (crops[i + 8] == crops[i + 8]).all() for i in range(8))

    folder = tmp_path / "own"
    (folder / "real").mkdir(parents=True)
    for i in range(30):
        (folder / "real" / f"p{i}_0.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match="fake_data"):
        load_samples(folder, 0)
    loaded = load_samples(folder, 0, needs_fakes=False)
    assert len(loaded) == 30 and {s.split for s in loaded} == {"train", "val", "test"}
    (folder / "real").rename(folder / "fake")
    with pytest.raises(DataError, match="real_data"):
        load_samples(folder, 0, needs_fakes=False)


def test_a_dataset_keeps_few_pictures_and_reads_each_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples, faces = made_faces(tmp_path, 4)
    read: list[str] = []

    def reading(self: Sample) -> bytes:
        read.append(self.name)
        return self.path.read_bytes()

    monkeypatch.setattr(Sample, "read", reading)
    dataset = TrainFaces(samples, faces, 64, Augmentation())
    first = dataset[Draw(0, 5)][0]
    dataset[Draw(0, 5, twin=True)]
    assert read == ["r0"]
    monkeypatch.setattr(batches, "_HELD_BYTES", 2 * 240 * 240 * 3)
    for i in (1, 2, 0):
        again = dataset[Draw(i, 5)][0]
    assert read == ["r0", "r1", "r2", "r0"]
    assert (again == first).all()


def test_strengths_of_augmentation_differ_as_their_names_say() -> None:
    assert AUGMENTATIONS["standard"] == Augmentation()
    image = picture(np.random.default_rng(10))

    def changed(name: str) -> float:
        found = [degrade(image, AUGMENTATIONS[name], np.random.default_rng(s)).astype(int) - image for s in range(80)]
        return float(np.mean(np.abs(found)))

    assert changed("light") < 0.7 * changed("standard") < changed("standard") < 0.8 * changed("strong")


def test_colours_change_as_arithmetic_on_every_pixel_would() -> None:
    image = picture(np.random.default_rng(11))
    options = replace(Augmentation(), hue_deg=0.0, saturation=0.0)
    scale = 1 + (rng := np.random.default_rng(12)).uniform(-options.contrast, options.contrast)
    offset = 255 * rng.uniform(-options.brightness, options.brightness) / 2 + 128 * (1 - scale)
    expected = np.clip(image * scale + offset, 0, 255)
    found = change_colour(image, options, np.random.default_rng(12))
    # there and back through 8-bit hue and saturation
    assert np.abs(found - expected).mean() < 2


def test_every_training_source_is_in_one_fold() -> None:
    folds = {"a": Fold("one", ("s0",)), "b": Fold("two", ("s1", "absent"))}
    samples = [sample("x", 0, "s0"), sample("y", 1, "s1"), sample("v", 0, "seen-in-val-only", split="val")]
    check_folds(samples, folds)
    with pytest.raises(DataError, match=r"in no fold .* s2"):
        check_folds([*samples, sample("z", 0, "s2")], folds)
    with pytest.raises(DataError, match="more than one fold: s0"):
        check_folds(samples, {**folds, "c": Fold("three", ("s0",))})


def test_a_fold_takes_its_persons_with_it() -> None:
    samples = [
        sample("a", 0, "s0", "ann"), sample("b", 1, "s0", "bob"), sample("c", 0, "s1", "ann"),
        sample("d", 0, "s1", "dan"), sample("e", 0, "s0", "eve", split="val"),
        sample("f", 0, "s0", "fay", split="test"), sample("g", 0, "s1", "eve", split="val"),
        sample("h", 1, "s1", "hal", split="val"),
    ]  # fmt: skip
    kept, left = leave_out(samples, Fold("", ("s0",)))
    assert [s.name for s in left] == ["a", "b", "e"]
    assert [s.name for s in kept] == ["d", "h"]


def test_the_packs_have_at_most_eight_folds_and_each_asks_something(data_dir: Path) -> None:
    samples = load_samples(data_dir, 0)
    check_folds(samples)
    assert len(FOLDS) <= 8
    known = {s.source for s in samples}
    for name, fold in FOLDS.items():
        kept, left = leave_out(samples, fold)
        assert set(fold.sources) <= known, name
        assert len([s for s in left if s.label == 0]) >= 100, name
        assert not {s.group for s in kept} & {s.group for s in left} and len(kept) + len(left) < len(samples)
        assert unseen_sources(samples, "val").isdisjoint(fold.sources), name
