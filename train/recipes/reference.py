"""`python -m train`: the reference run that makes the bundled weights, from data to `weights/`."""

from dataclasses import dataclass, replace
from pathlib import Path

from train.data.sources import find_data_root
from train.experiment import Run, environment, write_json
from train.progress import say
from train.recipes import cnn, publish
from train.recipes.cnn import Cnn

NETWORKS: tuple[tuple[Cnn, float], ...] = (
    (
        Cnn(
            model="efficientnet_b0",
            size_px=192,
            window=0.75,
            epochs=14,
            images_per_epoch=11_008,
            twins=0.25,
            dropout=0.3,
            weight_decay=0.05,
            patience=14,
        ),
        33.0,
    ),
    (
        Cnn(
            model="mobilenet_v2",
            size_px=160,
            epochs=6,
            images_per_epoch=11_000,
            batch_size=48,
            lr=1e-3,
            ema_decay=0.995,
            partners=0.0,
        ),
        35.0,
    ),
    (
        Cnn(
            model="resnet18",
            size_px=128,
            epochs=7,
            images_per_epoch=11_000,
            batch_size=48,
            lr=6e-4,
            ema_decay=0.995,
            twins=0.25,
            partners=0.0,
        ),
        45.0,
    ),
)
"""Each network of the bundle with the faces a second that it was seen to train on two CPU cores without AMX."""


@dataclass(frozen=True)
class Reference:
    """Train every network of the bundle, then publish the set if it is better than the one that is there."""

    data_root: Path | None = None
    """Folder with the data; else $UNMASK_DATA, else data/."""
    pretrained: Path | None = None
    """Folder of starting weights; else $UNMASK_PRETRAINED, else pretrained/ beside the data."""
    runs_dir: Path = Path("runs")
    """Where run folders go."""
    workers: int = 2
    """Processes that prepare pictures."""


def run(options: Reference) -> Path:
    """The folder of the run, which lists its members; `publish` takes it."""
    find_data_root(options.data_root)
    hours = [o.epochs * o.images_per_epoch / rate / 3600 for o, rate in NETWORKS]
    say("The reference run:")
    for (member, _), needed in zip(NETWORKS, hours, strict=True):
        say(
            f"  {member.model}: {member.epochs * member.images_per_epoch:,} faces at {member.size_px} px, "
            f"about {needed:.1f} h on two CPU cores"
        )
    say(f"  then calibration, one look at the test slices, and weights/: about {sum(hours) + 0.3:.1f} h in all")
    folder = Run.create(options.runs_dir, "reference")
    folder.write_record(recipe="reference", environment=environment())
    members: list[str] = []
    for member, _ in NETWORKS:
        done = cnn.run(
            replace(
                member,
                data_root=options.data_root,
                pretrained=options.pretrained,
                runs_dir=options.runs_dir,
                workers=options.workers,
            )
        )
        members.append(done.name)
        write_json(folder.folder / publish.MEMBERS, members)
    publish.run(
        publish.Publish(
            runs=(folder.folder,), data_root=options.data_root, runs_dir=options.runs_dir, workers=options.workers
        )
    )
    return folder.folder
