"""`python -m train publish RUN...`: trained networks and their ensembles to `weights/`, if better on validation.

Build, measure, install: the set is made in a folder of its own (`train.store.build`), measured on test faces once, and
moved into place whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from detector.calibration import edges
from detector.errors import WeightsError
from detector.manifest import MANIFEST, Manifest, default_folder, read_manifest, write_manifest
from detector.results import Choice, Results, write_results
from detector.weights import load_ensemble
from train.console import say
from train.data.datasets.clips import read_all_clips
from train.data.faces import FaceData
from train.data.sources import find_data_root
from train.errors import DataError
from train.learn.options import Data
from train.learn.start import find_pretrained
from train.measure import scoring
from train.measure.kept_engine import KeptEngine
from train.measure.limits import measure_limits
from train.measure.selection import selection_figures
from train.measure.slices import false_alarms
from train.options import Flat
from train.recipes import evaluate
from train.recipes.clips import clip_sections, with_clips
from train.store import results
from train.store.build import Built, build_set, members_of
from train.store.documents import write_documents
from train.store.kept_scores import TEST_SCORES
from train.store.leaderboard import TEST, board, choice_logits, cost_alone, fresh_sources, member_logits, scores_on_test
from train.store.staging import install, staging_in


@dataclass(frozen=True)
class Publish:
    """Calibrate finished runs and their ensembles, compare them with what is published, and publish if better."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Run folders of `cnn`, one folder of the reference run, or names of published networks that are to stay."""
    force: bool = False
    """Publish even if the set is not better on validation."""
    weights_dir: Path | None = None
    """Where to publish; weights/ by default."""
    pretrained: Path | None = None
    """Folder of the backbones under runs of `head`; else $UNMASK_PRETRAINED, else pretrained/ beside the data."""
    evaluate: bool = True
    """Also measure the product with the new set on pictures and clips of the test split, as `evaluate --keep` does."""
    data: Flat[Data] = Data()
    """That the runs were trained on, and where test logits are until they are published."""

    @property
    def cache(self) -> Path:
        """Where networks keep what they said, so that a run that was stopped goes on where it was."""
        return self.data.runs_dir / "cache"


def run(options: Publish) -> bool:
    """True if the set was published."""
    target = options.weights_dir or default_folder()
    members = [member for folder in options.runs for member in members_of(folder, target)]
    if not members:
        raise DataError("name at least one run folder, or a published network")
    target.mkdir(parents=True, exist_ok=True)
    data = options.data.faces(members[0].seed)
    for member in members:
        # what was trained before there were more folders saw none of their faces
        if member.data not in (data.fingerprint, data.base):
            raise DataError(f"{member.title} was trained on other data or splits than these: train it again")
    with staging_in(target) as folder:
        pretrained = find_pretrained(options.pretrained, find_data_root(options.data.data_root))
        built = build_set(folder, members, data, options.data.workers, options.cache, pretrained)
        new = selection_figures(data.val, built.calibrated[built.default], data.unseen)
        old = _published_figures(target, data, options, built.raw)
        _show(old, new)
        say(f"Default: {built.default}: {built.reason}.")
        if old is not None and new["score"] <= old["score"] and not options.force:
            say("The published set stays: the new one is not better on validation (--force publishes all the same).")
            return False
        manifest, measured = _measured(built, data, options, _looks(target), new)
        manifest, measured = _with_clips(manifest, measured, data, options)
        write_results(folder, measured)
        install(folder, target, manifest)
    write_documents(read_manifest(target))
    say(f"Published {manifest.default} of {', '.join(manifest.models)} into {target.name}/.")
    if options.evaluate and data.test:
        evaluate.run(evaluate.Evaluate(weights_dir=target, keep=True, data=options.data))
    return True


