"""Features once, heads many times: the cache, the order, and what a head learns."""

import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from detector.models.registry import MODELS, build
from detector.types import Face
from detector.weights import load_network
from tests.fakes.manifests import manifest as made_manifest
from train.__main__ import asked
from train.data.feature_cache import FeatureCache
from train.data.samples import Sample, fingerprint, in_turns
from train.data.sources import load_samples
from train.errors import DataError
from train.learn.confounds import FACTS, fit_confounds, picture_facts
from train.learn.heads import LAYERS, HeadOptions, LinearHead, fit_head, unit
from train.learn.options import Folders, Teaching
from train.learn.start import STARTS, Start, weights_name
from train.recipes import features, head
from train.run import Run, environment
from train.store.build import converted, members_of

WIDTH = 16


def test_a_killed_writer_leaves_whole_rows_only(tmp_path: Path) -> None:
    about = {"view": "plain"}
    rows = np.random.default_rng(0).normal(size=(3, 2, 4))
    FeatureCache.open(tmp_path, (2, 4), about).append(["a", "b", "c"], rows)
    with (tmp_path / "features.f16").open("ab") as handle:
        handle.write(b"half")
    with (tmp_path / "keys.txt").open("a") as handle:
        handle.write("d\nhal")
    assert FeatureCache.read(tmp_path).keys == ["a", "b", "c"]
    cache = FeatureCache.open(tmp_path, (2, 4), about)
    assert cache.keys == ["a", "b", "c"]
    cache.append(["d"], rows[:1] + 1)
    again = FeatureCache.read(tmp_path)
    assert again.rows(["d", "b"]) == pytest.approx(np.stack([rows[0] + 1, rows[1]]), abs=1e-2)
    with pytest.raises(DataError, match="1 of 2 faces"):
        again.rows(["a", "z"])
    with pytest.raises(DataError, match="other view"):
        FeatureCache.open(tmp_path, (2, 4), {"view": "twin-0"})
    with pytest.raises(ValueError, match="float16"):
        cache.append(["e"], np.full((1, 2, 4), 1e9))
    with pytest.raises(DataError, match="train features"):
        FeatureCache.read(tmp_path / "none")


def sample(name: str, source: str, group: str, label: int) -> Sample:
    return Sample(Path("x"), None, name, label, source, group, "m", "train")


def test_sources_take_turns_and_groups_come_apart() -> None:
    faces = [sample(f"a{i}", "a", f"person {i // 5}", 0) for i in range(10)] + [sample("b", "b", "b", 1)]
    ordered = in_turns(faces, 4)
    assert len(ordered) == 5 and {s.source for s in ordered[:2]} == {"a", "b"}
    assert len({s.group for s in ordered if s.source == "a"}) == 2
    assert {s.group for s in ordered[:3]} == {"person 0", "person 1", "b"}
    assert ordered == in_turns(faces[::-1], 4)


def made(rng: np.random.Generator, sources: int, offset: float) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Faces of sources that lie apart along one axis, fakes along another; training's sources mix the two up."""
    features, labels, names = [], [], []
    for source in range(sources):
        for label in (0, 1):
            rows = rng.normal(0, 0.3, (40, LAYERS, WIDTH))
            rows[:, 0, 0] += 1.0 * label
            # a studio's look, which in training goes with the class
            rows[:, 0, 1] += rng.normal(0, 1.5) + offset * label
            rows[:, 0, 2] += 3.0
            features.append(rows)
            labels += [label] * 40
            names += [f"s{source}"] * 40
    return np.concatenate(features), np.array(labels), names


