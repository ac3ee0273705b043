"""How near generated faces are to genuine ones: FID, KID, precision and recall on named features.

Every figure depends on the network whose features are compared, so the extractor is explicit and part of the result:
Inception-v3 where its weights are on disk, else the ImageNet MobileNetV2 that training starts from, else a published
network of ours. Ours look for traces, not for faces: while a generator's blobs turned into faces, the distance on our
ResNet-18 rose from 46 to 49 and the one on ImageNet features fell from 1946 to 874 (800 faces, 48,000 and 96,000 faces
into the game). Figures of different extractors, and FIDs of different numbers of pictures, cannot be compared.

FID: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule ...", NeurIPS 2017; KID: Bińkowski et al.,
"Demystifying MMD GANs", ICLR 2018 (both computed by torchmetrics); precision and recall: Kynkäänniemi et al., "Improved
Precision and Recall Metric for Assessing Generative Models", NeurIPS 2019 (written from the paper).
"""

import hashlib
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from detector.manifest import read_manifest
from detector.models.registry import Network, build, spec_of
from detector.weights import load_network
from train.errors import DataError
from train.learn.start import load_start, starting_file

INCEPTION_FILE = "inception_v3_google-0cc3c7bd.pth"
"""torchvision's Inception-v3, as its download cache names it."""
_INCEPTION_PX = 299
_INCEPTION_CLASSES = 1000
OURS = "resnet18"
"""Of the published networks, the one that is an extractor where nothing else is on disk."""
_IMAGENET = "mobilenet_v2"
_BATCH = 32
_NEIGHBOURS = 3
"""k of the manifolds of precision and recall, as in the paper."""
_KID_SUBSETS = 50
_KID_SUBSET_SIZE = 1000
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Extractor:
    """A named network that turns pictures into features.

    Attributes:
        name: for people, part of every report.
        sha256: of its weights file.
        size_px: side that pictures are brought to.
        network: (N, 3, size_px, size_px) float in [0, 1] to (N, D).
    """

    name: str
    sha256: str
    size_px: int
    network: nn.Module

    def to_dict(self) -> dict[str, str | int]:
        return {"name": self.name, "sha256": self.sha256, "size_px": self.size_px}


def find_extractor(wanted: str = "auto", weights_dir: Path | None = None, pretrained: Path | None = None) -> Extractor:
    """The extractor to use.

    Args:
        wanted: "auto" (Inception-v3 if torchvision's cache has it, else MobileNetV2 of ImageNet if the folder of
            starting weights has it, else our resnet18), the name of a published network, or the path of torchvision's
            Inception-v3 weights.
        weights_dir: of the published networks.
        pretrained: folder of starting weights.

    Raises:
        DataError: the file is not torchvision's Inception-v3.
        UnknownModelError, WeightsError: no such published network.
    """
    cached = Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_FILE
    if wanted == "auto" and cached.is_file():
        return _inception(cached)
    if Path(wanted).suffix in (".pth", ".pt"):
        return _inception(Path(wanted))
    if wanted == "auto" and (file := starting_file(_IMAGENET, pretrained)):
        return _imagenet(file)
    return _published(OURS if wanted == "auto" else wanted, weights_dir)


def features(extractor: Extractor, batches: Iterable[Tensor], device: torch.device) -> Tensor:
    """Features (N, D) float32 on the CPU of batches of uint8 crops (n, 3, S, S)."""
    network = extractor.network.to(device).eval()
    parts = []
    with torch.inference_mode():
        for batch in batches:
            pictures = batch.to(device).float() / 255
            side = extractor.size_px
            if pictures.shape[-1] != side:
                # the same interpolation for both kinds: it must not be what is measured
                pictures = functional.interpolate(
                    pictures, (side, side), mode="bilinear", align_corners=False, antialias=True
                )
            parts.append(network(pictures).float().cpu())
    return torch.cat(parts)


def genuine_features(extractor: Extractor, crops: Tensor, key: str, cache_dir: Path, device: torch.device) -> Tensor:
    """Features of the genuine set, computed once and kept on disk by the hash of its content and of the extractor.

    Args:
        crops: (N, 3, S, S) uint8.
        key: hash of the crops.
    """
    name = hashlib.sha256(f"{key} {extractor.sha256} {extractor.size_px}".encode()).hexdigest()[:16]
    path = cache_dir / f"features-{name}.npy"
    if path.is_file():
        return torch.from_numpy(np.load(path))
    rows = features(extractor, crops.split(_BATCH), device)
    cache_dir.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as handle:
        np.save(handle, rows.numpy())
    partial.replace(path)
    return rows


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """FID of two sets of features (N, D), (M, D): the distance of two Gaussians fitted to them.

    Raises:
        ValueError: a set has fewer than two members.
    """
    if min(len(first), len(second)) < 2:
        raise ValueError("a Fréchet distance needs at least two pictures on each side")
    metric = FrechetInceptionDistance(feature=_AsTheyAre(first.shape[1]))
    # differences of large sums: single precision is not enough
    metric.set_dtype(torch.float64)
    metric.update(first.double(), real=True)
    metric.update(second.double(), real=False)
    return float(metric.compute())


