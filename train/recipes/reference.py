"""`python -m train`: the reference run that makes the bundled weights, from data to `weights/`."""

from dataclasses import dataclass, replace
from pathlib import Path

from train.console import say
from train.data.sources import find_data_root
from train.learn.options import Blending, Crops, Data, Machine, Schedule
from train.learn.regularise import Regularisation
from train.options import Flat
from train.recipes import cnn, publish
from train.recipes.cnn import VAL_LOGITS, Cnn
from train.run import Run, environment, write_json
from train.store.build import MEMBERS


@dataclass(frozen=True, slots=True)
class Part:
    """One run, and the faces a second that it was seen to train on two CPU cores without AMX."""

    options: Cnn
    faces_a_second: float

    @property
    def hours(self) -> float:
        return self.faces / self.faces_a_second / 3600

    @property
    def faces(self) -> int:
        """Seen in all epochs."""
        return self.options.schedule.epochs * self.options.schedule.images_per_epoch


NETWORKS: tuple[tuple[Part, ...], ...] = (
    (
        Part(
            Cnn(
                model="efficientnet_b0",
                schedule=Schedule(
                    epochs=14, images_per_epoch=11_008, batch_size=64, lr=5e-4, weight_decay=0.05, patience=14
                ),
                crops=Crops(size_px=192, window=0.75, augmentation="standard"),
                blending=Blending(twins=0.25),
                regularisation=Regularisation(dropout=0.3),
            ),
            33.0,
        ),
        Part(
            Cnn(
                model="efficientnet_b0",
                schedule=Schedule(
                    epochs=9, images_per_epoch=13_952, batch_size=64, lr=3e-4, weight_decay=0.05, patience=16
                ),
                crops=Crops(size_px=224, window=0.75, whole_epochs=1, augmentation="standard"),
                blending=Blending(twins=0.15),
                regularisation=Regularisation(dropout=0.3),
            ),
            25.0,
        ),
    ),
    (
        Part(
            Cnn(
                model="resnet18",
                schedule=Schedule(
                    epochs=17, images_per_epoch=13_952, batch_size=64, lr=6e-4, weight_decay=0.05, patience=20
                ),
                crops=Crops(size_px=192, window=0.75, whole_epochs=2, augmentation="standard"),
                blending=Blending(twins=0.25),
            ),
            48.0,
        ),
    ),
    (
        Part(
            Cnn(
                model="mobilenet_v2",
                schedule=Schedule(
                    epochs=13, images_per_epoch=13_952, batch_size=64, lr=8e-4, weight_decay=0.03, patience=20
                ),
                crops=Crops(size_px=192, window=0.75, whole_epochs=2, augmentation="standard"),
                blending=Blending(twins=0.25),
            ),
            52.0,
        ),
    ),
)
"""How each network of the bundle comes about: one run, or several, each from the weights of the one before."""


@dataclass(frozen=True)
class Reference:
    """Train every network of the bundle, then publish the set if it is better than the one that is there."""

    data: Flat[Data] = Data()
    machine: Flat[Machine] = Machine()
    resume: Path | None = None
    """A folder of the reference run to go on with: what is finished stays, and at most one epoch is done again."""


def run(options: Reference) -> Path:
    """The folder of the run, which lists its members; `publish` takes it.

    Its parts are run folders beside it, named after it and numbered.
    """
    find_data_root(options.data.data_root)
    parts = [part for network in NETWORKS for part in network]
    say("The reference run:")
    for part in parts:
        o = part.options
        say(f"  {o.model}: {part.faces:,} faces at {o.crops.size_px} px, about {part.hours:.1f} h on two CPU cores")
    hours = sum(part.hours for part in parts)
    say(f"  then calibration, one test evaluation, and weights/: about {hours + 0.3:.1f} h in all")
    folder = Run.begin("reference", options.data.runs_dir, "reference", options.resume, {})
    folder.write_record(recipe="reference", environment=environment())
    say(f"into {folder.folder.name}/ and folders beside it (stopped, `python -m train --resume` takes it)")
    members: list[str] = []
    number = 0
    for network in NETWORKS:
        done: Path | None = None
        for part in network:
            number += 1
            place = folder.folder.with_name(f"{folder.folder.name}-{number}-{part.options.model}")
            if (place / VAL_LOGITS).is_file():
                say(f"{place.name}: finished before")
            else:
                (place / "report").mkdir(parents=True, exist_ok=True)
                cnn.run(
                    replace(
                        part.options,
                        start=str(Run(done).best) if done else part.options.start,
                        data=options.data,
                        machine=options.machine,
                        resume=place,
                    )
                )
            done = place
        assert done is not None
        members.append(done.name)
        write_json(folder.folder / MEMBERS, members)
    publish.run(
        publish.Publish(
            runs=(folder.folder,),
            data=options.data,
        )
    )
    return folder.folder
