"""Finding, cutting out and following faces."""

import cv2
import numpy as np
import pytest

from detector.faces.align import CropFrame, crop_face, crop_frame, cut, paste_heat, sharpness
from detector.faces.detect import FaceDetector
from detector.faces.track import Tracker
from detector.types import Face


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


def test_two_persons_stay_two_and_a_chance_face_is_dropped(made_face_image: np.ndarray) -> None:
    tracker = Tracker()
    image = np.zeros((240, 480, 3), np.uint8)
    image[:, :240] = (200, 80, 60)
    image[:, 240:] = (40, 90, 200)
    for i in range(8):
        faces = [face_at(80 + 5 * i, 120, 60), face_at(380 - 4 * i, 120, 64)]
        if i == 4:
            faces.append(face_at(235, 30, 40))
        if i == 5:
            faces.reverse()
        tracker.add(i, tuple(faces), image)
    persons = tracker.persons(8)
    assert len(persons) == 2
    assert [len(tracker.tracks[p].frames) for p in persons] == [8, 8]


def test_a_cut_at_the_same_place_starts_a_new_person() -> None:
    tracker = Tracker()
    face = face_at(100, 100, 80)
    first, second = np.full((200, 200, 3), (210, 120, 90), np.uint8), np.full((200, 200, 3), (30, 60, 160), np.uint8)
    for i in range(4):
        tracker.add(i, (face,), first)
    for i in range(4, 8):
        tracker.add(i, (face,), second)
    assert len(tracker.persons(8)) == 2
