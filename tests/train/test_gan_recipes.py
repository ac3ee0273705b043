"""The recipes of the wing of generators, tiny: what is written, what goes on, what is measured, what is published."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copytree
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import train.data.extra as extra_module
import train.gan.judge as judge_recipe
import train.gan.play as gan_recipe
import train.gan.publish as publish_recipe
import train.gan.samples as samples_recipe
from detector.calibration import Calibration
from detector.models.registry import build
from detector.types import Face
from tests.fakes.games import face_set, spec
from train.data.extra import learned_from, load_extra, made_by
from train.data.faces import FaceData
from train.data.samples import Sample
from train.errors import DataError
from train.gan import milestone
from train.gan.judge import GanJudge
from train.gan.loop import Callbacks, Game, play
from train.gan.losses import Loss
from train.gan.measure_fid import Fid
from train.gan.measure_fid import run as run_fid
from train.gan.play import Gan
from train.gan.players import DETECTOR, build_discriminator, build_generator, draw_latents
from train.gan.publish import GanPublish
from train.gan.samples import GanSamples
from train.learn.options import Data
from train.measure.even_odds import slices_at_even_odds
from train.options import changed
from train.recipes.cnn import Cnn
from train.recipes.cnn import run as run_cnn
from train.run import Run
from train.store.kept_scores import KeptScores

PLAYERS = {"generator.safetensors", "discriminator.safetensors"}


def small_game(folder: Path) -> Gan:
    """A game of two epochs, with its faces and runs in a folder."""
    face_set().save(folder / "faces.npz")
    return changed(
        Gan(),
        variant="stylegan2-ada",
        faces=folder / "faces.npz",
        size_px=16,
        epochs=2,
        images_per_epoch=16,
        batch_size=4,
        channels=4,
        max_channels=8,
        ada_target=0.001,
        ada_images=20,
        lr_discriminator=0.01,
        r1_every=2,
        path_every=2,
        fid_every=1,
        amp="off",
        runs_dir=folder / "runs",
    )


@pytest.fixture
def tiny(tmp_path: Path) -> Gan:
    return small_game(tmp_path)


@dataclass(frozen=True)
class Played:
    """A game that was played: its options, its run and what it said."""

    options: Gan
    folder: Path
    said: str

    def copied(self, into: Path) -> "Played":
        """The same in another folder, to change."""
        copytree(self.folder, into / self.folder.name)
        return replace(self, options=changed(self.options, runs_dir=into), folder=into / self.folder.name)

    def publish(self, weights: Path, **options: Any) -> Path:
        return publish_recipe.run(GanPublish(self.folder, weights_dir=weights, **options))

    @property
    def measured(self) -> dict[str, Any]:
        """What `fid` found."""
        return dict(json.loads((self.folder / "report" / "fid.json").read_text()))


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    options = small_game(tmp_path_factory.mktemp("played"))
    with redirect_stdout(io.StringIO()) as said:
        folder = gan_recipe.run(options)
    return Played(options, folder, said.getvalue())


@pytest.fixture(scope="module")
def longer(played: Played, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """One epoch more with other features, and FID measured."""
    after = played.copied(tmp_path_factory.mktemp("longer"))
    gan_recipe.run(changed(after.options, epochs=3, extractor="mobilenet_v2", resume=after.folder))
    run_fid(Fid(after.folder, faces=after.options.faces, data=after.options.data))
    return after


def test_a_game_writes_every_file(played: Played) -> None:
    assert {p.relative_to(played.folder).as_posix() for p in played.folder.rglob("*") if p.is_file()} == {
        "run.json",
        "metrics.jsonl",
        "checkpoint.pt",
        "generator.safetensors",
        "samples/genuine.png",
        "samples/epoch-0001.png",
        "samples/epoch-0002.png",
        "report/gan_curves.png",
    }
    assert "FID by Unmask resnet18" in played.said and "images_per_s" in played.said


def test_every_epoch_is_recorded(played: Played) -> None:
    rows = Run(played.folder).events("epoch")
    assert [r["epoch"] for r in rows] == [1, 2] and rows[1]["images"] == 32
    wanted = {"d_loss", "g_loss", "r1", "path_penalty", "path_length", "r_t", "p", "images_per_s", "fid", "fid_ratio"}
    assert wanted <= rows[1].keys()
    game = Run(played.folder).record()["game"]
    assert game["r1"] == pytest.approx(0.0002 * 16 * 16 / 4) and game["ada_target"] == 0.001


def test_on_other_features_nothing_that_was_measured_before_counts(played: Played, longer: Played) -> None:
    first, later = (Run(game.folder).record()["generator_epoch"] for game in (played, longer))
    rows = Run(longer.folder).events("epoch")
    assert first < later == 3 and "mobilenet_v2" in rows[2]["features"]
    assert rows[1]["features"] != rows[2]["features"]


def test_fid_of_the_kept_checkpoint_stands_beside_that_of_genuine_halves(longer: Played) -> None:
    measured = longer.measured
    assert measured["n_generated"] == measured["n_genuine"] == 12 and len(measured["extractor"]["sha256"]) == 64
    half = measured["halves"]
    assert half["n"] == 6 and half["ratio"] == pytest.approx(half["fid_generated"] / half["fid_genuine"])


def test_fid_is_measured_against_the_faces_of_the_game_alone(longer: Played, tmp_path: Path) -> None:
    face_set(14).save(tmp_path / "more.npz")
    with pytest.raises(ValueError, match="not the faces"):
        run_fid(Fid(longer.folder, faces=tmp_path / "more.npz", data=longer.options.data))


def test_what_is_published_is_the_grid_of_the_generator_that_was_measured(longer: Played, tmp_path: Path) -> None:
    out = longer.publish(tmp_path)
    assert {p.name for p in out.iterdir()} == {"grid.webp", "curves.webp", "record.json"}, "no picture of the data"
    assert not list(tmp_path.glob(".*"))
    said, measured = json.loads((out / "record.json").read_text()), longer.measured
    assert said["fid"] == measured["fid"] and said["halves"] == measured["halves"] and said["players"] is None
    assert said["extractor"]["name"].startswith("Unmask resnet18") and said["n_generated"] == 12
    assert (said["variant"], said["size_px"], said["images_seen"]) == ("stylegan2-ada", 16, 48)
    epoch = Run(longer.folder).record()["generator_epoch"]
    with Image.open(out / "grid.webp") as grid, Image.open(longer.folder / f"samples/epoch-{epoch:04d}.png") as made:
        assert grid.size == made.size
        assert np.abs(np.asarray(grid, float) - np.asarray(made.convert("RGB"), float)).mean() < 12


def test_players_are_published_when_asked_for(longer: Played, tmp_path: Path) -> None:
    out = longer.publish(tmp_path, players=True)
    files = json.loads((out / "record.json").read_text())["players"]["files"]
    assert set(files) == PLAYERS and files["generator.safetensors"]["sha256"] == longer.measured["generator"]
    for name, said in files.items():
        found = (out / name).stat()
        assert said["bytes"] == found.st_size and found.st_mode & 0o044 == 0o044, name


def test_what_cannot_be_published_leaves_what_is_there(
    longer: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    game, weights = longer.copied(tmp_path / "runs"), tmp_path / "weights"
    out = game.publish(weights, players=True)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with monkeypatch.context() as small, pytest.raises(DataError, match="leave --players out"):
        small.setattr(milestone, "MAX_BYTES", 100)
        game.publish(weights, players=True)
    report = game.folder / "report" / "fid.json"
    report.write_text(json.dumps({**game.measured, "generator": "other"}))
    with pytest.raises(DataError, match="earlier generator"):
        game.publish(weights)
    report.unlink()
    with pytest.raises(DataError, match="train fid"):
        game.publish(weights)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before and not list(weights.glob(".*"))


@pytest.fixture(scope="module")
def players(longer: Played, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of published players."""
    return longer.publish(tmp_path_factory.mktemp("weights"), players=True)


