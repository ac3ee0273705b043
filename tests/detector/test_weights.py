"""The published set: complete, undamaged, and reproducing its stored logits; and what happens when it is not."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from detector.aggregate import ClipRule
from detector.calibration import Calibration, FalseAlarmCurve, edges
from detector.ensemble import VOTES
from detector.errors import UnknownModelError, WeightsError
from detector.models.registry import MODELS, build
from detector.types import BandCap
from detector.weights import (
    Manifest,
    default_folder,
    golden_crops,
    list_models,
    load_ensemble,
    load_network,
    read_manifest,
    save_network,
)


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return read_manifest()


def test_at_least_two_networks_are_published(manifest: Manifest) -> None:
    assert len(manifest.models) >= 2
    assert manifest.default == list_models()[0]


def test_every_network_loads_and_reproduces_its_golden_logits(manifest: Manifest) -> None:
    for name, record in manifest.models.items():
        assert record["architecture"] in MODELS
        network = load_network(manifest, name)
        with torch.inference_mode():
            logits = network(golden_crops(record["input_size_px"]))
        torch.testing.assert_close(logits, torch.tensor(record["golden_logits"]), atol=0.02, rtol=0.01)


def test_every_choice_has_rising_band_edges_and_a_card(manifest: Manifest) -> None:
    for name in manifest.names():
        entry = manifest.entry(name)
        found = edges(entry.curve)
        if load_ensemble(manifest, name).kind in VOTES:
            # a count has few steps: two bands may begin at the same one
            assert found["weak"] <= found["strong"] <= found["very_strong"]
        else:
            assert found["weak"] < found["strong"] < found["very_strong"]
        assert entry.calibration.scale > 0
        card = manifest.folder / "cards" / f"{name}.md"
        assert card.is_file() and "Training data" in card.read_text()


def test_every_choice_says_how_often_it_is_wrong(manifest: Manifest) -> None:
    for name in manifest.names():
        for band, row in manifest.entry(name).false_alarms.items():
            assert row["low"] <= row["k"] / row["n"] <= row["high"], (name, band)
        assert set(manifest.entry(name).false_alarms) == {"weak", "strong", "very_strong"}


def test_the_set_is_small_enough() -> None:
    sizes = [p.stat().st_size for p in default_folder().glob("*.safetensors")]
    assert sum(sizes) <= 100e6 and max(sizes) <= 50e6


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    shutil.copytree(default_folder(), folder)
    return folder


def test_damaged_weights_are_refused_with_the_cause(copied: Path) -> None:
    manifest = read_manifest(copied)
    name, record = next(iter(manifest.models.items()))
    path = copied / record["file"]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="damaged"):
        load_network(manifest, name)
    path.unlink()
    with pytest.raises(WeightsError, match="missing"):
        load_network(manifest, name)


def test_missing_or_broken_manifest_says_what_to_do(copied: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="python -m train"):
        read_manifest(tmp_path / "nowhere")
    (copied / "manifest.json").write_text("{")
    with pytest.raises(WeightsError, match="cannot be read"):
        read_manifest(copied)
    (copied / "manifest.json").write_text(json.dumps({"manifest_version": 99}))
    with pytest.raises(WeightsError, match="version"):
        read_manifest(copied)


def test_an_ensemble_with_a_missing_member_is_an_error(manifest: Manifest) -> None:
    data = json.loads(json.dumps(manifest.data))
    first = next(iter(data["models"].values()))
    data["ensembles"]["broken"] = {**first, "members": ["nobody"]}
    with pytest.raises(WeightsError, match="nobody"):
        Manifest(manifest.folder, data).entry("broken")
    with pytest.raises(UnknownModelError, match="no weights"):
        manifest.entry("never-published")


SECTION = {
    "calibration": {"scale": 1.5, "offset": 0.25, "chosen": "clips"},
    "curve": {"rates": [0.5, 0.1, 0.02], "logits": [-1.0, 1.0, 2.0]},
    "runs": 4.0,
    "cap": {"band": "weak", "reason": "too_few_clips", "persons": 51, "needed": 149},
    "false_alarms": {"weak": {"n": 51, "k": 1.5, "rate": 0.03, "low": 0.01, "high": 0.1}},
}


def with_clips(manifest: Manifest, section: object) -> Manifest:
    data = json.loads(json.dumps(manifest.data))
    for record in (*data["models"].values(), *data["ensembles"].values()):
        record.pop("clips", None)
        if section is not None:
            record["clips"] = section
    return Manifest(manifest.folder, data)


def test_what_clips_showed_is_read_and_without_it_the_cautious_rule_holds(manifest: Manifest) -> None:
    for name in manifest.names():
        entry = with_clips(manifest, SECTION).entry(name)
        assert entry.clips.calibration == Calibration(1.5, 0.25) and entry.clips.runs == 4
        assert entry.clips.curve == FalseAlarmCurve((0.5, 0.1, 0.02), (-1.0, 1.0, 2.0))
        assert entry.clips.cap == BandCap("weak", "too_few_clips", 51, 149)
        assert entry.clip_false_alarms == SECTION["false_alarms"]
        assert with_clips(manifest, {**SECTION, "cap": None}).entry(name).clips.cap is None
        old = with_clips(manifest, None).entry(name)
        assert old.clips == ClipRule.unmeasured(old.curve) and old.clip_false_alarms == {}
        assert old.clips.cap == BandCap("weak", "not_measured", 0, None)


@pytest.mark.parametrize(
    "section",
    [
        {},
        "weak",
        {k: v for k, v in SECTION.items() if k != "cap"},
        {**SECTION, "cap": {**SECTION["cap"], "band": "very_strong"}},
        {**SECTION, "cap": {**SECTION["cap"], "reason": "mood"}},
        {**SECTION, "curve": {"rates": [0.1, 0.5], "logits": [0.0, 1.0]}},
        {**SECTION, "calibration": {"scale": -1.0, "offset": 0.0}},
        {**SECTION, "runs": 0},
    ],
)
def test_a_damaged_section_of_clips_is_refused(manifest: Manifest, section: object) -> None:
    with pytest.raises(WeightsError, match="train clips"):
        with_clips(manifest, section).entry("default")


def test_saved_weights_come_back_and_too_large_ones_are_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build("mobilenet_v2").eval()
    path = tmp_path / "a.safetensors"
    digest, size = save_network(network, path)
    assert path.stat().st_size == size and len(digest) == 64
    record = {"architecture": "mobilenet_v2", "file": path.name, "sha256": digest}
    again = load_network(Manifest(tmp_path, {"models": {"a": record}, "ensembles": {}}), "a")
    crops = golden_crops(64)
    with torch.inference_mode():
        torch.testing.assert_close(again(crops), network(crops), atol=0.02, rtol=0.02)
    with torch.no_grad():
        next(network.parameters()).fill_(1e6)
    with pytest.raises(WeightsError, match="float16"):
        save_network(network, path)
