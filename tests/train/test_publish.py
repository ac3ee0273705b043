"""Publishing, tiny: networks are calibrated, combined, compared and measured once, and what is better ships whole."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

import numpy as np
import pytest

import train.recipes.cnn as cnn_recipe
import train.recipes.evaluate as evaluate_recipe
import train.recipes.publish as publish_recipe
import train.store.build as build_module
from detector.engine import Engine
from detector.ensemble import golden_logits_of_members
from detector.errors import WeightsError
from detector.manifest import Manifest, read_manifest
from detector.pipeline import Detector
from detector.results import Results, read_results
from detector.weights import load_ensemble
from train.errors import DataError
from train.learn.options import Data
from train.measure import calibrate, limits, robustness, scoring
from train.measure.calibrate import fit_calibration
from train.measure.robustness import CHANGES
from train.options import changed
from train.recipes.cnn import Cnn
from train.recipes.evaluate import Evaluate
from train.recipes.publish import Publish
from train.store.kept_scores import TEST_SCORES, KeptScores
from train.store.leaderboard import RESAVED
from train.store.product import PRODUCT, read_product

ROOT = Path(__file__).resolve().parents[2]
NETWORKS = ("resnet32", "mesoinception4", "meso4")
ENSEMBLES = ("average", "majority", "weighted_majority", "stacking")


def signal(network: str, name: str, label: int) -> float:
    """A logit that rises with the label, of its own for every network and picture."""
    return label + float(np.random.default_rng([*f"{network} {name}".encode()]).normal(0, 0.4))


class Signals:
    """Scores that calibration can see a signal in, in place of those of networks that learned nothing."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._scored = scoring.score

    def __call__(self, engine: Engine, samples: Any, faces: Any, workers: int, title: str) -> np.ndarray:
        self.asked.append(title)
        assert len(self._scored(engine, samples, faces, workers, title)) == len(samples)
        return np.array([signal(engine.name, s.name, s.label) for s in samples])

    def of(self, what: str) -> list[str]:
        """What was scored of validation or test."""
        return [title for title in self.asked if title.startswith(what)]


@pytest.fixture(scope="module")
def signals() -> Iterator[Signals]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibrate, "MIN_GENUINE", 3)
        patch.setattr(limits, "SIZES_PX", (24, 60))
        patch.setattr(limits, "BLURS", (4.0, 1.0))
        patch.setattr(robustness, "FACES", 4)
        made = Signals()
        patch.setattr(scoring, "score", made)
        yield made


@dataclass(frozen=True)
class World:
    """A folder with runs and what was published of them."""

    options: Publish
    runs: tuple[Path, ...]

    @property
    def weights(self) -> Path:
        assert self.options.weights_dir is not None
        return self.options.weights_dir

    @property
    def manifest(self) -> Manifest:
        return read_manifest(self.weights)

    @property
    def results(self) -> Results:
        found = read_results(self.manifest)
        assert found is not None
        return found

    def publish(self, **changes: Any) -> bool:
        return publish_recipe.run(changed(self.options, **changes))