def _published_figures(
    target: Path, data: FaceData, options: Publish, known: Mapping[str, np.ndarray]
) -> dict[str, float] | None:
    """Figures of the published default on the same validation faces; None if there is nothing published.

    One that was fitted on these very faces (stacking, weighted votes) is judged too well here: a new set has to beat it
    all the same.

    Args:
        known: SHA-256 of weights -> raw validation logits that need not be computed again.
    """
    if not (target / MANIFEST).is_file():
        return None
    try:
        manifest = read_manifest(target)
        members = {}
        for name in manifest.entry("default").members:
            network = manifest.models[name]
            if network.sha256 in known:
                members[name] = network.calibration(known[network.sha256])
            else:
                engine = KeptEngine(manifest, name, options.cache)
                raw = scoring.score(engine, data.val, data.faces, options.data.workers, f"published {name}")
                members[name] = network.calibration(raw)
        logits = choice_logits(manifest, members, manifest.default)
    except WeightsError as error:
        raise DataError(f"what is published cannot be compared: {error} (remove it, or restore it from git)") from error
    return selection_figures(data.val, logits, data.unseen)


def _show(old: dict[str, float] | None, new: dict[str, float]) -> None:
    say(f"{'validation':28} {'published':>10} {'new':>10}")
    for key, value in new.items():
        before = f"{old[key]:10.3f}" if old and key in old else f"{'-':>10}"
        say(f"{key:28} {before} {value:10.3f}")


def _looks(target: Path) -> int:
    """How often test slices were scored for sets that were published here before."""
    return read_manifest(target).test_scored if (target / MANIFEST).is_file() else 0


def _measured(
    built: Built, data: FaceData, options: Publish, evaluations: int, validation: dict[str, float]
) -> tuple[Manifest, Results]:
    """The manifest with limits from validation, and all figures of the one test evaluation."""
    date = datetime.now(UTC).date().isoformat()
    edge = edges(built.manifest().entry(built.default).curve)["strong"]
    say("Measuring how small and how blurred a face may be")
    ensemble = load_ensemble(built.manifest(), built.default)
    measurement = measure_limits(data.val, data.faces, built.engines(built.default, options.cache), ensemble, edge)
    limits, limit_curves = results.limits(measurement)
    choices: dict[str, Choice]
    if data.test:
        shipped = (options.weights_dir or default_folder()) / TEST_SCORES
        known = built.manifest(limits=limits)
        scores, evaluated = scores_on_test(known, data, options.data.runs_dir, shipped, options.data.workers)
        evaluations += evaluated
        scores.save(built.folder / TEST_SCORES)
        choices, curves = board(built.manifest(), data, scores)
        test, members = scores.samples(TEST, data.test), member_logits(built.manifest(), scores, TEST)
        for name in choices:
            _add_false_alarms(built, name, false_alarms(
                test, choice_logits(built.manifest(), members, name),
                built.manifest().entry(name).curve, fresh_sources(data),
            ))  # fmt: skip
    else:
        choices, curves = cost_alone(built.manifest())
    scored = {n: round(selection_figures(data.val, c, data.unseen)["score"], 4) for n, c in built.calibrated.items()}
    return built.manifest(date, limits, evaluations), Results(
        {name: replace(choice, validation_score=scored[name]) for name, choice in choices.items()},
        replace(
            curves,
            learning=built.learning,
            by_source=built.by_source,
            limits=limit_curves,
            comparisons=results.gains(built.comparisons),
            validation={k: round(v, 4) for k, v in validation.items()},
        ),
    )


def _add_false_alarms(built: Built, name: str, found: dict[str, dict[str, Any]]) -> None:
    if name in built.ensembles:
        built.ensembles[name] = replace(built.ensembles[name], false_alarms=results.shares(found))
    else:
        built.models[name] = replace(built.models[name], false_alarms=results.shares(found))


def _with_clips(manifest: Manifest, measured: Results, data: FaceData, options: Publish) -> tuple[Manifest, Results]:
    """Both with what training and validation clips showed; as they are where there are none or too few."""
    clips = read_all_clips(find_data_root(options.data.data_root), options.data.more)
    if not clips:
        return manifest, measured
    write_manifest(manifest.folder, manifest)
    try:
        sections = clip_sections(manifest, clips, {s.group for s in data.train}, options.data.runs_dir)
    except DataError as error:
        say(f"Videos stay uncalibrated: {error}.")
        return manifest, measured
    return with_clips(manifest, measured, sections)
