"""A torch network as a plain function on arrays: by OpenVINO where it is installed, by torch else.

    run = prepare(make, name="resnet18", key=key_of(sha256), example=crops)
    logits, features = run(batch, outputs=2)

Torch's eager mode is the reference. OpenVINO runs a network that was converted from the same weights, several times as
fast on a CPU. Before it is used, its answer to `example` is compared with torch's: where it differs, torch stays.

Both compute in float32 unless a caller asks for less, so that a figure is the same on every machine: left alone,
OpenVINO takes bfloat16 or int8 activations, and torch TF32 on a GPU, wherever the hardware has them.
"""

import logging
import os
import threading
from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal, Protocol, cast, get_args
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import nn

from detector.converted import Converted, core, key_of, openvino
from detector.errors import EngineError

logger = logging.getLogger(__name__)

Choice = Literal["auto", "openvino", "torch"]
Precision = Literal["f32", "bf16"]
CHOICE_VARIABLE = "UNMASK_ENGINE"

_BATCHES = (64, 32, 16, 8, 4, 2, 1)
"""Sizes that a batch is cut into. OpenVINO makes its kernels anew for each size that it meets, which takes longer than
the work; on a CPU a face in a large batch costs about as much as one alone."""

_THREADS_A_STREAM = 4
"""More than that make one face hardly faster; on a larger machine faces are computed side by side instead."""

_INT8_GROUP = "32"
"""Values that share a scale where products are of integers: with 768 together, features of CLIP were ten times as far
from float32's."""

