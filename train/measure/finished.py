"""Runs of `cnn` or `sbi` that have ended, for recipes that measure them afterwards."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from detector.models.registry import Network, build
from train.data.faces import FaceData
from train.errors import DataError
from train.run import Run


@dataclass(frozen=True, slots=True)
class Finished:
    """A run's folder and what its `run.json` says."""

    run: Run
    record: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> "Finished":
        """Raises `DataError` where the folder holds no run of `cnn` or `sbi` that has ended."""
        run = Run(folder)
        record = run.record()
        # validation is scored last: a run that was stopped has weights, but not these
        ended = run.best.is_file() and (folder / "val_logits.npz").is_file()
        if not ended or record.get("recipe") not in ("cnn", "sbi"):
            raise DataError(
                f"{folder.name} is no finished run of `cnn` or `sbi`: name a folder with run.json, best.safetensors "
                "and val_logits.npz, or go on with it by --resume"
            )
        return cls(run, record)

    @property
    def name(self) -> str:
        return self.run.folder.name

    @property
    def options(self) -> dict[str, Any]:
        """The recipe's options."""
        return dict(self.record["options"])

    def check(self, data: FaceData) -> None:
        """Raises `DataError` where the run was trained on other data or splits: its validation could be in them."""
        if self.record["data"] != data.fingerprint:
            raise DataError(
                f"{self.name} was trained on other data or splits than these: name its data with --data_root"
            )

    def network(self, device: torch.device) -> Network:
        """The network with the weights that the run kept, in float32, ready to judge."""
        network = build(self.options["model"])
        network.load_state_dict(load_file(self.run.best), strict=True)
        return network.to(device).to(memory_format=torch.channels_last).eval()
