"""`python -m train evaluate`: the published set on the test slices: every figure, and the loader against the product.

The figures of every network and ensemble are made from the logits that `publish` kept in the runs folder and ships
with the weights. Only where they are gone or of other data are test faces scored: one more test evaluation, which the
recipe says. Then the same pictures and clips go through `Detector.file` as a user's files do. A difference is a bug of
crop or preprocessing.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.engine import Engine
from detector.manifest import Manifest, default_folder, read_manifest
from detector.results import Results, read_results, write_results
from detector.types import FileVerdict, VideoVerdict
from train.console import Bar, say
from train.data.datasets.clips import Clip, read_all_clips
from train.data.detections import find_faces
from train.data.samples import Sample
from train.data.sources import find_data_root
from train.errors import DataError
from train.learn.options import Data
from train.measure.metrics import auc
from train.measure.same_frames import Moment, frame_figures, store_frames
from train.measure.scoring import score
from train.measure.slices import clip_figures
from train.options import Flat
from train.run import Run, environment, write_json
from train.store.documents import choices_table, clip_bands_text, resaved_table, slices_table, write_documents
from train.store.kept_scores import TEST_SCORES
from train.store.leaderboard import (
    TEST,
    board,
    calibration_of,
    choice_logits,
    member_logits,
    resaved_on_validation,
    scores_on_test,
    write_plots,
)
from train.store.product import keep_evaluation, keep_speed
from train.store.published import fingerprint_of_networks, seed_of_networks

if TYPE_CHECKING:
    from detector.pipeline import Detector

WHOLE_IMAGE = ("140k", "utkface")
"""Slices whose pictures were stored whole, not as crops: a user's photo in small."""
ALLOWED = 0.02


@dataclass(frozen=True)
class Evaluate:
    """Every figure of the published weights, and the same faces through the training loader and the product."""

    weights_dir: Path | None = None
    """Published set; weights/ by default."""
    slices: tuple[str, ...] = WHOLE_IMAGE
    """Slices of pictures that also go through the product; "all" for every one."""
    clips: bool = True
    """Whether the test clips go through the product too."""
    max_frames: int = 0
    """Frames a clip; 0 = as many as the product judges, which its bands are calibrated for."""
    keep: bool = False
    """Keep what was measured of the product and of re-saved copies beside the weights, with the speed that `make bench`
    wrote into the runs folder of these networks, and write weights/README.md anew. `publish` does so at its end."""
    data: Flat[Data] = Data()


