"""Frames in order: shapes, what order is worth, flicker, folds without shared persons, and the recipe on a made set."""

import csv
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from detector import persons
from detector.calibration import Calibration
from detector.engine import Engine
from detector.errors import UnknownModelError
from detector.faces.align import crop_face
from detector.manifest import default_folder, read_manifest, write_manifest
from detector.media import sha256_of
from detector.models.registry import build
from detector.persons import Followed, Sighting, Tracked
from detector.pipeline import Detector, video_faces
from detector.types import Face
from detector.video import VideoInfo
from train.__main__ import main
from train.data.clip_frames import PATCH_PX, Fit, load_persons, patch_of, person_frames
from train.data.datasets.clips import Clip, person_of
from train.data.self_blend import SelfBlend, self_blend
from train.errors import DataError
from train.learn.options import Folders
from train.measure.clips import person_folds
from train.run import Run
from train.temporal.flicker import Flicker, flicker_blend
from train.temporal.judge import Fitting, Track, clip_scores, compare, fit_tracks, helps, judge_tracks, pooled
from train.temporal.learn import Temporal, run
from train.temporal.networks import HEADS, ClipNetwork, InOrder, frame_windows
from train.temporal.report import AVERAGE, MODEL, RULE, SHIPPED, SHUFFLED

FACE = Face((20.0, 20.0, 76.0, 90.0), ((35.0, 45.0), (61.0, 45.0), (48.0, 61.0), (38.0, 73.0), (58.0, 73.0)), 0.99)


def picture(seed: int, side: int = 112) -> np.ndarray:
    """A sharp picture of the given side."""
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)


def sequences(n: int = 5, frames: int = 7, channels: int = 12) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(n, frames, channels), torch.randn(n, frames), torch.tensor([7, 7, 4, 2, 1][:n])


@pytest.mark.parametrize("name", HEADS)
def test_a_new_head_is_the_average_of_the_frames_that_are_there(name: str) -> None:
    features, logits, lengths = sequences()
    head = HEADS[name](12).eval()
    expected = torch.stack([row[:n].mean() for row, n in zip(logits, lengths, strict=True)])
    assert torch.allclose(head(features, logits, lengths), expected, atol=1e-6)


def shaken(name: str, channels: int = 12) -> torch.nn.Module:
    """A head whose last layer is no longer zero."""
    torch.manual_seed(1)
    head = HEADS[name](channels).eval()
    torch.nn.init.normal_(head.leave[-1].weight)
    return head


@pytest.mark.parametrize("name", HEADS)
def test_order_matters_to_a_head_and_not_to_the_average(name: str) -> None:
    features, logits, _ = sequences(3)
    whole = torch.full((3,), 7)
    turned = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    head = shaken(name)
    added = head(features, logits, whole) - logits.mean(dim=1)
    again = head(features[:, turned], logits[:, turned], whole) - logits[:, turned].mean(dim=1)
    assert (added - again).abs().min() > 1e-3
    assert torch.allclose(logits.mean(dim=1), logits[:, turned].mean(dim=1), atol=1e-6)


@pytest.mark.parametrize("name", HEADS)
def test_what_lies_behind_the_end_of_a_clip_is_not_looked_at(name: str) -> None:
    features, logits, lengths = sequences()
    head = shaken(name)
    found = head(features, logits, lengths)
    for i, n in enumerate(lengths.tolist()):
        alone = head(features[i : i + 1, :n], logits[i : i + 1, :n], lengths[i : i + 1])
        assert torch.allclose(alone, found[i : i + 1], atol=1e-5)
    spoilt, wrong = features.clone(), logits.clone()
    spoilt[3, 2:], wrong[3, 2:] = 99.0, float("nan")
    assert torch.allclose(head(spoilt, wrong, lengths), found, atol=1e-5)


