"""`python -m train clips`: what the published networks say of whole clips, so that a video's bands keep their promises.

Every training and validation clip goes once through the product; what the networks say of each person's frames is kept
in the runs folder under the networks' hashes. From that the rule for videos of every entry is fitted, without
any training, and manifest, results and documents are written anew. Test clips are not touched: `evaluate` reports on
them.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from detector.manifest import Manifest, TrainedEnsemble, TrainedNetwork, default_folder, read_manifest, write_manifest
from detector.media import sha256_of
from detector.results import Results, read_results, write_results
from detector.types import BANDS
from train.console import Bar, say
from train.data.clip_frames import reading_code
from train.data.datasets.clips import TABLE, Clip, person_of, read_all_clips
from train.data.samples import fingerprint
from train.data.sources import find_data_root, load_samples
from train.errors import DataError
from train.learn.options import Folders
from train.measure.clips import clip_persons, fit_clips
from train.measure.tables import between
from train.options import Flat
from train.store import results
from train.store.documents import write_documents
from train.store.leaderboard import choice_logits
from train.store.published import fingerprint_of_networks, seed_of_networks

if TYPE_CHECKING:
    from detector.pipeline import Detector


@dataclass(frozen=True)
class Clips:
    """Calibrate videos on labelled clips and add what was measured to the published set, without training."""

    weights_dir: Path | None = None
    """Published set; weights/ by default."""
    max_frames: int = 0
    """Frames a clip; 0 = as many as the product judges."""
    folders: Flat[Folders] = Folders()
    """Data that the networks were trained on, with videos.csv, and where their logits on clips are kept."""

    def __post_init__(self) -> None:
        if self.max_frames < 0:
            raise ValueError("max_frames is a number of frames, or 0 for as many as the product judges")


def run(options: Clips) -> dict[str, dict[str, Any]]:
    """Adds the section to every entry; returns the sections by name."""
    target = options.weights_dir or default_folder()
    manifest = read_manifest(target)
    root = find_data_root(options.folders.data_root)
    clips = read_all_clips(root, options.folders.more)
    if not clips:
        raise DataError(f"{root.name}/ has no {TABLE}: videos can only be calibrated on labelled clips")
    seed = seed_of_networks(manifest)
    samples = load_samples(root, seed)
    # networks that were trained before there were more folders saw none of their persons
    if options.folders.more and fingerprint_of_networks(manifest) != fingerprint(samples):
        samples = load_samples(root, seed, more=options.folders.more)
    if fingerprint_of_networks(manifest) not in ("", fingerprint(samples)):
        raise DataError("the published networks were trained on other data or splits than these: publish them anew")
    trained = {s.group for s in samples if s.split == "train"}
    sections = clip_sections(manifest, clips, trained, options.folders.runs_dir, options.max_frames)
    manifest, measured = with_clips(manifest, read_results(manifest), sections)
    if measured is not None:
        write_results(target, measured)
    write_manifest(target, manifest)
    write_documents(manifest)
    for name, section in sections.items():
        say("\n".join(_told(name, section)))
    say(f"Added what clips showed to {target.name}/.")
    return sections


def clip_sections(
    manifest: Manifest, clips: Sequence[Clip], trained: set[str], runs_dir: Path, max_frames: int = 0
) -> dict[str, dict[str, Any]]:
    """The section of every network and ensemble, from training and validation clips.

    Args:
        manifest: as it lies in its folder.
        clips: of any split; those of test are left alone.
        trained: groups whose faces trained the networks.
        runs_dir: for the kept logits.
        max_frames: of a clip; 0 = as many as the product judges.

    Raises:
        DataError: too few genuine persons.
    """
    # video packages, which a machine that only trains may lack
    from detector.pipeline import MAX_FRAMES

    frames = max_frames or MAX_FRAMES
    used = [c for c in clips if c.split != "test"]
    members = _member_logits(manifest, used, runs_dir, frames)
    known = {person_of(group) for group in trained}
    lengths = [[len(rows) for rows in persons] for persons in next(iter(members.values()))]
    flat = {
        name: np.concatenate([np.zeros(0), *(rows for persons in logits for rows in persons)])
        for name, logits in members.items()
    }
    sections = {}
    for name in manifest.names():
        entry = manifest.entry(name)
        rows = iter(np.split(choice_logits(manifest, flat, name), np.cumsum([n for clip in lengths for n in clip])))
        people = [
            person
            for clip, counts in zip(used, lengths, strict=True)
            for person in clip_persons(
                clip.label, clip.source, clip.person, person_of(clip.group) in known, [next(rows) for _ in counts]
            )
        ]
        sections[name] = {**fit_clips(people, entry.curve), "frames": frames}
    return sections


ResultsT = TypeVar("ResultsT", Results, Results | None)
PublishedT = TypeVar("PublishedT", TrainedNetwork, TrainedEnsemble)


def with_clips(
    manifest: Manifest, measured: ResultsT, sections: Mapping[str, Mapping[str, Any]]
) -> tuple[Manifest, ResultsT]:
    """A published set with the rule for videos in every entry that has a section, and no stale ones."""
    rules = {name: results.videos(section) for name, section in sections.items()}

    def ruled(name: str, published: PublishedT) -> PublishedT:
        return replace(published, clips=rules[name][0] if name in rules else None)

    manifest = replace(
        manifest,
        models={name: ruled(name, network) for name, network in manifest.models.items()},
        ensembles={name: ruled(name, ensemble) for name, ensemble in manifest.ensembles.items()},
    )
    if measured is None:
        return manifest, measured
    by_persons = {name: results.in_made_files(section["false_alarms_by_persons"]) for name, section in sections.items()}
    return manifest, replace(
        measured,
        choices={n: replace(choice, by_persons=by_persons.get(n, {})) for n, choice in measured.choices.items()},
        curves=replace(measured.curves, clips={name: fit for name, (_, fit) in rules.items()}),
    )


def _member_logits(
    manifest: Manifest, clips: Sequence[Clip], runs_dir: Path, frames: int
) -> dict[str, list[list[np.ndarray]]]:
    """Network -> of each clip, of each person, (N,) calibrated logits."""
    # also heatmap packages, which a machine that only trains may lack
    from detector.pipeline import Detector

    logits: dict[str, list[list[np.ndarray]]] = {}
    for choice in _covering(manifest):
        members = manifest.entry(choice).members
        keys = [sha256_of(clip.path) for clip in clips]
        path = kept_file(manifest, members, runs_dir, frames)
        known = _read(path)
        missing = {key: clip for key, clip in zip(keys, clips, strict=True) if key not in known}
        if missing:
            _score(Detector(choice, weights_dir=manifest.folder), missing, frames, path, known)
        for j, name in enumerate(members):
            logits[name] = [[np.array(rows, float).reshape(-1, len(members))[:, j] for rows in known[k]] for k in keys]
    return logits


def _covering(manifest: Manifest) -> list[str]:
    """As few choices as name every network: the frames of a clip are read once for each."""
    left, chosen = set(manifest.models), []
    for name in sorted(manifest.names(), key=lambda n: -len(manifest.entry(n).members)):
        members = set(manifest.entry(name).members)
        if members & left:
            chosen.append(name)
            left -= members
    return chosen


def kept_file(manifest: Manifest, members: Sequence[str], runs_dir: Path, frames: int) -> Path:
    """Where the logits of these very networks are kept, as this code reads clips."""
    networks = [[n, m.sha256, asdict(m.calibration)] for n, m in ((n, manifest.models[n]) for n in members)]
    limits = [manifest.limits.min_face_px, manifest.limits.min_sharpness]
    said = json.dumps([networks, limits, frames, reading_code()], sort_keys=True)
    return runs_dir / "cache" / f"clips-{hashlib.sha256(said.encode()).hexdigest()[:10]}.jsonl"


def _read(path: Path) -> dict[str, list[list[list[float]]]]:
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
    return {row["clip"]: row["persons"] for row in rows}


def _score(
    judge: "Detector",
    clips: Mapping[str, Clip],
    frames: int,
    path: Path,
    known: dict[str, list[list[list[float]]]],
) -> None:
    """Adds the clips to what is known, one line of the file each as they come: a stopped run goes on where it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with Bar("Clips through the product") as bar, path.open("a", encoding="utf-8") as handle:
        for done, (key, clip) in enumerate(clips.items(), 1):
            persons = judge.person_logits(clip.path, max_frames=frames)
            known[key] = [[[round(float(v), 5) for v in row] for row in rows] for rows in persons]
            # a line of its own even after one that was cut short
            handle.write("\n" * (done == 1 and handle.tell() > 0) + json.dumps({"clip": key, "persons": known[key]}))
            handle.write("\n")
            handle.flush()
            bar.at(done, len(clips))


def _told(name: str, section: Mapping[str, Any]) -> list[str]:
    cap = section["cap"]
    persons, bias = section["persons"], section["known_bias"]["genuine"]
    lines = [
        f"{name}: {persons['genuine']} genuine persons ({persons['genuine_unknown']} of them in no training picture), "
        f"{persons['manipulated']} manipulated; known genuine ones from {bias['known']:.2f} to "
        f"{bias['unknown']:.2f}, spread by {bias['spread']:.2f}; calibrated on {section['calibration']['chosen']}; "
        + ("every band shown" if cap is None else f"at most {cap['band']} ({cap['reason']})")
    ]
    for band in BANDS[1:]:
        row = section["false_alarms"][band]
        files = ", ".join(f"{n} persons {f[band]:.1%}" for n, f in section["false_alarms_by_persons"].items())
        lines.append(f"  {band:12} {row['k']:g} of {row['n']} persons ({between(row['low'], row['high'])}); {files}")
    return lines
