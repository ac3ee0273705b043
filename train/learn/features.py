"""Crops to a tower's features, as the tower runs where it ships: OpenVINO with 8-bit matrices, or torch."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import Tensor, nn

from detector.converted import Converted, core
from detector.models.clip import ClipTower
from detector.models.registry import Network, build
from train.learn.start import load_start

TOWER = "clip_vit_b16"
GROUP = 32
"""Values that share a scale when they are rounded to 8 bits: cosines to float32 are .9996 and above in every layer, at
half the time."""

Precision = Literal["bf16", "int8", "f32"]


class Tower:
    """A frozen tower that gives features of crops.

    Attributes:
        start: whose weights these are.
        precision: of products, all by OpenVINO; "bf16" pays on processors with AMX, "int8" on others.
    """

    def __init__(
        self, folder: Path | None, size_px: int, threads: int, start: str = "file", precision: Precision = "int8"
    ) -> None:
        network = build(TOWER)
        self.start = load_start(network, start, folder).words
        self.precision = precision
        module = _Features(network).eval().requires_grad_(False)
        self._request = _request(module, size_px, threads, precision)

    def __call__(self, crops: Tensor) -> np.ndarray:
        """(N, 3, S, S) uint8 to features (N, 26, 768) float32."""
        self._request.infer([crops.numpy()])
        return np.array(self._request.get_output_tensor(0).data)


class _Features(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        assert isinstance(network.backbone, ClipTower)
        self.tower: ClipTower = network.backbone

    def forward(self, crops: Tensor) -> Tensor:
        return self.tower.features((crops.float() / 255 - self.network.mean) / self.network.std)


def _request(module: nn.Module, size_px: int, threads: int, precision: Precision) -> Any:
    example = np.random.default_rng(0).integers(0, 256, (2, 3, size_px, size_px)).astype(np.uint8)
    converted = Converted.make(module, example, dynamic=(0,))
    if precision == "int8":
        converted = converted.in_int8()
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": GROUP if precision == "int8" else 0,
    }
    return core().compile_model(converted.model, "CPU", settings).create_infer_request()