def test_a_resnet_and_lstm_over_crops_trains_and_keeps_its_norms() -> None:
    torch.manual_seed(0)
    network = ClipNetwork(build("resnet18"), Calibration(2.0, -1.0), "lstm", 32).train()
    norms = {k: v.clone() for k, v in network.state_dict().items() if "running" in k}
    clips, lengths = torch.rand(2, 3, 3, 32, 32), torch.tensor([3, 2])
    found = network(clips, lengths)
    assert found.shape == (2,)
    features, logits = network.embed(clips.flatten(0, 1))
    assert features.shape == (6, 512) and logits.shape == (6,)
    assert torch.allclose(logits, 2.0 * network.network(clips.flatten(0, 1)) - 1.0, atol=1e-5)
    assert torch.allclose(found, torch.stack([logits[:3].mean(), logits[3:5].mean()]), atol=1e-4)
    found.sum().backward()
    assert network.network.backbone.conv1.weight.grad is not None  # type: ignore[union-attr]
    assert network.head.leave[-1].weight.grad.abs().sum() > 0  # type: ignore[union-attr, operator]
    assert all(torch.equal(v, network.state_dict()[k]) for k, v in norms.items())
    with pytest.raises(UnknownModelError, match="lstm, conv"):
        ClipNetwork(build("resnet18"), Calibration(1.0, 0.0), "gru", 32)


@pytest.mark.parametrize("name", HEADS)
def test_a_head_at_work_adds_in_the_mean_what_it_says_of_a_window(name: str) -> None:
    features, logits, _ = sequences(1, frames=7)
    head = shaken(name)
    with torch.no_grad():
        said = float(head(features, logits, torch.tensor([7])) - logits.mean())
    added = InOrder(head, 8).added(features[0].numpy())
    assert added.shape == (7,) and added == pytest.approx(np.full(7, said), abs=1e-5)
    # of a longer one each frame gets the mean over the windows that it is in
    found = InOrder(head, 4).added(features[0].numpy())
    parts = [InOrder(head, 4).added(features[0].numpy()[row])[0] for row in frame_windows(7, 4)]
    expected = [np.mean([p for p, row in zip(parts, frame_windows(7, 4), strict=True) if t in row]) for t in range(7)]
    assert found == pytest.approx(expected, abs=1e-5) and np.ptp(found) > 0


def test_windows_cover_every_frame_and_overlap() -> None:
    assert [w.tolist() for w in frame_windows(3, 4)] == [[0, 1, 2]]
    assert [w.tolist() for w in frame_windows(4, 4)] == [[0, 1, 2, 3]]
    for length in range(1, 40):
        found = frame_windows(length, 6)
        assert {i for w in found for i in w.tolist()} == set(range(length))
        assert {len(w) for w in found} == {min(6, length)}
        assert all(b[0] - a[0] <= 3 for a, b in pairwise(found))


def still(n: int = 8) -> tuple[list[np.ndarray], list[Face]]:
    """A clip in which nothing moves: whatever changes in it was made to."""
    return [picture(0)] * n, [FACE] * n


def test_flicker_is_decided_by_its_generator_and_differs_from_frame_to_frame() -> None:
    pictures, faces = still()
    wavering = Flicker(steady=0.0, depth=(0.5, 0.5), lost=(0.0, 0.0))
    found = flicker_blend(pictures, faces, np.random.default_rng(1), flicker=wavering)
    again = flicker_blend(pictures, faces, np.random.default_rng(1), flicker=wavering)
    other = flicker_blend(pictures, faces, np.random.default_rng(2), flicker=wavering)
    assert all(
        np.array_equal(a, b) for side, same in zip(found, again, strict=True) for a, b in zip(side, same, strict=True)
    )
    assert not np.array_equal(found[0][0], other[0][0])
    twins, partners = found
    assert not any(np.array_equal(a, b) for a, b in pairwise(twins))
    # the genuine side of a clip that stands still stands still
    assert all(np.array_equal(partners[0], p) for p in partners)
    assert all(np.array_equal(p, picture(0)) for p in pictures)


def test_a_steady_blend_of_a_still_clip_does_not_flicker() -> None:
    twins, _ = flicker_blend(*still(), np.random.default_rng(1), flicker=Flicker(steady=1.0))
    assert all(np.array_equal(twins[0], t) for t in twins) and not np.array_equal(twins[0], picture(0))