def test_a_new_game_begins_from_published_players_and_says_so(longer: Played, players: Path, tiny: Gan) -> None:
    still = changed(tiny, epochs=1, lr_generator=1e-9, lr_discriminator=1e-9)
    later = gan_recipe.run(changed(still, start=players))
    went_on, before = Run(later).record(), Run(longer.folder).record()
    assert went_on["begun_from"] == {"run": longer.folder.name, "images": 48, "hours": before["train_hours"]}
    assert went_on["images_seen"] == 64 and went_on["train_hours"] >= before["train_hours"]
    for key, tensor in load_file(players / "generator.safetensors").items():
        if key == "mapping.average":  # of the styles seen; it goes on whatever the rate
            continue
        assert torch.allclose(tensor.float(), load_file(later / "generator.safetensors")[key].float(), atol=2e-3), key
    state = torch.load(later / "checkpoint.pt", weights_only=True)["game"]["discriminator"]
    for key, tensor in load_file(players / "discriminator.safetensors").items():
        assert torch.allclose(tensor.float(), state[key], atol=2e-3), key
    gan_recipe.run(changed(still, epochs=2, resume=later))
    resumed = Run(later).record()
    assert resumed["begun_from"] == went_on["begun_from"] and resumed["images_seen"] == 80


def test_a_game_cannot_begin_from_what_does_not_fit(played: Played, players: Path, tiny: Gan, tmp_path: Path) -> None:
    for broken, words in (
        (changed(tiny, channels=8), "other options"),
        (changed(tiny, resume=played.folder), "begun already"),
    ):
        with pytest.raises(ValueError, match=words):
            gan_recipe.run(changed(broken, start=players))
    cut = copytree(players, tmp_path / "cut")
    (cut / "discriminator.safetensors").write_bytes(b"cut off")
    with pytest.raises(DataError, match="not the file that was published"):
        gan_recipe.run(changed(tiny, start=cut))


