"""Grad-CAM on networks whose answer is known, and the overlay on pictures whose pixels are known."""

import copy
import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn

from detector.explain.gradcam import Heatmap, heatmap, overlay
from detector.models.registry import MODELS, build

SIZE = 64


class Wrapped(nn.Module):
    """A torchvision network as the registry deploys one: crops in [0, 1] in, one logit out."""

    def __init__(self, backbone: nn.Module, flat: bool) -> None:
        super().__init__()
        self.backbone = backbone
        self.flat = flat
        self.register_buffer("mean", torch.full((1, 3, 1, 1), 0.5))

    def forward(self, crops: Tensor) -> Tensor:
        out = self.backbone((crops - self.mean) / 0.25)
        return out.flatten() if self.flat else out


class RedFinder(nn.Module):
    """Its logit is the amount of red in the crop, or minus that."""

    def __init__(self, sign: float) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 1, 1, bias=False)
        self.features.weight.data = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)
        self.sign = sign

    def forward(self, crops: Tensor) -> Tensor:
        return self.sign * self.features(crops).mean(dim=(1, 2, 3))


def network(name: str, flat: bool = True) -> tuple[Wrapped, nn.Module]:
    torch.manual_seed(0)
    backbone = getattr(torchvision.models, name)(num_classes=1)
    return Wrapped(backbone, flat), backbone.layer4 if name == "resnet18" else backbone.features[-1]


def crop(seed: int = 0) -> Tensor:
    return torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


def red_spot() -> Tensor:
    picture = torch.zeros(1, 3, SIZE, SIZE)
    picture[:, 0, 40:56, 8:24] = 1.0
    return picture


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_a_map_has_the_size_of_the_crop_and_values_in_0_to_1(name: str, flat: bool) -> None:
    model, layer = network(name, flat)
    heat = heatmap(model, layer, crop())
    assert heat.shape == (SIZE, SIZE)
    assert heat.dtype == np.float32
    assert heat.min() >= 0 and heat.max() <= 1


@pytest.mark.parametrize("name", MODELS)
def test_every_registered_network_can_be_explained(name: str) -> None:
    torch.manual_seed(0)
    deployed = build(name).eval()
    heat = heatmap(deployed, deployed.last_features, crop())
    assert heat.shape == (SIZE, SIZE) and np.isfinite(heat).all()


def test_the_hottest_place_is_the_one_that_raises_the_logit() -> None:
    model = RedFinder(sign=1.0)
    heat = heatmap(model, model.features, red_spot())
    assert heat[42:54, 10:22].min() > 0.99
    assert heat[:36].max() < 0.01 and heat[:, 28:].max() < 0.01


def test_what_speaks_against_manipulation_stays_cold() -> None:
    model = RedFinder(sign=-1.0)
    assert not heatmap(model, model.features, red_spot()).any()


@pytest.mark.parametrize("frozen", [True, False])
def test_the_network_is_left_as_it_was(frozen: bool) -> None:
    model, layer = network("resnet18")
    model.train().requires_grad_(not frozen)
    before = copy.deepcopy(model.state_dict())
    heatmap(model, layer, crop())
    assert model.training
    assert all(p.requires_grad is not frozen and p.grad is None for p in model.parameters())
    after = model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert not any(m._forward_hooks or m._backward_hooks or m._forward_pre_hooks for m in model.modules())


def test_the_crop_is_left_as_it_was() -> None:
    model, layer = network("mobilenet_v2")
    given = crop()
    heatmap(model, layer, given)
    assert torch.equal(given, crop()) and not given.requires_grad and given.grad is None


def test_it_works_where_gradients_are_switched_off() -> None:
    model, layer = network("resnet18")
    expected = heatmap(model, layer, crop())
    with torch.inference_mode():
        given = crop()
        assert np.array_equal(heatmap(model, layer, given), expected)
    with torch.no_grad():
        assert np.array_equal(heatmap(model, layer, given), expected)