@pytest.mark.parametrize("seed", range(6))
def test_twin_and_partner_are_equal_away_from_the_face(seed: int) -> None:
    twins, partners = flicker_blend(*still(4), np.random.default_rng(seed))
    for twin, partner in zip(twins, partners, strict=True):
        assert np.array_equal(twin[:4], partner[:4]) and np.array_equal(twin[:, -4:], partner[:, -4:])


def test_the_inner_face_gets_its_colours_from_a_generator_of_its_own() -> None:
    image = picture(0)
    seeds = range(12)
    own = [self_blend(image, FACE, np.random.default_rng(s), inner_rng=np.random.default_rng(9))[0] for s in seeds]
    usual = [self_blend(image, FACE, np.random.default_rng(s))[0] for s in seeds]
    differ = [not np.array_equal(a, b) for a, b in zip(own, usual, strict=True)]
    # about half of the blends change their inner side
    assert 2 <= sum(differ) <= 10


def test_a_flicker_takes_shares_only() -> None:
    with pytest.raises(ValueError, match="share"):
        Flicker(depth=(0.5, 1.5))
    with pytest.raises(ValueError, match="landmarks"):
        flicker_blend([picture(0)], [replace(FACE, landmarks=())], np.random.default_rng(0), SelfBlend())


def test_a_patch_holds_what_a_network_sees() -> None:
    image = np.asarray(np.tile(np.linspace(0, 255, 200, dtype=np.uint8)[:, None, None], (1, 200, 3)))
    turned = replace(FACE, landmarks=((35.0, 40.0), (61.0, 52.0), *FACE.landmarks[2:]))
    for face in (FACE, turned):
        shifted = replace(
            face,
            box=tuple(v + 60 for v in face.box),  # type: ignore[arg-type]
            landmarks=tuple((x + 60, y + 60) for x, y in face.landmarks),
        )
        patch, moved = patch_of(image, shifted)
        assert max(patch.shape[:2]) < 200
        difference = crop_face(patch, moved, 64).astype(int) - crop_face(image, shifted, 64)
        assert np.abs(difference).max() <= 2
    large = np.repeat(np.repeat(image, 5, axis=0), 5, axis=1)
    patch, moved = patch_of(large, Face((200.0, 200.0, 700.0, 800.0), ((300.0, 400.0),) * 5, 0.9))
    assert max(patch.shape[:2]) == PATCH_PX and moved.size_px == pytest.approx(320 / (1.3 * 1.15), rel=0.02)


def test_kept_frames_are_those_that_the_product_judges(repo_root: Path, tmp_path: Path) -> None:
    path = repo_root / "app" / "samples" / "clip.mp4"
    manifest = read_manifest()
    fit = Fit(manifest.limits.min_face_px, manifest.limits.min_sharpness)
    kept = tmp_path / "kept.npz"
    found = person_frames(path, video_faces(), fit, 8, kept)
    judge = Detector("resnet18")
    expected = [rows[:, 0] for rows in judge.person_logits(path, max_frames=8) if len(rows) >= 4]
    assert found and [len(p.faces) for p in found] == [len(rows) for rows in expected]
    again = load_persons(kept)
    assert [p.patches for p in again] == [p.patches for p in found] and again[0].faces == found[0].faces
    engine = Engine(manifest, "resnet18")
    for person, rows in zip(again, expected, strict=True):
        crops = person.crops(engine.size_px)
        # patches of large faces are smaller than the video's own, so a crop may differ a little
        assert np.abs(engine.calibration(engine.logits(list(crops))) - rows).max() < 0.5


def track(key: str, label: int, *, person: str | None = None, clip: int = 0, length: int = 8) -> Track:
    return Track(key, label, "a", person or key, clip, False, length)