@pytest.mark.parametrize("stop", ["killed", "minutes"])
def test_a_stopped_game_resumes_bit_for_bit(
    stop: str, tiny: Gan, killed_after_an_epoch: Callable[[ModuleType, Gan], Path]
) -> None:
    # that measuring disturbs nothing is part of what is tested
    whole = gan_recipe.run(changed(tiny, fid_every=0))
    stopped = changed(tiny, runs_dir=tiny.data.runs_dir.parent / "stopped")
    if stop == "minutes":
        folder = gan_recipe.run(changed(stopped, minutes=1e-6))
        assert len(Run(folder).events("epoch")) == 1
    else:
        folder = killed_after_an_epoch(gan_recipe, stopped)
    assert gan_recipe.run(changed(stopped, resume=folder)) == folder
    first, second = (torch.load(f / "checkpoint.pt", weights_only=True)["game"] for f in (whole, folder))
    assert first["steps"] == second["steps"] == 8 and first["ada"] == second["ada"]
    # the resumed epoch began with augmentation at work
    assert Run(folder).events("epoch")[0]["p"] > 0
    for part in ("generator", "averaged", "discriminator"):
        for key, value in first[part].items():
            assert torch.equal(value, second[part][key]), (part, key)


def test_a_run_is_gone_on_with_as_it_began(tiny: Gan) -> None:
    folder = gan_recipe.run(changed(tiny, epochs=1, fid_every=0))
    with pytest.raises(DataError, match="other batch_size, r1, steps_per_epoch"):
        gan_recipe.run(changed(tiny, batch_size=8, resume=folder))
    face_set(14).save(tiny.data.runs_dir / "more.npz")
    with pytest.raises(DataError, match="other faces"):
        gan_recipe.run(changed(tiny, faces=tiny.data.runs_dir / "more.npz", resume=folder))
    with pytest.raises(DataError, match="no run folder"):
        gan_recipe.run(changed(tiny, resume=tiny.data.runs_dir))
    # more epochs are no other game
    gan_recipe.run(changed(tiny, fid_every=0, resume=folder))
    assert [r["epoch"] for r in Run(folder).events("epoch")] == [1, 2]


