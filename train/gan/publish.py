"""`python -m train gan-publish RUN`: what a generator reached, into `weights/gan`, whose README shows it.

    weights/gan/VARIANT/
      grid.webp               the same latents, by the generator that is measured: no face of the data
      curves.webp             losses, scores, augmentation, FID over the epochs
      record.json             variant, size, pictures seen, hours, FID and KID with the features they are of, and how
                          well detectors tell its faces
      generator.safetensors, discriminator.safetensors
                          only with --players, and only up to 25 MB each: `gan --start` goes on from them

FID is taken from `python -m train fid RUN`, which must have measured this very generator.
"""

import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from PIL import Image

from detector.manifest import default_folder
from train.console import say
from train.data.extra import learned_from
from train.errors import DataError
from train.gan.judge import JUDGED
from train.gan.measure_fid import REPORT, generator_hash
from train.gan.milestone import RECORD, write_players
from train.gan.players import DETECTOR, GENERATOR_FILE
from train.gan.readme import write_readme
from train.run import Run, write_json
from train.store.staging import staging_in

FOLDER = "gan"
_QUALITY = 85
_FIGURES = ("fid", "kid", "kid_deviation", "precision", "recall", "n_genuine", "n_generated", "extractor", "halves")


@dataclass(frozen=True)
class GanPublish:
    """Put a generator's grid, curves and figures into weights/gan/VARIANT/, and write weights/gan/README.md anew."""

    run: Annotated[Path, tyro.conf.Positional]
    """A run folder of `gan` that `fid` has measured."""
    detectors: tuple[Path, ...] = ()
    """Runs of `cnn` that `gan-judge --split test --samples` judged on faces of this very generator."""
    players: bool = False
    """Ship both players' weights too, at most 25 MB each: a new game goes on from them by `gan --start`."""
    weights_dir: Path | None = None
    """Published set; weights/ by default."""


def run(options: GanPublish) -> Path:
    """Writes the folder, whole or not at all; returns it."""
    record = Run(options.run)
    written = record.record()
    if written.get("recipe") != "gan" or not (record.folder / GENERATOR_FILE).is_file():
        raise DataError(f"{options.run.name} holds no generator: name the folder of a `gan` run that finished an epoch")
    measured = _measured(record)
    epoch = int(written["generator_epoch"])
    grid, plot = record.folder / "samples" / f"epoch-{epoch:04d}.png", record.report / "gan_curves.png"
    for path in (grid, plot):
        if not path.is_file():
            raise DataError(f"{options.run.name} lacks {path.name}: go on with the run by --resume, or publish another")
    about = {**_about(record, measured), "detectors": [_told_by(Run(d), record) for d in options.detectors]}
    target = options.weights_dir or default_folder()
    folder = target / FOLDER / str(about["variant"])
    target.mkdir(parents=True, exist_ok=True)
    with staging_in(target) as staging:
        fresh = staging / FOLDER
        fresh.mkdir()
        # readable for whoever runs the app
        fresh.chmod(0o755)
        for path, name in ((grid, "grid"), (plot, "curves")):
            with Image.open(path) as picture:
                picture.convert("RGB").save(fresh / f"{name}.webp", quality=_QUALITY)
        players = write_players(record, fresh) if options.players else None
        write_json(fresh / RECORD, {**about, "players": players})
        folder.parent.mkdir(exist_ok=True)
        if folder.exists():
            folder.rename(staging / "old")
        fresh.rename(folder)
    write_readme(target / FOLDER)
    say(f"{options.run.name}, generator of epoch {epoch}: in {target.name}/{FOLDER}/{folder.name}/")
    return folder


def _measured(record: Run) -> dict[str, Any]:
    path = record.report / REPORT
    if not path.is_file():
        raise DataError(f"{record.folder.name} has no FID: run `python -m train fid {record.folder.name}` first")
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if report["generator"] != generator_hash(record):
        raise DataError(
            f"the FID of {record.folder.name} is of an earlier generator: run `python -m train fid` on it again"
        )
    return report


def _told_by(detector: Run, generator: Run) -> dict[str, Any]:
    """How well a detector tells this generator's faces from held-out genuine ones, and what else it tells.

    Raises:
        DataError: it was not judged on test, or on faces of another generator.
    """
    path = detector.report / JUDGED.format("test")
    if not path.is_file():
        raise DataError(
            f"{detector.folder.name} was not judged: run `python -m train gan-judge {detector.folder.name} --split "
            "test --samples DIR` first"
        )
    report = json.loads(path.read_text(encoding="utf-8"))
    if report["samples"].get("generator") != generator_hash(generator):
        raise DataError(
            f"{detector.folder.name} was judged on faces of another generator than that of {generator.folder.name}: "
            "run `gan-samples` and `gan-judge` again"
        )
    written = detector.record()
    generated = report["slices"].pop(report["samples"]["source"])
    return {
        "model": written["options"]["model"],
        "run": detector.folder.name,
        "learned_generated": learned_from(written.get("extra"), report["samples"]["generator"]),
        "hours": written["train_hours"],
        "test_looks": report["test_looks"],
        "generated": generated,
        "slices": report["slices"],
    }


def _about(record: Run, measured: dict[str, Any]) -> dict[str, Any]:
    """Facts for the README of `weights/gan`; `halves` holds the figure between genuine halves and the ratio to it."""
    written = record.record()
    rows = record.events("epoch")
    # a generator of the lowest FID may be of an earlier epoch than the last
    epoch = {row["epoch"]: row for row in rows}[written["generator_epoch"]]
    judged = record.report / JUDGED.format("test")
    slices = json.loads(judged.read_text(encoding="utf-8"))["slices"] if judged.is_file() else {}
    return {
        "variant": written["generator"]["variant"],
        "size_px": written["generator"]["size_px"],
        "run": record.folder.name,
        "generator_epoch": written["generator_epoch"],
        "images_seen": epoch["images"],
        "hours": round(epoch["hours"], 3),
        "images_seen_in_all": written["images_seen"],
        "hours_in_all": written["train_hours"],
        "images_per_s": statistics.median(row["images_per_s"] for row in rows),
        "device": written["environment"]["device"],
        "genuine_faces": written["genuine_faces"],
        **{k: measured[k] for k in _FIGURES},
        "on_ours": measured.get("on_ours"),
        # of the variant whose discriminator is a detector, once it was judged: at even odds
        "discriminator": {"model": DETECTOR, "slices": slices} if slices else None,
    }