def run(options: Evaluate) -> Path:
    """The run's folder, which holds the tables."""
    # video and heatmap packages, which a machine that only trains may lack
    from detector.pipeline import MAX_FRAMES, Detector

    manifest = read_manifest(options.weights_dir or default_folder())
    entry = manifest.entry("default")
    # splits that were drawn must be those of the training
    data = options.data.faces(seed_of_networks(manifest))
    if data.fingerprint != fingerprint_of_networks(manifest):
        say(
            "These are other data than the networks were trained on: nobody has checked whether the two share pictures "
            "or persons."
        )
    if not data.test:
        raise DataError("these data have no test split: nothing to evaluate on")
    runs_dir, workers = options.data.runs_dir, options.data.workers
    scores, evaluated = scores_on_test(manifest, data, runs_dir, manifest.folder / TEST_SCORES, workers)
    if evaluated:
        say("The test logits of these weights were not at hand: this was one more test evaluation.")
    of_default = choice_logits(manifest, member_logits(manifest, scores, TEST), entry.name).tolist()
    by_loader = {s.name: v for s, v in zip(scores.samples(TEST, data.test), of_default, strict=True)}
    detector = Detector(weights_dir=options.weights_dir)
    chosen = [s for s in data.test if "all" in options.slices or s.source in options.slices]
    record = Run.create(runs_dir, "evaluate")
    choices, curves = board(manifest, data, scores)
    if curves.resaved_faces is None:
        say("These weights were published before copies that are saved again were scored: validation faces are taken.")
        resaved = resaved_on_validation(manifest, data)
        choices = {name: replace(choice, resaved=resaved[name]) for name, choice in choices.items()}
        curves = replace(curves, resaved_faces="validation")
    measured = Results(choices, curves)
    write_results(record.report, measured)
    write_plots(manifest, data, scores, record.report)
    pictures = _pictures(detector, chosen)
    rows = _compare(data.test, chosen, by_loader, pictures)
    every = read_all_clips(find_data_root(options.data.data_root), options.data.more) if options.clips else []
    clips = [c for c in every if c.split == "test"]
    frames = options.max_frames or MAX_FRAMES
    verdicts = _verdicts(detector, clips, frames)
    by_moment = _loaded_frames(manifest, clips, frames, workers) if clips else {}
    clip_rows = _clips(clips, verdicts, data.test, by_loader, by_moment)
    bands = _clip_bands(clips, verdicts, {c.person for c in every if c.split != "test"})
    evaluation = {
        "environment": environment(),
        "weights": manifest.date,
        "product_against_loader": rows,
        "clips": clip_rows,
        "clip_bands": bands,
        "verdicts": dict(Counter(v.status for v in pictures.values())),
    }
    write_json(record.report / "evaluate.json", evaluation)
    if options.keep:
        keep_resaved(manifest, measured)
        _keep(manifest, evaluation, runs_dir / "bench.json")
    say("\n".join([*choices_table(choices), "", *slices_table(choices[entry.name].slices)]))
    say("\n".join(["", *resaved_table(choices[entry.name].resaved)]))
    say(f"\n{'slice':16} {'faces':>6} {'verdict':>8} {'loader':>8} {'product':>8}  AUC of the same faces")
    for row in rows:
        mark = "" if abs(row["product"] - row["loader"]) <= ALLOWED else "   differs: a bug"
        say(
            f"{row['slice']:16} {row['faces']:6} {row['verdict_share']:8.1%} {row['loader']:8.3f} "
            f"{row['product']:8.3f}{mark}"
        )
    for row in clip_rows:
        say(f"clips of {row['slice']}: " + ", ".join(f"{k} {v}" for k, v in row.items() if k != "slice"))
    if bands:
        say(f"all clips: {clip_bands_text(bands)}")
    return record.folder


def keep_resaved(manifest: Manifest, measured: Results) -> None:
    """Writes how often bands change in re-saved copies beside the weights; all other figures there stay."""
    published = read_results(manifest)
    if published is None:
        return
    choices = {
        name: replace(choice, resaved=measured.choices[name].resaved) for name, choice in published.choices.items()
    }
    curves = replace(published.curves, resaved_faces=measured.curves.resaved_faces)
    write_results(manifest.folder, Results(choices, curves))


def _keep(manifest: Manifest, found: Mapping[str, Any], bench: Path) -> None:
    keep_evaluation(manifest, found)
    if not bench.is_file() or not keep_speed(manifest, json.loads(bench.read_text(encoding="utf-8"))):
        say("The speed of these networks is not known yet: `make bench` measures it, and this command keeps it.")
    write_documents(manifest)


def _pictures(detector: "Detector", samples: Sequence[Sample]) -> dict[str, FileVerdict]:
    verdicts = {}
    with Bar("Pictures through the product") as bar:
        for i, sample in enumerate(samples, 1):
            verdicts[sample.name] = detector.file(sample.read(), name="picture")
            bar.at(i, len(samples))
    return verdicts


def _compare(
    test: Sequence[Sample], chosen: Sequence[Sample], by_loader: dict[str, float], pictures: dict[str, FileVerdict]
) -> list[dict[str, Any]]:
    """AUC of each slice by loader and by product, on the faces that both judged.

    A slice of one class is scored against the other class of all chosen slices.
    """
    judged = [s for s in chosen if pictures[s.name].prob_fake is not None]
    labels = np.array([s.label for s in judged])
    sources = np.array([s.source for s in judged])
    # probabilities rank as logits do
    product = np.array([pictures[s.name].prob_fake for s in judged], float)
    loader = np.array([by_loader[s.name] for s in judged])
    rows = []
    for source in sorted({s.source for s in chosen}):
        inside = sources == source
        missing = {0, 1} - set(labels[inside].tolist())
        against = inside | np.isin(labels, sorted(missing))
        total = sum(s.source == source for s in chosen)
        rows.append(
            {
                "slice": source,
                "faces": total,
                "verdict_share": round(float(inside.sum() / total), 4),
                "loader": round(auc(labels[against], loader[against]), 4),
                "product": round(auc(labels[against], product[against]), 4),
            }
        )
    return rows


