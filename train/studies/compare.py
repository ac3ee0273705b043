"""`python -m train compare`: every network of the registry under one protocol, ranked among equal starts only.

All see the same pictures in the same order, at one size, with one augmentation and schedule; the learning rate is that
of their start. What they start from differs: some have starting weights on disk, the others begin from scratch, and a
network that has seen a million pictures before is not compared with one that has not. ResNet-18 also runs from scratch:
the distance between its rows shows what a start is worth (the bridge). Nobody gets pictures made for it: npr too is
trained without its traces.

A sweep (`train/studies/sweep.py`): <model>-<start>-<seed>/ is a run folder of `cnn`, and report/compare.{md,csv,json}
are written anew after every network.
"""

import csv
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from detector.models.registry import MODELS, build, spec_of
from train.console import say
from train.data.faces import FaceData
from train.data.samples import Sample
from train.data.sources import find_data_root
from train.errors import DataError
from train.learn.options import Blending, Crops, Data, Machine, Schedule, short_ema_decay
from train.learn.start import find_pretrained, starting_file
from train.measure.selection import paired_gain_of_runs, selection_intervals
from train.measure.tables import spanned, table
from train.options import Flat
from train.recipes.cnn import VAL_LOGITS, Cnn
from train.run import Run, write_json, write_text
from train.store.leaderboard import cpu_ms_a_face
from train.studies.sweep import RESULT, Arm, Going, Sweep, expected_seconds

BRIDGE = "resnet18"
NOTE = (
    "Ranks hold within one start. Networks of different starts saw different pictures before this protocol began, so a "
    f"difference between their rows says nothing about the architectures; where {BRIDGE} has two rows, the "
    "distance between them is what a start is worth. Pretrained weights and own trunks differ among themselves "
    "too: below the table stands what each is. Intervals: 95 %, over groups of validation faces, not over seeds. A "
    "rank means something only where the interval of the distance to the first excludes zero."
)
_ADDABLE = ("models", "trunks", "scratch_too", "seeds")
_MAIN = ("score", "auc_slices", "auc_unseen", "tpr_at_2")
_DISTANCES = ("score_minus_first", "score_minus_scratch")


@dataclass(frozen=True)
class Compare:
    """Train every network under one protocol and compare them among equal starts."""

    models: tuple[str, ...] = tuple(MODELS)
    """Names of the registry."""
    trunks: tuple[str, ...] = ()
    """Further rows that start from weights of ours: NAME=FILE or NAME=RUN_FOLDER."""
    start: Literal["auto", "online", "scratch"] = "auto"
    """auto: a file of starting weights where there is one, else scratch; online: the publisher's weights where there
    are any, else scratch."""
    scratch_too: bool = False
    """Whether networks that have starting weights also run from scratch; resnet18 always does."""
    seeds: tuple[int, ...] = (0,)
    """Each network is trained once with each."""
    size_px: int = 128
    """Side of the crops, for all."""
    epochs: int = 1
    """Epochs; the best by validation is kept, none stops early."""
    images_per_epoch: int = 7_168
    """Faces in an epoch. Two cores need two to three hours for all networks with what is set here; that is little
    training, so give more where there is time or a GPU."""
    batch_size: int = 16
    """Faces in a batch, half of them genuine."""
    lr: float = 1e-4
    """Highest learning rate of networks that start from weights: one that wants another is at a disadvantage."""
    scratch_lr: float = 5e-4
    """The same of networks from scratch, which have further to go; ranks never cross starts."""
    data: Flat[Data] = Data()
    machine: Flat[Machine] = Machine()
    going: Flat[Going] = Going()
    """Networks, trunks and seeds may be added to a comparison."""

    def __post_init__(self) -> None:
        for name in self.models:
            spec_of(name)
        if not self.seeds or not (self.models or self.trunks):
            raise ValueError("name at least one seed, and at least one network or trunk")


@dataclass(frozen=True, slots=True)
class Entry:
    """One training run of the comparison: a network, what `cnn --start` takes, and a seed."""

    model: str
    start: str
    seed: int

    @property
    def key(self) -> str:
        """Name of its folder."""
        start = self.start if self.start in ("file", "online", "scratch") else f"trunk-{_short(Path(self.start))}"
        return f"{self.model}-{start}-{self.seed}"


def planned(options: Compare, pretrained: Path | None) -> list[Entry]:
    """Runs to be trained, each network's own start first, the bridge among them."""
    pairs: list[tuple[str, str]] = []
    for name in options.models:
        if options.start == "auto" and starting_file(name, pretrained):
            pairs.append((name, "file"))
        elif options.start == "online" and spec_of(name).pretrained:
            pairs.append((name, "online"))
        if options.scratch_too or not pairs or pairs[-1][0] != name:
            pairs.append((name, "scratch"))
    for trunk in options.trunks:
        name, equals, place = trunk.partition("=")
        if not equals or not Path(place).exists():
            raise DataError(f"--trunks {trunk}: write NAME=FILE or NAME=RUN_FOLDER, of something that is there")
        spec_of(name)
        pairs.append((name, place))
    if (BRIDGE, "scratch") not in pairs:
        pairs.append((BRIDGE, "scratch"))
    return [Entry(name, start, seed) for seed in options.seeds for name, start in dict.fromkeys(pairs)]


