"""Where and how faces are looked for: turned pictures, several pictures, chosen regions, changed copies, crowds."""

import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from detector import BANDS, CHANGES, Detector, Face, MediaError
from detector.calibration import BAND_RATES, FalseAlarmCurve, crowd_of, face_chances, thresholds
from detector.faces.align import crop_face, crop_frame, paste_heat, turned, turned_back
from detector.faces.search import FaceSearch, region_px
from detector.media import read_image
from detector.resaved import changed_copy


@pytest.fixture(scope="module")
def edited(samples: Path) -> np.ndarray:
    return read_image(samples / "astronaut_edited.jpg")


def encoded(image: np.ndarray, image_format: str = "PNG", *more: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    several = {"save_all": True, "append_images": [Image.fromarray(m) for m in more]} if more else {}
    Image.fromarray(image).save(buffer, image_format, **several, **options)
    return buffer.getvalue()


# turned


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_face_is_found_and_judged_as_if_it_were_upright(
    detector: Detector, edited: np.ndarray, degrees: int
) -> None:
    upright = detector.image(encoded(edited))
    lying = detector.image(encoded(turned(edited, degrees)))
    assert lying.faces[0].face.turned_deg == 360 - degrees and upright.faces[0].face.turned_deg == 0
    assert lying.prob_fake == pytest.approx(upright.prob_fake, abs=0.01) and lying.band == upright.band
    assert lying.tried == ("turned",) and upright.tried == ()
    # in the picture as it is shown
    back = turned_back(upright.faces[0].face, 360 - degrees, 512, 512)
    assert np.abs(np.subtract(lying.faces[0].face.box, back.box)).max() < 2
    heat = detector.explain(turned(edited, degrees), lying.faces[0].face)
    plain = detector.explain(edited, upright.faces[0].face)
    assert np.abs(heat.heat - turned(plain.heat, degrees)).mean() < 0.05


def test_a_clip_that_stands_on_its_head_is_judged(detector: Detector, samples: Path) -> None:
    with av.open(str(samples / "clip.mp4")) as clip:
        frames = [f.to_ndarray(format="rgb24") for i, f in enumerate(clip.decode(video=0)) if i % 5 == 0]
    verdicts = []
    for turn in (0, 180):
        buffer = io.BytesIO()
        with av.open(buffer, "w", "mp4") as out:
            stream = out.add_stream("libx264", rate=5, options={"crf": "12"})
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt = "yuv420p"
            for frame in frames:
                out.mux(stream.encode(av.VideoFrame.from_ndarray(turned(frame, turn), format="rgb24")))
            out.mux(stream.encode())
        verdicts.append(detector.video(buffer.getvalue(), max_frames=12))
    upright, head_down = verdicts
    assert head_down.status == "ok"
    assert {p.face.turned_deg for p in head_down.persons[0].timeline} == {180}
    assert head_down.persons[0].usable_frames == upright.persons[0].usable_frames
    assert head_down.prob_fake == pytest.approx(upright.prob_fake, abs=0.15)
    assert head_down.tried == ("turned",)


@pytest.mark.parametrize("degrees", [90, 180, 270])
@pytest.mark.parametrize("roll", [0.0, 20.0])
def test_the_crop_of_a_turned_face_is_that_of_the_turned_picture(degrees: int, roll: float) -> None:
    rng = np.random.default_rng(2)
    image = cv2.GaussianBlur(rng.integers(0, 256, (90, 120, 3), np.uint8), (5, 5), 0)
    slope = np.tan(np.radians(roll))
    face = Face((40.0, 20.0, 80.0, 70.0), ((50.0, 40.0), (70.0, 40.0 + 20 * slope)), 0.99)
    as_it_is = turned(image, -degrees)
    back = turned_back(face, degrees, as_it_is.shape[1], as_it_is.shape[0])
    assert back.turned_deg == degrees
    assert np.abs(crop_face(as_it_is, back, 48).astype(int) - crop_face(image, face, 48)).max() <= 1
    heat = cv2.GaussianBlur(rng.random((48, 48)).astype(np.float32), (0, 0), 6)
    laid, box = paste_heat(heat, crop_frame(back))
    plain, _ = paste_heat(heat, crop_frame(face))
    assert laid.shape == (round(box[3] - box[1]), round(box[2] - box[0]))
    assert np.abs(turned(laid, degrees) - plain).mean() < 0.05


def test_pictures_without_faces_stay_without(detector: Detector) -> None:
    rng = np.random.default_rng(4)
    for image in (
        cv2.GaussianBlur(rng.integers(0, 256, (300, 400, 3), np.uint8), (0, 0), 6),
        np.full((200, 300, 3), 128, np.uint8),
    ):
        verdict = detector.image(encoded(image))
        assert (verdict.reason, verdict.tried) == ("no_face", ("turned",))
        assert verdict.message is not None and "turned sideways and upside down" in verdict.message
        assert "look at a part" in verdict.message


class Finder:
    """Finds what it is told, by the call."""

    working_px = 100

    def __init__(self, *answers: tuple[Face, ...]) -> None:
        self.answers, self.asked = list(answers), 0

    def detect(self, images: list[np.ndarray], *, closer: float = 1.0) -> list[tuple[Face, ...]]:
        self.asked += 1
        return [self.answers.pop(0) if self.answers else ()]


UPRIGHT = Face((10.0, 10.0, 30.0, 30.0), ((15.0, 16.0), (25.0, 16.0)), 0.99)


def search_of(finder: Finder) -> FaceSearch:
    return FaceSearch(finder)  # type: ignore[arg-type]


def test_a_film_without_faces_is_turned_a_few_times_only() -> None:
    finder = Finder()
    search = search_of(finder)
    for _ in range(32):
        assert search.detect([np.zeros((50, 50, 3), np.uint8)]) == [()]
    assert finder.asked == 32 + 3 * 6  # at the frames 1, 2, 4, 8, 16 and 32


def test_what_found_a_face_is_kept_and_single_frames_without_one_are_not_turned() -> None:
    frame = np.zeros((50, 50, 3), np.uint8)
    finder = Finder((), (UPRIGHT,), (), (), (UPRIGHT,))
    search = search_of(finder)
    first, second = search.detect([frame])[0], search.detect([frame])[0]
    assert first[0].turned_deg == second[0].turned_deg == 180 and finder.asked == 5
    finder = Finder((UPRIGHT,), (), (UPRIGHT,), ())
    search = search_of(finder)
    for _ in range(4):
        search.detect([frame])
    assert finder.asked == 4 and search.tried == ()


def test_turned_faces_must_be_sure_and_upright() -> None:
    frame = np.zeros((50, 50, 3), np.uint8)
    for face in (replace(UPRIGHT, confidence=0.93), replace(UPRIGHT, landmarks=((15.0, 16.0), (16.0, 28.0)))):
        assert search_of(Finder((), (face,))).detect([frame]) == [()]


# tiny faces in large pictures, and regions


def test_a_tiny_face_in_a_large_picture_is_found(detector: Detector, made_face_image: np.ndarray) -> None:
    canvas = np.full((2400, 4200, 3), 120, np.uint8)
    canvas[900:1010, 2000:2110] = cv2.resize(made_face_image[10:250, 110:350], (110, 110), interpolation=cv2.INTER_AREA)
    assert detector._photo_faces.detect([canvas])[0] == ()
    verdict = detector.image(encoded(canvas))
    assert len(verdict.faces) == 1 and verdict.tried == ("turned", "closer")
    x0, y0, x1, y1 = verdict.faces[0].face.box
    assert 2000 < x0 < x1 < 2110 and 900 < y0 < y1 < 1010


@pytest.mark.parametrize("region", [(256.0, 0.0, 512.0, 256.0), (0.5, 0.0, 1.0, 0.5)])
def test_a_region_can_be_chosen(detector: Detector, made_face_image: np.ndarray, region: Any) -> None:
    tile = cv2.resize(made_face_image[10:250, 110:350], (256, 256), interpolation=cv2.INTER_AREA)
    picture = np.concatenate([np.concatenate([tile, tile], axis=1), np.full((256, 512, 3), 90, np.uint8)])
    whole = detector.image(encoded(picture))
    part = detector.image(encoded(picture), region=region)
    assert len(whole.faces) == 2 and len(part.faces) == 1
    assert part.region == (256.0, 0.0, 512.0, 256.0) and whole.region is None
    assert part.faces[0].face.box[0] > 256
    assert (part.width, part.height) == (512, 512)
    assert all(r.prob_fake is not None for r in part.faces[0].resaved)
    assert part.to_dict()["region"] == [256.0, 0.0, 512.0, 256.0]


def test_a_region_of_a_video(detector: Detector, samples: Path) -> None:
    empty = detector.video(samples / "clip.mp4", max_frames=4, region=(0.0, 0.7, 0.2, 1.0))
    assert empty.status == "no_verdict" and empty.region is not None
    right = detector.video(samples / "clip.mp4", max_frames=4, region=(0.0, 0.0, 1.0, 1.0))
    assert right.persons


def test_a_region_outside_is_refused_with_a_next_step() -> None:
    for region in ((600.0, 0.0, 700.0, 50.0), (0.0, 0.0, 0.01, 0.01), (5.0, 5.0, 2.0, 2.0)):
        with pytest.raises(MediaError) as refused:
            region_px(region, 512, 512)
        assert refused.value.reason == "outside" and "512" in str(refused.value)


# several pictures in one file


@pytest.mark.parametrize("image_format", ["WEBP", "PNG", "TIFF"])
def test_the_most_suspicious_picture_of_a_file_is_named(
    detector: Detector, made_face_image: np.ndarray, edited: np.ndarray, image_format: str
) -> None:
    options: dict[str, Any] = {"lossless": True, "duration": 200} if image_format == "WEBP" else {}
    data = encoded(made_face_image, image_format, edited, edited, edited, **options)
    verdict = detector.image(data)
    single = detector.image(encoded(edited))
    assert verdict.picture is not None
    assert (verdict.picture.number, verdict.picture.looked_at[0]) == (2, 1)
    assert verdict.prob_fake == pytest.approx(single.prob_fake, abs=0.02)
    # three times the same picture is one chance to alarm
    assert verdict.thresholds == thresholds(detector.entry.curve, 2)
    assert np.array_equal(read_image(data, verdict.picture.number), edited)


def test_a_face_in_the_second_picture_alone_is_found(detector: Detector, edited: np.ndarray) -> None:
    blank = np.full_like(edited, 60)
    verdict = detector.image(encoded(blank, "GIF", edited, duration=100))
    assert verdict.picture is not None and verdict.picture.number == 2 and verdict.faces
    assert verdict.coverage is not None and (verdict.coverage.frames, verdict.coverage.share) == (2, 1.0)


# what a person would get by doing it


def test_the_range_is_what_saved_copies_get(detector: Detector, edited: np.ndarray, tmp_path: Path) -> None:
    verdict = detector.image(encoded(edited))
    top = verdict.faces[0]
    assert [r.change for r in top.resaved] == list(CHANGES) and top.range is not None
    for size, change in ((0.75, "size_75"), (0.5, "size_50")):
        side = round(512 * size)
        small = cv2.resize(edited, (side, side), interpolation=cv2.INTER_AREA)
        path = tmp_path / f"{change}.jpg"
        cv2.imwrite(str(path), small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        said = next(r for r in top.resaved if r.change == change)
        got = detector.image(path)
        assert got.prob_fake == pytest.approx(said.prob_fake, abs=0.002) and got.band == said.band
        assert top.range.low - 0.002 <= got.prob_fake <= top.range.high + 0.002
    probs = [top.prob_fake, *(r.prob_fake for r in top.resaved if r.prob_fake is not None)]
    assert (top.range.low, top.range.high) == (min(probs), max(probs))


def test_a_face_that_a_copy_loses_has_a_reason(detector: Detector, made_face_image: np.ndarray) -> None:
    least = detector.manifest.limits.min_face_px
    scale = least * 1.15 / detector.image(encoded(made_face_image)).faces[0].face.size_px
    side = round(512 * scale)
    verdict = detector.image(encoded(cv2.resize(made_face_image, (side, side), interpolation=cv2.INTER_AREA)))
    half = next(r for r in verdict.faces[0].resaved if r.change == "size_50")
    assert half.prob_fake is None and half.reason in ("face_too_small", "no_face", "face_too_blurred")


def test_every_change_keeps_the_face_where_it_says() -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    image[40:60, 80:120] = 255
    face = Face((80.0, 40.0, 120.0, 60.0), ((90.0, 45.0),), 0.99)
    for change in CHANGES:
        copy, (moved,) = changed_copy(image, change, [face])
        x0, y0, x1, y1 = (round(v) for v in moved.box)
        assert copy[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1].min() > 200
        assert copy[: y0 - 2].max() < 60
    with pytest.raises(ValueError, match="no change"):
        changed_copy(image, "mirrored", [])


# many faces in one picture

EXPONENTIAL = FalseAlarmCurve((0.5, 0.1, 0.02, 0.005), tuple(-np.log((0.5, 0.1, 0.02, 0.005))))
"""Of scores with P(score > x) = exp(-x)."""


def genuine_scores(rng: np.random.Generator, count: int, correlation: float) -> np.ndarray:
    """Scores of the faces of one genuine picture, with one common normal factor."""
    normal = np.sqrt(correlation) * rng.normal() + np.sqrt(1 - correlation) * rng.normal(size=count)
    return -np.log([math.erfc(v / math.sqrt(2)) / 2 for v in normal])


@pytest.mark.parametrize("count", [8, 20, 60])
@pytest.mark.parametrize("correlation", [0.0, 0.25])
def test_genuine_crowds_alarm_no_more_often_than_promised(count: int, correlation: float) -> None:
    rng = np.random.default_rng(11)
    alarms = dict.fromkeys(BAND_RATES, 0)
    pictures = 2000
    edges = {band: -np.log(1 - (1 - rate) ** (1 / face_chances(count, True))) for band, rate in BAND_RATES.items()}
    for _ in range(pictures):
        scores = genuine_scores(rng, count, correlation)
        crowd = crowd_of(scores, EXPONENTIAL)
        assert crowd is not None
        for band in BAND_RATES:
            by_count = (
                list(BAND_RATES).index(crowd.band) >= list(BAND_RATES).index(band) if crowd.band != "little" else False
            )
            alarms[band] += bool(scores.max() > edges[band] or by_count)
    for band, rate in BAND_RATES.items():
        sigma = np.sqrt(rate * (1 - rate) / pictures)
        assert alarms[band] / pictures <= rate + 3 * sigma


def test_many_suspicious_faces_count_where_none_alone_would() -> None:
    edge = EXPONENTIAL.edge(0.1)
    found = {
        above: crowd_of(np.r_[np.full(above, edge + 0.5), np.zeros(60 - above)], EXPONENTIAL) for above in (3, 35, 60)
    }
    assert [c.band for c in found.values() if c] == ["little", "weak", "very_strong"]
    assert found[35] is not None and (found[35].above, found[35].of, found[35].rate) == (35, 60, 0.1)
    # none of these reaches an edge for 60 faces by itself
    assert edge + 0.5 < EXPONENTIAL.edge(0.1 / 60)
    # each further picture is a further chance
    many = crowd_of(np.r_[np.full(35, edge + 0.5), np.zeros(25)], EXPONENTIAL, pictures=16)
    assert many is not None and many.band == "little"


def test_few_very_suspicious_faces_among_many_are_more_than_little() -> None:
    """Thirteen of sixty faces above the edge of strong for one face, none above the edge for sixty."""
    strong = EXPONENTIAL.edge(BAND_RATES["strong"])
    crowd = crowd_of(np.r_[np.full(13, strong + 0.1), np.zeros(47)], EXPONENTIAL)
    assert crowd is not None
    assert (crowd.above, crowd.rate, crowd.band) == (13, BAND_RATES["strong"], "weak")
    assert strong + 0.1 < EXPONENTIAL.edge(BAND_RATES["weak"] / face_chances(60, True))
    very_strong = EXPONENTIAL.edge(BAND_RATES["very_strong"])
    crowd = crowd_of(np.r_[np.full(13, very_strong + 0.1), np.zeros(47)], EXPONENTIAL)
    assert crowd is not None and crowd.band == "very_strong"


def test_few_faces_are_not_counted() -> None:
    assert crowd_of(np.full(7, 5.0), EXPONENTIAL) is None
    assert face_chances(7, False) == 7 and face_chances(60, True) == pytest.approx(75)


def test_many_edited_faces_in_one_picture_are_more_than_little(detector: Detector, edited: np.ndarray) -> None:
    """The most suspicious one alone would give less: its edges are those for that many faces."""
    rng = np.random.default_rng(0)
    face = cv2.resize(edited[0:300, 80:380], (284, 284), interpolation=cv2.INTER_AREA)
    tiles = [
        np.clip(face * rng.uniform(0.8, 1.2) + rng.normal(0, 0.5, face.shape), 0, 255).astype(np.uint8)
        for _ in range(24)
    ]
    picture = np.concatenate([np.concatenate(tiles[row * 6 : row * 6 + 6], axis=1) for row in range(4)])
    verdict = detector.image(encoded(picture))
    assert verdict.crowd is not None and verdict.crowd.of == len(verdict.faces) == 24
    assert verdict.thresholds == thresholds(detector.entry.curve, face_chances(24, True))
    assert verdict.band == verdict.crowd.band
    assert BANDS.index(verdict.band) > BANDS.index(verdict.faces[0].band)  # type: ignore[arg-type]
