"""`python -m train attack RUN...`: what adversarial training is worth: runs under attack, side by side.

The attacker knows the network and changes every pixel by at most so many grey levels. Measured on validation faces, in
float32, at logit 0; the first run named is what the others are compared with, on the same faces.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro
from torch import Tensor, nn

from train.console import Bar, say
from train.data.batches import eval_crops
from train.data.samples import Sample
from train.learn.attacks import Attack, attacked
from train.learn.loop import to_device
from train.learn.options import Data
from train.measure.metrics import auc_interval, rate_interval
from train.measure.robustness import drawn_faces
from train.measure.scoring import EVAL_BATCH
from train.measure.tables import spanned, table
from train.options import Flat
from train.run import Run, device, environment, options_record, write_json, write_text
from train.store.leaderboard import paired_auc
from train.studies.sweep import members_of


@dataclass(frozen=True)
class AttackRuns:
    """Measure finished runs under FGSM or PGD, on validation."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Run folders of `cnn` or `sbi`; the others are compared with the first."""
    method: Attack = "fgsm"
    """One step, or several smaller ones."""
    epsilons: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)
    """Largest changes of a pixel, in grey levels of 255; none (0) is always measured too."""
    data: Flat[Data] = Data()

    def __post_init__(self) -> None:
        if not self.runs or any(e < 0 for e in self.epsilons):
            raise ValueError("name at least one run folder, and no epsilon below 0")


def run(options: AttackRuns) -> Path:
    """The run's folder, which holds the table."""
    where = device()
    members, data = members_of(options.runs, options.data)
    samples = drawn_faces(data.val, np.random.default_rng(0))
    labels = torch.tensor([float(s.label) for s in samples])
    logits_of: list[list[np.ndarray]] = []
    levels = (0.0, *(e for e in sorted(set(options.epsilons)) if e > 0))
    with Bar("Attacking") as bar:
        for member in members:
            network = member.network()
            crops = eval_crops(samples, data.faces, member.options["size_px"], options.data.workers)
            batches = list(zip(crops.split(EVAL_BATCH), labels.split(EVAL_BATCH), strict=True))
            logits_of.append([])
            for level in levels:
                torch.manual_seed(0)  # for the random starts of PGD
                logits = attacked_logits(network, batches, options.method, level / 255, where)
                logits_of[-1].append(logits)
                bar.at(sum(map(len, logits_of)), len(members) * len(levels))
    rows = _rows(samples, members, logits_of, levels)
    said = {**options_record(options), "runs": [member.name for member in members]}
    record_run = Run.create(options.data.runs_dir, "attack")
    record_run.write_record(recipe="attack", options=said, environment=environment())
    write_json(record_run.report / "attack.json", {"method": options.method, "faces": len(samples), "rows": rows})
    write_text(record_run.report / "attack.md", markdown(rows, options.method, len(samples)))
    say((record_run.report / "attack.md").read_text(encoding="utf-8"))
    return record_run.folder


def attacked_logits(
    network: nn.Module, batches: Sequence[tuple[Tensor, Tensor]], method: Attack, epsilon: float, device: torch.device
) -> np.ndarray:
    """Logits (N,) float32 of crops that were changed by someone who knows the network; 0 changes nothing.

    Args:
        network: takes crops in [0, 1], gives logits (N,).
        batches: of crops (B, 3, S, S) uint8 and labels (B,) float.
        method: of attack.
        epsilon: largest change of a pixel, in [0, 1].
        device: where the network is.
    """
    network.eval()
    parts = []
    for crops, labels in batches:
        inputs, targets = to_device(crops, device), labels.to(device)

        def loss_of(changed: Tensor, targets: Tensor = targets) -> Tensor:
            return nn.functional.binary_cross_entropy_with_logits(network(changed), targets, reduction="sum")

        if epsilon > 0:
            inputs = attacked(method, loss_of, inputs, epsilon)
        with torch.inference_mode():
            parts.append(network(inputs).float().cpu())
    return torch.cat(parts).numpy()


def _rows(
    samples: Sequence[Sample],
    members: Sequence[Run],
    logits: Sequence[Sequence[np.ndarray]],
    levels: Sequence[float],
) -> list[dict[str, Any]]:
    labels = np.array([s.label for s in samples])
    groups = np.array([s.group for s in samples])
    genuine = labels == 0
    first = logits[0]
    rows = []
    for member, columns in zip(members, logits, strict=True):
        for i, level in enumerate(levels):
            flagged = columns[i] > 0
            row = {
                "run": member.name,
                "model": member.options["model"],
                "trained_against": member.options.get("adversarial", "off"),
                "epsilon_grey_levels": level,
                "auc": auc_interval(labels, columns[i], groups.tolist(), np.random.default_rng(0)).to_dict(),
                "accuracy": rate_interval(flagged == (labels == 1), groups.tolist()).to_dict(),
                "false_alarms": rate_interval(flagged[genuine], groups[genuine].tolist()).to_dict(),
            }
            if columns is not first:
                row["auc_minus_first"] = paired_auc(samples, columns[i], first[i], np.ones(len(samples), bool))
            rows.append(row)
    return rows


def markdown(rows: Sequence[dict[str, Any]], method: str, faces: int) -> str:
    """The table for people."""
    head = ("run", "epsilon", "AUC", "accuracy", "false alarms", "AUC minus first")
    shown = [
        [
            row["run"],
            f"{row['epsilon_grey_levels']:g}",
            *(spanned(row[k]) for k in ("auc", "accuracy", "false_alarms")),
            spanned(row.get("auc_minus_first"), "+.3f"),
        ]
        for row in rows
    ]
    lines = [
        "# Networks under attack",
        "",
        f"{method} on {faces} validation faces, epsilon in grey levels of 255; accuracy and false alarms at logit 0; "
        "95 % intervals over groups.",
        "",
        *table(head, shown),
    ]
    return "\n".join(lines) + "\n"