@pytest.mark.parametrize("loss", ["bce", "hinge"])
def test_a_detector_that_plays_resumes_bit_for_bit(loss: Loss, tmp_path: Path) -> None:
    genuine, fakes = face_set().crops, face_set(8).crops.flip(2)
    made = spec("resnet32")
    recipe = changed(
        Gan(), size_px=16, epochs=2, batch_size=4, loss=loss, smoothing=0.1, r1_every=2, spectral_norm=True
    )

    def played(name: str, parts: int) -> dict[str, torch.Tensor]:
        run = Run(tmp_path / name)
        for part in range(parts):
            run.folder.mkdir(exist_ok=True)
            torch.manual_seed(part)  # what a later part is built with must not matter
            if part == 0:
                torch.manual_seed(0)
            players = build_generator(made), build_discriminator(made, spectral=True)
            epochs = 2 if parts == 1 else part + 1
            options = replace(recipe.game_options(len(genuine), amp=False), epochs=epochs)
            game = Game(*players, options, torch.device("cpu"))
            assert play(game, genuine, run, run.folder / "g.safetensors", Callbacks(), fakes, np.full(8, 1 / 8))
        state = game.state()
        return {f"{k}/{n}": v for k in ("generator", "averaged", "discriminator") for n, v in state[k].items()}

    whole, resumed = played("whole", 1), played("resumed", 2)
    assert whole.keys() == resumed.keys()
    assert [k for k in whole if not torch.equal(whole[k], resumed[k])] == []
    assert Run(tmp_path / "whole").events("epoch")[1]["r1"] > 0


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def everywhere(samples: list[Sample], *_: object, **__: object) -> dict[str, Face]:
    """A face in the middle of every picture: what an untrained generator draws has none to find."""
    marks = ((90.0, 100.0), (150.0, 100.0), (120.0, 130.0), (95.0, 160.0), (145.0, 160.0))
    return {s.name: Face((40.0, 40.0, 200.0, 200.0), marks, 1.0) for s in samples}


SLICE = "gan-resnet32-16"
"""Source of the generated faces."""


@dataclass(frozen=True)
class Detectors:
    """A discriminator that is a detector, faces of its generator, and a network that was trained on these."""

    data: Data
    faces: FaceData
    game: Path
    made: Path
    trained: Path
    options: Cnn

    def judge(self, which: Path, split: str) -> dict[str, Any]:
        """Judges a network; what it says."""
        judge_recipe.run(GanJudge(which, split, self.made, data=self.data))  # type: ignore[arg-type]
        return dict(json.loads((which / "report" / f"judged_{split}.json").read_text()))

    def copied(self, into: Path) -> "Detectors":
        """The same with runs in another folder, to change."""
        copytree(self.data.runs_dir, into)
        game, trained = (into / folder.name for folder in (self.game, self.trained))
        return replace(self, data=replace(self.data, runs_dir=into), game=game, trained=trained)


@pytest.fixture(scope="module")
def faces_everywhere() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extra_module, "find_faces", everywhere)
        # the made faces teach nothing: what is judged is the judging
        patch.setattr(judge_recipe, "fit_calibration", lambda samples, logits: Calibration(1.0, 0.0))
        yield


