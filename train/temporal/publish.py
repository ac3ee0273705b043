"""`python -m train temporal-publish RUN`: a temporal head that helps, into `weights/`, beside the network it reads.

From then on that network, alone and in every ensemble, judges the persons of videos by their frames in order too: each
frame's logit is raised by what the head adds for the windows that it is in, and the rest of the rule for persons stays.
Photos and the live camera are judged as before. Videos are calibrated anew, as `python -m train clips` does it, since
their edges must hold for what is judged: each clip by the head of the fold that left its persons out.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from detector.weights import Manifest, default_folder, read_manifest, write_manifest
from train.console import say
from train.data.datasets.clips import read_clips
from train.data.samples import fingerprint
from train.data.sources import find_data_root, load_samples
from train.errors import DataError
from train.recipes.clips import clip_sections, with_sections
from train.run import Run
from train.store.cards import write_cards
from train.store.published import fingerprint_of_networks, seed_of_networks
from train.store.staging import BESIDE, files_of, install, staging_in
from train.temporal.heads import add_head
from train.temporal.report import RULE


@dataclass(frozen=True)
class TemporalPublish:
    """Ship the temporal head of a run of `temporal` that helps, and calibrate videos with it."""

    run: Annotated[Path, tyro.conf.Positional]
    """A finished run folder of `temporal`."""
    force: bool = False
    """Publish even if no gain beyond chance was shown."""
    data_root: Path | None = None
    """Folder with the data that the networks were trained on, and its videos.csv; else $UNMASK_DATA, else data/."""
    weights_dir: Path | None = None
    """Published set; weights/ by default."""
    runs_dir: Path = Path("runs")
    """Where the networks' logits on clips are kept."""


def run(options: TemporalPublish) -> bool:
    """True if the head was published."""
    record, report = _finished(options.run)
    settings = record.record()["settings"]
    name = str(settings["model"])
    target = options.weights_dir or default_folder()
    manifest = read_manifest(target)
    if name not in manifest.models or manifest.models[name]["sha256"] != settings["backbone"]:
        raise DataError(f"{record.folder.name} reads another {name} than the published one: run `temporal` again")
    root = find_data_root(options.data_root)
    samples = load_samples(root, seed_of_networks(manifest))
    if fingerprint_of_networks(manifest) not in ("", fingerprint(samples)):
        raise DataError("the published networks were trained on other data or splits than these: publish them anew")
    clips = read_clips(root)
    if not clips:
        raise DataError(f"{root.name}/ has no clips: videos can only be calibrated on labelled ones")
    if not report["helps"] and not options.force:
        say("It is not published: no gain beyond chance was shown (--force publishes all the same).")
        return False
    with staging_in(target) as staging:
        for entry in (*manifest.models.values(), *manifest.ensembles.values()):
            for file in files_of(entry):
                shutil.copyfile(target / file, staging / file)
        for file in BESIDE:
            if (target / file).is_file():
                shutil.copyfile(target / file, staging / file)
        data = _with_head(staging, manifest, name, record, report)
        write_manifest(staging, data)
        trained = {s.group for s in samples if s.split == "train"}
        sections = clip_sections(read_manifest(staging), clips, trained, options.runs_dir)
        install(staging, target, with_sections(data, sections))
    write_cards(read_manifest(target))
    say(f"Videos are judged by {name}'s frames in order too; calibrated on clips, into {target.name}/.")
    return True


def _finished(folder: Path) -> tuple[Run, dict[str, Any]]:
    record = Run(folder)
    report = record.report / "temporal.json"
    written = record.record()
    if written.get("recipe") != "temporal" or not record.best.is_file() or not report.is_file():
        raise DataError(f"{folder.name} is no finished run of `temporal`")
    if written["settings"]["unfreeze"]:
        raise DataError(f"{folder.name} changed its backbone (--unfreeze): only a head over a published network ships")
    return record, json.loads(report.read_text())


def _with_head(staging: Path, manifest: Manifest, name: str, record: Run, report: dict[str, Any]) -> dict[str, Any]:
    """The manifest with the head of the run, whose file is written into the staging folder."""
    settings = record.record()["settings"]
    size = int(manifest.models[name]["input_size_px"])
    if (int(settings["size_px"]) or size) != size:
        raise DataError(f"{record.folder.name} saw faces of {settings['size_px']} px, {name} is used at {size}")
    about = {
        "network": settings["network"],
        "frames": int(settings["frames"]),
        "run": record.folder.name,
        "clips": report["clips"],
        "helps": report["helps"],
        "gain": {
            **(report["everyone"]["gain"] if report["everyone"] else {}),
            f"{RULE}, as shipped": report["shipped"]["gain"][RULE] if report["shipped"] else None,
        },
        "settings": {k: v for k, v in settings.items() if k not in ("backbone", "data")},
    }
    return {**manifest.data, "models": add_head(staging, manifest.models, name, record.best, about)}
