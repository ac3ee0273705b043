"""What `test_distributed.py` starts twice by torchrun: not a test file, each process runs it."""

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from timm.layers import BatchNormAct2d
from torch import nn

from train import processes
from train.__main__ import main
from train.processes import join_world


def norms_against_one_process() -> dict[str, float]:
    """Largest differences of outputs, gradients and buffers between shared norms and torch's own on the whole batch."""
    world = join_world()
    torch.manual_seed(5)
    whole = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 6, 3), BatchNormAct2d(6), nn.Flatten(1)
    )
    reference = {k: v.clone() for k, v in whole.state_dict().items()}
    batch = torch.randn(8, 3, 12, 12) * 3 + 1
    weigh = torch.randn(8, 6 * 8 * 8)
    # torch's own, on the whole batch
    whole.train()
    out = whole(batch)
    (out * weigh).mean().backward()
    wanted = {n: p.grad.clone() for n, p in whole.named_parameters() if p.grad is not None}
    buffers = {n: b.clone() for n, b in whole.named_buffers()}
    whole.zero_grad(set_to_none=True)
    whole.load_state_dict(reference)
    # the same modules, shared: each process its part
    shared = world.share(whole)
    rows = list(range(8))[world.rank :: world.size]
    part = shared(batch[rows])
    (part * weigh[rows]).mean().backward()
    found = {
        "outputs": float((part - out[rows]).abs().max()),
        "gradients": max(float((p.grad - wanted[n]).abs().max()) for n, p in whole.named_parameters()),
        "buffers": max(float((b.float() - buffers[n].float()).abs().max()) for n, b in whole.named_buffers()),
    }
    worst = [None] * world.size
    dist.all_gather_object(worst, found)
    return {k: max(w[k] for w in worst) for k in found}


def refused() -> list[str]:
    """What cannot be shared."""
    world, said = join_world(), []
    for work in (lambda: world.check_batch_size(7), lambda: world.share(nn.Sequential(nn.BatchNorm1d(3)))):
        try:
            work()
        except ValueError as error:
            said.append(str(error))
    return said


def run(out: Path, killed: Path, cnn: list[str]) -> None:
    world = join_world()
    made = {
        "norms": norms_against_one_process(),
        "refused": refused(),
        "totals": world.totals([1.0, float(world.rank)]),
        "agreed": world.agree(lambda: f"by {world.rank}"),
        "codes": [main([*cnn, "--runs_dir", str(out / "shared")]), main([*cnn, "--resume", str(killed)])],
        "alone_only": main(["evaluate"]),
    }
    # with norms of each process's own part: what the comparison must be able to tell
    processes._share_norms = lambda network: None
    made["codes"].append(main([*cnn, "--runs_dir", str(out / "apart")]))
    (out / f"made{world.rank}.json").write_text(json.dumps(made))


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