def _verdicts(detector: "Detector", clips: Sequence[Clip], max_frames: int) -> list[VideoVerdict]:
    verdicts: list[VideoVerdict] = []
    with Bar("Clips through the product") as bar:
        for i, clip in enumerate(clips, 1):
            verdict = detector.file(clip.path, name="clip", max_frames=max_frames)
            if not isinstance(verdict, VideoVerdict):
                raise ValueError(f"a clip of {clip.source} could not be read: {verdict.message}")
            verdicts.append(verdict)
            bar.at(i, len(clips))
    return verdicts


def _clip_bands(clips: Sequence[Clip], verdicts: Sequence[VideoVerdict], tuned: set[str]) -> dict[str, Any]:
    """`clip_figures` of the default on clips with a verdict; empty without any.

    Args:
        tuned: persons in clips that set the edges: they are left out, whatever split the table puts their clips in.
    """
    judged = [(c, v) for c, v in zip(clips, verdicts, strict=True) if v.prob_fake is not None and c.person not in tuned]
    if not judged:
        return {}
    cap = judged[0][1].band_cap
    return {
        **clip_figures(
            np.array([c.label for c, _ in judged]),
            [c.person for c, _ in judged],
            np.array([v.prob_fake for _, v in judged], float),
            [v.band for _, v in judged if v.band is not None],
        ),
        "without_verdict": sum(v.prob_fake is None for v in verdicts),
        "left_out": sum(c.person in tuned for c in clips),
        "cap": None if cap is None else {"band": cap.band, "reason": cap.reason},
    }


def _loaded_frames(manifest: Manifest, clips: Sequence[Clip], frames: int, workers: int) -> dict[Moment, float]:
    """Calibrated logits of the default for the frames that the product judges, by the training loader."""
    entry = manifest.entry("default")
    with TemporaryDirectory() as folder, Bar("Frames of the clips as stored faces") as bar:
        stored = store_frames(clips, frames, Path(folder), workers=workers, on_progress=bar.at)
        faces = find_faces(list(stored.values()), Path(folder) / "cache", workers=workers)
        with_face = {m: sample for m, sample in stored.items() if sample.name in faces}
        samples = list(with_face.values())
        members = {
            name: calibration_of(manifest, name)(
                score(Engine(manifest, name), samples, faces, workers, f"frames, {name}")
            )
            for name in entry.members
        }
    return dict(zip(with_face, choice_logits(manifest, members, entry.name).tolist(), strict=True))


def _clips(
    clips: Sequence[Clip],
    verdicts: Sequence[VideoVerdict],
    test: Sequence[Sample],
    by_loader: dict[str, float],
    by_moment: Mapping[Moment, float],
) -> list[dict[str, Any]]:
    """Of each slice of clips: AUC of clips and frames by the product, of these and of stored faces by the loader."""
    rows = []
    for source in sorted({c.source for c in clips}):
        of_source = [(c, v) for c, v in zip(clips, verdicts, strict=True) if c.source == source]
        seen = [(c.label, v) for c, v in of_source]
        with_verdict = [(label, v) for label, v in seen if v.prob_fake is not None]
        faces = [(s.label, by_loader[s.name]) for s in test if s.source == source]
        genuine = [v for label, v in with_verdict if label == 0]
        rows.append(
            {
                "slice": source,
                "clips": len(seen),
                "genuine": sum(label == 0 for label, _ in seen),
                "with_verdict": len(with_verdict),
                "auc_clips": _auc([(label, v.prob_fake) for label, v in with_verdict]),
                "same_frames": frame_figures([c for c, _ in of_source], [v for _, v in of_source], by_moment),
                "auc_faces_loader": _auc(faces),
                "genuine_at_threshold": sum(v.band in ("strong", "very_strong") for v in genuine),
            }
        )
    return rows


def _auc(pairs: Sequence[tuple[int, float | None]]) -> float | None:
    labels = np.array([label for label, _ in pairs])
    if len(set(labels.tolist())) < 2:
        return None
    return round(auc(labels, np.array([p for _, p in pairs], float)), 4)