def test_a_head_learns_and_the_penalty_holds_back_what_separates_genuine_sources() -> None:
    rng = np.random.default_rng(0)
    faces, labels, sources = made(rng, 8, 1.5)
    further, its_labels, its_sources = made(rng, 12, 0.0)
    apart = {}
    for spread in (0.0, 30.0):
        options = HeadOptions(layers=(0, 3), c=1.0, spread=spread)
        found = fit_head(faces, labels, np.ones(len(labels)), sources, options)
        assert not found.weight[[1, 2, 4]].any()
        logits = found(further)
        means = [
            logits[(its_labels == 0) & (np.array(its_sources) == name)].mean() for name in sorted(set(its_sources))
        ]
        right = np.mean(logits[its_labels == 1][:, None] > logits[its_labels == 0][None])
        apart[spread] = (np.std(means) / np.std(logits), right)
    assert apart[30.0][0] < 0.6 * apart[0.0][0]
    # the truth costs nothing: what tells the class on further sources is told no worse
    assert apart[30.0][1] > apart[0.0][1] + 0.01


def test_a_head_is_a_plain_sum_over_layers() -> None:
    rng = np.random.default_rng(0)
    weight = np.zeros((LAYERS, WIDTH), np.float32)
    weight[[2, 20]] = rng.normal(size=(2, WIDTH))
    features = rng.normal(size=(5, LAYERS, WIDTH)).astype(np.float16)
    expected = (unit(features) * weight).sum((1, 2)) + 0.25
    assert LinearHead(weight, 0.25)(features) == pytest.approx(expected, abs=1e-5)


class FakeTower:
    """Colours of the picture as features: fakes are made redder."""

    start, precision = "made", "int8"

    def __init__(self, *options: object) -> None:
        pass

    def __call__(self, crops: torch.Tensor) -> np.ndarray:
        colours = crops.float().mean((2, 3)).numpy() / 255
        rows = np.zeros((len(crops), LAYERS, 768), np.float32)
        rows[:, :, :3], rows[:, :, 3] = colours[:, None], 0.5
        return rows


