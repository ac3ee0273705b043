"""One network trained by several processes, and a run that is killed and goes on: the same numbers as one run alone."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import Sampler

import train.recipes.cnn as cnn_recipe
from detector.models.registry import build
from train.console import Bar
from train.data.detections import find_faces
from train.data.sources import load_samples
from train.options import changed
from train.processes import ALONE, World, join_world
from train.recipes.cnn import Cnn
from train.run import Run

OPTIONS: dict[str, Any] = {
    "model": "resnet18", "epochs": 2, "batch_size": 8, "size_px": 64, "images_per_epoch": 24, "start": "scratch",
    "workers": 0, "amp": "off", "dropout": 0.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, portrait_path: Path) -> Path:
    root = tmp_path_factory.mktemp("data")
    portrait = cv2.imread(str(portrait_path))
    rng = np.random.default_rng(0)
    for name in ("real", "fake"):
        (root / name).mkdir()
        for i in range(16):
            x, y = int(rng.integers(100, 140)), int(rng.integers(0, 20))
            crop = portrait[y : y + 220, x : x + 220].astype(np.float32) * rng.uniform(0.7, 1.1)
            if name == "fake":
                crop[60:160, 60:160] = cv2.GaussianBlur(crop[60:160, 60:160], (0, 0), 3) + 15
            cv2.imwrite(str(root / name / f"p{i}_0.png"), np.clip(crop, 0, 255).astype(np.uint8))
    return root


@pytest.fixture(scope="module")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """whole/ is a run of one process, reordered/ the same with the faces of each batch in another order, killed/ one
    that was stopped at a step in the middle of its second epoch."""
    out = tmp_path_factory.mktemp("runs")

    class KillingBar(Bar):
        def at(self, done: int, total: int, note: str = "") -> None:
            if "epoch 2" in self.title and done == 2:
                raise KeyboardInterrupt

    cnn_recipe.run(changed(Cnn(), **OPTIONS, data_root=data, runs_dir=out / "whole"))
    shutil.copytree(out / "whole" / "cache", out / "killed" / "cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cnn_recipe, "Bar", KillingBar)
        with pytest.raises(KeyboardInterrupt):
            cnn_recipe.run(changed(Cnn(), **OPTIONS, data_root=data, runs_dir=out / "killed"))
    shutil.copytree(out / "whole" / "cache", out / "reordered" / "cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(World, "part", lambda self, batches: Reordered(batches))
        cnn_recipe.run(changed(Cnn(), **OPTIONS, data_root=data, runs_dir=out / "reordered"))
    return out


class Reordered(Sampler[list[Any]]):
    """Batches as two processes would share them out, but whole."""

    def __init__(self, batches: Sampler[list[Any]]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[list[Any]]:
        for batch in self.batches:
            yield batch[0::2] + batch[1::2]


def only_run(runs_dir: Path) -> Path:
    (found,) = (p for p in runs_dir.iterdir() if p.name.startswith("cnn-"))
    return found


def checkpoint(folder: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(folder / "checkpoint.pt", weights_only=True)
    return state


def test_a_run_killed_at_a_step_loses_that_epoch_only_and_ends_the_same(runs: Path, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed" / "run"
    shutil.copytree(only_run(runs / "killed"), folder)
    before = checkpoint(folder)
    assert before["epoch"] == 1 and [r["epoch"] for r in Run(folder).events("epoch")] == [1]
    # half a file that a kill left, and an epoch that was noted before its checkpoint was
    (folder / "checkpoint.partial").write_bytes(b"half")
    Run(folder).log("epoch", epoch=2, loss=9.0)
    cnn_recipe.run(changed(Cnn(), **OPTIONS, data_root=data, runs_dir=runs / "killed", resume=folder))
    whole, resumed = checkpoint(only_run(runs / "whole")), checkpoint(folder)
    assert resumed["epoch"] == whole["epoch"] == 2
    for part in ("network", "ema"):
        assert all(torch.equal(v, resumed[part][k]) for k, v in whole[part].items())
    rows = Run(folder).events("epoch")
    assert [r["epoch"] for r in rows] == [1, 2] and rows[1]["loss"] != 9.0


def test_half_a_line_in_the_cache_of_faces_is_looked_for_again(runs: Path, data: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "whole" / "cache", tmp_path / "cache")
    (path,) = (tmp_path / "cache").glob("faces-*.jsonl")
    text = path.read_text()
    samples = load_samples(data, 0)
    before = find_faces(samples, tmp_path / "cache", workers=1)
    path.write_text(text[: text.rindex("{") + 9])
    asked: list[tuple[int, int]] = []
    assert find_faces(samples, tmp_path / "cache", workers=1, on_progress=lambda *a: asked.append(a)) == before
    assert asked == [(1, 1)] and len(path.read_text().splitlines()) == len(text.splitlines())


def test_one_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert join_world() == ALONE == World() and ALONE.is_main
    network = torch.nn.BatchNorm2d(3)
    assert ALONE.share(network) is network and type(network) is torch.nn.BatchNorm2d
    assert ALONE.totals([2.0, 3.0]) == [2.0, 3.0] and ALONE.agree(lambda: 4) == 4
    with ALONE.in_turns():
        pass


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_train_what_one_trains(runs: Path, data: Path, tmp_path: Path, repo_root: Path) -> None:
    """Half of each batch each, on CPUs (Gloo): after six steps as near to one process as another order of sums is.

    That is not near, for Adam turns the last digits of small gradients into steps; the norms by themselves are exact.
    """
    for name in ("shared", "apart"):
        shutil.copytree(runs / "whole" / "cache", tmp_path / name / "cache")
    shutil.copytree(runs / "killed", tmp_path / "killed")
    killed = only_run(tmp_path / "killed")
    cnn = ["cnn", "--data_root", str(data), *(w for k, v in OPTIONS.items() for w in (f"--{k}", str(v)))]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--"]
    done = subprocess.run(
        [*torchrun, str(repo_root / "tests" / "fakes" / "two_processes.py"), str(tmp_path), str(killed), *cnn],
        env={**os.environ, "PYTHONPATH": str(repo_root), "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=850,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    made = [json.loads((tmp_path / f"made{rank}.json").read_text()) for rank in range(2)]
    assert made[0] == made[1] and made[0]["codes"] == [0, 0, 0]
    assert made[0]["totals"] == [2.0, 1.0] and made[0]["agreed"] == "by 0"
    # norms alone: to the last digits of a float
    assert max(made[0]["norms"].values()) < 1e-5
    assert "multiple of the 2 processes" in made[0]["refused"][0] and "BatchNorm1d" in made[0]["refused"][1]
    # only the main process writes and speaks
    assert made[0]["alone_only"] == 1 and "evaluate runs in one process" in done.stderr
    assert done.stdout.count("epoch 1: ") == 2 and done.stdout.count("epoch 2: ") == 3
    shared = only_run(tmp_path / "shared")
    assert json.loads((shared / "run.json").read_text())["environment"]["processes"] == 2
    assert len((shared / "metrics.jsonl").read_text().splitlines()) == 2 and (shared / "report/roc.png").is_file()

    whole = only_run(runs / "whole")
    torch.manual_seed(0)
    start = dict(build("resnet18", 0.0).state_dict())
    noise = difference(only_run(runs / "reordered"), whole, start)
    assert difference(shared, whole, start) < 1.3 * noise
    assert difference(killed, whole, start) < 1.3 * noise
    assert difference(only_run(tmp_path / "apart"), whole, start) > 2 * noise, "the comparison can tell nothing"
    # loss and accuracy are of all processes
    for mine, theirs in zip(Run(shared).events("epoch"), Run(whole).events("epoch"), strict=True):
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=0.01)
        assert mine["accuracy"] == pytest.approx(theirs["accuracy"], abs=1 / 24 + 1e-9)


def difference(one: Path, other: Path, start: dict[str, Tensor]) -> float:
    """How far two runs' networks lie apart, as a share of how far training moved them from where they began."""
    a, b = checkpoint(one)["network"], checkpoint(other)["network"]
    learned = [k for k, v in start.items() if v.is_floating_point() and "running" not in k]
    apart = sum(float((a[k] - b[k]).square().sum()) for k in learned) ** 0.5
    moved = sum(float((b[k] - start[k]).square().sum()) for k in learned) ** 0.5
    print(f"{one.name}: {apart / moved:.5f} of the way")
    return apart / moved
