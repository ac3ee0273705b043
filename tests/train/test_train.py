"""The recipes themselves, tiny: every file is written, a killed run goes on as if nothing had been."""

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch
import tyro
from safetensors.torch import load_file

import train.recipes.cnn as cnn_recipe
import train.recipes.publish as publish_recipe
import train.recipes.reference as reference_recipe
from detector.manifest import read_manifest
from detector.models.registry import build
from train.__main__ import asked, main
from train.data.augment import AUGMENTATIONS
from train.data.detections import find_faces
from train.data.samples import Sample
from train.errors import DataError
from train.learn.loop import wants_amp
from train.learn.options import Crops, Data
from train.measure.calibrate import MIN_GENUINE
from train.options import changed, flat
from train.recipes.cnn import Cnn
from train.recipes.publish import Publish
from train.recipes.sbi import Sbi
from train.run import Run, command_line, options_record

ROOT = Path(__file__).resolve().parents[2]


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


def test_a_killed_run_resumes_bit_for_bit(tiny: Cnn, killed_after_an_epoch: Callable[[ModuleType, Cnn], Path]) -> None:
    whole = cnn_recipe.run(tiny)

    killed = changed(tiny, runs_dir=tiny.data.runs_dir.parent / "killed")
    folder = killed_after_an_epoch(cnn_recipe, killed)
    assert cnn_recipe.run(replace(killed, resume=folder)) == folder
    first, second = (torch.load(f / "checkpoint.pt", weights_only=True) for f in (whole, folder))
    assert first["epoch"] == second["epoch"] == 2
    for key, value in first["ema"].items():
        assert torch.equal(value, second["ema"][key]), key
    one, two = load_file(whole / "best.safetensors"), load_file(folder / "best.safetensors")
    assert all(torch.equal(one[k], two[k]) for k in one)


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
            Publish((folder,), weights_dir=tiny.data.runs_dir / "weights", data=Data(tiny.data.data_root))
        )
    capsys.readouterr()


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
    arguments: list[str], words: str, made_data: Path, tmp_path: Path, refused: Callable[[list[str]], str]
) -> None:
    if arguments[0] in ("cnn", "leave-out"):
        arguments = [*arguments, "--data_root", str(made_data), "--runs_dir", str(tmp_path), "--workers", "0"]
    assert words in refused(arguments)


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
