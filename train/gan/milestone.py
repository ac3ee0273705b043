"""Both players of a game as small files, published with its record, and a new game that begins from them.

A run folder's checkpoint holds optimizers and is resumed exactly; it is too large to publish. Its players in float16
are not: whoever has them can train on without the run folder. What a new game lacks is the optimizers' memory, which
Adam with (0, .99) fills anew within a hundred steps or so.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from detector.weights import save_network
from train.errors import DataError
from train.gan.loop import Game
from train.gan.players import GENERATOR_FILE, GeneratorSpec, build_discriminator, load_generator
from train.run import Run

DISCRIMINATOR_FILE = "discriminator.safetensors"
RECORD = "record.json"
MAX_BYTES = 25_000_000
"""Larger players are no part of what users download."""


@dataclass(frozen=True, slots=True)
class Begun:
    """Where a game began from.

    Attributes:
        run: name of the run folder that the players are of.
        images: genuine faces shown until then, hours of work likewise.
    """

    run: str
    images: int
    hours: float


def write_players(run: Run, folder: Path) -> dict[str, Any]:
    """Writes the measured generator of a run, and the discriminator of its last epoch, into a folder.

    Returns:
        what `begin_from` needs to know of them, for the folder's record.

    Raises:
        DataError: the run has no checkpoint, or a player is larger than `MAX_BYTES`.
    """
    if not run.checkpoint.is_file():
        raise DataError(f"{run.folder.name} has no checkpoint, which holds the discriminator")
    generator, spec = load_generator(run)
    state = torch.load(run.checkpoint, map_location="cpu", weights_only=True)["game"]
    discriminator = build_discriminator(spec, _is_spectral(run))
    discriminator.load_state_dict(state["discriminator"], strict=True)
    files: dict[str, Any] = {}
    for name, player in ((GENERATOR_FILE, generator), (DISCRIMINATOR_FILE, discriminator)):
        saved = save_network(player, folder / name)
        # readable for whoever runs the app
        (folder / name).chmod(0o644)
        if saved.bytes > MAX_BYTES:
            raise DataError(
                f"{name} has {saved.bytes / 1e6:.1f} MB; more than {MAX_BYTES / 1e6:.0f} MB do not ship: leave "
                "--players out"
            )
        files[name] = {"sha256": saved.sha256, "bytes": saved.bytes}
    return {
        "files": files,
        "spec": spec.to_dict(),
        "spectral_norm": _is_spectral(run),
        "ada_p": state["ada"]["p"],
        "path_mean": float(state["path_mean"]),
        "run": run.folder.name,
        "images_seen": int(state["images"]),
        "hours": run.record()["train_hours"],
    }


def begin_from(folder: Path, game: Game, spec: GeneratorSpec, spectral_norm: bool) -> Begun:
    """Gives a new game the players that `write_players` left in a published folder.

    Raises:
        DataError: the folder holds none, or damaged ones.
        ValueError: they are of other networks than the game's.
    """
    try:
        players = json.loads((folder / RECORD).read_text(encoding="utf-8"))["players"]
        if players is None:
            raise DataError(f"{folder.name} was published without --players: there is nothing to begin from")
        if (players["spec"], players["spectral_norm"]) != (spec.to_dict(), spectral_norm):
            raise ValueError(f"{folder.name} holds players of other options: give the same variant, size and channels")
        states = {name: _read(folder / name, entry["sha256"]) for name, entry in players["files"].items()}
        begun = Begun(players["run"], int(players["images_seen"]), float(players["hours"]))
        game.begin(
            states[GENERATOR_FILE],
            states[DISCRIMINATOR_FILE],
            ada_p=float(players["ada_p"]),
            path_mean=float(players["path_mean"]),
            images=begun.images,
            seconds=begun.hours * 3600,
        )
    except OSError as error:
        raise DataError(
            f"--start {folder.name}: no folder of `gan-publish --players`, such as weights/gan/VARIANT"
        ) from error
    except (json.JSONDecodeError, KeyError, TypeError, SafetensorError, RuntimeError) as error:
        raise DataError(f"--start {folder.name} is damaged: fetch weights/ again ({error})") from error
    return begun


def _read(path: Path, digest: str) -> dict[str, torch.Tensor]:
    if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        raise DataError(f"{path.name} is not the file that was published: fetch weights/ again")
    return {name: tensor.float() for name, tensor in load_file(path).items()}


def _is_spectral(run: Run) -> bool:
    return bool(run.record()["options"]["spectral_norm"])
