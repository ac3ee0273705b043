"""`python -m train gan-judge RUN`: a trained network as a detector, in the figures that GAN papers report.

Accuracy, precision, recall, F1 and the confusion matrix of every slice, at even odds: the probability is 0.5 after a
calibration on validation, on its manipulated faces of the kinds that the network was to learn. With `--samples`, also
on generated faces that trained nothing against held-out genuine faces of equal history. Slices are those of validation
until `--split test` is asked for, which is for a network that is finished: nothing may be chosen by what it says, and
every test evaluation is counted in the run's record, as `publish` counts its own. Logits are kept: a figure that is
fixed later takes no further evaluation. `publish` gives AUC, intervals and false alarms on the same slices.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro

from train.console import say
from train.data.extra import learned_from, load_extra, made_by
from train.data.samples import Sample
from train.errors import DataError
from train.gan.measure_fid import REPORT as FID_REPORT
from train.learn.options import Data
from train.measure import plots
from train.measure.calibrate import fit_calibration
from train.measure.even_odds import slices_at_even_odds
from train.measure.scoring import score_faces
from train.measure.slices import opponents
from train.options import Flat
from train.run import Run, device, write_json
from train.store.kept_scores import KeptScores, digest, key

JUDGED = "judged_{}.json"
"""What is written into the run's report, by split."""
SCORES = "scores_{}.npz"
"""Beside it: the logits behind the figures, before calibration."""
_OWN, _GENERATED, _COLUMN = "own", "generated", "detector"
_PLOTTED = ("140k", "stylegan2-1024", "sd21")


@dataclass(frozen=True)
class GanJudge:
    """Judge a finished run of `gan --variant resnet32`, `cnn` or `sbi` as a detector."""

    run: Annotated[Path, tyro.conf.Positional]
    """A run folder with best.safetensors."""
    split: Literal["val", "test"] = "val"
    """test: evaluate on the test slices, for a network that is finished; it is counted."""
    samples: Path | None = None
    """A folder of `gan-samples`, whose faces of that split are judged too."""
    generator_run: Path | None = None
    """The `gan` run that the samples are of, for the FID of the same checkpoint."""
    data: Flat[Data] = Data()


def run(options: GanJudge) -> Path:
    """Prints the table and writes it into the run's report; returns the run folder."""
    record = Run(options.run)
    if not record.best.is_file() or "model" not in record.record().get("options", {}):
        raise DataError(f"{options.run.name} holds no detector: it has no best.safetensors of a registered network")
    settings = record.record()["options"]
    network, where = record.network(), device()
    size_px = int(settings["size_px"])
    data = options.data.faces(int(settings["seed"]))
    record.check_data(data.fingerprint)
    own = data.test if options.split == "test" else data.val
    if not own:
        raise DataError(f"these data have no {options.split} split: nothing to judge on")
    learned, faces = _learned(data.val, settings.get("fakes") or ()), dict(data.faces)
    generated: list[Sample] = []
    origin: dict[str, Any] = {}
    if options.samples:
        extra = load_extra(options.samples, options.split, options.data.runs_dir / "cache", options.data.workers)
        generated = extra.samples
        faces |= extra.faces
        origin = _made(options, extra.without_face)
        if learned_from(record.record().get("extra"), origin["generator"]):
            known = extra
            if options.split == "test":
                known = load_extra(options.samples, "val", options.data.runs_dir / "cache", options.data.workers)
            learned += known.samples
            faces |= known.faces
    asked = {t: s for t, s in ((_OWN, own), (_GENERATED, generated)) if s}

    def score(samples: Sequence[Sample]) -> np.ndarray:
        return score_faces(network, samples, faces, size_px, options.data.workers, where)

    scores = _kept(record, options.split, asked, score, [data.fingerprint, _contents(generated)])
    calibration = fit_calibration(learned, score(learned))
    figures: dict[str, dict[str, Any]] = {}
    # apart: genuine faces with the generator's history are nobody's opponents but its own
    for title, wanted in asked.items():
        samples, logits = scores.samples(title, wanted), calibration(scores.logits(title)[_COLUMN])
        slices = slices_at_even_odds(samples, logits)
        figures |= slices
        _plot(record, samples, logits, options.split, [s for s in slices if s in _PLOTTED or title == _GENERATED])
    write_json(
        record.report / JUDGED.format(options.split),
        {
            "split": options.split,
            "test_looks": record.test_evaluations(),
            "decided_at": "calibrated probability 0.5",
            "slices": figures,
            "samples": origin,
        },
    )
    record.log("judged", split=options.split, slices=len(figures))
    _show(figures, origin, options.split)
    return record.folder