def run(options: Compare) -> Path | None:
    """The run's folder, which holds the tables; None when only the plan was asked for."""
    entries = planned(options, find_pretrained(options.machine.pretrained, find_data_root(options.data.data_root)))
    # splits must be the same for every seed
    faces = options.data.faces(0)
    study = Sweep("compare", "compare", options, options.data, options.going, faces.fingerprint, may_differ=_ADDABLE)
    arms = [Arm(entry.key, protocol(options, entry), lambda: faces) for entry in entries]
    if options.going.plan:
        expected_seconds(study.to_do(arms))
        return None
    speed: dict[str, float] = {}

    def write(record: Run, done: Arm | None, following: Arm | None) -> None:
        results = _results(record.folder)
        for name in {r["model"] for r in results} - speed.keys():
            # all by this process: figures of speed of different days say little about each other
            speed[name] = cpu_ms_a_face(build(name), options.size_px)
        _write(record, faces, results, speed)

    record = study.run(arms, _measured, write)
    say((record.report / "compare.md").read_text(encoding="utf-8"))
    return record.folder


def protocol(options: Compare, entry: Entry) -> Cnn:
    """The one protocol: nothing but network, start with its learning rate, and seed differs."""
    schedule = Schedule(
        epochs=options.epochs,
        images_per_epoch=options.images_per_epoch,
        batch_size=options.batch_size,
        lr=options.scratch_lr if entry.start == "scratch" else options.lr,
        patience=options.epochs,
    )
    decay = short_ema_decay(options.epochs * schedule.steps_per_epoch(0), schedule.ema_decay)
    return Cnn(
        model=entry.model,
        start=entry.start,
        seed=entry.seed,
        data=options.data,
        machine=options.machine,
        schedule=replace(schedule, ema_decay=decay),
        crops=Crops(size_px=options.size_px),
        blending=Blending(traces=0.0),
    )


def _measured(arm: Arm, run: Run, failed: FloatingPointError | None) -> dict[str, Any]:
    """The costs of a network and how far it was trained; its figures are in its run."""
    network = build(arm.options.model)
    tensors = network.state_dict().values()
    written, epochs = run.record(), run.events("epoch")
    planned_images, of = written["images_planned"], arm.options.schedule.epochs
    result: dict[str, Any] = {
        "model": arm.options.model,
        "seed": arm.options.seed,
        "parameters": sum(p.numel() for p in network.parameters()),
        # as the store keeps them: half precision
        "megabytes": sum(t.numel() * (2 if t.is_floating_point() else t.element_size()) for t in tensors) / 1e6,
        "start": written["start_kind"],
        "start_words": written["start"],
        "images_seen": planned_images * len(epochs) // of,
        "hours": written.get("train_hours"),
    }
    if failed is not None:
        # that a network does not learn under this protocol is a result too
        result["failed"] = str(failed)
    if epochs:
        result["images_s"] = planned_images / of / statistics.median(row["train_s"] for row in epochs)
    return result


def _results(folder: Path) -> list[dict[str, Any]]:
    """Results of all finished runs, those of earlier calls too."""
    paths = sorted(folder.glob(f"*/{RESULT}"))
    return [{**json.loads(path.read_text(encoding="utf-8")), "folder": path.parent.name} for path in paths]


def _write(record: Run, data: FaceData, results: Sequence[dict[str, Any]], speed: dict[str, float]) -> None:
    rows = compared(record.folder, data.val, data.unseen, results)
    for row in rows:
        row["cpu_ms_a_face"] = round(speed[row["model"]], 2)
    said = {
        "protocol": {**record.record()["options"], "seeds": sorted({r["seed"] for r in results})},
        "environment": record.record()["environment"],
        "data": data.fingerprint,
        "training_faces": len(data.train),
        "validation_faces": len(data.val),
        "note": NOTE,
    }
    write_json(record.report / "compare.json", {**said, "rows": rows})
    _write_csv(record.report / "compare.csv", rows)
    write_text(record.report / "compare.md", markdown(said, rows))