@pytest.fixture
def coloured(tmp_path: Path) -> Path:
    """real_data/ and fake_data/ of plain pictures; those of fakes are redder."""
    rng = np.random.default_rng(0)
    for name, red in (("real_data", 0), ("fake_data", 60)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(24):
            picture = np.full((64, 64, 3), rng.integers(60, 120, 3) + np.array([red, 0, 0]), np.uint8)
            Image.fromarray(picture).save(tmp_path / "data" / name / f"person{i}_0.png")
    return tmp_path / "data"


def test_features_once_then_a_head_that_publish_takes(
    coloured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    face = Face((12, 8, 52, 56), ((24, 26), (40, 26), (32, 36), (26, 46), (38, 46)), 1.0)
    monkeypatch.setattr(features, "Tower", FakeTower)
    monkeypatch.setattr(features, "find_faces", lambda samples, *_, **__: {s.name: face for s in samples})
    options = features.Features(data_root=coloured, out=tmp_path / "features", size_px=32, start="online")
    folder = features.run(options)
    done = {view: FeatureCache.read(folder / view).keys for view in ("plain", "augmented-0", "twin-0")}
    assert set(done["twin-0"]) < set(done["plain"]) and len(done["plain"]) > 30
    # nothing is done again
    monkeypatch.setattr(FakeTower, "__call__", lambda self, crops: pytest.fail("computed again"))
    features.run(options)

    asked_for = head.Head(
        folder, layers=(0, 12), views=("plain",), folders=Folders(coloured, tmp_path / "runs"), folds=3
    )
    run = Run(head.run(asked_for))
    weights = load_file(run.best)
    assert weights["backbone.fc.weight"].shape == (1, LAYERS * 768)
    record = run.record()
    # the command that the manifest will show asks for the same again
    name, again = asked(shlex.split(record["command"])[3:])
    assert name == "head" and again.layers == (0, 12)
    assert record["options"]["model"] == "clip_vit_b16" and record["options"]["size_px"] == 32
    assert record["data"] == fingerprint(load_samples(coloured, 0)), "as publish asks for it"
    assert record["features"]["weights"] == "online" and 0 < record["images_planned"] < len(done["plain"])
    member = members_of(run.folder, tmp_path)[0]
    assert member.architecture == "clip_vit_b16" and sum(member.sources["train"]["data"]) > 30 and member.learning
    with np.load(run.folder / "val_logits.npz") as found:
        fakes = np.array(["fake" in name for name in found["names"]])
        assert found["logits"][fakes].min() > found["logits"][~fakes].max()
    train = [s for s in load_samples(coloured, 0) if s.split == "train"]
    taught = Teaching(run.folder, taught=0.4).targets(train)
    assert len(taught) == sum(member.sources["train"]["data"])
    for s in train:
        # what it learns leans to the label, and says what the teacher thought of a face that it had not seen
        value = taught.get(s.name, float(s.label))
        assert 0.6 * s.label <= value <= 0.6 * s.label + 0.4
    assert len(set(taught.values())) > 10
    with pytest.raises(DataError, match="has no train_probs"):
        Teaching(tmp_path).targets(train)
    with pytest.raises(ValueError, match="no view"):
        features.run(replace(options, views="sideways-0"))


def test_a_head_is_published_beside_its_backbone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a small network in CLIP's place."""
    torch.manual_seed(0)
    frozen = replace(MODELS["meso4"], frozen="backbone.block")
    monkeypatch.setitem(MODELS, "meso4", frozen)
    monkeypatch.setitem(STARTS, "meso4", Start("trunk.safetensors", "made", "MIT"))
    trunk, trained = build("meso4").state_dict(), build("meso4").state_dict()
    (tmp_path / "pretrained").mkdir()
    save_file({k: v.contiguous() for k, v in trunk.items()}, tmp_path / "pretrained" / "trunk.safetensors")
    run = Run.create(tmp_path, "head")
    save_file({k: v.contiguous() for k, v in trained.items() if not k.startswith("backbone.block")}, run.best)
    start = weights_name("meso4", tmp_path / "pretrained", "file")
    record = {
        "recipe": "head",
        "options": {"model": "meso4", "seed": 0, "size_px": 64, "epochs": 1},
        "data": "d",
        "features": {"weights": start},
        "images_planned": 8,
        "train_hours": 0.1,
        "start": "made",
        "environment": environment(),
        "sources": {},
        "unseen_val_sources": [],
    }
    run.write_record(**record)
    (tmp_path / "weights").mkdir()
    member = members_of(run.folder, tmp_path / "weights")[0]
    entry = converted(tmp_path / "weights", member, tmp_path / "pretrained")
    found = load_network(made_manifest(tmp_path / "weights", {"one": entry}), "one")
    for name, value in found.state_dict().items():
        expected = trunk if name.startswith("backbone.block") else trained
        torch.testing.assert_close(value, expected[name], atol=1e-3, rtol=1e-2)
    assert [part.file for part in entry.files] == ["meso4.safetensors", "meso4.int8.safetensors"]
    run.write_record(features={"weights": "of others"})
    member = members_of(run.folder, tmp_path / "weights")[0]
    with pytest.raises(DataError, match="another backbone"):
        converted(tmp_path / "weights", member, tmp_path / "pretrained")


def test_size_and_codec_alone_are_seen(tmp_path: Path) -> None:
    """Genuine faces and fakes that differ in their JPEG quality only."""
    rng = np.random.default_rng(0)
    faces = []
    for i in range(80):
        path = tmp_path / f"{i}.jpg"
        noise = rng.integers(0, 255, (32, 32, 3)).astype(np.uint8)
        Image.fromarray(noise).save(path, quality=95 if i % 2 else 60)
        faces.append(Sample(path, None, path.name, i % 2, "s", str(i), "m", "train"))
    facts = {s.name: picture_facts(s) for s in faces}
    assert len(facts["0.jpg"]) == len(FACTS) and np.isfinite(np.stack(list(facts.values()))).all()
    logits = fit_confounds(faces[:60], facts)(faces[60:])
    assert logits[1::2].min() > logits[::2].max()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "plain.png")
    assert picture_facts(Sample(tmp_path / "plain.png", None, "p", 0, "s", "g", "m", "val"))[3] == 0