def test_two_threads_with_one_network_do_not_mix_their_maps() -> None:
    model, layer = network("mobilenet_v2")
    crops = [crop(seed) for seed in range(6)]
    alone = [heatmap(model, layer, one) for one in crops]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda one: heatmap(model, layer, one), crops))
    assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(alone, together, strict=True))


def test_a_wrong_crop_or_layer_is_refused() -> None:
    model, layer = network("resnet18")
    with pytest.raises(ValueError, match="one crop"):
        heatmap(model, layer, torch.rand(2, 3, SIZE, SIZE))
    with pytest.raises(ValueError, match="no part"):
        heatmap(model, nn.Conv2d(3, 3, 1), crop())


def test_a_failing_network_leaves_nothing_behind() -> None:
    class Broken(RedFinder):
        def forward(self, crops: Tensor) -> Tensor:
            self.features(crops)
            raise IndexError("from inside the network")

    model = Broken(1.0)
    # grad-cam's own context manager swallows exactly this error
    with pytest.raises(IndexError, match="from inside"):
        heatmap(model, model.features, crop())
    assert not model.features._forward_hooks


def grey(height: int = 80, width: int = 120) -> np.ndarray:
    return np.full((height, width, 3), 128, np.uint8)


def spot() -> np.ndarray:
    heat = np.zeros((32, 32), np.float32)
    heat[12:20, 12:20] = 1.0
    return heat


def test_cold_places_stay_plain_and_hot_ones_change() -> None:
    result = overlay(grey(), spot(), (20.0, 10.0, 84.0, 74.0), 0.7)
    assert result.shape == (80, 120, 3) and result.dtype == np.uint8
    assert (result[:, :30] == 128).all() and (result[:, 75:] == 128).all()
    assert np.abs(result[42, 52].astype(int) - 128).max() > 60


def test_the_picture_itself_is_not_touched() -> None:
    image = grey()
    result = overlay(image, spot(), (20.0, 10.0, 84.0, 74.0), 1.0)
    assert (image == 128).all() and not np.shares_memory(image, result)


def test_alpha_zero_is_the_plain_picture_and_more_alpha_is_more_colour() -> None:
    box = (20.0, 10.0, 84.0, 74.0)
    assert np.array_equal(overlay(grey(), spot(), box, 0.0), grey())
    change = [np.abs(overlay(grey(), spot(), box, a).astype(int) - 128).sum() for a in (0.25, 0.5, 1.0)]
    assert 0 < change[0] < change[1] < change[2]


def test_the_edge_of_the_box_is_soft() -> None:
    row = overlay(grey(200, 200), np.ones((8, 8), np.float32), (50.0, 50.0, 150.0, 150.0), 1.0)[100].astype(int)
    assert np.abs(np.diff(row, axis=0)).max() < 60
    assert np.abs(row[100] - 128).max() > 100


@pytest.mark.parametrize(
    "box",
    [(-30.0, -20.0, 34.0, 44.0), (90.0, 50.0, 154.0, 114.0), (-50.0, -50.0, 200.0, 200.0), (10.2, 10.7, 11.1, 11.3)],
)
def test_a_box_may_reach_past_the_border(box: tuple[float, float, float, float]) -> None:
    result = overlay(grey(), np.ones((16, 16), np.float32), box, 0.8)
    assert result.shape == (80, 120, 3)
    assert (result != 128).any()


@pytest.mark.parametrize("box", [(500.0, 500.0, 600.0, 600.0), (-90.0, 0.0, -40.0, 50.0), (30.0, 30.0, 30.0, 60.0)])
def test_a_box_outside_or_without_area_changes_nothing(box: tuple[float, float, float, float]) -> None:
    assert np.array_equal(overlay(grey(), np.ones((16, 16), np.float32), box, 0.8), grey())


def test_a_heatmap_is_frozen_and_names_its_method() -> None:
    result = Heatmap(heat=spot(), box=(0.0, 0.0, 1.0, 1.0), model="resnet18")
    assert result.method == "Grad-CAM"
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.model = "other"  # type: ignore[misc]
