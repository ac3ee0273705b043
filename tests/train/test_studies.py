"""Studies on made faces: what is left out is left out, a stopped study goes on, tables say what differs."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import train.recipes.cnn as cnn_recipe
import train.studies.labels as labels_recipe
import train.studies.leave_out as leave_out_recipe
import train.studies.small_set as small_recipe
from detector.calibration import Calibration
from detector.types import Face
from train.data import extra, folds
from train.data.faces import FaceData
from train.data.folds import Fold
from train.data.samples import Sample
from train.errors import DataError
from train.learn.options import Data, Machine
from train.measure import calibrate
from train.options import changed, flat
from train.recipes.cnn import Cnn
from train.run import Run
from train.studies.labels import Labels
from train.studies.leave_out import BASELINE_BLENDING, VARIANTS, LeaveOut
from train.studies.small_set import SmallSet


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
    for module in (leave_out_recipe, folds):
        monkeypatch.setattr(module, "FOLDS", {n: Fold(f"is {n}", (n,)) for n in ("a", "b", "c")})
    monkeypatch.setattr(leave_out_recipe, "check_folds", lambda samples: None)
    monkeypatch.setattr(Data, "faces", lambda *_, **__: data)
    monkeypatch.setattr(calibrate, "MIN_GENUINE", 2)
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
        data=Data(made_data, tmp_path / "runs", workers=0),
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
    monkeypatch.setattr(extra, "find_faces", lambda samples, *_, **__: {s.name: face for s in samples})
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