def compared(
    folder: Path, val: Sequence[Sample], unseen: set[str], results: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """One row for each network and start: its costs, its figures over all seeds, its rank among equal starts.

    Args:
        folder: that holds the runs' folders.
        val: validation samples, in the order of the runs' logits.
        unseen: sources of genuine faces that train nothing.
        results: of the runs, with their `folder`.
    """
    grouped: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for result in results:
        # two trunks of one network are two rows
        grouped.setdefault((result["model"], result["start"], result["start_words"]), []).append(result)
    rows: list[dict[str, Any]] = []
    logits: dict[int, list[np.ndarray]] = {}
    for members in grouped.values():
        first = members[0]
        row: dict[str, Any] = {
            **{k: first[k] for k in ("model", "start", "start_words", "parameters")},
            "megabytes": round(first["megabytes"], 2),
            "seeds": [m["seed"] for m in members],
            "images_seen": first["images_seen"],
            "rank": None,
        }
        failed = [m["failed"] for m in members if "failed" in m]
        if failed:
            row["failed"] = failed[0]
        else:
            runs = [_logits(folder / m["folder"], val) for m in members]
            intervals = selection_intervals(val, runs, unseen, np.random.default_rng(0))
            row["images_s"] = round(statistics.median(m["images_s"] for m in members), 1)
            row["figures"] = {k: v.to_dict() for k, v in intervals.items()}
            row["score_of_seeds"] = [
                round(selection_intervals(val, [r], unseen, np.random.default_rng(0), 2)["score"].value, 4)
                for r in runs
            ]
            logits[len(rows)] = runs
        rows.append(row)
    for start in dict.fromkeys(row["start"] for row in rows):
        places = [i for i in logits if rows[i]["start"] == start]
        places.sort(key=lambda i: -rows[i]["figures"]["score"]["value"])
        for rank, i in enumerate(places, 1):
            rows[i]["rank"] = rank
            if rank > 1:
                behind = paired_gain_of_runs(val, logits[i], logits[places[0]], unseen, np.random.default_rng(0))
                rows[i]["score_minus_first"] = behind.to_dict()
    scratch = next((i for i in logits if (rows[i]["model"], rows[i]["start"]) == (BRIDGE, "scratch")), None)
    if scratch is not None:
        for i in (i for i in logits if i != scratch and rows[i]["model"] == BRIDGE):
            worth = paired_gain_of_runs(val, logits[i], logits[scratch], unseen, np.random.default_rng(0))
            rows[i]["score_minus_scratch"] = worth.to_dict()
    # ranked rows of a start stand together, failures last
    order = {start: n for n, start in enumerate(("pretrained", "own trunk", "scratch"))}
    return sorted(rows, key=lambda r: (order[r["start"]], r["rank"] is None, r["rank"] or 0))


def _logits(folder: Path, val: Sequence[Sample]) -> np.ndarray:
    with np.load(folder / VAL_LOGITS, allow_pickle=False) as saved:
        if saved["names"].tolist() != [s.name for s in val]:
            raise DataError(f"{folder.name} was validated on other faces: start a new comparison")
        return np.asarray(saved["logits"])


def markdown(said: dict[str, Any], rows: Sequence[dict[str, Any]]) -> str:
    """The table for people, with the protocol above it and what may be read from it."""
    options = said["protocol"]
    columns = [k for k in _MAIN if any(k in row.get("figures", {}) for row in rows)]
    head = ["start", "rank", "model", "M parameters", "MB", "ms a face (CPU)", "images/s in training"]
    shown = []
    for row in rows:
        figures = row.get("figures", {})
        cells = [spanned(figures.get(k)) for k in columns]
        if "failed" in row:
            cells = [f"did not train: {row['failed']}", *[""] * (len(columns) - 1)]
        first = [row["start"], row["rank"] or "", row["model"], f"{row['parameters'] / 1e6:.2f}", row["megabytes"]]
        first += [f"{row['cpu_ms_a_face']:.1f}", row.get("images_s", "")]
        shown.append([*first, *cells, spanned(row.get("score_minus_first"), "+.3f")])
    lines = [
        "# Networks under one protocol",
        "",
        f"{options['epochs']} epoch{'s' * (options['epochs'] > 1)} of {options['images_per_epoch']:,} faces of "
        f"{options['size_px']} px (drawn from "
        f"{said['training_faces']:,}), batches of {options['batch_size']}, learning rate {options['lr']:g} "
        f"({options['scratch_lr']:g} from scratch), cosine; "
        f"seeds {', '.join(map(str, options['seeds']))}; the same pictures in the same order for all. Validation: "
        f"{said['validation_faces']:,} faces. "
        f"On {said['environment']['device']}, torch {said['environment']['torch']}.",
        "",
        NOTE,
        "",
        *table([*head, *columns, "score minus first"], shown),
        "",
        *(
            f"- {row['model']}, {row['start']}: {row['start_words']}{_worth(row)}"
            for row in rows
            if row["start"] != "scratch"
        ),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _worth(row: dict[str, Any]) -> str:
    """The worth of its start to the bridge, in words; empty without a bridge."""
    gain = row.get("score_minus_scratch")
    return f"; score minus {row['model']} from scratch: {spanned(gain, '+.3f')}" if gain else ""


def _write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    flat = []
    for row in rows:
        line = {k: v for k, v in row.items() if k != "figures" and k not in _DISTANCES}
        line |= {k: " ".join(map(str, row[k])) for k in ("seeds", "score_of_seeds") if k in row}
        for name, interval in {**row.get("figures", {}), **{k: row[k] for k in _DISTANCES if k in row}}.items():
            line |= {name: interval["value"], f"{name}_low": interval["low"], f"{name}_high": interval["high"]}
        flat.append(line)
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(dict.fromkeys(k for line in flat for k in line)))
        writer.writeheader()
        writer.writerows(flat)


def _short(path: Path) -> str:
    return path.name if path.is_dir() else path.stem
