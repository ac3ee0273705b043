"""A sweep: networks trained by `cnn` one after the other, each measured as it is finished. Most studies are sweeps.

runs/<study>-<time>/
  run.json              what all networks of the study have in common
  <arm>/                a run folder of `cnn`, with result.json as soon as it is measured

An arm is one network: how it is trained, on which faces. `--resume RUN` skips arms that are finished and goes on inside
one that was stopped; an arm whose options mean something else by now is trained anew.
"""

import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from detector.models.registry import build
from train.console import say
from train.data.batches import eval_crops
from train.data.faces import FaceData
from train.learn.loop import fit, predict, wants_amp
from train.learn.options import Data
from train.measure.scoring import EVAL_BATCH
from train.options import Group, changed
from train.recipes import cnn
from train.recipes.cnn import Cnn, fit_options, training_batches
from train.run import Run, device, environment, options_and_data, options_record, write_json

RESULT = "result.json"
ELSEWHERE = ("workers", "resume", "plan", "pretrained", "extra")
"""Options that no figure depends on: folders, processes, and what is done today."""
_MEASURED_STEPS = 12


@dataclass(frozen=True)
class Going(Group):
    """How a study goes on."""

    resume: Path | None = None
    """A run folder of the study to go on with: what is finished there stays."""
    plan: bool = False
    """Only say what would be trained and how long it would take."""


@dataclass(frozen=True)
class Arm:
    """One network of a sweep.

    Attributes:
        name: of its folder in the study's.
        options: of `cnn`; where it is written is the sweep's.
        faces: gives the faces that it is trained and validated on.
        beyond: plain values that its result depends on beside the options.
        scored: faces that are scored when it is trained.
    """

    name: str
    options: Cnn
    faces: Callable[[], FaceData]
    beyond: Mapping[str, Any] = field(default_factory=dict)
    scored: int = 0

    @property
    def asked(self) -> dict[str, Any]:
        """Everything that its result depends on, as plain values."""
        return {**_asked(self.options), **self.beyond}


Measure = Callable[[Arm, Run, FloatingPointError | None], dict[str, Any]]
"""The result of an arm, as plain values: the arm, its run, and why it could not be trained to its end."""


class Sweep:
    """The arms of one study in one run folder.

    Args:
        study: its name on the command line.
        name: that a new run folder begins with.
        options: of the study; they and the data must be the same when it is gone on with.
        data, going: where it is written, and what it goes on with.
        fingerprint: of the data.
        may_differ: names of options that may be others when it is gone on with, since arms can be added.

    Raises:
        DataError: the folder to go on with is none of this study, with these options.
    """

    def __init__(
        self,
        study: str,
        name: str,
        options: Any,
        data: Data,
        going: Going,
        fingerprint: str,
        may_differ: Sequence[str] = (),
    ) -> None:
        self.study, self._name, self._runs_dir, self._folder = study, name, data.runs_dir, going.resume
        self._asked = {k: v for k, v in _asked(options).items() if k not in may_differ}
        self._fingerprint = fingerprint
        if going.resume is not None:
            Run(going.resume).check_same(study, {**self._asked, "data": fingerprint}, options_and_data)

    def result(self, arm: Arm) -> dict[str, Any] | None:
        """The result of an arm that is finished, with these very options; else None."""
        if self._folder is None:
            return None
        path = self._folder / arm.name / RESULT
        if not path.is_file():
            return None
        row: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return row if row.pop("asked") == arm.asked else None

    def to_do(self, arms: Sequence[Arm]) -> list[Arm]:
        """Those of the arms that are not finished."""
        return [arm for arm in arms if self.result(arm) is None]

    def run(
        self,
        arms: Sequence[Arm],
        measure: Measure,
        write: Callable[[Run, Arm | None, Arm | None], None],
        *,
        keeps_runs: bool = True,
        seconds: Mapping[str, float] | None = None,
    ) -> Run:
        """The study's run, with all of these arms finished.

        Args:
            arms: in the order in which they are trained.
            measure: called with each that was trained.
            write: writes the study's tables into its run; called after each arm, with that one and the next, and where
                nothing was left to train.
            keeps_runs: whether checkpoints and weights of finished arms stay.
            seconds: name of an arm -> what it is expected to take, to say how much is left.
        """
        record = Run(self._folder) if self._folder else Run.create(self._runs_dir, self._name)
        self._folder = record.folder
        record.write_record(recipe=self.study, options=self._asked, environment=environment(), data=self._fingerprint)
        todo = self.to_do(arms)
        say(f"{len(todo)} of {len(arms)} networks to train, into {record.folder.name}/ (`--resume` goes on with it)")
        spent = expected = 0.0
        for number, arm in enumerate(todo, 1):
            say(f"{number} of {len(todo)}, {arm.name}:")
            began = time.monotonic()
            self._train(record.folder / arm.name, arm, measure, keeps_runs)
            write(record, arm, todo[number] if number < len(todo) else None)
            if seconds is not None:
                spent, expected = spent + time.monotonic() - began, expected + seconds[arm.name]
                left = spent / expected * sum(seconds[later.name] for later in todo[number:])
                say(f"{arm.name} is done; about {left / 3600:.1f} h to go")
        if not todo:
            write(record, None, None)
        return record

    def _train(self, folder: Path, arm: Arm, measure: Measure, keeps_runs: bool) -> None:
        begun = Run(folder).record().get("options", {})
        other = begun and any(begun.get(k) != v for k, v in _asked(arm.options).items())
        if other or (folder / RESULT).is_file():
            shutil.rmtree(folder)  # of what is now another arm
        (folder / "report").mkdir(parents=True, exist_ok=True)
        failed: FloatingPointError | None = None
        try:
            cnn.run(replace(changed(arm.options, runs_dir=folder.parent), resume=folder), arm.faces())
        except FloatingPointError as error:
            failed = error
        row = {"asked": arm.asked, **measure(arm, Run(folder), failed)}
        if not keeps_runs:
            # checkpoints of every arm would fill the disk
            shutil.rmtree(folder)
            folder.mkdir()
        write_json(folder / RESULT, row)


