"""`python -m train labels`: false alarms by age and ethnicity, by a network that never saw the labelled source.

The published networks train on UTKFace, so that of them only its few test faces can tell something. Here a network is
trained as `cnn` trains it, with the same options, without that source and without whoever is in it; its threshold is
set as the product's is. Then all faces of the source are scored, those of every split: nothing is chosen by them.

runs/labels-<model>-<time>/     a run folder as of `cnn`, and
  report/labels.{json,md}       the table
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from detector.calibration import edges
from train.console import say
from train.data.faces import FaceData
from train.data.folds import Fold, leave_out
from train.data.samples import Sample
from train.errors import DataError
from train.measure.calibrate import fit_calibration, fit_curve
from train.measure.metrics import rate_interval
from train.measure.scoring import score_faces
from train.measure.slices import LABELS_WORTH, false_alarms_by_labels
from train.measure.tables import spanned
from train.recipes import cnn
from train.recipes.cnn import VAL_LOGITS, Cnn, settled
from train.run import Run, device, write_json, write_text
from train.store.documents import label_rows
from train.store.leaderboard import LABELLED

_STARTS = ("auto", "file", "online", "scratch")


@dataclass(frozen=True)
class Labels(Cnn):
    """Train one network without utkface, and tell its false alarms there by age and ethnicity label."""

    recipe: ClassVar[str] = "labels"

    def __post_init__(self) -> None:
        if self.start not in _STARTS:
            raise ValueError(f"start is one of {', '.join(_STARTS)}: weights of ours have seen {LABELLED}")
        if self.extra:
            raise ValueError(f"labels takes no --extra: its genuine faces may be of {LABELLED}")


def run(options: Labels) -> Path:
    """The run's folder."""
    size_px = settled(options).crops.size_px
    data = options.data.faces(options.seed)
    rest, labelled = without_labelled(data)
    say(f"{LABELLED} is left out: {len(rest.train)} faces to train on, {len(labelled)} genuine ones to judge")
    folder = cnn.run(options, rest)
    record = Run(folder)
    raw = score_faces(
        record.network(), labelled, data.faces, size_px, options.data.workers, device(), f"Scoring {LABELLED}"
    )
    with np.load(folder / VAL_LOGITS, allow_pickle=False) as saved:
        val = saved["logits"]
    calibration = fit_calibration(rest.val, val)
    curve = fit_curve(rest.val, calibration(val), rest.unseen)
    logits = calibration(raw)
    all_of_it = rate_interval(logits > edges(curve)["strong"], [s.group for s in labelled]).to_dict()
    result = {
        "source": LABELLED,
        "faces": len(labelled),
        "model": options.model,
        "images_seen": record.record()["images_planned"] * len(record.events("epoch")) // options.schedule.epochs,
        "validation_score": round(float(record.record()["best_score"]), 4),
        "threshold_faces": sum(s.label == 0 and s.source in rest.unseen for s in rest.val),
        "worth": LABELS_WORTH,
        "all": all_of_it,
        "labels": false_alarms_by_labels(labelled, logits, curve),
    }
    write_json(record.report / "labels.json", result)
    lines = [
        "# False alarms by age and ethnicity label",
        "",
        f"{options.model} at {size_px} px, {result['images_seen']:,} faces seen in training, none of {LABELLED} "
        f"and none of a person in it (validation score {result['validation_score']:.3f}). At the threshold, which 2 % "
        f"of {result['threshold_faces']} genuine validation faces of other unseen sources pass, all {len(labelled)} "
        f"genuine faces of {LABELLED}: {spanned(all_of_it, '.1%')} raise an alarm. {LABELS_WORTH}",
        "",
        *label_rows(result["labels"]),
    ]
    write_text(record.report / "labels.md", "\n".join(lines) + "\n")
    say((record.report / "labels.md").read_text(encoding="utf-8"))
    return folder


def without_labelled(data: FaceData) -> tuple[FaceData, list[Sample]]:
    """Data to train and validate on without the labelled source, and all genuine faces of that source.

    Raises:
        DataError: the data lack the source.
    """
    labelled = [s for s in data.train + data.val + data.test if s.source == LABELLED and s.label == 0]
    if not labelled:
        raise DataError(f"these data hold no genuine faces of {LABELLED}, whose names say age and ethnicity")
    others, _ = leave_out(data.train + data.val, Fold("has labels", (LABELLED,)))
    tested = {s.group for s in labelled}
    others = [s for s in others if s.group not in tested]
    rest = replace(
        data,
        train=[s for s in others if s.split == "train"],
        val=[s for s in others if s.split == "val"],
        test=[],
        unseen=data.unseen - {LABELLED},
    )
    return rest, labelled