def _kept(
    record: Run,
    split: str,
    asked: Mapping[str, Sequence[Sample]],
    score: Callable[[Sequence[Sample]], np.ndarray],
    about: Sequence[str],
) -> KeptScores:
    """Raw logits of what is asked for: those that the run's report holds, else scored and kept there.

    Args:
        record: of the network's run, which counts test evaluations.
        split: that the samples are of.
        asked: title -> samples.
        score: samples to logits (N,).
        about: what decides the logits beside the weights.
    """
    of = digest(json.dumps([hashlib.sha256(record.best.read_bytes()).hexdigest(), *about]))
    path = record.report / SCORES.format(split)
    scores = KeptScores.load(path, of)
    if scores is not None:
        say(f"These faces were scored before ({path.name}): no new test evaluation")
        return scores
    if split == "test":
        record.count_test_evaluation()
    scores = KeptScores(
        of, (_COLUMN,), {t: ([key(s) for s in some], score(some)[:, None]) for t, some in asked.items()}
    )
    scores.save(path)
    return scores


def _contents(samples: Sequence[Sample]) -> str:
    """A digest of the pictures: another folder of the same generator's faces has the same names."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(sample.read())
    return digest.hexdigest()


def _learned(validation: Sequence[Sample], fakes: Sequence[str]) -> list[Sample]:
    """Samples of validation that a network is calibrated on, manipulated ones of the kinds that it was to learn.

    Even odds between genuine faces and kinds that it was never shown would say nothing about those that it was.

    Raises:
        DataError: validation has no such manipulated face.
    """
    samples = [s for s in validation if not s.label or not fakes or s.source in fakes]
    if not any(s.label for s in samples):
        raise DataError(f"validation has no manipulated face of {', '.join(fakes)}: nothing to calibrate on")
    return samples


def _plot(record: Run, samples: Sequence[Sample], logits: np.ndarray, split: str, slices: Sequence[str]) -> None:
    """Confusion matrices of some slices, into the run's report."""
    labels, sources = np.array([s.label for s in samples]), np.array([s.source for s in samples])
    name = record.record()["options"]["model"]
    for source in slices:
        rows = opponents(labels, sources == source)
        path = record.report / f"confusion_{split}_{source}.png"
        plots.confusion_matrix(labels[rows], logits[rows] > 0, path, f"{name}, {source}, {split}")


def _made(options: GanJudge, without_face: int) -> dict[str, Any]:
    """The origin of the generated faces, with the FID of the checkpoint that made them if it was measured."""
    assert options.samples is not None
    origin = made_by(options.samples) | {"without_face": without_face}
    path = options.generator_run / "report" / FID_REPORT if options.generator_run else None
    if path and path.is_file():
        measured = json.loads(path.read_text(encoding="utf-8"))
        if measured["generator"] != origin["generator"]:
            raise DataError(
                f"the FID of {path.parents[1].name} is of another checkpoint than {options.samples.name}: run "
                f"`python -m train fid` and `gan-samples` again"
            )
        origin["fid"] = {k: measured[k] for k in ("fid", "n_generated", "n_genuine", "halves", "extractor")}
    return origin


def _show(figures: dict[str, dict[str, Any]], generated: dict[str, Any], split: str) -> None:
    say(
        f"{'slice of ' + split:28} {'genuine':>8} {'manip.':>7} {'AUC':>6} {'acc.':>6} {'bal.':>6} {'prec.':>6} "
        f"{'rec.':>6} {'F1':>6}"
    )
    for source, row in figures.items():
        mark = "" if row["against"] == "own" else " *"
        say(
            f"{source:28} {row['genuine']:8} {row['manipulated']:7} {row['auc']:6.3f} {row['accuracy']['value']:6.3f} "
            f"{row['balanced_accuracy']:6.3f} {row['precision']:6.3f} {row['recall']:6.3f} {row['f1']:6.3f}{mark}"
        )
    say("* against all genuine faces of the split")
    if "fid" in generated:
        half = generated["fid"]["halves"]
        say(
            f"the generator's checkpoint: FID {generated['fid']['fid']:.2f} ({generated['fid']['extractor']['name']}, "
            f"n {generated['fid']['n_generated']}), ratio to genuine halves {half['ratio']:.2f}"
        )
