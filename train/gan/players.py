"""Who plays: the generator and the discriminator of each variant, built from plain values and stored as files."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from detector.models.registry import Network, build
from train.errors import DataError
from train.gan.dcgan import DcganGenerator
from train.gan.stylegan2 import Noise, StyleGan2Discriminator, StyleGan2Generator
from train.run import Run

Variant = Literal["resnet32", "stylegan2-ada"]
DETECTOR = "resnet32_discriminator"
"""The network of the registry that is the discriminator of the variant resnet32."""
GENERATOR_FILE = "generator.safetensors"


@dataclass(frozen=True, slots=True)
class GeneratorSpec:
    """Everything that a stored generator is rebuilt from."""

    variant: Variant
    size_px: int
    latent_dim: int
    channels: int
    max_channels: int
    mapping_layers: int

    def __post_init__(self) -> None:
        if self.size_px < 8 or self.size_px & (self.size_px - 1):
            raise ValueError("the size of generated pictures is a power of two from 8")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def build_generator(spec: GeneratorSpec) -> nn.Module:
    """A new generator: (N, latent_dim) to pictures (N, 3, S, S) in [-1, 1]."""
    if spec.variant == "resnet32":
        return DcganGenerator(spec.latent_dim, spec.size_px, spec.channels, spec.max_channels)
    return StyleGan2Generator(spec.latent_dim, spec.size_px, spec.channels, spec.max_channels, spec.mapping_layers)


class DetectorDiscriminator(nn.Module):
    """A network of the registry as discriminator: pictures in [-1, 1] to logits (N,), positive = generated.

    Args:
        name: a network without batch norm. With it an answer depends on what else is in the batch, and the generator
            wins by company instead of by faces: it was seen to draw noise that is called genuine among its like, and
            one picture for all latents.
        spectral: bound each layer's gain (Miyato et al., ICLR 2018).
    """

    def __init__(self, name: str = DETECTOR, spectral: bool = False) -> None:
        super().__init__()
        self.network: Network = build(name)
        if spectral:
            for module in self.network.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    spectral_norm(module)

    def forward(self, pictures: Tensor) -> Tensor:
        logits: Tensor = self.network((pictures + 1) / 2)
        return logits

    def plain(self) -> Network:
        """A copy of the network as the registry builds it, spectral norm worked into its weights."""
        network = build(self.network.name)
        training = self.network.training
        # looking at a bounded weight in training would move the estimate of its gain
        self.network.eval()
        with torch.no_grad():
            for key, value in network.state_dict().items():
                place, _, leaf = key.rpartition(".")
                value.copy_(getattr(self.network.get_submodule(place), leaf))
        self.network.train(training)
        return network.to(next(self.network.parameters()).device)


def build_discriminator(spec: GeneratorSpec, spectral: bool) -> nn.Module:
    """The discriminator that a generator plays against: pictures (N, 3, S, S) to logits (N,), positive = generated."""
    if spec.variant == "resnet32":
        return DetectorDiscriminator(DETECTOR, spectral)
    return StyleGan2Discriminator(spec.size_px, spec.channels, spec.max_channels)


def load_generator(run: Run) -> tuple[nn.Module, GeneratorSpec]:
    """The generator that a run of `gan` left, in evaluation mode.

    Raises:
        DataError: the folder is no such run, or has not finished an epoch.
    """
    record = run.record()
    path = run.folder / GENERATOR_FILE
    if "generator" not in record or not path.is_file():
        raise DataError(f"{run.folder.name} holds no generator: name the folder of a `gan` run that finished an epoch")
    spec = GeneratorSpec(**record["generator"])
    generator = build_generator(spec)
    generator.load_state_dict({k: v.float() for k, v in load_file(path).items()}, strict=True)
    return generator.eval(), spec


@torch.inference_mode()
def generate(generator: nn.Module, latent: Tensor, truncation: float = 1.0, noise: Noise = "random") -> Tensor:
    """Pictures of latents: (N, 3, S, S) uint8 on the CPU."""
    if isinstance(generator, StyleGan2Generator):
        pictures = generator(latent, truncation, noise)
    else:
        # pulling the latent itself towards its mean is what truncation means without a mapping network
        pictures = generator(latent * truncation)
    return to_uint8(pictures)


def draw_latents(spec: GeneratorSpec, n: int, seed: int) -> Tensor:
    """(n, latent_dim) standard normal; the same for the same seed on every device."""
    return torch.randn(n, spec.latent_dim, generator=torch.Generator().manual_seed(seed))


def to_pictures(crops: Tensor) -> Tensor:
    """uint8 crops to float pictures in [-1, 1], channels last."""
    return crops.to(torch.float32, memory_format=torch.channels_last) / 127.5 - 1


def to_uint8(pictures: Tensor) -> Tensor:
    """Pictures in [-1, 1] to uint8 on the CPU; what lies outside is clamped."""
    return ((pictures.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu()