def test_a_head_learns_what_only_order_tells() -> None:
    """Values that rise are manipulated, values that fall genuine; their averages are alike."""
    rng = np.random.default_rng(0)
    tracks, shown = [], {}
    for i in range(48):
        label = i % 2
        line = np.linspace(-1, 1, 8) * (1 if label else -1)
        rows = rng.normal(0, 0.2, (8, 6))
        rows[:, 0] += line
        shown[f"s{i}"] = torch.tensor(rows, dtype=torch.float32)
        tracks.append(track(f"s{i}", label, clip=i))
    torch.manual_seed(0)
    head = HEADS["lstm"](6, dropout=0.0)

    def score(chosen: Sequence[Track], rows: Sequence[np.ndarray]) -> torch.Tensor:
        features = torch.stack([shown[s.key][r] for s, r in zip(chosen, rows, strict=True)])
        return head(features, torch.zeros(features.shape[:2]), torch.full((len(chosen),), features.shape[1]))

    loss = fit_tracks(head.parameters(), score, tracks[:32], Fitting(8, 25, 16, 5e-3, 0.0, 0))
    assert loss < 0.3
    labels = np.array([s.label for s in tracks[32:]])
    assert ((judge_tracks(score, tracks[32:], 8) > 0) == labels).mean() > 0.9
    assert ((judge_tracks(score, tracks[32:], 8, np.random.default_rng(0)) > 0) == labels).mean() < 0.9


@pytest.mark.parametrize("epochs", [1, 10])
def test_few_steps_are_no_obstacle(epochs: int) -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    tracks = [track("a", 0), track("b", 1)]
    sign = torch.tensor([[-1.0], [1.0]])

    def score(chosen: Sequence[Track], rows: Sequence[np.ndarray]) -> torch.Tensor:
        return (sign[[s.label for s in chosen]] * weight)[:, 0]

    fit_tracks([weight], score, tracks, Fitting(4, epochs, 16, 0.1, 0.0, 0))
    assert weight.item() > 0


def test_one_class_alone_is_refused() -> None:
    with pytest.raises(DataError, match="genuine and manipulated"):
        fit_tracks([], lambda chosen, rows: torch.zeros(1), [track("a", 0)], Fitting(4, 1, 16, 0.1, 0.0, 0))


def made_clips(n: int, source: str = "a") -> list[Clip]:
    return [Clip(Path(f"{i}"), i % 2, source, f"p{i // 2}", "train", name=f"{i}") for i in range(n)]


def test_a_gain_is_judged_within_slices_and_against_chance() -> None:
    clips = [*made_clips(40), *(replace(c, source="b", label=0, group=f"q{i}") for i, c in enumerate(made_clips(30)))]
    rng = np.random.default_rng(0)
    labels = np.array([c.label for c in clips])
    blind = rng.normal(0, 1, len(clips))
    # knowing the slice tells nothing within it
    slice_knower = blind - 9 * np.array([c.source == "b" for c in clips])
    seeing = blind + 2 * labels
    same = compare(clips, {"new": slice_knower, "old": blind}, "new", ["old"])
    assert same is not None and same["gain"]["old"]["value"] == 0 and not helps(same)
    # across slices it would seem to: such a figure is told and decides nothing
    across = compare(pooled(clips), {"new": slice_knower, "old": blind}, "new", ["old"])
    assert across is not None and across["gain"]["old"]["low"] > 0
    better = compare(clips, {"new": seeing, "old": blind}, "new", ["old"])
    assert better is not None and better["gain"]["old"]["low"] > 0 and helps(better)
    assert set(better["slices"]["new"]) == {"a"} and better["auc"]["new"]["n"] == 40
    assert not helps(compare(clips, {"new": blind, "old": seeing}, "new", ["old"]))
    # four persons of a class show nothing
    assert compare(made_clips(8), {"new": blind[:8]}, "new", []) is None and not helps(None)


def test_a_clip_is_as_suspicious_as_its_most_suspicious_person() -> None:
    tracks = [track("a", 0, clip=0), track("b", 0, clip=0), track("c", 1, clip=1)]
    assert clip_scores(tracks, np.array([-2.0, -3.0, 4.0])) == {0: -2.0, 1: 4.0}


