"""CLIP's tower: its head, the map that it shows, and the two files it is published as."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from detector.converted import Converted
from detector.engine import Engine
from detector.errors import WeightsError
from detector.manifest import Manifest
from detector.models.clip import LAYERS, WIDTH, ClipViT
from detector.models.int8 import dequantised, quantised
from detector.models.registry import Network, build, spec_of
from detector.weights import load_network, save_parts
from tests.fakes.manifests import manifest as manifest_of
from tests.fakes.manifests import network as made_network


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    made = build("clip_vit_b16").eval()
    with torch.no_grad():
        made.backbone.fc.weight.normal_(0, 0.5)  # type: ignore[union-attr, operator]
        for name, value in dequantised(quantised(dict(made.backbone.trunk.state_dict()))).items():  # type: ignore[union-attr, operator]
            made.backbone.trunk.state_dict()[name].copy_(value)  # type: ignore[union-attr, operator]
    return made


def published(folder: Path, network: Network) -> Manifest:
    own, backbone = save_parts(network, folder, str(spec_of(network.name).frozen))
    one = made_network(network.name, file=own.file, sha256=own.sha256, bytes=own.bytes, backbone=backbone)
    return manifest_of(folder, {"one": one})


def test_integers_come_back_as_they_were() -> None:
    torch.manual_seed(0)
    state = {"a.weight": torch.randn(5, 7), "a.bias": torch.randn(5), "empty": torch.zeros(2, 3)}
    once = quantised(state)
    assert once["a.weight"].dtype == torch.int8 and once["a.weight"].abs().amax(1).tolist() == [127] * 5
    back = dequantised(once)
    assert (back["a.weight"] - state["a.weight"]).abs().max() <= once["a.weight.scale"].max() / 2 + 1e-6
    assert torch.equal(back["a.bias"], state["a.bias"]) and not back["empty"].any()
    again = quantised(back)
    assert all(torch.equal(again[k], v) or k.endswith(".scale") for k, v in once.items())
    # exports with a zero point are read too
    moved = {**once, "a.weight": once["a.weight"].short() + 3, "a.weight.zero_point": torch.full((5,), 3)}
    assert torch.allclose(dequantised(moved)["a.weight"], back["a.weight"])


def test_the_logit_is_linear_in_features_of_length_one(network: Network) -> None:
    backbone = network.backbone
    assert isinstance(backbone, ClipViT)
    pictures = torch.randn(3, 3, 64, 80)
    shown: list[torch.Tensor] = []
    handle = backbone.map.register_forward_hook(lambda module, inputs, output: shown.append(output))
    with torch.inference_mode():
        logits, features = backbone(pictures)[:, 0], backbone.features(pictures)
    handle.remove()
    assert features.shape == (3, 2 * LAYERS, WIDTH)
    unit = torch.nn.functional.normalize(features, dim=2)
    expected = unit.flatten(1) @ backbone.fc.weight[0] + backbone.fc.bias
    torch.testing.assert_close(logits, expected, atol=1e-3, rtol=1e-3)
    # the map's mean is what the patches add
    assert shown[0].shape == (3, 1, 4, 5)
    of_patches = unit[:, LAYERS:].flatten(1) @ backbone.fc.weight[0, LAYERS * WIDTH :]
    torch.testing.assert_close(shown[0].mean((1, 2, 3)), of_patches, atol=1e-3, rtol=1e-3)


def test_it_is_published_as_a_backbone_that_stays_and_a_small_head(tmp_path: Path, network: Network) -> None:
    manifest = published(tmp_path, network)
    one = manifest.models["one"]
    assert one.backbone is not None and one.bytes < 100_000 and 80e6 < one.backbone.bytes < 95e6
    kept = (tmp_path / one.backbone.file).read_bytes()
    again = load_network(manifest, "one")
    with torch.inference_mode():
        pictures = torch.rand(2, 3, 64, 64)
        # the head is stored in half precision
        torch.testing.assert_close(again(pictures), network(pictures), atol=2e-2, rtol=1e-3)
    with torch.no_grad():
        again.backbone.fc.weight.zero_()  # type: ignore[union-attr, operator]
    assert published(tmp_path, again).models["one"].backbone == one.backbone, "the same bytes once more"
    assert len(kept) == one.backbone.bytes
    assert set(load_file(tmp_path / one.file)) == {"backbone.fc.weight", "backbone.fc.bias"}
    damaged = bytearray(kept)
    damaged[-1] ^= 1
    (tmp_path / one.backbone.file).write_bytes(damaged)
    with pytest.raises(WeightsError, match="damaged"):
        load_network(manifest, "one")


def test_openvino_says_what_torch_says_and_keeps_its_matrices_small(tmp_path: Path, network: Network) -> None:
    manifest = published(tmp_path, network)
    crops = list(np.random.default_rng(0).integers(0, 255, (3, 64, 64, 3), dtype=np.uint8))
    fast, reference = (Engine(manifest, "one", engine) for engine in ("openvino", "torch"))
    (logits, cam), (expected, expected_cam) = (engine.logits_and_cam(crops) for engine in (fast, reference))
    assert fast.backend.endswith("f32") and logits == pytest.approx(expected, abs=1e-3)
    assert cam is not None and expected_cam is not None and cam.shape == (3, 4, 4)
    assert cam == pytest.approx(expected_cam, abs=1e-3 * float(np.abs(expected_cam).max()))


def test_matrices_of_a_converted_network_become_integers() -> None:
    layer = torch.nn.Linear(8, 4)
    example = np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32)
    model = Converted.make(layer, example, (0,)).in_int8().model
    kinds = [str(n.get_element_type()) for n in model.get_ordered_ops() if n.get_type_name() == "Constant"]
    assert any("int8" in kind or "i8" in kind for kind in kinds)
