"""One ready network: crops in, calibrated logits and class activation maps out."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import local
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from detector.converted import key_of
from detector.manifest import Manifest
from detector.models import registry
from detector.models.registry import Network
from detector.runtime import Precision, available_cores, in_batches, prepare
from detector.weights import golden_crops, load_network, verified_weights

_BATCH = 8
"""Faces per forward pass: 16 were no faster on two cores and took 200 MiB more with three networks."""

_MAX_SHIFT = {"f32": 0.0025, "bf16": 0.05}
"""How far OpenVINO may move a probability on the made pictures: half of what is promised for a reported figure on any
machine. float32 was measured to move faces by 0.000004, bfloat16 by up to 0.03: it is no precision to report."""

_EXAMPLES = 8
"""Made pictures that OpenVINO has to prove itself on."""


def leave_cores_free() -> None:
    """Has torch compute on half of the cores: for programs, called once before the first network runs.

    Its threads wait for each other in busy loops. With as many as there are cores, any other load on the machine (a
    browser, a second session) makes each wait for one that is not running: a clip of 5 s was seen to take minutes.
    OpenVINO's threads sleep when they wait, so it may use all.
    """
    torch.set_num_threads(max(1, available_cores() // 2))


class Engine:
    """A published network, on the CPU by OpenVINO or by torch, on a GPU by torch.

    Safe to share between threads.

    Attributes:
        name: in the manifest.
        size_px: side of the crops it takes.
        sha256: of its weights file.
        calibration: of its raw logits; what is judged applies it.
        backend: what computes, for a person: "OpenVINO 2026.4.1, cpu, f32"; if it is torch, also why.

    Args:
        manifest: of the published set.
        name: of a network in it.
        engine: "auto", "openvino" or "torch"; None asks the environment variable UNMASK_ENGINE.
        precision: "bf16" for what is never reported.

    Raises:
        WeightsError: the weights are missing, damaged, or fit another architecture.
        EngineError: no such engine, or OpenVINO was demanded and cannot run this network.
    """

    def __init__(
        self, manifest: Manifest, name: str, engine: str | None = None, *, precision: Precision = "f32"
    ) -> None:
        published = manifest.models[name]
        self.name = name
        self.size_px = published.input_size_px
        self.sha256 = published.sha256
        self._manifest = manifest
        self.calibration = published.calibration
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        weights = verified_weights(manifest, name)
        code = sorted(Path(registry.__file__).parent.glob("*.py"))
        example_crops = (golden_crops(self.size_px, _EXAMPLES) * 255).byte().permute(0, 2, 3, 1)
        self._run = prepare(
            lambda: _Deployed(load_network(manifest, name), self.size_px),
            name=published.architecture,
            key=key_of(weights, published.architecture, Path(__file__), *code),
            example=np.ascontiguousarray(example_crops.numpy()),
            # a probability moves by at most a quarter of its logit's shift
            tolerance=4 * _MAX_SHIFT[precision] / max(1.0, abs(self.calibration.scale)),
            precision=precision,
            int8=published.backbone is not None,
            choice=engine,
        )
        self.backend = self._run.backend

    @cached_property
    def network(self) -> Network:
        """The network in torch: the reference, and what gradients are taken of. Loaded when first asked for."""
        return load_network(self._manifest, self.name).to(self._device)

    def logits(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """Raw logits (N,) float64 of (S, S, 3) uint8 RGB crops."""
        return self._outputs(crops, 1)[0]

    def logits_and_features(self, crops: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
        """Raw logits (N,) and the last feature map (N, C, h, w), float32; None of a network that has none."""
        outputs = self._outputs(crops, 2)
        return outputs[0], outputs[1] if len(outputs) > 1 else None

    def logits_and_cam(self, crops: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
        """Raw logits (N,) and class activation maps (N, h, w), float32, of the network's own small size.

        The mean of a map plus a constant is the raw logit: positive places speak for manipulation. Zhou et al.,
        "Learning Deep Features for Discriminative Localization", 2016. A transformer's map is what its patches add to
        the logit; what it takes from the whole picture is no constant there. None where the network does not end in
        the mean of its last feature map and one linear layer, for then there is no such map.
        """
        outputs = self._outputs(crops, 3)
        return outputs[0], outputs[2] if len(outputs) > 2 else None

    def tensor(self, crops: Sequence[np.ndarray]) -> Tensor:
        """Crops as `network` takes them: (N, 3, S, S) float32 in [0, 1]."""
        return _as_floats(torch.from_numpy(np.stack(crops)).to(self._device))

    def _outputs(self, crops: Sequence[np.ndarray], outputs: int) -> tuple[np.ndarray, ...]:
        if not crops:
            if outputs == 1:
                return (np.zeros(0),)
            # a made crop tells what else the network gives
            empty = self._run(np.zeros((1, self.size_px, self.size_px, 3), np.uint8), outputs)
            return (np.zeros(0), *(f[:0] for f in empty[1:]))
        logits, *rest = in_batches(self._run, np.stack(crops), outputs, _BATCH)
        return (logits.astype(np.float64), *rest)


class _Deployed(nn.Module):
    """A network as it runs: (N, S, S, 3) uint8 in; logits, last feature map and class activation map out.

    A network whose last features are no map gives logits alone; one whose head is more than a linear layer on their
    mean gives no class activation map.
    """

    weight: Tensor | None

    def __init__(self, network: Network, size_px: int) -> None:
        super().__init__()
        self.network = network
        self._kept = local()  # hooks of threads that compute at the same time must not meet
        network.last_features.register_forward_hook(self._keep)
        self._has_map, weight = self._inspect(size_px)
        self.register_buffer("weight", weight, persistent=False)

    def _keep(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self._kept.features = output

    @torch.no_grad()
    def _inspect(self, size_px: int) -> tuple[bool, Tensor | None]:
        """Whether the last features are a map; the weights of the head if it is linear on their mean, else None."""
        logits = self.network.eval()(golden_crops(size_px, 2))
        features = self._kept.features
        if not isinstance(features, Tensor) or features.ndim != 4:
            return False, None
        if features.shape[1] == 1:
            return True, torch.ones(1, 1, 1, 1)  # what each place adds to the logit
        heads = [m for m in self.network.modules() if isinstance(m, nn.Linear)]
        head = heads[-1] if heads else None
        if head is None or head.out_features != 1 or head.in_features != features.shape[1]:
            return True, None
        means = features.mean(dim=(2, 3))
        # against the size of what is summed: the logits of an untrained head are all close to nothing, and so to others
        size = nn.functional.linear(means.abs(), head.weight.abs()).flatten()
        same = bool(((head(means).flatten() - logits).abs() <= 1e-3 * size + 1e-6).all())
        return True, head.weight.detach().view(1, -1, 1, 1) if same else None

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        logits = self.network(_as_floats(crops))
        if not self._has_map:
            return (logits,)
        features = self._kept.features
        if self.weight is None:
            return logits, features
        return logits, features, (features * self.weight).sum(dim=1)


def _as_floats(crops: Tensor) -> Tensor:
    return crops.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.channels_last) / 255