def test_folds_of_clips_share_no_person_even_under_two_names() -> None:
    clips = [replace(c, group=g) for c, g in zip(made_clips(8), ["dfl_src2", "dfl_src27"] * 4, strict=True)]
    clips += made_clips(24)
    for inside, outside in person_folds(clips, 3):
        assert not {clips[i].person for i in inside} & {clips[i].person for i in outside}
    assert person_of("dfl_src2") == person_of("dfl_src27")


class FakeFilm:
    """Follows one person through a clip that is made of the clip's bytes; counts what was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(
        self, path: Path, finder: object, judge: Callable[..., Any], *, max_frames: int, on_step: object
    ) -> Any:
        self.asked.append(path.name)
        said = json.loads(path.read_text())
        rng = np.random.default_rng(said["seed"])
        base = picture(said["seed"])
        sightings = []
        for t in range(said["frames"]):
            gain = rng.uniform(0.6, 1.0) if said["flickers"] else 0.8
            image = (base * gain).astype(np.uint8)
            sightings.append(Sighting(t / 5, FACE, judge([(image, (FACE,))])[0][0]))
        info = VideoInfo(112, 112, 5.0, 2.0, "h264", 0)
        return Tracked(info, None, 0, tuple(s.time_s for s in sightings), (Followed(tuple(sightings)),))


@pytest.fixture
def film(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeFilm]:
    fake = FakeFilm()
    monkeypatch.setattr(persons, "follow_persons", fake)
    yield fake


@pytest.fixture
def made(tmp_path: Path, film: FakeFilm) -> Temporal:
    """Options for a data folder of made clips and a published set with limits that they pass."""
    root, weights = tmp_path / "data", tmp_path / "weights"
    (root / "videos").mkdir(parents=True)
    for folder in ("real_data", "fake_data"):
        (root / folder).mkdir()
        for i in range(20):
            (root / folder / f"{folder}{i}_0.png").write_bytes(b"x")
    rows = []
    for i in range(14):
        name = f"videos/c{i}.mp4"
        said = {"seed": i // 2, "frames": 5 + i % 3, "flickers": i % 2 == 1}
        (root / name).write_text(json.dumps(said | {"name": name}))
        split = "test" if i >= 12 else ("train", "val")[i % 4 == 3]
        rows.append([name, "fake" if i % 2 else "real", "a", f"p{i // 2}-{split}", split])
    with (root / "videos.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows([["file", "label", "slice", "group", "split"], *rows])
    weights.mkdir()
    published = read_manifest()
    file = published.models["resnet18"].file
    shutil.copy(default_folder() / file, weights / file)
    write_manifest(weights, replace(published, data=replace(published.data, fingerprint="")))
    return Temporal(
        frames=4, size_px=32, blends=1, folds=2, epochs=2, batch_size=8,
        weights_dir=weights, folders=Folders(root, tmp_path / "runs"),
    )  # fmt: skip


@pytest.mark.parametrize("network", HEADS)
def test_the_recipe_writes_every_file_reads_no_test_clip_and_goes_on(
    made: Temporal, film: FakeFilm, network: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = replace(made, network=network)  # type: ignore[arg-type]
    folder = run(options)
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    assert names == [
        "best.safetensors", "folds/1.json", "folds/1.safetensors", "folds/2.json", "folds/2.safetensors",
        "metrics.jsonl", "report/temporal.json", "report/temporal.md", "run.json",
    ]  # fmt: skip
    assert sorted(film.asked) == sorted(f"c{i}.mp4" for i in range(12))
    found = json.loads((folder / "report" / "temporal.json").read_text())
    assert found["clips"] == {
        "used": 12, "manipulated": 6, "persons": found["clips"]["persons"], "in_training_pictures": 0,
        "without_a_person": 0, "made": 12,
    }  # fmt: skip
    one, two = (set(row["persons"]) for row in found["folds"])
    assert one and two and not one & two
    assert set(found["everyone"]["gain"]) == {AVERAGE, RULE, SHUFFLED}
    assert set(found["folds"][0]["auc"]) == {MODEL, AVERAGE, RULE, SHUFFLED, SHIPPED}
    assert set(found["shipped"]["gain"]) == {RULE} and "test" not in found
    text = (folder / "report" / "temporal.md").read_text()
    assert ("It helps" in text) == found["helps"] and ("It is not shipped" in text) != found["helps"]
    assert set(load_file(folder / "best.safetensors")) == set(HEADS[network](512).state_dict())
    assert [row["fold"] for row in Run(folder).events("fold")] == [1, 2]

    # stopped after the first fold: the other is done again, from kept frames and features, with the same outcome
    second = folder / "folds" / "2.json"
    before, kept = second.read_text(), (folder / "folds" / "1.json").stat().st_mtime_ns
    second.unlink()
    assert run(replace(options, resume=folder)) == folder
    assert second.read_text() == before and (folder / "folds" / "1.json").stat().st_mtime_ns == kept
    assert len(film.asked) == 12
    assert json.loads((folder / "report" / "temporal.json").read_text()) == found
    with pytest.raises(DataError, match="begun with other epochs"):
        run(replace(options, epochs=3, resume=folder))

    # test clips are read when that is asked for, once more counted, and decide nothing
    assert run(replace(options, resume=folder, test=True)) == folder
    judged = json.loads((folder / "report" / "temporal.json").read_text())
    tested = judged.pop("test")
    assert judged == found and tested["looks"] == 1 == Run(folder).record()["test_looks"]
    assert tested["slices"]["a"]["genuine"] == tested["slices"]["a"]["manipulated"] == 1
    assert set(tested["slices"]["a"]["auc"]) == {MODEL, AVERAGE, RULE, SHIPPED}
    assert sorted(film.asked[12:]) == ["c12.mp4", "c13.mp4"]
    capsys.readouterr()


def test_a_whole_network_can_be_trained(made: Temporal, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run(replace(made, unfreeze=True, lr=1e-4, epochs=1, network="conv"))
    weights = load_file(folder / "best.safetensors")
    start = load_file(made.weights_dir / "resnet18.safetensors")  # type: ignore[operator]
    name = "backbone.conv1.weight"
    assert not torch.equal(weights[f"network.{name}"], start[name].float())
    capsys.readouterr()


def test_clips_are_kept_under_their_bytes_and_damaged_runs_leave_nothing_half(
    made: Temporal, film: FakeFilm, tmp_path: Path
) -> None:
    path = made.folders.data_root / "videos" / "c0.mp4"  # type: ignore[operator]
    kept = tmp_path / f"{sha256_of(path)}.npz"
    first = person_frames(path, None, Fit(1, 0), 8, kept)  # type: ignore[arg-type]
    assert [p.name for p in tmp_path.glob("*.npz")] == [kept.name] and not list(tmp_path.glob("*.partial"))
    assert person_frames(path, None, Fit(1, 0), 8, kept)[0].patches == first[0].patches  # type: ignore[arg-type]
    assert film.asked == ["c0.mp4"]
    # too blurred for a verdict: nobody to judge, and that is kept, too
    assert person_frames(path, None, Fit(1, 1e9), 8, tmp_path / "none.npz") == ()  # type: ignore[arg-type]
    assert load_persons(tmp_path / "none.npz") == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "nobody"], "there are: "),
        (["--folds", "50"], "cannot be divided"),
    ],
)
def test_bad_options_say_what_is_possible(
    made: Temporal, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = ["--data_root", str(made.folders.data_root), "--weights_dir", str(made.weights_dir)]
    small = ["--size_px", "32", "--blends", "0", "--runs_dir", str(made.folders.runs_dir)]
    assert main(["temporal", *folders, *small, *arguments]) == 1
    assert message in capsys.readouterr().err
    for wrong in ({"frames": 1}, {"folds": 1}, {"blends": -1}):
        with pytest.raises(ValueError, match=r"at least 2|negative"):
            replace(made, **wrong)  # type: ignore[arg-type]
