"""Finding, cutting out and following faces."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from facenet_pytorch import MTCNN
from torch.nn.functional import interpolate

from detector.faces.align import CropFrame, crop_face, crop_frame, cut, overlap, paste_heat, sharpness
from detector.faces.detect import FaceDetector
from detector.faces.mtcnn import Mtcnn, _Areas
from detector.faces.track import Tracker
from detector.media import read_image
from detector.pipeline import video_faces
from detector.types import Face
from train.data.sources import load_samples


def face_at(x: float, y: float, size: float, roll_deg: float = 0.0) -> Face:
    turn = np.deg2rad(roll_deg)
    offset = np.array([np.cos(turn), np.sin(turn)]) * size / 4
    centre = np.array([x, y])
    left, right = centre - offset, centre + offset
    half = size / 2
    marks = tuple((float(p[0]), float(p[1])) for p in (left, right, centre, left, right))
    return Face((x - half, y - half, x + half, y + half), marks, 0.99)


@pytest.fixture(scope="module")
def finder() -> FaceDetector:
    return FaceDetector()


def test_finds_the_portraits_face_and_keeps_full_size_pixels(finder: FaceDetector, made_face_image: np.ndarray) -> None:
    found = finder.detect([made_face_image])[0]
    assert len(found) == 1
    x0, y0, x1, y1 = found[0].box
    assert 150 < x0 < x1 < 300 and 40 < y0 < y1 < 220
    assert found[0].landmarks[0][0] < found[0].landmarks[1][0]
    reduced = FaceDetector(working_px=256, min_face_px=20).detect([made_face_image])[0]
    assert np.abs(np.subtract(reduced[0].box, found[0].box)).max() < 12


def test_no_face_is_an_empty_tuple_and_odd_sizes_do_not_fail(finder: FaceDetector) -> None:
    rng = np.random.default_rng(0)
    shapes = [(1, 1), (1, 4000), (20, 20), (33, 500), (64, 64)]
    noise = [rng.integers(0, 255, (h, w, 3), dtype=np.uint8) for h, w in shapes]
    assert finder.detect(noise) == [()] * len(shapes)
    assert finder.detect([]) == []


def test_finds_thirty_faces(finder: FaceDetector, made_face_image: np.ndarray) -> None:
    tile = made_face_image[20:240, 120:340]
    sheet = np.concatenate([np.concatenate([tile] * 6, axis=1)] * 5)
    assert len(finder.detect([sheet])[0]) == 30


def _pictures(image: np.ndarray) -> dict[str, np.ndarray]:
    """Pictures of many kinds, with and without faces."""
    rng = np.random.default_rng(1)
    tile = image[20:240, 120:340]
    sheet = np.concatenate([np.concatenate([tile, tile[:, ::-1]], axis=1)] * 2)
    noise = np.clip(image + rng.normal(0, 25, image.shape), 0, 255).astype(np.uint8)
    turned = cv2.warpAffine(image, cv2.getRotationMatrix2D((225, 115), 20, 1), (512, 512))
    return {
        "as it is": image,
        "many faces": sheet,
        "small": cv2.resize(image, (200, 200), interpolation=cv2.INTER_AREA),
        "large": cv2.resize(image, (900, 700), interpolation=cv2.INTER_CUBIC),
        "odd sides": image[:211, 101:398],
        "cut by the border": image[70:, 200:],
        "noisy": noise,
        "turned": turned,
        "dark": image // 5,
        "grey": np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2),
        "no face": rng.integers(0, 255, (180, 240, 3), dtype=np.uint8),
        "one colour": np.full((100, 140, 3), 128, np.uint8),
    }


@pytest.mark.parametrize("engine", ["openvino", "torch"])
@pytest.mark.parametrize("min_face_px", [24, 32])
def test_boxes_are_those_of_facenet_pytorch(made_face_image: np.ndarray, engine: str, min_face_px: int) -> None:
    ours, theirs = Mtcnn(min_face_px, engine), MTCNN(keep_all=True, min_face_size=min_face_px)
    faces = 0
    for name, picture in _pictures(made_face_image).items():
        boxes, scores, points = ours.detect(picture)
        expected = theirs.detect(picture, landmarks=True)
        if expected[0] is None:
            assert len(boxes) == 0, name
            continue
        assert len(boxes) == len(expected[0]), name
        by_place = [np.lexsort(np.round(b.astype(float)).T) for b in (boxes, expected[0])]
        assert np.abs(boxes[by_place[0]] - expected[0][by_place[1]].astype(float)).max() < 4, name
        assert np.abs(points[by_place[0]] - expected[2][by_place[1]].astype(float)).max() < 4, name
        assert np.abs(scores[by_place[0]] - expected[1][by_place[1]].astype(float)).max() < 0.01, name
        faces += len(boxes)
    assert faces >= 12


def test_pictures_of_the_data_give_facenet_pytorchs_boxes(data_dir: Path) -> None:
    pool = [s for s in load_samples(data_dir, 0) if s.split == "val"]
    ours, theirs = Mtcnn(32, "openvino"), MTCNN(keep_all=True, min_face_size=32)
    compared = 0
    for i in np.random.default_rng(0).choice(len(pool), 30, replace=False):
        picture = read_image(pool[i].read())
        if min(picture.shape[:2]) <= 32:
            continue
        boxes, _, _ = ours.detect(picture)
        expected = theirs.detect(picture)[0]
        expected = np.zeros((0, 4)) if expected is None else expected.astype(float)
        assert len(boxes) == len(expected), pool[i].name
        by_place = [np.lexsort(np.round(b).T) for b in (boxes, expected)]
        assert np.abs(boxes[by_place[0]] - expected[by_place[1]]).max(initial=0) < 4, pool[i].name
        compared += len(boxes)
    assert compared >= 20


def test_a_frame_at_working_size_keeps_its_larger_faces(made_face_image: np.ndarray) -> None:
    rng = np.random.default_rng(3)
    frame = rng.integers(90, 130, (1080, 1920, 3), dtype=np.uint8)
    head = made_face_image[0:260, 80:360]
    # the face is 110 x 140 px of the head's 280 x 260
    for i, side in enumerate((115, 140, 180, 240)):
        factor = side / 140
        pasted = cv2.resize(head, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        top, left = 200 + 60 * i, 100 + 440 * i
        frame[top : top + pasted.shape[0], left : left + pasted.shape[1]] = pasted
    found, expected = video_faces().detect([frame])[0], FaceDetector(min_face_px=20, working_px=1920).detect([frame])[0]
    assert len([f for f in expected if f.size_px >= 80]) == 4
    for face in expected:
        if face.size_px >= 80:
            assert sum(overlap(face.box, other.box) > 0.6 for other in found) == 1


@pytest.mark.parametrize("size", [(24, 24), (7, 61), (90, 33)])
def test_areas_are_averaged_as_torch_does(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (61, 83, 3), dtype=np.uint8)
    areas = _Areas(picture)

    def by_torch(part: np.ndarray, to: tuple[int, int]) -> np.ndarray:
        pixels = torch.from_numpy(part.copy()).permute(2, 0, 1)[None].float()
        return interpolate(pixels, size=to, mode="area")[0].permute(1, 2, 0).numpy()

    assert areas.shrunk(*size) == pytest.approx(by_torch(picture, size), abs=1e-3)
    top, bottom, left, right = np.array([[0, 5, 60], [61, 6, 61], [0, 30, 2], [83, 40, 82]])
    for i, crop in enumerate(areas.crops(top, bottom, left, right, 24)):
        part = picture[top[i] : bottom[i], left[i] : right[i]]
        assert crop == pytest.approx(by_torch(part, (24, 24)), abs=1e-3)


def test_upright_crop_is_the_pixels_themselves() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (200, 200, 3), dtype=np.uint8)
    frame = CropFrame(100.0, 100.0, 64.0, 0.0)
    assert np.array_equal(cut(image, frame, 64), image[68:132, 68:132])


def test_crop_is_square_and_repeats_the_border_outside() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[:, 0] = 200
    crop = crop_face(image, face_at(0, 50, 60), 80)
    assert crop.shape == (80, 80, 3)
    assert (crop[:, :30] == 200).all()


def test_a_tilted_head_comes_out_upright() -> None:
    image = np.zeros((300, 300, 3), np.uint8)
    for size in (40.0, 90.0):
        face = face_at(150, 150, size, roll_deg=30)
        marked = image.copy()
        for x, y in face.landmarks[:2]:
            cv2.circle(marked, (round(x), round(y)), max(3, int(size / 12)), (255, 255, 255), -1)
        crop = crop_face(marked, face, 96)[..., 0]
        left, right = crop[:, :48], crop[:, 48:]
        rows = [np.average(np.arange(96), weights=half.sum(axis=1) + 1e-9) for half in (left, right)]
        assert rows == pytest.approx([48, 48], abs=2.5)


def test_heat_lands_where_it_came_from() -> None:
    for roll in (0.0, 25.0):
        frame = crop_frame(face_at(140, 110, 80, roll))
        heat = np.zeros((64, 64), np.float32)
        heat[28:36, 28:36] = 1
        laid, box = paste_heat(heat, frame)
        ys, xs = np.nonzero(laid > 0.5)
        assert (xs.mean() + box[0], ys.mean() + box[1]) == pytest.approx((140, 110), abs=2.5)


def test_sharpness_falls_with_blur_and_does_not_depend_on_size(made_face_image: np.ndarray) -> None:
    crop = crop_face(made_face_image, face_at(225, 115, 110), 256)
    values = [sharpness(cv2.GaussianBlur(crop, (0, 0), s)) for s in (1.0, 3.0, 6.0)]
    assert sharpness(crop) > values[0] > values[1] > values[2]


def room(left: tuple[int, int, int], right: tuple[int, int, int]) -> np.ndarray:
    image = np.zeros((240, 480, 3), np.uint8)
    image[:, :240], image[:, 240:] = left, right
    return image


def test_two_persons_stay_two_and_a_chance_face_is_dropped() -> None:
    tracker = Tracker()
    image = room((200, 80, 60), (40, 90, 200))
    for i in range(8):
        faces = [face_at(80 + 5 * i, 120, 60), face_at(380 - 4 * i, 120, 64)]
        if i == 4:
            faces.append(face_at(235, 30, 40))
        if i == 5:
            faces.reverse()
        tracker.add(i * 0.3, tuple(faces), image)
    persons = tracker.persons(8)
    assert len(persons) == 2
    assert [len(tracker.tracks[p].faces) for p in persons] == [8, 8]


def test_a_cut_at_the_same_place_starts_a_new_person() -> None:
    tracker = Tracker()
    face = face_at(100, 100, 80)
    first, second = np.full((200, 200, 3), (210, 120, 90), np.uint8), np.full((200, 200, 3), (30, 60, 160), np.uint8)
    for i in range(4):
        tracker.add(i * 0.3, (face,), first)
    for i in range(4, 8):
        tracker.add(i * 0.3, (face,), second)
    assert len(tracker.persons(8)) == 2


def test_faces_that_cross_stay_apart(made_face_image: np.ndarray) -> None:
    """Two heads of one colour pass each other: where they are and how they move tells which is which."""
    for step in (20, 34):
        tracker = Tracker()
        image = np.full((240, 640, 3), 128, np.uint8)
        for i in range(12):
            faces = (face_at(120 + step * i, 110, 80), face_at(120 + step * 11 - step * i, 135, 80))
            order = (0, 1) if i % 2 else (1, 0)
            given = tracker.add(i * 0.3, tuple(faces[k] for k in order), image)
            if i == 0:
                first = dict(zip(order, given, strict=True))
            assert dict(zip(order, given, strict=True)) == first, i


def test_a_person_is_known_again_after_a_cut(made_face_image: np.ndarray) -> None:
    portrait = made_face_image
    other = np.ascontiguousarray(portrait[:, ::-1, ::-1])
    tracker = Tracker()
    found = []
    for i in range(18):
        shown, side = (other, 110.0) if 6 <= i < 12 else (portrait, 110.0 + i)
        x = 287.0 if shown is other else 225.0
        found += tracker.add(i * 0.5, (face_at(x + i % 2, 115, side),), shown)
    assert found == [0] * 6 + [1] * 6 + [0] * 6


def test_overlap() -> None:
    assert overlap((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert overlap((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(50 / 150)
    assert overlap((0, 0, 10, 10), (20, 0, 30, 10)) == 0
