"""Every registered network builds, takes crops of any sensible size, and learns in all its layers."""

from pathlib import Path

import pytest
import timm
import torch
from torch import nn

from detector.errors import UnknownModelError
from detector.models.mesonet import MesoNet
from detector.models.npr import Npr
from detector.models.registry import MODELS, build, spec_of
from detector.weights import load_network, save_network
from tests.fakes.manifests import manifest
from tests.fakes.manifests import network as published_network

NAMES = {
    "resnet18", "resnet50", "resnet32", "vgg16", "densenet121", "xception", "efficientnet_b0", "efficientnet_b2",
    "efficientnet_b4", "mobilenet_v2", "meso4", "mesoinception4", "vit_tiny", "npr",
}  # fmt: skip


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_the_networks_of_the_field_are_there() -> None:
    assert set(MODELS) >= NAMES


@pytest.mark.parametrize("name", MODELS)
def test_network_gives_one_logit_and_a_gradient_everywhere(name: str) -> None:
    torch.manual_seed(0)
    network = build(name).train()
    features = []
    handle = network.last_features.register_forward_hook(lambda _, __, out: features.append(out.shape))
    logits = network(torch.rand(2, 3, 64, 64))
    handle.remove()
    assert logits.shape == (2,)
    assert len(features) == 1 and len(features[0]) == 4 and features[0][0] == 2
    torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.tensor([0.0, 1.0])).backward()
    silent = [n for n, p in network.named_parameters() if p.grad is None]
    assert not silent, f"no gradient for {silent}"
    assert network.eval()(torch.rand(3, 3, 96, 96)).shape == (3,)


@pytest.mark.parametrize("name", MODELS)
def test_network_starts_undecided(name: str) -> None:
    torch.manual_seed(0)
    # batch statistics: an untrained network has no others
    assert build(name).train()(torch.rand(4, 3, 64, 64)).abs().max() < 3


def test_normalisation_is_the_networks_own_and_not_stored() -> None:
    network = build("resnet18")
    assert network.mean.shape == (1, 3, 1, 1)
    assert not {"mean", "std"} & set(network.state_dict())


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(UnknownModelError, match="resnet18"):
        spec_of("resnet19")


@pytest.mark.parametrize("name", MODELS)
def test_weights_come_back_from_a_file_with_the_same_logits(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build(name).eval()
    saved = save_network(network, tmp_path / "a.safetensors")
    published = manifest(tmp_path, {"a": published_network(name, file="a.safetensors", sha256=saved.sha256)})
    again = load_network(published, "a")
    # what is stored is half precision: the same numbers must come out of both
    network.load_state_dict({k: v.half().float() for k, v in network.state_dict().items()})
    crops = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(again(crops), network(crops), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_dropout_reaches_the_head(name: str) -> None:
    torch.manual_seed(0)
    network = build(name, dropout=0.9).eval()
    crops = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        still = network(crops)
        assert torch.equal(network(crops), still)
        # batch norms stay as they are: only dropout is on
        for module in network.modules():
            if isinstance(module, nn.Dropout) or type(module).__name__ in ("Xception", "EfficientNet"):
                module.training = True
        assert len({network(crops).item() for _ in range(8)}) > 1


@pytest.mark.parametrize(
    ("name", "timm_name"),
    [
        ("xception", "legacy_xception"),
        ("efficientnet_b0", "tf_efficientnet_b0"),
        ("efficientnet_b2", "tf_efficientnet_b2"),
        ("efficientnet_b4", "tf_efficientnet_b4"),
        ("vit_tiny", "vit_tiny_patch16_224"),
    ],
)
def test_colours_are_normalised_as_the_publisher_did(name: str, timm_name: str) -> None:
    published = timm.get_pretrained_cfg(timm_name)
    assert (spec_of(name).mean, spec_of(name).std) == (published.mean, published.std)


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("resnet32", 0.464),  # He et al., table 6, says 0.46 with ten classes
        ("resnet32_discriminator", 0.465),
        ("vgg16", 14.72),
        ("npr", 1.44),
        ("vit_tiny", 5.52),
    ],
)
def test_sizes_are_those_of_the_papers(name: str, millions: float) -> None:
    assert parameters(build(name)) / 1e6 == pytest.approx(millions, rel=0.01)


def test_mesonets_have_the_parameters_that_the_paper_counts() -> None:
    assert (parameters(MesoNet(False)), parameters(MesoNet(True))) == (27_977, 28_615)


@pytest.mark.parametrize("size_px", [6, 7])
def test_npr_sees_only_how_neighbours_differ(size_px: int) -> None:
    picture = torch.rand(1, 3, size_px, size_px)
    residual = Npr.residual(picture)
    assert residual.shape == picture.shape
    assert not residual[:, :, ::2, ::2].any()
    torch.testing.assert_close(residual[0, 0, 0, 1], picture[0, 0, 0, 1] - picture[0, 0, 0, 0])
    torch.testing.assert_close(residual[0, 1, 3, 5], picture[0, 1, 3, 5] - picture[0, 1, 2, 4])
    torch.testing.assert_close(Npr.residual(picture + 0.3), residual)
    # a picture that was enlarged by nearest neighbour has no differences at all
    enlarged = picture[:, :, ::2, ::2].repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert not Npr.residual(enlarged).any()


@pytest.mark.parametrize("size_px", [112, 128, 150, 224])
def test_the_transformer_takes_every_size(size_px: int) -> None:
    torch.manual_seed(0)
    network = build("vit_tiny").eval()
    shapes = []
    network.last_features.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape)))
    with torch.inference_mode():
        assert network(torch.rand(1, 3, size_px, size_px)).shape == (1,)
    assert shapes == [(1, 192, -(-size_px // 16), -(-size_px // 16))]
