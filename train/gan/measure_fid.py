"""`python -m train fid RUN`: how near a run's generated faces are to the genuine ones it learned from."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro

from train.console import say
from train.gan.faces import FaceSet
from train.gan.fid import OURS, Extractor, find_extractor
from train.gan.play import Gan, genuine_faces, measure_generator, pretrained_of
from train.gan.players import GENERATOR_FILE, load_generator
from train.learn.options import Data
from train.options import Flat, changed, flat
from train.run import Run, device, write_json

REPORT = "fid.json"


@dataclass(frozen=True)
class Fid:
    """Measure FID, KID, precision and recall of a run of `gan`, with the same figure between genuine halves."""

    run: Annotated[Path, tyro.conf.Positional]
    """A run folder of `gan`."""
    n: int = 10_000
    """Generated faces; at most as many as there are genuine ones."""
    extractor: str = "auto"
    """As in `gan`: auto, the name of a published network, or a file with torchvision's Inception-v3."""
    pretrained: Path | None = None
    """Folder of starting weights, as in `gan`."""
    faces: Path | None = None
    """Instead, the file of faces that it was trained on."""
    seed: int = 0
    data: Flat[Data] = Data()


def run(options: Fid) -> Path:
    """Prints the figures and writes them into the run's report; returns the run folder."""
    record = Run(options.run)
    generator, spec = load_generator(record)
    genuine = (
        FaceSet.load(options.faces)
        if options.faces
        else genuine_faces(
            game_of(record, options.data),
            options.data.faces(split_seed(record)),
        )
    )
    if genuine.key() != record.record()["genuine_key"]:
        raise ValueError(f"these are not the faces that {options.run.name} learned from: name the same data or file")
    folder = pretrained_of(options.pretrained, options.faces, options.data.data_root)
    extractor = find_extractor(options.extractor, pretrained=folder)
    where = device()
    generator.to(where)

    def measured(by: Extractor) -> dict[str, Any]:
        torch.manual_seed(options.seed)
        return measure_generator(generator, spec, genuine, by, options.n, options.seed, options.data.runs_dir)

    figures = measured(extractor)
    ours = find_extractor(OURS)
    if ours.sha256 != extractor.sha256:
        # who has no other weights can repeat this one
        figures["on_ours"] = {k: v for k, v in measured(ours).items() if k in ("extractor", "fid", "halves")}
    figures["generator"] = generator_hash(record)
    figures["generator_epoch"] = record.record().get("generator_epoch")
    figures["size_px"] = spec.size_px
    write_json(record.report / REPORT, figures)
    say(f"features: {figures['extractor']['name']} (sha256 {figures['extractor']['sha256'][:12]})")
    say(
        f"FID {figures['fid']:.2f}, KID {figures['kid']:.5f} ± {figures['kid_deviation']:.5f}, precision "
        f"{figures['precision']:.3f}, recall {figures['recall']:.3f}: {figures['n_generated']} generated against "
        f"{figures['n_genuine']} genuine faces of {spec.size_px} px"
    )
    half = figures["halves"]
    say(
        f"at {half['n']} against {half['n_reference']}: generated {half['fid_generated']:.2f}, genuine "
        f"{half['fid_genuine']:.2f}, ratio {half['ratio']:.2f} (1 = as near as genuine faces are to each other)"
    )
    return record.folder


def split_seed(record: Run) -> int:
    """By which a plain folder of data was split for a run: with another, what it learned from could be held out."""
    return int(record.record()["options"]["seed"])


def generator_hash(record: Run) -> str:
    """SHA-256 of the stored generator, which joins figures and samples of one checkpoint."""
    return hashlib.sha256((record.folder / GENERATOR_FILE).read_bytes()).hexdigest()


def game_of(record: Run, data: Data) -> Gan:
    """The options of a run that decide which genuine faces it learned from."""
    stored: dict[str, Any] = record.record()["options"]
    known = flat(Gan())
    values: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in stored.items() if k in known and v is not None
    }
    return replace(changed(Gan(), **values), data=data)
