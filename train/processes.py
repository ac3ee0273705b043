"""More than one process, on one machine or several, started by `torchrun`: the same recipe with the same numbers.

    torchrun --standalone --nproc-per-node 2 -m -- train cnn ...       # two GPUs, or two processes of a CPU
    torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29500 -m -- train cnn ...

The lone dashes keep torchrun from taking options such as `--start` for its own.

Every process draws the same batches and takes its part of each, so `batch_size` stays the size of the whole batch.
Gradients are averaged by torch's DistributedDataParallel (NCCL between GPUs, Gloo between CPUs). Batch norm takes its
statistics from the whole batch: torch's SyncBatchNorm on GPUs, and the same by `_SharedNorm` on CPUs, for which torch
has none. What differs from one process is the order of float sums, and which units dropout hides. Process 0 alone
writes, prints and evaluates; run folders need not be seen by the others, the data must.
"""

import atexit
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from timm.layers.norm_act import BatchNormAct2d, convert_sync_batchnorm
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import Sampler

T = TypeVar("T")

_PATIENCE = timedelta(hours=12)
"""How long one process waits for another: the first may look for faces in a large set. torchrun ends all when one
fails, so nothing hangs for that long."""


def processes() -> int:
    """How many processes torchrun started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main() -> bool:
    """Whether this process is the one that writes and prints."""
    return os.environ.get("RANK", "0") == "0"


@dataclass(frozen=True, slots=True)
class World:
    """This process among all that train one network; the default is a process alone.

    Attributes:
        rank: number of this process, 0 = the main one.
        size: how many there are.
        local_rank: number of this process on its machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    @property
    def device(self) -> torch.device:
        """The GPU of this process, or the CPU."""
        return torch.device("cuda", self.local_rank) if torch.cuda.is_available() else torch.device("cpu")

    def agree(self, make: Callable[[], T]) -> T:
        """The value that the main process makes, in all of them; the others wait. Tensors in it must be on the CPU."""
        if self.size == 1:
            return make()
        box: list[Any] = [make() if self.is_main else None]
        dist.broadcast_object_list(box, src=0, device=self.device)
        return box[0]  # type: ignore[no-any-return]

    def totals(self, values: Sequence[float]) -> list[float]:
        """Each value summed over all processes."""
        if self.size == 1:
            return list(values)
        summed = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(summed)
        return [float(v) for v in summed]

    @contextmanager
    def in_turns(self) -> Iterator[None]:
        """The main process goes first, then the first of every other machine, then the rest.

        For work that leaves a file behind on which the others can build, wherever they see the same disk.
        """
        turn = 0 if self.is_main else 1 if self.local_rank == 0 else 2
        for _ in range(turn):
            self._wait()
        yield
        for _ in range(2 - turn):
            self._wait()

    def check_batch_size(self, batch_size: int) -> None:
        """Raises `ValueError` unless batches can be shared out in equal parts: others would weigh gradients wrongly."""
        if batch_size % self.size:
            raise ValueError(f"batch_size must be a multiple of the {self.size} processes: {batch_size} is not")

    def part(self, batches: Sampler[list[T]]) -> Sampler[list[T]]:
        """This process's part of every batch."""
        return batches if self.size == 1 else _Part(batches, self)

    def share(self, network: nn.Module) -> nn.Module:
        """The module to call in training in place of the network: its gradients and norms are of the whole batch.

        Parameters and buffers become those of the main process, and keep their names. The network's batch norms are
        changed in place, so make its optimizer afterwards.

        Raises:
            ValueError: the network has a normalisation that cannot be shared.
        """
        if self.size == 1:
            return network
        if self.device.type == "cuda":
            network = convert_sync_batchnorm(network)
            return DistributedDataParallel(network, device_ids=[self.local_rank], broadcast_buffers=False)
        _share_norms(network)
        return DistributedDataParallel(network, broadcast_buffers=False)

    def _wait(self) -> None:
        if self.size > 1:
            self.totals([0.0])


ALONE = World()


def join_world() -> World:
    """Joins the processes that torchrun started; without it, this process is alone. May be called again.

    Raises:
        ValueError: there are more processes on this machine than GPUs.
    """
    if processes() == 1:
        return ALONE
    world = World(int(os.environ["RANK"]), processes(), int(os.environ["LOCAL_RANK"]))
    if not dist.is_initialized():
        has_gpu = torch.cuda.is_available()
        if has_gpu:
            if world.local_rank >= torch.cuda.device_count():
                raise ValueError(f"this machine has {torch.cuda.device_count()} GPUs: start one process for each")
            torch.cuda.set_device(world.local_rank)
        dist.init_process_group("nccl" if has_gpu else "gloo", timeout=_PATIENCE)
        atexit.register(dist.destroy_process_group)
    return world


class _Part(Sampler[list[T]]):
    def __init__(self, batches: Sampler[list[T]], world: World) -> None:
        self.batches, self.world = batches, world

    def __len__(self) -> int:
        return len(self.batches)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[list[T]]:
        for batch in self.batches:
            # every n-th: genuine faces come first in a batch, and each part should hold some
            yield batch[self.world.rank :: self.world.size]


class _Summed(torch.autograd.Function):
    """A tensor summed over all processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        summed = values.contiguous().clone()
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        summed = gradient.contiguous().clone()
        dist.all_reduce(summed)
        return summed


class _SharedNorm(nn.BatchNorm2d):
    """Batch norm over the parts of all processes, which are of one size: (N, C, H, W) to the same."""

    def forward(self, inputs: Tensor) -> Tensor:
        return _normalised(self, inputs) if self.training else super().forward(inputs)


class _SharedNormAct(BatchNormAct2d):
    """The same with timm's activation behind it."""

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training:
            return super().forward(inputs)  # type: ignore[no-any-return, no-untyped-call]
        return self.act(self.drop(_normalised(self, inputs)))  # type: ignore[no-any-return]


_SHARED: dict[type[nn.Module], type[nn.Module]] = {nn.BatchNorm2d: _SharedNorm, BatchNormAct2d: _SharedNormAct}


def _share_norms(network: nn.Module) -> None:
    for name, module in network.named_modules():
        if type(module) in _SHARED:
            # the class alone changes: parameters, buffers, hooks and names stay what they were
            module.__class__ = _SHARED[type(module)]
        elif isinstance(module, _BatchNorm):
            raise ValueError(f"{name} ({type(module).__name__}) cannot be shared by several processes on CPUs")


def _normalised(norm: nn.BatchNorm2d, inputs: Tensor) -> Tensor:
    """As torch's batch norm in training, two passes for precision, with running statistics brought up to date."""
    x = inputs.float()
    count = x.numel() // x.shape[1] * dist.get_world_size()
    mean: Tensor = _Summed.apply(x.sum((0, 2, 3))) / count
    centred = x - mean[:, None, None]
    var: Tensor = _Summed.apply(centred.square().sum((0, 2, 3))) / count
    if norm.running_mean is not None and norm.running_var is not None and norm.num_batches_tracked is not None:
        with torch.no_grad():
            norm.num_batches_tracked.add_(1)
            share = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
            norm.running_mean.lerp_(mean.detach(), share)
            norm.running_var.lerp_(var.detach() * (count / max(1, count - 1)), share)
    scale = torch.rsqrt(var + norm.eps)
    if not norm.affine:
        return (centred * scale[:, None, None]).to(inputs.dtype)
    out = centred * (scale * norm.weight)[:, None, None] + norm.bias[:, None, None]
    return out.to(inputs.dtype)