def expected_seconds(arms: Sequence[Arm]) -> dict[str, float]:
    """Name of an arm -> how long it will take on this machine as it is now; says what was measured for it.

    A step of training and the scoring of a face are measured once for each network, by the code that will do it; their
    work goes with the area that the network sees.
    """
    measured: dict[str, tuple[Arm, float, float]] = {}
    seconds = {}
    for arm in arms:
        model, options, data = arm.options.model, arm.options, arm.faces()
        if model not in measured:
            measured[model] = (arm, *_measured(options, data))
            batch, size_px = options.schedule.batch_size, options.crops.size_px
            say(f"{model}: {measured[model][1]:.2f} s a step of {batch} at {size_px} px, measured")
        of, step_s, face_s = measured[model]
        area = (options.crops.size_px / of.options.crops.size_px) ** 2
        batches = options.schedule.batch_size / of.options.schedule.batch_size
        seen = area * _share_seen(options) / of.options.crops.window**2  # the steps that were measured saw windows
        epochs = options.schedule.epochs
        steps = epochs * options.schedule.steps_per_epoch(len(data.train))
        scored = (epochs + 1) * len(data.val) + arm.scored
        seconds[arm.name] = steps * step_s * seen * batches + scored * face_s * area
    say(f"{len(arms)} networks to train, about {sum(seconds.values()) / 3600:.1f} h in all")
    return seconds


def chosen(names: str, known: Mapping[str, Any], what: str) -> tuple[str, ...]:
    """The names that were asked for, separated by commas, or all, in the order of `known`.

    Raises:
        ValueError: a name is not known, or none was given.
    """
    asked = set(known) if names == "all" else {n.strip() for n in names.split(",") if n.strip()}
    wrong = sorted(asked - set(known))
    if wrong or not asked:
        raise ValueError(f"no {what} {', '.join(wrong) or names!r}; there are: {', '.join(known)}")
    return tuple(name for name in known if name in asked)


def members_of(folders: Sequence[Path], data: Data) -> tuple[list[Run], FaceData]:
    """Finished runs and the faces that they were all trained on.

    Raises:
        DataError: a folder holds no finished run, or one of other data.
    """
    members = [Run.finished(folder) for folder in folders]
    faces = data.faces(int(members[0].options["seed"]))
    for member in members:
        member.check_data(faces.fingerprint)
    return members, faces


def _asked(options: Any) -> dict[str, Any]:
    return {k: v for k, v in options_record(options).items() if k not in ELSEWHERE}


def _share_seen(options: Cnn) -> float:
    """Share of a crop's area that a training step sees, over all epochs."""
    epochs = options.schedule.epochs
    windowed = options.crops.windowed_epochs(epochs) / epochs
    return 1 - windowed + windowed * options.crops.window**2


def _measured(options: Cnn, data: FaceData) -> tuple[float, float]:
    """Seconds of a training step and of scoring one face, by the very code that will do it."""
    where = device()
    _, loader = training_batches(options, data, _MEASURED_STEPS)
    network = build(options.model, options.regularisation.dropout)
    amp = wants_amp(options.machine.amp, where, network)
    times: list[float] = []
    with tempfile.TemporaryDirectory(prefix="unmask-sweep-") as folder:
        fit(
            network,
            lambda _: loader,
            lambda _: {"score": 0.0},
            fit_options(changed(options, epochs=1), _MEASURED_STEPS, amp),
            Run(Path(folder)),
            device=where,
            on_step=lambda *_: times.append(time.perf_counter()),
        )
    # the first steps find batches that were made while the loader started
    step_s = statistics.median(b - a for a, b in pairwise(times[2:]))
    faces = data.val[: 2 * EVAL_BATCH]
    start = time.perf_counter()
    crops = eval_crops(faces, data.faces, options.crops.size_px, workers=0)
    predict(network, crops.split(EVAL_BATCH), where, amp)
    return step_s, (time.perf_counter() - start) / len(faces)