def kernel_distance(first: Tensor, second: Tensor, seed: int = 0) -> tuple[float, float]:
    """KID: mean and standard deviation over subsets, unbiased whatever the number of pictures."""
    size = min(_KID_SUBSET_SIZE, len(first), len(second))
    with warnings.catch_warnings():
        # that it keeps all features: here they are in memory anyway
        warnings.filterwarnings("ignore", message="Metric `Kernel Inception Distance`")
        metric = KernelInceptionDistance(feature=_AsTheyAre(first.shape[1]), subsets=_KID_SUBSETS, subset_size=size)
    metric.update(first.double(), real=True)
    metric.update(second.double(), real=False)
    # torchmetrics draws its subsets from torch's global generator
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mean, deviation = metric.compute()
    return float(mean), float(deviation)


def precision_recall(genuine: Tensor, generated: Tensor) -> tuple[float, float]:
    """Share of generated pictures inside the manifold of the genuine ones, and the other way round.

    A set's manifold is the union of balls around its members, each reaching to the k-th nearest other member.
    """
    return _covered(generated, genuine), _covered(genuine, generated)


def quality(genuine: Tensor, generated: Tensor, halves: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
    """All figures of one generator.

    Args:
        genuine: features (N, D) of the genuine set.
        generated: features (M, D).
        halves: rows of `genuine`: two halves that share no person, of equal size.

    Returns:
        FID, KID, precision and recall on everything; beside them, at equal numbers of pictures, the FID of generated
        faces and that of one half of the genuine ones, both against the other half, and the ratio of the two. FID falls
        as numbers grow, so only equal numbers may be compared: 1 is as near as genuine faces are to each other.
    """
    first, second = (genuine[torch.from_numpy(rows)] for rows in halves)
    n = min(len(second), len(generated))
    kid, kid_deviation = kernel_distance(genuine, generated)
    precision, recall = precision_recall(genuine, generated)
    of_generated = frechet_distance(first, generated[:n])
    of_genuine = frechet_distance(first, second[:n])
    return {
        "n_genuine": len(genuine),
        "n_generated": len(generated),
        "fid": frechet_distance(genuine, generated),
        "kid": kid,
        "kid_deviation": kid_deviation,
        "precision": precision,
        "recall": recall,
        "halves": {
            "n_reference": len(first),
            "n": n,
            "fid_generated": of_generated,
            "fid_genuine": of_genuine,
            "ratio": of_generated / of_genuine,
        },
    }


class _AsTheyAre(nn.Module):
    """The extractor that torchmetrics is given: features were computed once, for all figures."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, x: Tensor) -> Tensor:
        return x


class _Pooled(nn.Module):
    """Last feature map of a published network, averaged over the picture."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.maps: Tensor | None = None
        network.last_features.register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self.maps = output

    def forward(self, pictures: Tensor) -> Tensor:
        self.network(pictures)
        if self.maps is None:
            raise RuntimeError(f"{self.network.name} never ran its last feature map")
        return self.maps.mean((2, 3))


class _Normalised(nn.Module):
    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        pooled: Tensor = self.network((pictures - self.mean) / self.std)
        return pooled


def _published(name: str, weights_dir: Path | None) -> Extractor:
    manifest = read_manifest(weights_dir)
    manifest.entry(name)
    published = manifest.models.get(name)
    if published is None:
        raise DataError(f"{name} is an ensemble: name one network, {', '.join(manifest.models)}")
    title = f"Unmask {name} of {manifest.date}, pooled features, {published.input_size_px} px"
    network = _Pooled(load_network(manifest, name))
    return Extractor(title, published.sha256, published.input_size_px, network)


def _imagenet(path: Path) -> Extractor:
    network, size_px = build(_IMAGENET), spec_of(_IMAGENET).size_px
    load_start(network, "file", path.parent)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    title = f"MobileNetV2 (ImageNet, {path.stem}), pooled features, {size_px} px"
    return Extractor(title, digest, size_px, _Pooled(network))


def _inception(path: Path) -> Extractor:
    if not path.is_file():
        raise DataError(f"there is no {path.name}: name torchvision's Inception-v3 weights, or a published network")
    weights = torch.load(path, map_location="cpu", weights_only=True)
    network = torchvision.models.inception_v3(
        weights=None, aux_logits=True, init_weights=False, num_classes=_INCEPTION_CLASSES
    )
    try:
        network.load_state_dict(weights, strict=True)
    except (RuntimeError, TypeError) as error:
        raise DataError(
            f"{path.name} does not hold torchvision's Inception-v3 ({INCEPTION_FILE}); the network that TensorFlow "
            f"ships is another one"
        ) from error
    network.fc = nn.Identity()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Extractor(
        "Inception-v3 (torchvision, ImageNet), pooled features", digest, _INCEPTION_PX, _Normalised(network)
    )


def _covered(points: Tensor, members: Tensor) -> float:
    """Share of the points that lie in the manifold of the members."""
    members = members.double()
    k = min(_NEIGHBOURS, len(members) - 1)
    reach = _over_batches(members, lambda part: torch.cdist(part, members).kthvalue(k + 1, dim=1).values)
    inside = _over_batches(points, lambda part: (torch.cdist(part, members) <= reach).any(1))
    return float(inside.float().mean())


def _over_batches(points: Tensor, work: Callable[[Tensor], Tensor], size: int = 512) -> Tensor:
    return torch.cat([work(part) for part in points.double().split(size)])