@pytest.fixture(scope="module")
def detectors(faces_everywhere: None, split_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Detectors:
    root = tmp_path_factory.mktemp("detectors")
    data = Data(split_data, root / "runs", workers=0)
    game = gan_recipe.run(
        changed(
            Gan(data=data),
            size_px=16,
            epochs=1,
            batch_size=4,
            channels=4,
            max_channels=8,
            spectral_norm=True,
            fid_every=0,
            amp="off",
        )
    )
    made = samples_recipe.run(GanSamples(game, root / "made", 12, 4, 4, data=data))
    options = changed(
        Cnn(data=data),
        model="hybrid",
        extra=made,
        fakes=(split_data.name,),
        epochs=1,
        batch_size=4,
        size_px=32,
        images_per_epoch=4,
        start="scratch",
        amp="off",
    )
    return Detectors(data, data.faces(0), game, made, run_cnn(options), options)


def test_a_discriminator_is_a_run_of_a_detector(detectors: Detectors) -> None:
    folder = detectors.game
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert {"best.safetensors", "val_logits.npz", "report/confusion_matrix.png", "report/figures.json"} <= files
    build(DETECTOR).load_state_dict(load_file(folder / "best.safetensors"), strict=True)
    record = Run(folder).record()
    assert record["options"]["model"] == DETECTOR and record["data"] == detectors.faces.fingerprint


def test_each_generated_face_comes_with_a_genuine_one_in_every_split(detectors: Detectors) -> None:
    tars = {f"generated-{split}.tar" for split in ("train", "val", "test")}
    assert {p.name for p in detectors.made.iterdir()} == {"faces.csv", "made.json", *tars}
    with (detectors.made / "faces.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    counts = {
        (r["split"], r["label"]): sum(o["split"] == r["split"] and o["label"] == r["label"] for o in rows) for r in rows
    }
    assert counts == {("train", "fake"): 12, ("train", "real"): 8} | {
        (split, label): 4 for split in ("val", "test") for label in ("fake", "real")
    }
    extra = load_extra(detectors.made, "train", detectors.data.runs_dir / "cache", 0)
    sizes = {cv2.imdecode(np.frombuffer(s.read(), np.uint8), cv2.IMREAD_COLOR).shape for s in extra.samples}
    assert sizes == {(240, 240, 3)} and len({s.group for s in extra.samples}) == 12


def test_samples_are_written_whole_or_not_at_all(
    detectors: Detectors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match="exists"):
        samples_recipe.run(GanSamples(detectors.game, detectors.made, data=detectors.data))
    monkeypatch.setattr(samples_recipe, "generate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        samples_recipe.run(GanSamples(detectors.game, tmp_path / "half", data=detectors.data))
    assert not list(tmp_path.iterdir())


def test_a_network_trains_on_generated_faces_and_goes_on(detectors: Detectors) -> None:
    assert run_cnn(changed(detectors.options, resume=detectors.trained)) == detectors.trained, (
        "the same options, as JSON gave them back"
    )
    found = Run(detectors.trained).record()
    assert found["extra"] and found["data"] == detectors.faces.fingerprint
    assert found["sources"]["train"][SLICE][1] > 0


def test_whose_faces_a_network_learned_from_is_known(detectors: Detectors) -> None:
    extra, generator = Run(detectors.trained).record()["extra"], made_by(detectors.made)["generator"]
    assert learned_from(extra, generator)
    assert not learned_from(extra, "0" * 64) and not learned_from(None, generator)


@pytest.mark.parametrize(
    ("which", "split", "looks"), [("game", "val", 0), ("trained", "val", 0), ("trained", "test", 1)]
)
def test_a_network_is_judged_on_generated_faces(
    which: str, split: str, looks: int, detectors: Detectors, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = detectors.copied(tmp_path / "runs")
    judged: Path = getattr(here, which)
    figures = here.judge(judged, split)
    assert figures["test_looks"] == looks == Run(judged).record().get("test_looks", 0)
    row = figures["slices"][SLICE]
    (tn, fp), (fn, tp) = row["confusion"]
    assert tn + fp == row["genuine"] == 4 and fn + tp == row["manipulated"] == 4
    assert row["accuracy"]["value"] == pytest.approx((tn + tp) / 8) and row["recall"] == pytest.approx(tp / 4)
    assert figures["samples"]["run"] == here.game.name
    assert (judged / "report" / f"confusion_{split}_{SLICE}.png").is_file()
    assert SLICE in capsys.readouterr().out


def test_the_same_question_again_takes_no_look(
    detectors: Detectors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = detectors.copied(tmp_path / "runs")
    first = here.judge(here.trained, "test")
    monkeypatch.setattr(judge_recipe, "score_faces", lambda network, samples, *_: np.zeros(len(samples)))
    assert here.judge(here.trained, "test") == first
    kept_at = here.trained / "report" / "scores_test.npz"
    with np.load(kept_at) as kept:
        assert kept["logits0"].any() and not {s.name for s in detectors.faces.test} & set(kept["keys0"].tolist())
        of = str(kept["of"])
    assert KeptScores.load(kept_at, "of other weights") is None
    broken = tmp_path / "broken.npz"
    broken.write_bytes(kept_at.read_bytes()[:200])
    with pytest.raises(DataError, match="damaged"):
        KeptScores.load(broken, of)
    generated = load_extra(here.made, "val", tmp_path / "cache", 0).samples
    assert judge_recipe._contents(generated) != judge_recipe._contents(generated[:-1])


def test_faces_of_the_generators_history_are_opponents_of_its_own_slice_alone(
    detectors: Detectors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibrated: list[Sequence[Sample]] = []
    ranked: list[set[str]] = []

    def calibration(samples: Sequence[Sample], logits: np.ndarray) -> Calibration:
        calibrated.append(samples)
        return Calibration(1.0, 0.0)

    def slices(samples: Sequence[Sample], logits: np.ndarray) -> dict[str, dict[str, object]]:
        ranked.append({s.source for s in samples})
        return slices_at_even_odds(samples, logits)

    monkeypatch.setattr(judge_recipe, "fit_calibration", calibration)
    monkeypatch.setattr(judge_recipe, "slices_at_even_odds", slices)
    here = detectors.copied(tmp_path / "runs")
    for judged in (here.game, here.trained):
        here.judge(judged, "val")
    # they calibrate who learned such faces
    assert {s.source for s in calibrated[1]} - {s.source for s in calibrated[0]} == {SLICE}
    assert {s.split for samples in calibrated for s in samples} == {"val"}
    assert ranked[1] == ranked[3] == {SLICE} and not ranked[1] & (ranked[0] | ranked[2])
    with pytest.raises(DataError, match="no manipulated face of nothing"):
        judge_recipe._learned(detectors.faces.val, ("nothing",))


def test_the_readme_of_generators_says_what_their_faces_taught(detectors: Detectors, tmp_path: Path) -> None:
    here = detectors.copied(tmp_path / "runs")
    judged = here.judge(here.trained, "test")["slices"]
    run_fid(Fid(here.game, data=here.data))
    publish = GanPublish(here.game, detectors=(here.trained,), weights_dir=tmp_path / "weights")
    (told,) = json.loads((publish_recipe.run(publish) / "record.json").read_text())["detectors"]
    assert told["model"] == "hybrid" and told["learned_generated"] and told["generated"]["manipulated"] == 4
    text = (tmp_path / "weights" / "gan" / "README.md").read_text()
    assert "](resnet32/grid.webp)" in text
    # in the table of what counts most and in that of all
    assert text.count("| hybrid, trained on faces of resnet32 | such faces | 4 | 4 |") == 2
    assert "| resnet32 | 16 px |" in text
    assert set(told["slices"]) == set(judged) - {SLICE} and told["slices"]
    assert all(f"| hybrid, trained on faces of resnet32 | {source} |" in text for source in told["slices"])


def test_a_detector_is_published_with_what_was_judged_of_this_generator(detectors: Detectors, tmp_path: Path) -> None:
    here = detectors.copied(tmp_path / "runs")
    run_fid(Fid(here.game, data=here.data))
    publish = GanPublish(here.game, detectors=(here.trained,), weights_dir=tmp_path / "weights")
    with pytest.raises(DataError, match="was not judged"):
        publish_recipe.run(publish)
    other = here.judge(here.trained, "test")
    other["samples"]["generator"] = "other"
    (here.trained / "report" / "judged_test.json").write_text(json.dumps(other))
    with pytest.raises(DataError, match="another generator"):
        publish_recipe.run(publish)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gan", "--batch_size", "6"], "multiple of 4"),
        (["gan", "--size_px", "48"], "power of two"),
        (["gan", "--faces", "x.npz"], "judged"),
        (["gan", "--left_out", "nobody"], "no fold nobody"),
        (["leave-out", "--variants", "baseline,generated"], "--extra"),
        (["gan", "--variant", "stylegan2-ada", "--loss", "hinge"], "bce"),
        (["gan-samples", "nothing", "--out", "x"], "holds no generator"),
        (["gan-judge", "nothing"], "holds no detector"),
        (["fid", "nothing"], "holds no generator"),
        (["gan-publish", "nothing"], "holds no generator"),
    ],
)
def test_impossible_options_get_a_line(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    refused: Callable[[list[str]], str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert words in refused(arguments)
    assert list(tmp_path.iterdir()) == []


def test_latents_do_not_depend_on_the_device_or_on_what_was_drawn_before() -> None:
    made = spec("resnet32")
    torch.randn(3)
    assert torch.equal(draw_latents(made, 5, 1), draw_latents(made, 5, 1))
    assert not torch.equal(draw_latents(made, 5, 1), draw_latents(made, 5, 2))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="skipped: no GPU")
@pytest.mark.parametrize("amp", ["on", "off"])
def test_a_game_runs_on_a_gpu(amp: str, tiny: Gan) -> None:
    folder = gan_recipe.run(changed(tiny, amp=amp))  # type: ignore[arg-type]
    assert len(Run(folder).events("epoch")) == 2