_SETTINGS: dict[str, dict[str, str]] = {
    "f32": {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"},
    "bf16": {"INFERENCE_PRECISION_HINT": "bf16", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"},
    "int8": {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": _INT8_GROUP},
}
"""Precision -> how OpenVINO compiles it; int8 is of products with matrices that are stored so, the rest is float32."""

_lock = threading.RLock()
_thread_limit: int | None = None


class Runner(Protocol):
    """A network that is ready. Safe to call from several threads at once.

    Attributes:
        backend: what computes, for a person; where it is not the default, also why.
    """

    backend: str

    def __call__(self, batch: np.ndarray, outputs: int = 1) -> tuple[np.ndarray, ...]:
        """The first so many outputs for a batch; of a network that has fewer, all."""


def available_cores() -> int:
    """Processor cores that this process may use: those it is bound to, and the share that a container grants it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="utf-8").split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):
        return cores  # no such file, or "max": no limit


def limit_threads(threads: int) -> None:
    """Has torch and OpenVINO compute on at most so many threads: for programs, before the first network is made."""
    global _thread_limit
    _thread_limit = threads
    torch.set_num_threads(threads)


_ISA_WITH_BF16 = ("ALL", "DEFAULT", "BF16", "FP16", "AMX", "AVX10")
"""Parts of the names that ONEDNN_MAX_CPU_ISA takes, of those with bfloat16."""


@cache
def has_bf16() -> bool:
    """Whether OpenVINO can compute in bfloat16 here: False without it, or without instructions for it.

    oneDNN may be kept from them by ONEDNN_MAX_CPU_ISA: OpenVINO does not know that, asks all the same, and the process
    ends by a segmentation fault.
    """
    allowed = os.environ.get("ONEDNN_MAX_CPU_ISA", "ALL").upper()
    if not any(name in allowed for name in _ISA_WITH_BF16):
        return False
    try:
        return "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    except (ImportError, OSError, RuntimeError):
        return False


def prepare(
    make: Callable[[], nn.Module],
    *,
    name: str,
    key: str,
    example: np.ndarray,
    dynamic: Collection[int] = (0,),
    tolerance: float = 1e-3,
    precision: Precision = "f32",
    int8: bool = False,
    choice: str | None = None,
) -> Runner:
    """A network, ready to run; asked for twice, it is the same one, shared.

    Args:
        make: makes the module: one tensor like `example` in, one tensor or a tuple of them out. Not called where the
            converted network is in the cache.
        name: for messages and for the cache.
        key: of `key_of`; stands for everything that `make` depends on.
        example: a batch of typical values.
        dynamic: axes along which a batch may differ from the example.
        tolerance: how far the first output for the example may lie from torch's.
        precision: "bf16" for what is never reported, such as a first pass: it moves a probability by up to 0.03, and
            `tolerance` must allow for that. Torch has float32 alone.
        int8: its matrices are stored as 8-bit integers and stay so in memory. Below "f32", products with them are of
            integers too, in small groups with a scale each, where `tolerance` holds: 1.75 times as fast, but CLIP's
            logit was seen to move by 7 % of its standard deviation.
        choice: "auto", "openvino" or "torch"; None asks the environment variable UNMASK_ENGINE.

    Raises:
        EngineError: no such choice; or OpenVINO was demanded and cannot run this network, or not in this precision.
    """
    wanted = _chosen(choice)
    shape = (str(example.shape), str(example.dtype), str(tuple(dynamic)), *(["int8"] if int8 else []))
    entry = f"{name}-{key_of(key, *shape)[:32]}"
    with _lock:
        shared = (entry, wanted, tolerance, precision, int8, _thread_limit)
        runner = _runners.get(shared)
        if runner is None:
            runner = _runners[shared] = _start(make, wanted, entry, example, dynamic, tolerance, precision, int8)
        return runner


def in_batches(run: Runner, batch: np.ndarray, outputs: int = 1, largest: int = _BATCHES[0]) -> tuple[np.ndarray, ...]:
    """Outputs of `run` for a batch of one row or more, computed in parts of at most `largest`."""
    parts = []
    start = 0
    while start < len(batch):
        size = next(b for b in _BATCHES if b <= min(largest, len(batch) - start))
        parts.append(run(batch[start : start + size], outputs))
        start += size
    return tuple(np.concatenate(output) for output in zip(*parts, strict=True))


class _Torch:
    """Eager torch in float32, on the GPU where there is one."""

    def __init__(self, module: nn.Module, reason: str) -> None:
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._module = module.eval().to(self._device)
        # cuDNN would compute convolutions in TF32, ten bits of mantissa, by default; the setting is the process's
        torch.backends.cudnn.allow_tf32 = False
        self.backend = f"torch {torch.__version__}, {self._device.type}, f32 ({reason})"

    def __call__(self, batch: np.ndarray, outputs: int = 1) -> tuple[np.ndarray, ...]:
        with torch.inference_mode():
            given = self._module(torch.from_numpy(batch).to(self._device))
            return tuple(t.cpu().numpy() for t in (given if isinstance(given, tuple) else (given,))[:outputs])


class _OpenVino:
    """A compiled network, and the requests that threads take turns at."""

    def __init__(self, model: Any, precision: str) -> None:
        threads = _thread_limit or available_cores()
        streams = max(1, threads // _THREADS_A_STREAM)
        compiled = core().compile_model(
            model,
            "CPU",
            {
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": streams,
                # a thread that is bound to a core waits for whatever else runs there, though another core be idle
                "ENABLE_CPU_PINNING": False,
                **_SETTINGS[precision],
            },
        )
        self._outputs = len(compiled.outputs)
        # as many as can run side by side: who comes later sleeps until one is free, instead of fighting for the cores
        self._requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(streams):
            self._requests.put(compiled.create_infer_request())
        self.backend = f"OpenVINO {openvino().__version__.partition('-')[0]}, cpu, {precision}"

    def __call__(self, batch: np.ndarray, outputs: int = 1) -> tuple[np.ndarray, ...]:
        # named, for it must outlive `infer`: the tensor below borrows its memory and keeps nothing alive
        contiguous = np.ascontiguousarray(batch)
        request = self._requests.get()
        try:
            # set by hand: the inspection of what `infer` may be given takes as long as a small network
            request.set_input_tensor(openvino().Tensor(contiguous, shared_memory=True))
            request.infer()
            # copied, for the next call overwrites them
            return tuple(request.get_output_tensor(i).data.copy() for i in range(min(outputs, self._outputs)))
        finally:
            self._requests.put(request)


_runners: "WeakValueDictionary[tuple[Any, ...], _Torch | _OpenVino]" = WeakValueDictionary()
"""What is in use now: several detectors of one process share weights, threads and kernels."""


def _chosen(choice: str | None) -> Choice:
    name = choice or os.environ.get(CHOICE_VARIABLE) or "auto"
    if name not in get_args(Choice):
        raise EngineError(f"There is no engine {name!r}. Choose {', '.join(get_args(Choice))} ({CHOICE_VARIABLE}).")
    return cast(Choice, name)


def _start(
    make: Callable[[], nn.Module],
    wanted: Choice,
    entry: str,
    example: np.ndarray,
    dynamic: Collection[int],
    tolerance: float,
    precision: Precision,
    int8: bool,
) -> _Torch | _OpenVino:
    if wanted == "torch":
        return _Torch(make(), "chosen")
    if wanted == "auto" and torch.cuda.is_available():
        return _Torch(make(), "there is a GPU")
    module = None
    try:
        converted = Converted.read(entry)
        if converted is None:
            module = make()
            converted = Converted.make(module, example, dynamic)
            if int8:
                converted = converted.in_int8()
            converted.write(entry)
        if precision == "bf16" and not has_bf16():
            raise RuntimeError("the processor has no bfloat16")
        far = []
        for way in ("int8", precision) if int8 and precision != "f32" else (precision,):
            runner = _OpenVino(converted.model, way)
            difference = float(np.abs(runner(example)[0] - converted.expected).max())
            if difference <= tolerance:
                return runner
            far.append(f"{way} by {difference:.2g}")
        reason = f"OpenVINO's answer differs: {', '.join(far)}"
    except ModuleNotFoundError:
        reason = "OpenVINO is not installed"
    except (ImportError, OSError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        # a broken installation, a processor or a layer that it does not support: its errors have no class of their own
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
        reason = f"OpenVINO failed with {type(error).__name__}: {lines[-1][:160]}"
    if wanted == "openvino":
        raise EngineError(f"{reason}. Install it again (pip install openvino), or set {CHOICE_VARIABLE}=auto.")
    logger.warning("torch computes %s: %s", entry, reason)
    return _Torch(module or make(), reason)
