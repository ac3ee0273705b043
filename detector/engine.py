"""One ready network: crops in, calibrated logits out; batch, device and precision are decided here."""

import os
from collections.abc import Sequence

import numpy as np
import torch

from detector.calibration import Calibration
from detector.models.registry import Network
from detector.weights import Manifest, load_network

_BATCH = 16
"""Faces per forward pass: more does not pay on two cores and costs memory."""


def leave_cores_free() -> None:
    """Has torch compute on half of the cores: for programs, called once before the first network runs.

    Its threads wait for each other in busy loops. With as many as there are cores, any other load on the machine (a
    browser, a second session) makes each wait for one that is not running: a clip of 5 s was seen to take minutes.
    """
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))


class Engine:
    """A published network in torch, float32, on the CPU or a GPU.

    Attributes:
        name: in the manifest.
        size_px: side of the crops it takes.
        sha256: of its weights file.
    """

    def __init__(self, manifest: Manifest, name: str) -> None:
        record = manifest.models[name]
        self.name = name
        self.size_px = int(record["input_size_px"])
        self.sha256 = str(record["sha256"])
        self._calibration = Calibration(**record["calibration"])
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network: Network = load_network(manifest, name).to(self._device)

    def logits(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """Calibrated logits (N,) float64 of (S, S, 3) uint8 RGB crops."""
        parts = [self._forward(crops[i : i + _BATCH]) for i in range(0, len(crops), _BATCH)]
        return self._calibration(np.concatenate(parts)) if parts else np.zeros(0)

    def tensor(self, crops: Sequence[np.ndarray]) -> torch.Tensor:
        """Crops as the network takes them: (N, 3, S, S) float32 in [0, 1]."""
        batch = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)
        return batch.to(self._device, torch.float32, memory_format=torch.channels_last) / 255

    def _forward(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        with torch.inference_mode():
            return self.network(self.tensor(crops)).double().cpu().numpy()  # type: ignore[no-any-return]