@pytest.fixture(scope="module")
def first(signals: Signals, made_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[World, list[str]]:
    """Three networks, published once; and what was scored for it."""
    root = tmp_path_factory.mktemp("first")
    data = Data(made_data, root / "runs", workers=0)
    short = changed(Cnn(data=data), epochs=1, batch_size=8, size_px=48, images_per_epoch=24, start="scratch", amp="off")
    runs = tuple(cnn_recipe.run(changed(short, model=name)) for name in NETWORKS)
    # one run has written what its weights say, the others' files are of some other weights
    names = np.load(runs[0] / "val_logits.npz")["names"]
    written = [signal("resnet32", str(n), int("fake" in str(n))) for n in names]
    np.savez(runs[0] / "val_logits.npz", names=names, logits=written)
    options = Publish(
        runs=runs,
        weights_dir=root / "weights",
        evaluate=False,
        data=data,
    )
    signals.asked.clear()
    assert publish_recipe.run(options)
    return World(options, runs), list(signals.asked)


@pytest.fixture
def world(first: tuple[World, list[str]], signals: Signals, tmp_path: Path) -> World:
    """The same, to change: a copy of its own."""
    before = first[0]
    copytree(before.weights, tmp_path / "weights")
    copytree(before.options.data.runs_dir, tmp_path / "runs")
    runs = tuple(tmp_path / "runs" / run.name for run in before.runs)
    signals.asked.clear()
    options = changed(before.options, runs=runs, weights_dir=tmp_path / "weights", runs_dir=tmp_path / "runs")
    return World(options, runs)


pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_logits_that_a_run_has_written_are_not_computed_again(first: tuple[World, list[str]]) -> None:
    validated = [title for title in first[1] if title.startswith("validation")]
    assert validated == ["validation, mesoinception4", "validation, meso4"]


def test_a_set_is_published_whole(first: tuple[World, list[str]]) -> None:
    weights = first[0].weights
    assert {p.relative_to(weights).as_posix() for p in weights.rglob("*") if p.is_file()} == {
        "manifest.json",
        "results.csv",
        "curves.json",
        "README.md",
        "DATA.md",
        "test_scores.npz",
        "stacking.safetensors",
        *(f"{n}.safetensors" for n in NETWORKS),
        *(f"cards/{n}.md" for n in (*NETWORKS, *ENSEMBLES)),
    }
    shipped = weights.rglob("*.safetensors")
    assert all(p.stat().st_mode & 0o044 == 0o044 for p in shipped), "a server may run as another user"
    manifest = first[0].manifest
    assert manifest.test_scored == 1
    assert tuple(manifest.ensembles) == ENSEMBLES and manifest.entry("stacking").members == NETWORKS


def test_everything_is_measured_of_every_choice(first: tuple[World, list[str]]) -> None:
    found = first[0].results
    assert tuple(found.choices) == first[0].manifest.names()
    assert [c.choice for c in found.curves.comparisons] == list(ENSEMBLES)
    for choice in found.choices.values():
        assert set(choice.changed) == set(CHANGES) and choice.cpu_ms_a_face > 0
        assert {"genuine", "manipulated, jpeg_50"} <= choice.resaved.keys() and found.curves.resaved_faces == "test"
        both = {s for s, m in choice.slices.items() if m.manipulated and m.genuine}
        assert choice.even_odds and choice.even_odds.keys() <= both


def test_every_choice_judges_a_photo(first: tuple[World, list[str]], portrait_path: Path) -> None:
    manifest = first[0].manifest
    for name in manifest.names():
        face = Detector(name, weights_dir=first[0].weights).image(portrait_path).faces[0]
        assert [s.model for s in face.scores] == list(manifest.entry(name).members)
        is_vote = name in ("majority", "weighted_majority")
        assert face.votes == (sum(s.above_threshold for s in face.scores) if is_vote else None)


def test_an_ensemble_that_is_loaded_says_what_it_said(first: tuple[World, list[str]]) -> None:
    manifest = first[0].manifest
    for name, published in manifest.ensembles.items():
        ensemble = load_ensemble(manifest, name)
        assert ensemble(golden_logits_of_members(3)) == pytest.approx(published.golden_scores, abs=1e-3)


def test_a_network_that_is_missing_is_named(world: World) -> None:
    (world.weights / "mesoinception4.safetensors").unlink()
    with pytest.raises(WeightsError, match="missing"):
        Detector("majority", weights_dir=world.weights)


def test_what_is_not_better_on_validation_stays_unpublished(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    before = (world.weights / "manifest.json").read_bytes()
    assert not world.publish()
    said = capsys.readouterr().out
    assert f"Default: {world.manifest.default}: {world.manifest.default_reason}" in said
    assert "published" in said and "stays" in said
    assert (world.weights / "manifest.json").read_bytes() == before


@pytest.mark.parametrize("elsewhere", [False, True])
def test_the_same_networks_take_no_second_look_at_test(elsewhere: bool, world: World, signals: Signals) -> None:
    if elsewhere:  # test logits come with the weights, under no names of pictures
        rmtree(world.options.data.runs_dir / "scores")
    assert world.publish(force=True)
    assert world.manifest.test_scored == 1 and not signals.of("test")
    with np.load(world.weights / "test_scores.npz") as kept:
        assert kept["logits0"].shape[1] == 3 and not any("fake" in k for k in kept["keys0"].tolist())


def test_another_calibration_moves_probabilities_and_no_rank(
    world: World, signals: Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = world.results
    monkeypatch.setattr(
        build_module, "fit_calibration", lambda *seen: replace(fit_calibration(*seen), offset=3.0, scale=0.5)
    )
    assert world.publish(force=True)
    after = world.results
    assert world.manifest.test_scored == 1 and not signals.of("test")
    for name in NETWORKS:
        one, two = before.choices[name], after.choices[name]
        aucs = [[m.figures.get("auc") for m in found.slices.values()] for found in (one, two)]
        assert aucs[0] == aucs[1]
        assert one.pooled is not None and two.pooled is not None and one.pooled.brier != two.pooled.brier


def test_a_set_without_logits_of_copies_that_are_saved_again_is_measured_on_validation(world: World) -> None:
    for path in (world.weights / TEST_SCORES, *(world.options.data.runs_dir / "scores").glob("*.npz")):
        with np.load(path) as kept:
            of = str(kept["of"])
        scores = KeptScores.load(path, of)
        assert scores is not None and any(title.startswith(RESAVED) for title in scores.sets)
        sets = {title: found for title, found in scores.sets.items() if not title.startswith(RESAVED)}
        replace(scores, sets=sets).save(path)
    before = world.results.choices["average"]
    data = world.options.data
    evaluate_recipe.run(Evaluate(weights_dir=world.weights, slices=(), clips=False, keep=True, data=data))
    after = world.results
    assert after.curves.resaved_faces == "validation" and world.manifest.test_scored == 1
    assert {"genuine", "manipulated, crop"} <= after.choices["average"].resaved.keys()
    assert replace(after.choices["average"], resaved=before.resaved) == before, "all other figures stay"
    assert "Validation faces, since" in (world.weights / "README.md").read_text()


def test_published_networks_stay_by_name_and_others_go(world: World) -> None:
    before = (world.weights / "mesoinception4.safetensors").read_bytes()
    assert world.publish(runs=(Path("mesoinception4"), world.runs[0]), force=True)
    manifest = world.manifest
    assert tuple(manifest.models) == ("mesoinception4", "resnet32")
    assert tuple(manifest.ensembles) == ("average", "stacking"), "a vote takes three"
    assert (world.weights / "mesoinception4.safetensors").read_bytes() == before and manifest.test_scored == 2
    assert not (world.weights / "meso4.safetensors").exists()
    assert manifest.models["mesoinception4"].training.run == world.runs[1].name


def test_a_network_is_named_once_and_known(world: World) -> None:
    with pytest.raises(DataError, match="no published network"):
        world.publish(runs=(Path("vgg16"),))
    with pytest.raises(DataError, match="once"):
        world.publish(runs=(Path("mesoinception4"), world.runs[1]))


def test_the_product_is_measured_with_the_set_that_was_published(world: World) -> None:
    assert world.publish(force=True, evaluate=True)
    assert read_product(world.manifest)["evaluation"]["weights"] == world.manifest.date
    data = world.options.data
    evaluate_recipe.run(Evaluate(weights_dir=world.weights, slices=("all",), keep=True, data=data))
    kept = json.loads((world.weights / PRODUCT).read_text())["evaluation"]
    (row,) = kept["product_against_loader"]
    tested = sum(
        m.genuine + m.manipulated for s, m in world.results.choices["average"].slices.items() if s == row["slice"]
    )
    assert row["faces"] == tested > 0 and 0 < row["verdict_share"] <= 1 and 0 <= row["product"] <= 1
    page = (world.weights / "README.md").read_text()
    assert "## Whole files through the product" in page and f"| {row['slice']} | {tested} |" in page
    # another set has not been measured yet
    assert world.publish(runs=(Path("mesoinception4"), world.runs[0]), force=True)
    assert read_product(world.manifest) == {}
    assert "## Whole files through the product" not in (world.weights / "README.md").read_text()
