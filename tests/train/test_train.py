"""The recipes themselves, tiny: every file is written, a killed run goes on as if nothing had been, publishing works.

The data are made from the one portrait that may be shared: crops, lights and colours of it as genuine faces, blends of
it as manipulated ones. Nothing can be learned from them about real pictures, and nothing needs to be.
"""

import json
import shlex
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import rmtree
from typing import get_args, get_type_hints

import cv2
import numpy as np
import pytest
import torch
import tyro
from safetensors.torch import load_file

import train.recipes.cnn as cnn_recipe
import train.recipes.publish as publish_recipe
import train.recipes.reference as reference_recipe
import train.store.build as build_module
import train.studies.labels as labels_recipe
import train.studies.leave_out as leave_out_recipe
import train.studies.small_set as small_recipe
from detector.calibration import Calibration
from detector.ensemble import golden_logits_of_members
from detector.errors import WeightsError
from detector.manifest import read_manifest
from detector.models.registry import build
from detector.pipeline import Detector
from detector.results import read_results
from detector.types import Face
from detector.weights import load_ensemble
from train.__main__ import asked, main
from train.data.augment import AUGMENTATIONS
from train.data.detections import find_faces
from train.data.faces import FaceData
from train.data.folds import Fold
from train.data.samples import Sample
from train.errors import DataError
from train.learn.loop import wants_amp
from train.learn.options import Crops, Data, Machine
from train.measure import scoring
from train.measure.calibrate import MIN_GENUINE, fit_calibration
from train.measure.robustness import CHANGES
from train.options import changed, flat
from train.recipes.cnn import Cnn
from train.recipes.publish import Publish
from train.recipes.sbi import Sbi
from train.run import Run, command_line, options_record
from train.store.staging import staging_in
from train.studies.labels import Labels
from train.studies.leave_out import BASELINE_BLENDING, VARIANTS, LeaveOut
from train.studies.small_set import SmallSet

ROOT = Path(__file__).resolve().parents[2]

PICTURES = 40


@pytest.fixture(scope="module")
def made_data(tmp_path_factory: pytest.TempPathFactory, portrait_path: Path) -> Path:
    """real_data/ and fake_data/ with a face in every picture."""
    root = tmp_path_factory.mktemp("data")
    portrait = cv2.imread(str(portrait_path))
    assert portrait is not None
    rng = np.random.default_rng(0)
    for name in ("real_data", "fake_data"):
        (root / name).mkdir()
        for i in range(PICTURES):
            x, y = int(rng.integers(100, 140)), int(rng.integers(0, 20))
            crop = portrait[y : y + 220, x : x + 220].astype(np.float32)
            crop = crop * rng.uniform(0.7, 1.1) + rng.uniform(-20, 20)
            if name == "fake_data":
                crop[60:160, 60:160] = cv2.GaussianBlur(crop[60:160, 60:160], (0, 0), 3) + 15
            cv2.imwrite(str(root / name / f"person{i}_0.png"), np.clip(crop, 0, 255).astype(np.uint8))
    return root


@pytest.fixture
def tiny(made_data: Path, tmp_path: Path) -> Cnn:
    return changed(
        Cnn(),
        model="mobilenet_v2",
        data_root=made_data,
        epochs=2,
        batch_size=8,
        size_px=48,
        images_per_epoch=24,
        start="scratch",
        workers=0,
        amp="off",
        runs_dir=tmp_path / "runs",
    )


def test_a_run_writes_every_file_and_says_what_it_did(tiny: Cnn, capsys: pytest.CaptureFixture[str]) -> None:
    folder = cnn_recipe.run(tiny)
    assert {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} == {
        "run.json",
        "metrics.jsonl",
        "checkpoint.pt",
        "best.safetensors",
        "val_logits.npz",
        "report/classification_report.txt",
        "report/confusion_matrix.png",
        "report/roc.png",
        "report/reliability.png",
        "report/learning_curves.png",
        "report/figures.json",
    }
    record = json.loads((folder / "run.json").read_text())
    assert record["options"]["epochs"] == 2 and record["start"] == "scratch" and record["images_planned"] == 48
    assert str(tiny.data.runs_dir) not in (folder / "run.json").read_text()
    epochs = Run(folder).events("epoch")
    assert [row["epoch"] for row in epochs] == [1, 2]
    assert all(0 <= row["accuracy"] <= 1 and row["loss"] > 0 for row in epochs)
    said = capsys.readouterr().out
    assert "epoch 2:" in said and "accuracy" in said


