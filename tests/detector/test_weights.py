"""The published set: complete, undamaged, and reproducing its stored logits; and what happens when it is not."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from detector.aggregate import ClipRule
from detector.calibration import Calibration, FalseAlarmCurve, edges
from detector.ensemble import VOTES
from detector.errors import UnknownModelError, WeightsError
from detector.manifest import Manifest, Videos, default_folder, read_manifest, write_manifest
from detector.models.registry import MODELS, build
from detector.results import read_results, write_results
from detector.types import BandCap, Share
from detector.weights import golden_crops, list_models, load_ensemble, load_network, save_network
from tests.fakes.manifests import manifest as made_manifest
from tests.fakes.manifests import network as made_network


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return read_manifest()


def test_at_least_two_networks_are_published(manifest: Manifest) -> None:
    assert len(manifest.models) >= 2
    assert manifest.default == list_models()[0]


def test_every_network_loads_and_reproduces_its_golden_logits(manifest: Manifest) -> None:
    for name, published in manifest.models.items():
        assert published.architecture in MODELS
        network = load_network(manifest, name)
        with torch.inference_mode():
            logits = network(golden_crops(published.input_size_px))
        torch.testing.assert_close(logits, torch.tensor(published.golden_logits), atol=0.02, rtol=0.01)


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
        assert card.is_file() and "weights/README.md" in card.read_text()


def test_every_choice_says_how_often_it_is_wrong(manifest: Manifest) -> None:
    for name in manifest.names():
        for band, row in manifest.entry(name).false_alarms.items():
            assert row.low <= row.k / row.n <= row.high, (name, band)
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
    name, published = next(iter(manifest.models.items()))
    path = copied / published.file
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
    for version, words in ((99, "update both"), (1, "train convert")):
        (copied / "manifest.json").write_text(json.dumps({"manifest_version": version}))
        with pytest.raises(WeightsError, match=words):
            read_manifest(copied)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda said: said.update(mood="good"), "unknown key mood"),
        (lambda said: said["models"]["resnet18"].update(colour="red"), "unknown key colour.*resnet18"),
        (lambda said: said["models"]["resnet18"].pop("sha256"), "missing|required"),
        (lambda said: said["models"]["resnet18"].update(input_size_px="192"), "'192' is not int"),
        (lambda said: said["models"]["resnet18"]["calibration"].update(scale="much"), "'much' is not float"),
        (lambda said: said["ensembles"]["average"].update(kind="guess"), "guess"),
        (lambda said: said["limits"].pop("min_face_px"), "min_face_px"),
    ],
)
def test_a_manifest_with_anything_unknown_or_missing_is_refused(
    copied: Path, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    said = json.loads((copied / "manifest.json").read_text())
    change(said)
    (copied / "manifest.json").write_text(json.dumps(said))
    with pytest.raises(WeightsError, match=words):
        read_manifest(copied)


def test_a_manifest_comes_back_from_its_file(manifest: Manifest, tmp_path: Path) -> None:
    write_manifest(tmp_path, manifest)
    assert replace(read_manifest(tmp_path), folder=manifest.folder) == manifest
    assert (tmp_path / "manifest.json").stat().st_size < 30_000


def test_results_come_back_from_their_files_and_only_for_their_networks(manifest: Manifest, tmp_path: Path) -> None:
    measured = read_results(manifest)
    assert measured is not None and tuple(measured.choices) == manifest.names()
    write_results(tmp_path, measured)
    assert read_results(replace(manifest, folder=tmp_path)) == measured
    other = replace(manifest.models["resnet18"], sha256="0")
    assert read_results(replace(manifest, models={**manifest.models, "resnet18": other})) is None
    assert read_results(replace(manifest, folder=tmp_path / "nowhere")) is None


def test_an_ensemble_with_a_missing_member_is_an_error(manifest: Manifest) -> None:
    broken = replace(manifest.ensembles["average"], members=("nobody",))
    with pytest.raises(WeightsError, match="nobody"):
        replace(manifest, ensembles={"broken": broken}).entry("broken")
    with pytest.raises(UnknownModelError, match="no weights"):
        manifest.entry("never-published")


CLIPS = Videos(
    calibration=Calibration(1.5, 0.25),
    curve=FalseAlarmCurve((0.5, 0.1, 0.02), (-1.0, 1.0, 2.0)),
    runs=4.0,
    cap=BandCap("weak", "too_few_clips", 51, 149),
    frames=32,
    false_alarms={"weak": Share(51, 1.5, 0.01, 0.1)},
)


def with_clips(manifest: Manifest, clips: Videos | None) -> Manifest:
    return replace(
        manifest,
        models={name: replace(network, clips=clips) for name, network in manifest.models.items()},
        ensembles={name: replace(ensemble, clips=clips) for name, ensemble in manifest.ensembles.items()},
    )


def test_what_clips_showed_is_read_and_without_it_the_cautious_rule_holds(manifest: Manifest, tmp_path: Path) -> None:
    write_manifest(tmp_path, with_clips(manifest, CLIPS))
    found = read_manifest(tmp_path)
    for name in manifest.names():
        entry = found.entry(name)
        assert entry.clips == ClipRule(CLIPS.calibration, CLIPS.curve, 4, CLIPS.cap)
        assert entry.clip_false_alarms == CLIPS.false_alarms
        assert with_clips(manifest, replace(CLIPS, cap=None)).entry(name).clips.cap is None
        old = with_clips(manifest, None).entry(name)
        assert old.clips == ClipRule.unmeasured(old.curve) and old.clip_false_alarms == {}
        assert old.clips.cap == BandCap("weak", "not_measured", 0, None)


@pytest.mark.parametrize(
    "change",
    [
        {"cap": {"band": "very_strong", "reason": "too_few_clips", "persons": 1, "needed": 2}},
        {"cap": {"band": "weak", "reason": "mood", "persons": 1, "needed": 2}},
        {"cap": {"band": "weak", "reason": "too_few_clips", "persons": 1, "needed": 2, "applied": True}},
        {"curve": {"rates": [0.1, 0.5], "logits": [0.0, 1.0]}},
        {"calibration": {"scale": -1.0, "offset": 0.0}},
        {"runs": 0},
        {"frames": None},
    ],
)
def test_a_damaged_rule_for_videos_is_refused(manifest: Manifest, tmp_path: Path, change: dict[str, Any]) -> None:
    write_manifest(tmp_path, with_clips(manifest, CLIPS))
    said = json.loads((tmp_path / "manifest.json").read_text())
    said["models"]["resnet18"]["clips"] |= change
    (tmp_path / "manifest.json").write_text(json.dumps(said))
    with pytest.raises(WeightsError, match=r"clips"):
        read_manifest(tmp_path)


def test_saved_weights_come_back_and_too_large_ones_are_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build("mobilenet_v2").eval()
    path = tmp_path / "a.safetensors"
    saved = save_network(network, path)
    assert path.stat().st_size == saved.bytes and len(saved.sha256) == 64
    published = made_manifest(tmp_path, {"a": made_network("mobilenet_v2", file=path.name, sha256=saved.sha256)})
    again = load_network(published, "a")
    crops = golden_crops(64)
    with torch.inference_mode():
        torch.testing.assert_close(again(crops), network(crops), atol=0.02, rtol=0.02)
    with torch.no_grad():
        next(network.parameters()).fill_(1e6)
    with pytest.raises(WeightsError, match="float16"):
        save_network(network, path)
