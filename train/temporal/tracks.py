"""Clips to tracks: one person's frames in order, their crops, and what a published network sees in them.

Frames and features are kept on disk, under names that change with all that they depend on.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from detector.aggregate import person_score
from detector.manifest import Manifest
from detector.media import sha256_of
from train.console import Bar
from train.data import clip_frames, self_blend
from train.data.clip_frames import Fit, PersonFrames, crops_of, person_frames, reading_code, save_arrays
from train.data.datasets.clips import Clip
from train.temporal import flicker
from train.temporal.flicker import flicker_blend
from train.temporal.judge import Score, Track
from train.temporal.networks import ClipNetwork, InOrder

_FACES_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Version:
    """Where the frames of a track come from: a person of a clip, as it is (`blend` None) or one side of a blend."""

    frames: PersonFrames
    clip_key: str
    number: int
    blend: int | None
    twin: bool


@dataclass(frozen=True, slots=True)
class ClipData:
    """Clips in which somebody was followed, their tracks, and what is known of both."""

    clips: list[Clip]
    tracks: list[Track]
    versions: dict[str, Version]
    known: np.ndarray
    left_out: int
    frames_key: str


def read_tracks(
    clips: Sequence[Clip], manifest: Manifest, known: set[str], cache: Path, max_frames: int, blends: int
) -> ClipData:
    """Follows the persons of all clips, or takes them from the cache, and lists what can train and judge.

    Args:
        clips: labelled videos.
        manifest: of the published set, whose limits say which faces can be judged.
        known: persons in pictures that trained the networks.
        cache: folder for what is kept.
        max_frames: judged of a clip; 0 = as many as the product judges.
        blends: flickering self-blends of each genuine person.
    """
    # video packages, which a machine that only trains may lack
    from detector.pipeline import MAX_FRAMES, video_faces

    frames = max_frames or MAX_FRAMES
    fit = Fit(manifest.limits.min_face_px, manifest.limits.min_sharpness)
    frames_key = _frames_key(fit, frames)
    folder = cache / f"clip-frames-{frames_key}"
    finder = video_faces()
    shown: list[Clip] = []
    tracks: list[Track] = []
    versions: dict[str, Version] = {}
    with Bar("Clips through the product") as bar:
        for done, clip in enumerate(clips, 1):
            key = sha256_of(clip.path)[:24]
            persons = person_frames(clip.path, finder, fit, frames, folder / f"{key}.npz")
            for number, person in enumerate(persons):
                # only what is known to be genuine can be blended
                for blend in (None, *range(0 if clip.label else blends)):
                    for twin in (False,) if blend is None else (True, False):
                        variant = "" if blend is None else f"+{'twin' if twin else 'partner'}"
                        name = f"{key}-{number}" + ("" if blend is None else f"{variant}{blend}")
                        label = clip.label if blend is None else int(twin)
                        source = clip.source + ("" if blend is None else "+blend")
                        length = len(person.faces)
                        row = Track(name, label, source, clip.person, len(shown), blend is not None, length)
                        tracks.append(row)
                        versions[name] = Version(person, key, number, blend, twin)
            if persons:
                shown.append(clip)
            bar.at(done, len(clips))
    # the same file may be listed under two names
    tracks = list({s.key: s for s in tracks}.values())
    used = sorted({s.clip for s in tracks})
    place = {old: new for new, old in enumerate(used)}
    tracks = [Track(**{**asdict(s), "clip": place[s.clip]}) for s in tracks]
    judged = [shown[i] for i in used]
    known_rows = np.array([c.person in known for c in judged], bool)
    return ClipData(judged, tracks, versions, known_rows, len(clips) - len(judged), frames_key)


def _frames_key(fit: Fit, frames: int) -> str:
    said = [asdict(fit), frames, clip_frames.PATCH, clip_frames.PATCH_PX, reading_code()]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:10]


def features_folder(cache: Path, manifest: Manifest, model: str, size_px: int, frames_key: str) -> Path:
    """Where features of this very network, of these frames and blends, are kept."""
    digest = hashlib.sha256(frames_key.encode())
    for module in (flicker, self_blend, clip_frames):
        digest.update(Path(str(module.__file__)).read_bytes())
    published = manifest.models[model]
    digest.update(json.dumps([published.sha256, asdict(published.calibration), size_px]).encode())
    return cache / f"clip-features-{digest.hexdigest()[:10]}"


class Embedded:
    """Features and calibrated logits of tracks' frames, by the published backbone; kept on disk."""

    def __init__(self, network: ClipNetwork, data: ClipData, size_px: int, folder: Path) -> None:
        self._network, self._data, self._size, self._folder = network, data, size_px, folder
        self._device = next(network.parameters()).device
        self._found: dict[str, tuple[Tensor, Tensor]] = {}

    def load_all(self, tracks: Sequence[Track]) -> None:
        """As `load` for each."""
        with Bar("Features of frames") as bar:
            for done, track in enumerate(tracks, 1):
                self.load(track)
                bar.at(done, len(tracks))

    def load(self, track: Track) -> None:
        """Takes a track's features from the disk, or computes and keeps them."""
        path = self._folder / f"{track.key}.npz"
        if not path.is_file():
            version = self._data.versions[track.key]
            # both sides of a blend are made at once
            for key, crops in _crops(version, self._size, track.key).items():
                self._keep(self._folder / f"{key}.npz", crops)
        with np.load(path) as stored:
            self._found[track.key] = torch.from_numpy(stored["features"]), torch.from_numpy(stored["logits"])

    @torch.inference_mode()
    def _keep(self, path: Path, crops: np.ndarray) -> None:
        parts = [
            self._network.embed(_as_floats(torch.from_numpy(part).to(self._device)))
            for part in np.array_split(crops, -(-len(crops) // _FACES_AT_ONCE))
        ]
        features, logits = (torch.cat([p[i] for p in parts]).float().cpu().numpy() for i in (0, 1))
        save_arrays(path, {"features": features, "logits": logits})

    def logits(self, track: Track) -> np.ndarray:
        """Of the frames, (T,) calibrated."""
        return self._found[track.key][1].double().numpy()

    def rule(self, track: Track, reader: InOrder | None = None) -> float:
        """A track's logit by the product's rule for persons; with a reader, of frames raised by what that adds."""
        logits = self.logits(track)
        if reader is not None:
            logits = logits + reader.added(self._found[track.key][0].numpy())
        return person_score(logits, np.random.default_rng(0)).logit

    def score(self, network: ClipNetwork) -> Score:
        """How a head over these features scores windows."""

        def score(tracks: Sequence[Track], rows: Sequence[np.ndarray]) -> Tensor:
            picked = [[part[row] for part in self._found[s.key]] for s, row in zip(tracks, rows, strict=True)]
            features, logits = (
                nn.utils.rnn.pad_sequence([p[i] for p in picked], batch_first=True).to(self._device) for i in (0, 1)
            )
            lengths = torch.tensor([len(row) for row in rows], device=self._device)
            logits_of: Tensor = network.head(features, logits, lengths)
            return logits_of

        return score


def whole_score(network: ClipNetwork, data: ClipData, size_px: int) -> Score:
    """How a whole network scores windows, from their crops."""
    device = next(network.parameters()).device

    def score(tracks: Sequence[Track], rows: Sequence[np.ndarray]) -> Tensor:
        crops = {s.key: _crops(data.versions[s.key], size_px, s.key)[s.key] for s in tracks}
        picked = [torch.from_numpy(crops[s.key][row]) for s, row in zip(tracks, rows, strict=True)]
        clips = nn.utils.rnn.pad_sequence(picked, batch_first=True).to(device)
        lengths = torch.tensor([len(row) for row in rows], device=device)
        logits_of: Tensor = network(_as_floats(clips), lengths)
        return logits_of

    return score


def _as_floats(crops: Tensor) -> Tensor:
    """(..., S, S, 3) uint8 to (..., 3, S, S) float32 in [0, 1]."""
    return crops.movedim(-1, -3).float() / 255


def _crops(version: Version, size_px: int, key: str) -> dict[str, np.ndarray]:
    """Name of a track -> its crops (T, S, S, 3) uint8; of a blend, both its sides."""
    person = version.frames
    if version.blend is None:
        return {key: person.crops(size_px)}
    rng = np.random.default_rng([int(version.clip_key, 16), version.number, version.blend])
    sides = flicker_blend(person.pictures(), person.faces, rng)
    stem = f"{version.clip_key}-{version.number}"
    return {
        f"{stem}+{side}{version.blend}": crops_of(pictures, person.faces, size_px)
        for side, pictures in zip(("twin", "partner"), sides, strict=True)
    }
