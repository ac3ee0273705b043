"""FID and its companions against closed forms; extractors that say who they are."""

from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from detector.manifest import read_manifest
from detector.models.registry import build
from train.errors import DataError
from train.gan.fid import (
    features,
    find_extractor,
    frechet_distance,
    genuine_features,
    kernel_distance,
    precision_recall,
    quality,
)

CPU = torch.device("cpu")


def gaussian(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_equal_sets_are_at_distance_zero() -> None:
    x = gaussian(200, 6)
    assert frechet_distance(x, x) == pytest.approx(0.0, abs=1e-6)
    assert precision_recall(x, x) == (1.0, 1.0)


def test_shifted_and_scaled_gaussians_have_the_closed_form() -> None:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 sqrt(C1 C2)): a shift leaves the first term, a scale is the same for both."""
    x = gaussian(500, 6) + 1
    shift = torch.tensor([3.0, 0, -1, 0.5, 0, 2])
    assert frechet_distance(x, x + shift) == pytest.approx(float(shift.square().sum()), rel=1e-4)
    scale = 1.7
    spread = float(x.double().var(0).sum())
    expected = (scale - 1) ** 2 * (float(x.double().mean(0).square().sum()) + spread)
    assert frechet_distance(x, scale * x) == pytest.approx(expected, rel=1e-4)


def test_one_picture_has_no_distribution() -> None:
    with pytest.raises(ValueError, match="at least two"):
        frechet_distance(gaussian(1, 4), gaussian(5, 4))


def test_kernel_distance_repeats_and_grows_with_the_shift() -> None:
    x, y = gaussian(120, 5), gaussian(120, 5, seed=1)
    before = torch.random.get_rng_state()
    near, far = kernel_distance(x, y), kernel_distance(x, y + 1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert near == kernel_distance(x, y) and abs(near[0]) < 0.2 * far[0]


def test_precision_and_recall_tell_poor_from_narrow() -> None:
    x = gaussian(300, 2)
    assert precision_recall(x, x + 100) == (0.0, 0.0)
    # one corner of what there is: each picture good, most kinds missing
    narrow = x[x[:, 0] > 1]
    precision, recall = precision_recall(x, narrow + 0.001)
    assert precision > 0.95 and recall < 0.5


def test_quality_compares_equal_numbers() -> None:
    x = gaussian(200, 4)
    halves = (torch.arange(0, 100).numpy(), torch.arange(100, 200).numpy())
    found = quality(x, gaussian(150, 4, seed=3) + 2, halves)
    assert found["n_genuine"] == 200 and found["n_generated"] == 150 and found["halves"]["n"] == 100
    assert found["halves"]["fid_genuine"] == pytest.approx(frechet_distance(x[:100], x[100:]))
    assert found["halves"]["ratio"] > 10
    own = quality(x, x[100:], halves)
    assert own["halves"]["ratio"] == pytest.approx(1.0)


def test_imagenet_features_come_before_our_own(tmp_path: Path) -> None:
    save_file(build("mobilenet_v2").backbone.state_dict(), tmp_path / "mobilenetv2_100_imagenet.safetensors")
    extractor = find_extractor(pretrained=tmp_path)
    assert extractor.name.startswith("MobileNetV2 (ImageNet, mobilenetv2_100_imagenet)") and len(extractor.sha256) == 64
    assert features(extractor, [torch.zeros(1, 3, 64, 64, dtype=torch.uint8)], CPU).shape == (1, 1280)
    assert "resnet18" in find_extractor("resnet18", pretrained=tmp_path).name


def test_our_extractor_names_its_weights_and_genuine_features_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "no-hub"))
    extractor = find_extractor()
    manifest = read_manifest()
    assert extractor.sha256 == manifest.models["resnet18"].sha256 and "resnet18" in extractor.name
    crops = torch.randint(0, 256, (5, 3, 16, 16), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    found = genuine_features(extractor, crops, "a", tmp_path, CPU)
    assert found.shape == (5, 512)
    torch.testing.assert_close(found, features(extractor, crops.split(2), CPU), rtol=1e-3, atol=1e-4)
    # kept by key: other crops under the same key are not even looked at, another key is computed anew
    assert torch.equal(genuine_features(extractor, crops[:2], "a", tmp_path, CPU), found)
    assert len(genuine_features(extractor, crops[:2], "b", tmp_path, CPU)) == 2
    with pytest.raises(DataError, match="ensemble"):
        find_extractor("average")


def test_inception_is_taken_where_its_weights_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    path = folder / "inception_v3_google-0cc3c7bd.pth"
    torch.save(torchvision.models.inception_v3(weights=None, init_weights=False).state_dict(), path)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    extractor = find_extractor()
    assert extractor.name.startswith("Inception-v3") and len(extractor.sha256) == 64
    assert features(extractor, [torch.zeros(1, 3, 64, 64, dtype=torch.uint8)], CPU).shape == (1, 2048)
    other = tmp_path / "other.pth"
    torch.save({"fc.weight": torch.zeros(1008, 2048)}, other)
    with pytest.raises(DataError, match="another one"):
        find_extractor(str(other))
    with pytest.raises(DataError, match="there is no"):
        find_extractor(str(tmp_path / "missing.pth"))
