"""Starting weights, the comparison and the attack on made faces: nothing can be learned, everything must be right."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import train.recipes.cnn as cnn_recipe
import train.studies.attack as attack_recipe
import train.studies.compare as compare_recipe
import train.studies.traces as traces_recipe
from detector.models import registry
from detector.models.registry import build
from detector.types import Face
from train.__main__ import main
from train.data.faces import FaceData
from train.data.samples import Sample, Split
from train.errors import DataError
from train.learn.options import Data
from train.learn.start import STARTS, Started, load_start, starting_file
from train.options import changed
from train.recipes.cnn import Cnn
from train.run import Run
from train.studies import trace_response
from train.studies.attack import AttackRuns
from train.studies.compare import Compare, Entry, compared, planned


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> FaceData:
    folder = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    by_split: dict[Split, list[Sample]] = {"train": [], "val": [], "test": []}
    faces = {}
    for split, samples in by_split.items():
        for i in range(24):
            name, label = f"{split}{i}.png", i % 2
            image = rng.integers(60, 160, (80, 80, 3)).astype(np.uint8)
            image[20:60, 20:60] = np.clip(image[20:60, 20:60].astype(int) + 40 * label, 0, 255)
            cv2.imwrite(str(folder / name), image)
            faces[name] = Face((15.0, 15.0, 65.0, 65.0), ((30, 35), (50, 35), (40, 45), (33, 55), (47, 55)), 0.99)
            method = "made" if label else "none"
            samples.append(Sample(folder / name, None, name, label, "made", f"{split}{i}", method, split))
    return FaceData(**by_split, faces=faces, unseen=set(), fingerprint="made", without_face={})


@pytest.fixture
def tiny(data: FaceData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compare:
    monkeypatch.setattr(Data, "faces", lambda *_, **__: data)
    (tmp_path / "pretrained").mkdir()
    (tmp_path / "data").mkdir()
    return changed(
        Compare(),
        models=("meso4", "npr"),
        size_px=32,
        epochs=1,
        images_per_epoch=16,
        batch_size=8,
        data_root=tmp_path / "data",
        amp="off",
        workers=0,
        runs_dir=tmp_path / "runs",
    )


def test_a_trunk_of_ours_fills_what_fits_and_says_how_much(tmp_path: Path) -> None:
    torch.manual_seed(0)
    trunk = build("resnet18")
    save_file(
        {k: v.half() if v.is_floating_point() else v for k, v in trunk.state_dict().items()}, tmp_path / "a.safetensors"
    )
    torch.manual_seed(1)
    network = build("resnet18")
    started = load_start(network, str(tmp_path / "a.safetensors"), None)
    assert started == Started("own trunk", "our a.safetensors (122 of 122 tensors)")
    torch.testing.assert_close(
        network.backbone.layer1[0].conv1.weight, trunk.backbone.layer1[0].conv1.weight.half().float()
    )

    # of another network: layers of equal name and shape only, the rest as it was
    run = Run.create(tmp_path / "runs", "cnn-resnet50")
    torch.manual_seed(2)
    other = build("resnet50")
    save_file(dict(other.state_dict()), run.best)
    npr = build("npr")
    first = npr.backbone.conv1.weight.clone()
    started = load_start(npr, str(run.folder), None)
    own = npr.backbone.state_dict()
    theirs = other.backbone.state_dict()
    fitting = [k for k in own if k in theirs and own[k].shape == theirs[k].shape]
    assert started == Started("own trunk", f"our {run.folder.name} ({len(fitting)} of {len(own)} tensors)")
    assert torch.equal(npr.backbone.layer2[3].conv3.weight, other.backbone.layer2[3].conv3.weight)
    assert torch.equal(npr.backbone.conv1.weight, first)


def test_starts_that_cannot_be_say_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_file({"somewhere.weight": torch.zeros(3, 3)}, tmp_path / "odd.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"no tensors at all")
    for start, words in (
        (str(tmp_path / "odd.safetensors"), "fit no layer of meso4"),
        (str(tmp_path / "broken.safetensors"), "cannot be read"),
        (str(tmp_path / "missing.safetensors"), "no such file"),
        (str(tmp_path), "no such file"),
        ("file", "--pretrained"),
        ("online", "no library publishes"),
    ):
        with pytest.raises(DataError, match=words):
            load_start(build("meso4"), start, tmp_path)
    # norms and biases alone are no start
    norms = {k: v for k, v in build("resnet18").state_dict().items() if v.ndim <= 1}
    save_file(norms, tmp_path / "norms.safetensors")
    with pytest.raises(DataError, match="fit no layer"):
        load_start(build("resnet18"), str(tmp_path / "norms.safetensors"), None)

    def offline() -> torch.nn.Module:
        raise OSError("no route to host")

    spec = registry.MODELS["resnet18"]
    monkeypatch.setitem(registry.MODELS, "resnet18", replace(spec, pretrained=offline))
    with pytest.raises(DataError, match="are you online"):
        load_start(build("resnet18"), "online", None)
    monkeypatch.setitem(registry.MODELS, "resnet18", replace(spec, pretrained=lambda: build("resnet18").backbone))
    assert load_start(build("resnet18"), "online", None).kind == "pretrained"


def test_files_of_starting_weights_are_found_by_name(tmp_path: Path) -> None:
    assert starting_file("resnet18", None) is None and starting_file("meso4", tmp_path) is None
    assert load_start(build("resnet18"), "auto", tmp_path) == Started("scratch", "scratch")
    trunk = {k: v for k, v in build("resnet18").backbone.state_dict().items() if not k.startswith(("layer4", "fc"))}
    save_file(trunk, tmp_path / STARTS["resnet18"].file)
    assert starting_file("resnet18", tmp_path) is not None
    network = build("resnet18")
    started = load_start(network, "auto", tmp_path)
    assert started.kind == "pretrained" and f"{len(trunk)} of 122 tensors" in started.words
    assert torch.equal(network.backbone.conv1.weight, trunk["conv1.weight"])


def test_the_plan_gives_every_network_its_start_and_the_bridge(tmp_path: Path) -> None:
    (tmp_path / STARTS["mobilenet_v2"].file).touch()
    options = changed(Compare(), models=("mobilenet_v2", "meso4"))
    assert planned(options, tmp_path) == [
        Entry("mobilenet_v2", "file", 0), Entry("meso4", "scratch", 0), Entry("resnet18", "scratch", 0),
    ]  # fmt: skip
    assert [e.start for e in planned(changed(options, start="scratch"), tmp_path)] == ["scratch"] * 3
    assert Entry("mobilenet_v2", "scratch", 0) in planned(changed(options, scratch_too=True), tmp_path)
    online = planned(changed(options, start="online", models=("vit_tiny", "npr")), None)
    assert [(e.model, e.start) for e in online] == [("vit_tiny", "online"), ("npr", "scratch"), ("resnet18", "scratch")]
    (tmp_path / "resnet18.safetensors").touch()
    seeded = planned(changed(options, trunks=(f"resnet18={tmp_path / 'resnet18.safetensors'}",), seeds=(0, 1)), None)
    keys = [e.key for e in seeded]
    assert len(keys) == len(set(keys)) == 8 and "resnet18-trunk-resnet18-1" in keys
    with pytest.raises(DataError, match="NAME=FILE"):
        planned(changed(options, trunks=("resnet18",)), None)


def test_short_runs_average_their_last_steps_only() -> None:
    entry = Entry("meso4", "scratch", 0)
    decays = [
        compare_recipe.protocol(Compare(epochs=e, images_per_epoch=n, batch_size=32), entry).schedule.ema_decay
        for e, n in ((1, 32), (2, 3200), (10, 32_000))
    ]
    assert decays == pytest.approx([0.0, 0.95, 0.998])


def test_the_learning_rate_is_that_of_the_start() -> None:
    options = changed(Compare(), lr=0.1, scratch_lr=0.2)
    rates = [
        compare_recipe.protocol(options, Entry("meso4", start, 0)).schedule.lr for start in ("file", "a.run", "scratch")
    ]
    assert rates == [0.1, 0.1, 0.2]


def test_comparison_writes_tables_and_goes_on_after_an_interruption(
    tiny: Compare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = cnn_recipe.run
    asked: list[str] = []

    def stop_at_second(options: Cnn, data: FaceData | None = None) -> Path:
        asked.append(options.model)
        if options.model == "npr":
            raise KeyboardInterrupt
        return trained(options, data)

    monkeypatch.setattr(cnn_recipe, "run", stop_at_second)
    with pytest.raises(KeyboardInterrupt):
        compare_recipe.run(tiny)
    folder = next(p for p in tiny.data.runs_dir.iterdir() if p.name.startswith("compare-"))
    assert asked == ["meso4", "npr"]
    # what is finished has its table already
    assert [r["model"] for r in json.loads((folder / "report" / "compare.json").read_text())["rows"]] == ["meso4"]

    monkeypatch.setattr(cnn_recipe, "run", lambda o, d=None: asked.append(o.model) or trained(o, d))
    done = compare_recipe.run(changed(tiny, resume=folder))
    assert done == folder and asked == ["meso4", "npr", "npr", "resnet18"]
    rows = json.loads((folder / "report" / "compare.json").read_text())["rows"]
    assert {r["model"] for r in rows} == {"meso4", "npr", "resnet18"} and {r["start"] for r in rows} == {"scratch"}
    assert sorted(r["rank"] for r in rows) == [1, 2, 3]
    scores = [r["figures"]["score"]["value"] for r in sorted(rows, key=lambda r: r["rank"])]
    assert scores == sorted(scores, reverse=True)
    for row in rows:
        assert row["images_seen"] == 16 and row["images_s"] > 0 and row["cpu_ms_a_face"] > 0 and row["megabytes"] > 0
        found = row["figures"]["score"]
        assert found["low"] <= found["value"] <= found["high"]
        assert ("score_minus_first" in row) == (row["rank"] > 1)
    with (folder / "report" / "compare.csv").open(newline="") as handle:
        table = list(csv.DictReader(handle))
    assert {r["model"] for r in table} == {"meso4", "npr", "resnet18"} and all(r["score_low"] for r in table)
    text = (folder / "report" / "compare.md").read_text()
    assert "Ranks hold within one start" in text and text in capsys.readouterr().out
    assert "| scratch | 1 |" in text

    # every run had the same draws: the protocol differs by network, start and seed only
    records = [json.loads((folder / f"{m}-scratch-0" / "run.json").read_text()) for m in ("meso4", "npr", "resnet18")]
    protocols = [{k: v for k, v in r["options"].items() if k != "model"} for r in records]
    assert protocols[0] == protocols[1] == protocols[2]

    # another protocol is another comparison; more networks are not
    with pytest.raises(DataError, match="size_px"):
        compare_recipe.run(changed(tiny, resume=folder, size_px=64))
    asked.clear()
    compare_recipe.run(changed(tiny, resume=folder, models=("mesoinception4",)))
    assert asked == ["mesoinception4"]
    rows = json.loads((folder / "report" / "compare.json").read_text())["rows"]
    assert {r["model"] for r in rows} == {"meso4", "npr", "resnet18", "mesoinception4"}


def result(model: str, start: str, seed: int = 0) -> dict[str, object]:
    costs = {"parameters": 1, "megabytes": 1.0, "images_seen": 10, "images_s": 5.0}
    return {
        "model": model,
        "start": start,
        "start_words": start,
        "seed": seed,
        "folder": f"{model}-{start}-{seed}",
        **costs,
    }


def test_ranks_stay_within_equal_starts(data: FaceData, tmp_path: Path) -> None:
    labels = np.array([s.label for s in data.val])
    noise = np.random.default_rng(0).normal(size=(6, len(labels)))

    def wrote(found: dict[str, object], strength: float, which: int) -> dict[str, object]:
        folder = tmp_path / str(found["folder"])
        folder.mkdir()
        np.savez(folder / "val_logits.npz", names=[s.name for s in data.val], logits=strength * labels + noise[which])
        return found

    results = [
        wrote(result("resnet18", "pretrained"), 3.0, 0),
        wrote(result("meso4", "scratch"), 0.5, 1),
        wrote(result("resnet18", "scratch", 0), 1.0, 2),
        wrote(result("resnet18", "scratch", 1), 1.4, 3),
        {**result("vgg16", "scratch"), "failed": "the loss is nan"},
    ]
    rows = compared(tmp_path, data.val, set(), results)
    assert [(r["start"], r["rank"], r["model"]) for r in rows] == [
        ("pretrained", 1, "resnet18"), ("scratch", 1, "resnet18"), ("scratch", 2, "meso4"), ("scratch", None, "vgg16"),
    ]  # fmt: skip
    both = rows[1]
    assert both["seeds"] == [0, 1] and both["figures"]["score"]["value"] == pytest.approx(
        np.mean(both["score_of_seeds"]), abs=1e-3
    )
    behind = rows[2]["score_minus_first"]
    assert behind["value"] == pytest.approx(
        rows[2]["figures"]["score"]["value"] - both["figures"]["score"]["value"], abs=2e-4
    )
    assert "figures" not in rows[3] and rows[3]["failed"] == "the loss is nan"
    # the bridge: what its start was worth to one network, paired
    assert ["score_minus_scratch" in row for row in rows] == [True, False, False, False]
    worth = rows[0]["score_minus_scratch"]
    assert worth["value"] == pytest.approx(
        rows[0]["figures"]["score"]["value"] - both["figures"]["score"]["value"], abs=2e-4
    )
    text = compare_recipe.markdown(
        {
            "protocol": {
                "epochs": 1,
                "images_per_epoch": 10,
                "size_px": 32,
                "batch_size": 2,
                "lr": 0.1,
                "scratch_lr": 0.2,
                "seeds": [0],
            },
            "training_faces": 1,
            "validation_faces": 24,
            "environment": {"device": "cpu", "torch": "2"},
        },
        [{**row, "cpu_ms_a_face": 1.0} for row in rows],
    )
    assert "did not train: the loss is nan" in text
    assert f"; score minus resnet18 from scratch: +{worth['value']:.3f} (" in text and text.startswith("# ")
    assert "1 epoch of 10 faces" in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert len(widths) == 1


def test_runs_are_attacked_side_by_side(tiny: Compare, data: FaceData, capsys: pytest.CaptureFixture[str]) -> None:
    base = changed(Cnn(), 
        model="meso4", size_px=32, epochs=1, images_per_epoch=16, batch_size=8, start="scratch", amp="off", workers=0,
        data_root=tiny.data.data_root, runs_dir=tiny.data.runs_dir, sam=0.05, genuine_weight=2.0,
    )  # fmt: skip
    plain = cnn_recipe.run(base)
    hardened = cnn_recipe.run(changed(base, adversarial="fgsm", sam=0.0))
    assert json.loads((hardened / "run.json").read_text())["options"]["adversarial"] == "fgsm"
    one, two = (load_file(f / "best.safetensors") for f in (plain, hardened))
    assert any(not torch.equal(one[k], two[k]) for k in one)
    folder = attack_recipe.run(AttackRuns(runs=(plain, hardened), epsilons=(2.0, 8.0), data=tiny.data))
    found = json.loads((folder / "report" / "attack.json").read_text())
    rows = found["rows"]
    assert [(r["trained_against"], r["epsilon_grey_levels"]) for r in rows] == [
        (against, level) for against in ("off", "fgsm") for level in (0.0, 2.0, 8.0)
    ]
    # an attacker who knows the network only makes it worse
    for run in (rows[:3], rows[3:]):
        aucs = [r["auc"]["value"] for r in run]
        assert aucs == sorted(aucs, reverse=True) and aucs[2] < aucs[0]
    assert all("auc_minus_first" in r for r in rows[3:]) and not any("auc_minus_first" in r for r in rows[:3])
    assert hardened.name in capsys.readouterr().out
    with pytest.raises(DataError, match="no finished run"):
        attack_recipe.run(AttackRuns(runs=(tiny.data.runs_dir,), data=tiny.data))


def test_traces_are_measured_after_a_run(
    tiny: Compare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in (traces_recipe, trace_response):
        monkeypatch.setattr(module, "QUALITIES", (100, 60))
        monkeypatch.setattr(module, "SCALES", (1.0, 0.5))
    options = changed(Cnn(), 
        model="npr", size_px=32, epochs=1, images_per_epoch=16, batch_size=8, start="scratch", amp="off", workers=0,
        data_root=tiny.data.data_root, runs_dir=tiny.data.runs_dir,
    )  # fmt: skip
    run = cnn_recipe.run(options)
    # the registry says so: npr is trained on traces unless told otherwise
    assert json.loads((run / "run.json").read_text())["options"]["traces"] == 1.0
    arguments = ["traces", str(run), "--data_root", str(tiny.data.data_root), "--runs_dir", str(tiny.data.runs_dir)]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "gate:" in said or "no gate:" in said
    found = json.loads((run / "report" / "trace_response.json").read_text())
    assert [(r["scale"], r["jpeg_quality"]) for r in found["rows"]] == [(1.0, 100), (1.0, 60), (0.5, 100), (0.5, 60)]
    # a run that was stopped, or one on other data, is not measured
    (run / "val_logits.npz").rename(run / "away")
    assert main(arguments) == 1 and "no finished run" in capsys.readouterr().err
    (run / "away").rename(run / "val_logits.npz")
    Run(run).write_record(data="other")
    assert main(arguments) == 1 and "other data" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cnn", "--traces", "2"], "share"),
        (["cnn", "--genuine_weight", "0"], "genuine_weight"),
        (["cnn", "--sam", "-1"], "sam"),
        (["cnn", "--start", "nowhere.safetensors"], "no such file"),
        (["cnn", "--start", "online", "--model", "meso4"], "no library publishes"),
        (["compare", "--models", "resnet19"], "resnet18"),
        (["compare", "--trunks", "resnet18"], "NAME=FILE"),
        (["attack", "nowhere"], "no finished run"),
    ],
)
def test_impossible_options_get_a_line(
    arguments: list[str], words: str, tiny: Compare, refused: Callable[[list[str]], str]
) -> None:
    folders = ["--data_root", str(tiny.data.data_root), "--runs_dir", str(tiny.data.runs_dir)]
    assert words in refused([*arguments, *folders])