def test_a_killed_run_resumes_bit_for_bit(tiny: Cnn, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = cnn_recipe.run(tiny)

    killed = changed(tiny, runs_dir=tiny.data.runs_dir.parent / "killed")
    said = cnn_recipe.say

    def kill_in_second_epoch(text: str) -> None:
        said(text)
        if text.startswith("epoch 1"):
            raise KeyboardInterrupt

    monkeypatch.setattr(cnn_recipe, "say", kill_in_second_epoch)
    with pytest.raises(KeyboardInterrupt):
        cnn_recipe.run(killed)
    monkeypatch.setattr(cnn_recipe, "say", said)
    folder = next(p for p in killed.data.runs_dir.iterdir() if p.name.startswith("cnn-"))
    assert cnn_recipe.run(replace(killed, resume=folder)) == folder
    first, second = (torch.load(f / "checkpoint.pt", weights_only=True) for f in (whole, folder))
    assert first["epoch"] == second["epoch"] == 2
    for key, value in first["ema"].items():
        assert torch.equal(value, second["ema"][key]), key
    one, two = load_file(whole / "best.safetensors"), load_file(folder / "best.safetensors")
    assert all(torch.equal(one[k], two[k]) for k in one)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_publishing_calibrates_compares_and_keeps_the_better(
    tiny: Cnn,
    tmp_path: Path,
    portrait_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("train.measure.calibrate.MIN_GENUINE", 3)
    monkeypatch.setattr("train.measure.limits.SIZES_PX", (24, 60))
    monkeypatch.setattr("train.measure.limits.BLURS", (4.0, 1.0))
    monkeypatch.setattr("train.measure.robustness.FACES", 4)
    # the made validation set is too small to teach an epoch anything: calibration must see a rising score
    folder, other, third = (
        cnn_recipe.run(changed(tiny, epochs=1, model=m)) for m in ("resnet32", "mesoinception4", "meso4")
    )
    scored = scoring.score
    asked: list[str] = []

    def with_signal(engine, samples, faces, workers, title):  # type: ignore[no-untyped-def]
        asked.append(title)
        assert len(scored(engine, samples, faces, workers, title)) == len(samples)
        return np.array([_signal(engine.name, s.name, s.label) for s in samples])

    monkeypatch.setattr(scoring, "score", with_signal)
    # one run has written what its weights say, the others' files are of some other weights
    val_names = np.load(folder / "val_logits.npz")["names"]
    written = [_signal("resnet32", str(n), int("fake" in str(n))) for n in val_names]
    np.savez(folder / "val_logits.npz", names=val_names, logits=written)
    weights = tmp_path / "weights"
    options = Publish(
        runs=(folder, other, third),
        data_root=tiny.data.data_root,
        weights_dir=weights,
        runs_dir=tiny.data.runs_dir,
        workers=0,
        evaluate=False,
    )
    assert publish_recipe.run(options)
    validated = [t for t in asked if t.startswith("validation")]
    assert validated == ["validation, mesoinception4", "validation, meso4"], "known logits are not computed again"
    networks, ensembles = ("resnet32", "mesoinception4", "meso4"), (
        "average", "majority", "weighted_majority", "stacking",
    )  # fmt: skip
    files = {p.relative_to(weights).as_posix() for p in weights.rglob("*") if p.is_file()}
    assert files == {
        "manifest.json",
        "results.csv",
        "curves.json",
        "README.md",
        "DATA.md",
        "test_scores.npz",
        "stacking.safetensors",
        *(f"{n}.safetensors" for n in networks),
        *(f"cards/{n}.md" for n in (*networks, *ensembles)),
    }
    shipped = weights.rglob("*.safetensors")
    assert all(p.stat().st_mode & 0o044 == 0o044 for p in shipped), "a server may run as another user"
    manifest = read_manifest(weights)
    assert manifest.test_scored == 1
    assert tuple(manifest.ensembles) == ensembles and manifest.entry("stacking").members == networks
    said = capsys.readouterr().out
    assert f"Default: {manifest.default}: {manifest.default_reason}" in said
    found = read_results(manifest)
    assert found is not None and tuple(found.choices) == manifest.names()
    assert [c.choice for c in found.curves.comparisons] == list(ensembles)
    for name in manifest.names():
        detector = Detector(name, weights_dir=weights)
        face = detector.image(portrait_path).faces[0]
        assert [s.model for s in face.scores] == list(manifest.entry(name).members)
        is_vote = name in ("majority", "weighted_majority")
        assert face.votes == (sum(s.above_threshold for s in face.scores) if is_vote else None)
        choice = found.choices[name]
        assert set(choice.changed) == set(CHANGES) and choice.cpu_ms_a_face > 0
        assert {"genuine", "manipulated, jpeg_50"} <= choice.resaved.keys() and found.curves.resaved_faces == "test"
        both = {s for s, m in choice.slices.items() if m.manipulated and m.genuine}
        assert choice.even_odds and choice.even_odds.keys() <= both
    for name, published in manifest.ensembles.items():
        ensemble = load_ensemble(manifest, name)
        assert ensemble(golden_logits_of_members(3)) == pytest.approx(published.golden_scores, abs=1e-3)
    (weights / "mesoinception4.safetensors").rename(tmp_path / "away")
    with pytest.raises(WeightsError, match="missing"):
        Detector("majority", weights_dir=weights)
    (tmp_path / "away").rename(weights / "mesoinception4.safetensors")

    # the same set again is not better: it stays, side by side with what is there
    assert not publish_recipe.run(options)
    said = capsys.readouterr().out
    assert "published" in said and "stays" in said
    # by force, but test faces do not have to be looked at again: their logits are known
    asked.clear()
    assert publish_recipe.run(replace(options, force=True))
    assert read_manifest(weights).test_scored == 1 and not [t for t in asked if t.startswith("test")]
    # not even on another machine: they came with the weights, under no names of pictures
    rmtree(tiny.data.runs_dir / "scores")
    assert publish_recipe.run(replace(options, force=True))
    assert read_manifest(weights).test_scored == 1 and not [t for t in asked if t.startswith("test")]
    with np.load(weights / "test_scores.npz") as kept:
        assert kept["logits0"].shape[1] == 3 and not any("fake" in k for k in kept["keys0"].tolist())
    # nor when networks are calibrated otherwise: ranks stay, and probabilities move with the calibration
    first, before = read_manifest(weights), read_results(read_manifest(weights))
    with monkeypatch.context() as otherwise:
        otherwise.setattr(
            build_module, "fit_calibration", lambda *seen: replace(fit_calibration(*seen), offset=3.0, scale=0.5)
        )
        assert publish_recipe.run(replace(options, force=True))
    then, after = read_manifest(weights), read_results(read_manifest(weights))
    assert then.test_scored == 1 and not [t for t in asked if t.startswith("test")]
    for name in first.models:
        one, two = before.choices[name], after.choices[name]
        aucs = [[m.figures.get("auc") for m in found.slices.values()] for found in (one, two)]
        assert aucs[0] == aucs[1]
        assert one.pooled.brier != two.pooled.brier

    # published networks stay by name, without their runs; those that are not named go, and ensembles with them
    kept = replace(options, runs=(Path("mesoinception4"), folder), force=True)
    before = (weights / "mesoinception4.safetensors").read_bytes()
    assert publish_recipe.run(kept)
    manifest = read_manifest(weights)
    assert tuple(manifest.models) == ("mesoinception4", "resnet32") and tuple(manifest.ensembles) == (
        "average",
        "stacking",
    )
    assert (weights / "mesoinception4.safetensors").read_bytes() == before and manifest.test_scored == 2
    assert not (weights / "meso4.safetensors").exists()
    assert manifest.models["mesoinception4"].training.run == other.name
    with pytest.raises(DataError, match="no published network"):
        publish_recipe.run(replace(options, runs=(Path("vgg16"),)))
    with pytest.raises(DataError, match="once"):
        publish_recipe.run(replace(options, runs=(Path("mesoinception4"), other)))


def test_what_a_killed_publisher_left_is_cleared_away_and_two_do_not_meet(tmp_path: Path) -> None:
    left = tmp_path / ".publishing-killed"
    left.mkdir()
    (left / "resnet18.safetensors").write_bytes(b"x")
    with staging_in(tmp_path) as folder:
        assert [p for p in tmp_path.iterdir()] == [folder] and folder.is_dir()
        with pytest.raises(DataError, match="wait"), staging_in(tmp_path):
            pass
        assert folder.is_dir(), "what another publisher works in stays"
    assert not list(tmp_path.iterdir())
    # a process that is killed gives its lock back and leaves its folder
    code = (
        "import os, pathlib, sys; from train.store.staging import staging_in\n"
        "with staging_in(pathlib.Path(sys.argv[1])): os._exit(9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT)
    assert killed.returncode == 9
    assert len(list(tmp_path.glob(".publishing-*"))) == 1
    with staging_in(tmp_path) as folder:
        assert list(tmp_path.iterdir()) == [folder]


def _signal(network: str, name: str, label: int) -> float:
    """A logit that rises with the label, of its own for every network and picture."""
    return label + float(np.random.default_rng([*f"{network} {name}".encode()]).normal(0, 0.4))


def test_twins_alone_teach_from_genuine_faces_alone(
    made_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "own"
    root.mkdir()
    (root / "real").symlink_to(made_data / "real_data")
    options = ["--data_root", str(root), "--runs_dir", str(tmp_path / "runs"), "--workers", "0", "--start", "scratch"]
    small = ["--model", "mobilenet_v2", "--epochs", "1", "--batch_size", "8", "--size_px", "48"]
    assert main(["cnn", *options, *small]) == 1
    assert "fake_data" in capsys.readouterr().err
    assert main(["sbi", *options, *small, "--images_per_epoch", "16"]) == 0
    assert "no manipulated face" in capsys.readouterr().out
    folder = next((tmp_path / "runs").glob("sbi-mobilenet_v2-*"))
    record = Run(folder).record()
    assert record["recipe"] == "sbi" and record["options"]["twins"] == 1.0 and record["options"]["cross"] > 0
    assert all(fakes == 0 for _, fakes in record["sources"]["train"].values())
    genuine, fakes = record["sources"]["val"]["own"]
    assert genuine == fakes > 0
    with np.load(folder / "val_logits.npz") as saved:
        assert len(saved["logits"]) == 2 * genuine and np.isfinite(saved["logits"]).all()


def test_sbi_is_cnn_with_other_shares() -> None:
    others = {k for k, v in flat(Sbi()).items() if v != flat(Cnn())[k]}
    assert others == {"twins", "cross"}
    assert set(get_args(get_type_hints(Crops)["augmentation"])) == set(AUGMENTATIONS)


@pytest.fixture
def sources(made_data: Path, monkeypatch: pytest.MonkeyPatch) -> FaceData:
    """The made pictures as if from three sources, each a fold, and genuine faces of a source that never trains."""
    face = Face((60, 40, 160, 180), ((85, 95), (135, 95), (110, 125), (90, 150), (130, 150)), 0.99)
    samples = []
    for label, name in ((0, "real_data"), (1, "fake_data")):
        for i, path in enumerate(sorted((made_data / name).glob("*.png"))):
            source = ("a", "b", "c")[i % 3]
            split = "val" if i % 4 == 0 else "train"
            if label == 0 and i % 8 == 4:
                source = "unseen"
            if label == 0 and source == "c":
                continue  # a fold of manipulated faces only
            samples.append(Sample(path, None, f"{name}/{path.name}", label, source, path.name, "m", split))  # type: ignore[arg-type]
    data = FaceData(
        train=[s for s in samples if s.split == "train"],
        val=[s for s in samples if s.split == "val"],
        test=[],
        faces={s.name: face for s in samples},
        unseen={"unseen"},
        fingerprint="made",
        without_face={},
    )
    for module in ("train.studies.leave_out", "train.data.folds"):
        monkeypatch.setattr(f"{module}.FOLDS", {n: Fold(f"is {n}", (n,)) for n in ("a", "b", "c")})
    monkeypatch.setattr("train.studies.leave_out.check_folds", lambda samples: None)
    monkeypatch.setattr(Data, "faces", lambda *_, **__: data)
    monkeypatch.setattr("train.measure.calibrate.MIN_GENUINE", 2)
    return data


@pytest.fixture
def few(sources: FaceData, made_data: Path, tmp_path: Path) -> LeaveOut:
    return LeaveOut(
        variants="baseline,no_twins",
        folds="a,c",
        choice_folds="all",
        images=16,
        model="mobilenet_v2",
        size_px=32,
        batch_size=8,
        start="scratch",
        data=Data(made_data, tmp_path / "runs", 0),
        machine=Machine(amp="off"),
    )


def test_leave_out_trains_without_a_fold_and_scores_it(
    few: LeaveOut, sources: FaceData, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained: list[set[str]] = []
    run = cnn_recipe.run

    def watched(options: Cnn, data: FaceData) -> Path:
        trained.append({s.source for s in data.train + data.val})
        assert not data.test
        return run(options, data)

    monkeypatch.setattr(cnn_recipe, "run", watched)
    assert leave_out_recipe.run(changed(few, plan=True)) is None
    assert "4 networks" in capsys.readouterr().out and not trained and not few.data.runs_dir.exists()
    folder = leave_out_recipe.run(few)
    assert folder is not None
    assert trained == [{"b", "c", "unseen"}] * 2 + [{"a", "b", "unseen"}] * 2
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    cells = {f"{v}/{f}/result.json" for v in ("baseline", "no_twins") for f in ("a", "c")}
    assert files == {"run.json", "leave_out.json", "leave_out.md", *cells}

    found = json.loads((folder / "leave_out.json").read_text())
    assert set(found["summary"]) == {"baseline", "no_twins"}
    assert "difference" in found["summary"]["no_twins"] and "difference" not in found["summary"]["baseline"]
    cell = json.loads((folder / "baseline/c/result.json").read_text())
    by_name = {s.name: s for s in sources.train + sources.val}
    scored = [by_name[name] for name in cell["names"]]
    assert {s.source for s, own in zip(scored, cell["own"], strict=True) if own} == {"c"}
    # the fold has manipulated faces only: genuine ones of validation are borrowed, of a source that never trains
    assert {(s.source, s.label) for s, own in zip(scored, cell["own"], strict=True) if not own} == {("unseen", 0)}
    assert "false_alarms" not in found["cells"]["baseline"]["c"] and "caught" in found["cells"]["baseline"]["c"]
    page = (folder / "leave_out.md").read_text()
    assert "| no_twins | twins 0.0 | 2 |" in page and "| c * |" in page


def test_leave_out_measures_generated_faces_without_whom_it_leaves_out(
    few: LeaveOut, sources: FaceData, made_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = [s for s in sources.train if s.label == 0]
    assert {s.source for s in genuine} >= {"a", "b"}
    pack = tmp_path / "made"
    pack.mkdir()
    # pairs: a generated face (any picture will do) with the group of its genuine one
    pairs = [replace(s, label=label, source="gan", name=f"{s.name}-{label}") for s in genuine for label in (0, 1)]
    with (pack / "faces.csv").open("w") as table:
        table.write("path,pack,label,method,slice,group,split\n")
        for s in pairs:
            (pack / s.name).parent.mkdir(exist_ok=True)
            (pack / s.name).write_bytes(s.read())
            table.write(f"{s.name},,{('real', 'fake')[s.label]},gan,gan,{s.group},train\n")
    (pack / "made.json").write_text(json.dumps({"run": "gan-1", "generator": "1" * 64, "learned_from": ["a"]}))
    face = next(iter(sources.faces.values()))
    monkeypatch.setattr("train.data.extra.find_faces", lambda samples, *_, **__: {s.name: face for s in samples})
    trained: list[list[Sample]] = []
    run = cnn_recipe.run

    def watched(options: Cnn, data: FaceData) -> Path:
        trained.append([s for s in data.train if s.source == "gan"])
        return run(options, data)

    monkeypatch.setattr(cnn_recipe, "run", watched)
    measured = changed(few, variants="baseline,generated", folds="a", extra=pack)
    folder = leave_out_recipe.run(measured)
    assert folder is not None
    kept = {s.group for s in genuine if s.source != "a"}
    assert trained[0] == [] and {s.label for s in trained[1]} == {0, 1} and {s.group for s in trained[1]} <= kept
    page = (folder / "leave_out.md").read_text()
    assert "| generated | extra gan-1 | 1 |" in page and "had itself learned from genuine faces of a." in page
    # finished cells stay; faces of another checkpoint are another cell
    leave_out_recipe.run(changed(measured, resume=folder))
    assert len(trained) == 2
    (pack / "made.json").write_text(json.dumps({"run": "gan-2", "generator": "2" * 64, "learned_from": []}))
    leave_out_recipe.run(changed(measured, resume=folder))
    assert len(trained) == 3


def test_the_baseline_is_left_every_fold_and_other_variants_some(few: LeaveOut) -> None:
    found = changed(few, folds="all", choice_folds="b").cells()
    assert found == [("baseline", "a"), ("baseline", "b"), ("no_twins", "b"), ("baseline", "c")]
    study = LeaveOut.__dataclass_fields__
    assert set(str(study["variants"].default).split(",")) < set(VARIANTS)
    named = {name for changed in VARIANTS.values() for name in changed}
    assert named >= {"twins", "cross", "augmentation", "window", "size_px"}


def test_leave_out_goes_on_where_it_was_stopped(
    few: LeaveOut, sources: FaceData, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[tuple[float, bool]] = []
    run = cnn_recipe.run

    def stopped_in_third(options: Cnn, data: FaceData) -> Path:
        assert options.resume is not None
        trained.append((options.blending.twins, Run(options.resume).checkpoint.is_file()))
        done = run(options, data)
        if len(trained) == 3:
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(cnn_recipe, "run", stopped_in_third)
    with pytest.raises(KeyboardInterrupt):
        leave_out_recipe.run(few)
    folder = next(p for p in few.data.runs_dir.iterdir() if p.name.startswith("leave-out-"))
    before = {p: p.read_bytes() for p in folder.glob("*/*/result.json")}
    assert len(before) == 2
    assert leave_out_recipe.run(changed(few, resume=folder)) == folder
    # the cell that was stopped goes on from its own checkpoint; finished ones are left alone
    assert trained[3:] == [(BASELINE_BLENDING.twins, True), (0.0, False)]
    assert all(p.read_bytes() == kept for p, kept in before.items())
    # a variant can be added later, and a fold
    assert leave_out_recipe.run(changed(few, resume=folder, variants="light", folds="a,b")) == folder
    assert set(json.loads((folder / "leave_out.json").read_text())["summary"]) == {"baseline", "no_twins", "light"}
    assert len(trained) == 7
    with pytest.raises(DataError, match="other images, size_px"):
        leave_out_recipe.run(changed(few, resume=folder, images=32, size_px=48))
    with pytest.raises(DataError, match="no run folder"):
        leave_out_recipe.run(changed(few, resume=few.data.runs_dir))


def test_the_reference_run_says_its_plan_and_goes_on_where_it_was_killed(
    tiny: Cnn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    part = reference_recipe.Part(changed(tiny, epochs=1, images_per_epoch=8), 100.0)
    monkeypatch.setattr(reference_recipe, "NETWORKS", ((part, part), (part,)))
    published: list[Publish] = []
    monkeypatch.setattr(publish_recipe, "run", published.append)
    run = cnn_recipe.run
    trained: list[Cnn] = []

    def killed_in_third(options: Cnn) -> Path:
        trained.append(options)
        if len(trained) == 3:
            raise KeyboardInterrupt
        return run(options)

    monkeypatch.setattr(cnn_recipe, "run", killed_in_third)
    arguments = ["--data_root", str(tiny.data.data_root), "--runs_dir", str(tiny.data.runs_dir), "--workers", "0"]
    assert main(arguments) == 130 and not published
    said = capsys.readouterr()
    assert "The reference run:" in said.out and "h in all" in said.out and "--resume" in said.err
    # the second part starts from the weights of the first
    first = tiny.data.runs_dir / next(p.name for p in tiny.data.runs_dir.glob("reference-*-1-*"))
    assert trained[0].start == "scratch" and trained[1].start == str(first / "best.safetensors")
    folder = first.with_name(first.name.removesuffix("-1-mobilenet_v2"))
    assert main([*arguments, "--resume", str(folder)]) == 0
    assert [o.resume for o in trained[3:]] == [trained[2].resume] and published[0].runs == (folder,)
    members = json.loads((folder / "members.json").read_text())
    assert members == [f"{folder.name}-2-mobilenet_v2", f"{folder.name}-3-mobilenet_v2"]
    assert main([*arguments, "--resume", str(first)]) == 1
    assert "no run folder of `reference`" in capsys.readouterr().err


def test_the_reference_run_trains_what_ships() -> None:
    shipped = [_asked(network.training.command) for network in read_manifest().models.values()]
    last = [network[-1].options for network in reference_recipe.NETWORKS]
    assert [cnn_recipe.settled(changed(o, start="auto")) for o in shipped] == [cnn_recipe.settled(o) for o in last]


@pytest.mark.parametrize(
    "options",
    [
        Cnn(),
        changed(Cnn(), fakes=("140k", "a name"), start="online", sam=0.05, adversarial="pgd", traces=0.5, workers=1),
        changed(Sbi(), model="npr", images_per_epoch=64),
    ],
)
def test_a_recorded_command_asks_for_the_same_again(options: Cnn) -> None:
    command = command_line(options.recipe, options_record(options))
    assert _asked(command) == options and type(_asked(command)) is type(options)


def test_a_recorded_command_names_options_of_groups_by_their_group() -> None:
    @dataclass(frozen=True)
    class Group:
        rate: float = 0.1
        on: bool = True

    @dataclass(frozen=True)
    class Options:
        group: Group = Group()
        runs: tuple[str, ...] = ()

    options = Options(Group(0.3, False), ("a b",))
    said = command_line("made", options_record(options))
    assert said == "python -m train made --group.rate 0.3 --group.no-on --runs 'a b'"
    assert tyro.cli(Options, args=shlex.split(said)[4:]) == options


def test_a_recorded_command_says_switches_as_they_are_said() -> None:
    said = command_line("gan", {"mirror": False, "spectral_norm": True, "resume": None, "extra": []})
    assert said == "python -m train gan --no-mirror --spectral_norm"
    options = asked(shlex.split(said)[3:])[1]
    assert options.spectral_norm and not options.mirror


def _asked(command: str) -> Cnn:
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "train"]
    options = asked(words[3:])[1]
    assert isinstance(options, Cnn)
    return options


def test_broken_pictures_are_named_together_and_the_others_are_kept(tmp_path: Path, portrait_path: Path) -> None:
    data = {"a.jpg": portrait_path.read_bytes(), "b.jpg": portrait_path.read_bytes()[:900], "c.jpg": b"", "d.png": b"x"}
    samples = []
    for name, content in data.items():
        (tmp_path / name).write_bytes(content)
        samples.append(Sample(tmp_path / name, None, name, 0, "own", name, "none", "train"))
    with pytest.raises(DataError, match=r"3 pictures.*b\.jpg \(truncated\), c\.jpg \(empty\), d\.png \(unsupported\)"):
        find_faces(samples, tmp_path / "cache", workers=1)
    (kept,) = (tmp_path / "cache").glob("*.jsonl")
    assert len(kept.read_text().splitlines()) == 1
    assert set(find_faces(samples[:1], tmp_path / "cache", workers=1)) == {"a.jpg"}


def test_a_run_is_gone_on_with_as_it_began(tiny: Cnn, capsys: pytest.CaptureFixture[str]) -> None:
    folder = cnn_recipe.run(changed(tiny, epochs=1, images_per_epoch=8))
    with pytest.raises(DataError, match="with other lr, model"):
        cnn_recipe.run(changed(tiny, epochs=1, images_per_epoch=8, resume=folder, model="resnet18", lr=0.1))
    for wrong, words in (
        (tiny.data.runs_dir / "nowhere", "no such folder"),
        (tiny.data.runs_dir / "cache", "no run folder"),
    ):
        with pytest.raises(DataError, match=words):
            cnn_recipe.run(changed(tiny, resume=wrong))
    assert not (tiny.data.runs_dir / "nowhere").exists()
    # what was killed in an epoch has weights, and is not published
    record = {k: v for k, v in Run(folder).record().items() if k != "train_hours"}
    (folder / "run.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match="--resume"):
        publish_recipe.run(
            Publish((folder,), data_root=tiny.data.data_root, weights_dir=tiny.data.runs_dir / "weights")
        )
    capsys.readouterr()


def test_labels_are_judged_by_a_network_that_saw_nobody_of_them(
    sources: FaceData, tiny: Cnn, monkeypatch: pytest.MonkeyPatch
) -> None:
    # every other genuine face of "a" becomes one of the labelled source, in training, validation and test
    def relabelled(samples: list[Sample]) -> list[Sample]:
        return [
            replace(s, source="utkface", group=f"utk_{20 + 3 * i}_0_{i % 5}_x")
            if s.source == "a" and not s.label
            else s
            for i, s in enumerate(samples)
        ]

    train = relabelled(sources.train)
    labelled = [s for s in train if s.source == "utkface"]
    # somebody of the labelled source is also in another one, under the same group
    other = next(i for i, s in enumerate(train) if s.source == "b")
    train[other] = replace(train[other], group=labelled[0].group)
    tested = [replace(s, name=f"test/{s.name}", split="test") for s in labelled[:2]]
    faces = {**sources.faces, **{s.name: sources.faces[s.name.removeprefix("test/")] for s in tested}}
    data = replace(sources, train=train, val=relabelled(sources.val), test=tested, faces=faces)
    monkeypatch.setattr(Data, "faces", lambda *_, **__: data)
    seen: list[FaceData] = []
    run = cnn_recipe.run

    def watched(options: Cnn, data: FaceData) -> Path:
        seen.append(data)
        folder = run(options, data)
        val = [float(s.label) * 3 - 1 for s in data.val]
        np.savez(folder / "val_logits.npz", names=[s.name for s in data.val], logits=val)
        return folder

    monkeypatch.setattr(cnn_recipe, "run", watched)
    options = changed(Labels(), **{**flat(tiny), "epochs": 1})
    folder = labels_recipe.run(options)
    assert folder.name.startswith("labels-mobilenet_v2")
    used = seen[0].train + seen[0].val
    everyone = [s for s in data.train + data.val + data.test if s.source == "utkface"]
    assert not {s.group for s in used} & {s.group for s in everyone} and not seen[0].test
    assert len(used) == len(data.train + data.val) - len([s for s in everyone if s.split != "test"]) - 1
    found = json.loads((folder / "report" / "labels.json").read_text())
    assert found["faces"] == len(everyone) == sum(row["n"] for row in found["labels"]["ethnicity"].values())
    page = (folder / "report" / "labels.md").read_text()
    assert "none of utkface" in page and "nobody was asked" in page and "| ethnicity White |" in page
    with pytest.raises(ValueError, match="have seen utkface"):
        changed(options, start="weights/resnet18.safetensors")
    monkeypatch.setattr(Data, "faces", lambda *_, **__: sources)
    with pytest.raises(DataError, match="utkface"):
        labels_recipe.run(options)


def test_a_plain_recipe_and_ours_get_the_same_few_faces(
    made_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(small_recipe, "fit_calibration", lambda samples, logits: Calibration(1.0, 0.0))
    options = changed(SmallSet(), 
        model="mobilenet_v2", images=20, epochs=1, size_px=32, start="scratch", data_root=made_data, workers=0,
        amp="off", runs_dir=tmp_path / "runs",
    )  # fmt: skip
    given: list[tuple[Cnn, list[str]]] = []
    run = cnn_recipe.run

    def watched(options: Cnn, data: FaceData) -> Path:
        given.append((options, [s.name for s in data.train]))
        assert sorted(s.label for s in data.train) == [0] * 10 + [1] * 10
        return run(options, data)

    monkeypatch.setattr(cnn_recipe, "run", watched)
    folder = small_recipe.run(options)
    (plain, first), (ours, second) = given
    assert first == second and ours.blending.twins > 0
    assert (plain.blending.twins, plain.schedule.batch_size, plain.schedule.ema_decay) == (0, 16, 0)
    assert plain.schedule.images_per_epoch == ours.schedule.images_per_epoch == 20 and plain.start == ours.start
    # windows of larger crops have the pixels of the plain recipe's crops
    assert (plain.crops.size_px, plain.crops.window, ours.crops.size_px) == (32, 1, 48) and ours.crops.window_px == 32
    found = json.loads((folder / "report" / "small_set_val.json").read_text())
    gain, arms = found["gain"]["all slices"], found["figures"]
    assert gain["balanced_accuracy"]["value"] == pytest.approx(
        arms["ours"]["all slices"]["balanced_accuracy"] - arms["plain"]["all slices"]["balanced_accuracy"], abs=2e-4
    )
    assert gain["auc"]["low"] <= gain["auc"]["value"] <= gain["auc"]["high"]
    # finished arms stay; a look at test is counted
    assert small_recipe.run(changed(options, resume=folder, split="test")) == folder and len(given) == 2
    assert small_recipe.run(changed(options, resume=folder, split="test")) == folder
    assert json.loads((folder / "report" / "small_set_test.json").read_text())["test_looks"] == 2
    assert "| all slices |" in capsys.readouterr().out
    with pytest.raises(DataError, match="other epochs"):
        small_recipe.run(changed(options, resume=folder, epochs=2))
    with pytest.raises(DataError, match="no run folder"):
        small_recipe.run(changed(options, resume=folder / "plain"))


def test_too_little_validation_cannot_be_published(
    tiny: Cnn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = cnn_recipe.run(changed(tiny, epochs=1))
    root = str(tiny.data.data_root)
    weights = tmp_path / "weights"
    arguments = ["publish", str(folder), "--data_root", root, "--weights_dir", str(weights)]
    assert main([*arguments, "--runs_dir", str(tiny.data.runs_dir), "--workers", "0"]) == 1
    said = capsys.readouterr().err
    assert str(MIN_GENUINE) in said or "learned nothing" in said
    assert not (weights / "manifest.json").exists() and not list(weights.iterdir())


def test_the_command_line_takes_the_documented_options(made_data: Path, tmp_path: Path) -> None:
    arguments = [
        "cnn",
        "--model",
        "mobilenet_v2",
        "--epochs",
        "1",
        "--batch_size",
        "4",
        "--lr",
        "1e-4",
        "--size_px",
        "32",
        "--images_per_epoch",
        "4",
    ]
    arguments += ["--data_root", str(made_data), "--runs_dir", str(tmp_path), "--workers", "0", "--start", "scratch"]
    assert main(arguments) == 0
    assert any(p.name.startswith("cnn-mobilenet_v2") for p in tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [[], ["cnn"], ["sbi"], ["leave-out"], ["--data_root", "nowhere"]])
def test_without_data_it_says_what_to_get_and_changes_nothing(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert "real_data" in said and "faces.csv" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cnn", "--batch_size", "7"], "even"),
        (["cnn", "--model", "nonsense"], "resnet18"),
        (["cnn", "--twins", "1.5"], "share"),
        (["leave-out", "--variants", "baseline,nonsense"], "no_partners"),
        (["leave-out", "--folds", "nonsense"], "stylegan"),
        (["leave-out", "--images", "10"], "two batches"),
        (["leave-out", "--variants", "light", "--folds", "studio"], "choice_folds"),
        (["publish", "nothing-here"], "not a finished run"),
        (["publish"], "name at least one"),
    ],
)
def test_impossible_options_get_a_line(
    arguments: list[str], words: str, made_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if arguments[0] in ("cnn", "leave-out"):
        arguments = [*arguments, "--data_root", str(made_data), "--runs_dir", str(tmp_path), "--workers", "0"]
    try:
        code = main(arguments)
    except SystemExit as stopped:  # values that the options themselves refuse
        code = int(stopped.code or 0)
    assert code in (1, 2)
    assert words in capsys.readouterr().err


def test_unknown_options_fail() -> None:
    with pytest.raises(SystemExit):
        main(["cnn", "--learning-speed", "3"])


@pytest.mark.parametrize(
    ("can", "network", "pays"),
    [
        ({}, "resnet18", False),
        ({"avx512_bf16": True}, "resnet18", True),
        ({"avx512_bf16": True}, "mobilenet_v2", False),  # the gradients of its grouped convolutions are slow there
        ({"avx512_bf16": True, "amx_bf16": True}, "mobilenet_v2", True),
    ],
)
def test_bfloat16_is_taken_where_it_is_faster(
    can: dict[str, bool], network: str, pays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: can)
    cpu, built = torch.device("cpu"), build(network)
    assert wants_amp("auto", cpu, built) is pays
    assert wants_amp("on", cpu, built) and not wants_amp("off", torch.device("cuda"), built)
    assert wants_amp("auto", torch.device("cuda"), built)
    assert not wants_amp("auto", cpu, build("resnet18"), build("mobilenet_v2")) or "amx_bf16" in can
