"""The composition, with the published weights: photos and videos in, verdicts that keep their promises out."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from detector import Cancelled, Detector, ImageVerdict, MediaError, UnknownModelError, VideoVerdict
from detector.calibration import thresholds
from detector.manifest import Deletion
from detector.pipeline import RANGED_FACES


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_portrait_gets_a_band_a_probability_and_a_range(detector: Detector, samples: Path) -> None:
    said: list[tuple[float, str]] = []
    verdict = detector.image(samples / "astronaut.jpg", on_progress=lambda share, what: said.append((share, what)))
    assert isinstance(verdict, ImageVerdict)
    assert (verdict.status, verdict.reason, verdict.kind, verdict.file) == ("ok", None, "image", "astronaut.jpg")
    assert verdict.prob_fake is not None and verdict.range is not None and verdict.thresholds is not None
    assert verdict.range.kind == "re-encoding"
    assert 0 <= verdict.range.low <= verdict.prob_fake <= verdict.range.high <= 1
    assert {s.model for s in verdict.faces[0].scores} == {m.name for m in verdict.models}
    assert [share for share, _ in said] == sorted(share for share, _ in said)
    assert said[-1] == (1.0, "Done")
    assert all(share < 1 for share, _ in said[:-1])


def test_bytes_path_and_text_give_the_same(detector: Detector, samples: Path) -> None:
    path = samples / "astronaut.jpg"
    verdicts = [detector.image(source, name="a") for source in (path, str(path), path.read_bytes())]
    assert len({(v.prob_fake, v.sha256, v.range) for v in verdicts}) == 1
    assert verdicts[0].date and len(verdicts[0].sha256) == 64


def test_band_edges_rise_with_the_number_of_faces(detector: Detector, made_face_image: np.ndarray) -> None:
    tile = made_face_image[20:240, 120:340]
    one, six = (detector.image(png(np.concatenate([tile] * n, axis=1))) for n in (1, 6))
    assert [len(v.faces) for v in (one, six)] == [1, 6]
    assert one.thresholds == thresholds(detector.entry.curve, 1)
    assert six.thresholds == thresholds(detector.entry.curve, 6)
    assert six.thresholds.strong > one.thresholds.strong
    assert [f.number for f in six.faces] == [1, 2, 3, 4, 5, 6]
    probs = [f.prob_fake for f in six.faces]
    assert probs == sorted(probs, reverse=True) and six.prob_fake == probs[0]
    assert sum(f.range is not None for f in six.faces) == RANGED_FACES


def test_no_small_and_blurred_faces_get_a_reason(detector: Detector, made_face_image: np.ndarray) -> None:
    flat = detector.image(png(np.full((300, 300, 3), 128, np.uint8)))
    assert (flat.status, flat.reason, flat.faces) == ("no_verdict", "no_face", ())
    assert flat.prob_fake is None and flat.band is None and flat.thresholds is None and flat.message

    least = detector.manifest.limits.min_face_px
    side = max(34, int(least * 0.8))
    small = Image.fromarray(made_face_image[20:240, 120:340]).resize((side * 2, side * 2), Image.Resampling.LANCZOS)
    canvas = np.full((300, 300, 3), 90, np.uint8)
    canvas[: side * 2, : side * 2] = np.asarray(small)
    found = detector.image(png(canvas))
    for face in found.faces:
        assert (face.reason == "face_too_small") == (face.face.size_px < least)

    soft = Image.fromarray(made_face_image).resize((40, 40)).resize((512, 512), Image.Resampling.BICUBIC)
    blurred = detector.image(png(np.asarray(soft)))
    for face in blurred.faces:
        if face.sharpness < detector.manifest.limits.min_sharpness:
            assert face.reason == "face_too_blurred" and face.prob_fake is None and face.scores == ()


def test_a_video_gets_persons_and_a_timeline(detector: Detector, samples: Path) -> None:
    verdict = detector.video(samples / "clip.mp4", max_frames=12)
    assert isinstance(verdict, VideoVerdict) and verdict.status == "ok"
    person = verdict.persons[0]
    assert verdict.prob_fake == person.prob_fake and verdict.band == person.band
    assert person.range is not None and person.range.kind == "bootstrap"
    times = [p.time_s for p in person.timeline]
    assert times == sorted(times) and len(times) <= 12
    assert person.worst_window_s is not None and person.worst_time_s is not None
    assert person.worst_window_s[0] <= person.worst_time_s <= person.worst_window_s[1]
    assert verdict.coverage is not None and verdict.coverage.frames == 12
    assert 0 < verdict.coverage.share <= 1
    assert verdict.coverage.duration_s is not None
    assert 0 < person.on_screen_s <= verdict.coverage.duration_s


def test_too_few_frames_give_no_verdict(detector: Detector, samples: Path) -> None:
    verdict = detector.video(samples / "clip.mp4", max_frames=2)
    assert (verdict.status, verdict.reason) == ("no_verdict", "too_few_frames")
    assert verdict.persons and all(p.prob_fake is None for p in verdict.persons)


@pytest.mark.parametrize("name", ["astronaut.jpg", "clip.mp4"])
def test_cancelling_stops_at_once(detector: Detector, samples: Path, name: str) -> None:
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 2

    with pytest.raises(Cancelled):
        detector.file(samples / name, should_stop=stop)
    assert asked == 3


@pytest.mark.parametrize(
    ("data", "reason"), [(b"", "empty"), (b"just some text\n" * 50, "unsupported"), (b"\xff\xd8\xff\xe0", None)]
)
def test_what_cannot_be_read_is_a_verdict_too(detector: Detector, data: bytes, reason: str | None) -> None:
    verdict = detector.file(data, name="x.mp4")
    assert verdict.status == "unreadable" and verdict.message and verdict.prob_fake is None
    assert reason is None or verdict.reason == reason
    if data[:2] == b"\xff\xd8":
        with pytest.raises(MediaError):
            detector.image(data)


def test_each_published_choice_can_be_used_alone(detector: Detector, samples: Path) -> None:
    for name in detector.manifest.names():
        verdict = Detector(name).image(samples / "astronaut.jpg")
        assert verdict.ensemble == name
        assert [m.name for m in verdict.models] == list(detector.manifest.entry(name).members)
    with pytest.raises(UnknownModelError):
        Detector("nobody")


def test_the_ensemble_is_the_mean_of_its_members(samples: Path) -> None:
    detector = Detector("average")
    verdict = detector.image(samples / "astronaut.jpg")
    mean = float(np.mean([s.prob_fake for s in verdict.faces[0].scores]))
    again = detector.entry.calibration(np.array([np.log(mean / (1 - mean))]))[0]
    assert verdict.prob_fake == pytest.approx(1 / (1 + np.exp(-again)), abs=1e-4)


def test_the_heatmap_lies_on_the_face(detector: Detector, made_face_image: np.ndarray) -> None:
    face = detector.image(png(made_face_image)).faces[0].face
    for model in detector.entry.members:
        found = detector.explain(made_face_image, face, model)
        x0, y0, x1, y1 = found.box
        assert found.model == model and found.method == "CAM"
        if not found.proven:
            assert not found.heat.any()
            continue
        assert found.heat.shape == (round(y1 - y0), round(x1 - x0))
        assert found.heat.min() >= 0 and found.heat.max() <= 1
        assert x0 < face.box[0] and x1 > face.box[2]


def test_results_do_not_depend_on_the_machines_threads(detector: Detector, samples: Path) -> None:
    before = torch.get_num_threads()
    try:
        probs = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            probs.append(detector.image(samples / "astronaut.jpg").prob_fake)
    finally:
        torch.set_num_threads(before)
    assert probs[0] == pytest.approx(probs[1], abs=1e-3)


def test_a_network_whose_maps_prove_nothing_shows_none(made_face_image: np.ndarray) -> None:
    judge = Detector("average")
    face = judge.image(png(made_face_image)).faces[0].face
    first, second = judge.entry.members[:2]
    failed = replace(judge.manifest.models[first], deletion=Deletion(40, 0.1, 0.1, -0.1, 0.1))
    judge.manifest = replace(judge.manifest, models={**judge.manifest.models, first: failed})
    found = judge.explain(made_face_image, face, first)
    assert not found.proven and not found.heat.any()
    # the next one stands in for it where nobody asked for a network
    assert judge.explain(made_face_image, face).model == second
    assert judge.explain(made_face_image, face, first, exact=True).proven
