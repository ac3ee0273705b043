"""Temporal heads as files of a published set: the one that ships, and those that judge clips which it was trained on.

The head that ships was trained on all clips. On these it cannot be judged, nor videos calibrated with it: each clip is
judged there by the head of the fold that left its persons out (`python -m train temporal` keeps them).
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from safetensors.torch import load_file

from detector.models.temporal import HEADS, InOrder, golden_features
from detector.weights import Manifest, read_manifest, save_network, write_manifest
from train.data.datasets.clips import Clip
from train.errors import DataError

FOLDS = "folds"
"""Folder of a run of `temporal`: of each fold the clips' scores and the head that gave them."""


def add_head(folder: Path, models: Mapping[str, Any], name: str, weights: Path, about: Mapping[str, Any]) -> Any:
    """The manifest's "models" with a head for one network, whose file is written into the folder.

    Args:
        models: of the manifest.
        name: of the network that the head reads.
        weights: of the head.
        about: what the entry says; "network" and "frames" at least.
    """
    tensors = load_file(weights)
    channels, width = len(tensors["enter.0.weight"]), len(tensors["enter.2.weight"])
    head = HEADS[about["network"]](channels, width)
    head.load_state_dict(tensors, strict=True)
    file = f"{name}-temporal.safetensors"
    digest, size = save_network(head, folder / file)
    # as it ships, rounded
    head.load_state_dict({k: v.float() for k, v in load_file(folder / file).items()}, strict=True)
    reader = InOrder(head, int(about["frames"]))
    golden = reader.added(golden_features(reader.channels))
    entry = {
        **about,
        "file": file,
        "sha256": digest,
        "bytes": size,
        "backbone": models[name]["sha256"],
        "golden_added": [round(float(v), 5) for v in golden],
    }
    return {n: {**record, "temporal": entry} if n == name else record for n, record in models.items()}


@contextmanager
def judges_of(
    manifest: Manifest, members: Sequence[str], clips: Sequence[Clip], runs_dir: Path
) -> Iterator[list[tuple[Manifest, list[Clip]]]]:
    """Which set may judge which clips of training and validation: the published one, or one with a fold's heads.

    Args:
        manifest: of the published set.
        members: names of networks.
        clips: to be judged.
        runs_dir: where the runs of `temporal` are that made the heads.

    Raises:
        DataError: those runs are gone, or two heads left out different clips together.
    """
    heads = {n: manifest.models[n]["temporal"] for n in members if "temporal" in manifest.models[n]}
    if not heads:
        yield [(manifest, list(clips))]
        return
    runs = {n: runs_dir / head["run"] for n, head in heads.items()}
    for name, run in runs.items():
        if not list((run / FOLDS).glob("*.safetensors")):
            raise DataError(
                f"the temporal head of {name} was trained on these clips, and the heads that were not are gone: "
                f"put the run {run.name} back, or train and publish the head anew"
            )
    first, *others = ({f.stem: json.loads(f.read_text())["clips"] for f in _folds(run)} for run in runs.values())
    if any(other != first for other in others):
        raise DataError(f"the temporal heads of {', '.join(heads)} come from different folds: train them alike")
    with TemporaryDirectory(prefix="unmask-folds-") as made:
        found = []
        for fold, names in first.items():
            folder = Path(made) / fold
            folder.mkdir()
            models: Any = manifest.models
            for record in (*models.values(), *manifest.ensembles.values()):
                if "file" in record:
                    shutil.copyfile(manifest.folder / record["file"], folder / record["file"])
            for name, run in runs.items():
                kept = {k: v for k, v in heads[name].items() if k in ("network", "frames", "run")}
                models = add_head(folder, models, name, run / FOLDS / f"{fold}.safetensors", kept)
            # a head of a network that is not among the members is not used
            models = {n: {k: v for k, v in r.items() if k != "temporal" or n in heads} for n, r in models.items()}
            write_manifest(folder, {**manifest.data, "models": models})
            found.append((read_manifest(folder), [c for c in clips if c.name in set(names)]))
        named = {name for names in first.values() for name in names}
        # nobody was followed in the others: no head learned from them
        yield [*found, (manifest, [c for c in clips if c.name not in named])]


def _folds(run: Path) -> list[Path]:
    return sorted((run / FOLDS).glob("*.json"))
