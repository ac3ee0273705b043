"""The frames of clips that the product judged, once more as training faces: cut, stored, found again, loaded, scored.

What is left between the two is how a face reaches the networks: boxes found in a whole frame or in a stored picture,
its size there, and the JPEG. Faces of the collections cannot show it: they are of other moments of these videos.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from detector.types import VideoVerdict
from train.data.datasets.clips import Clip
from train.data.datasets.pack import TABLE
from train.data.extract import Cutting, extract_faces
from train.data.samples import Sample
from train.measure.metrics import auc, auc_draws, bootstrapped, enough_groups, group_draws

AS_STORED = Cutting(frames=0, margin=1.35, size_px=240, min_face_px=0, quality=85)
"""How the faces from videos in the collections were cut; the number of frames is the product's."""

Moment = tuple[str, float]
"""A clip's name and the time of a frame, in milliseconds' precision."""


def store_frames(
    clips: Sequence[Clip],
    frames: int,
    folder: Path,
    *,
    workers: int = 2,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[Moment, Sample]:
    """The largest face of each of so many frames a clip, as pictures in a folder.

    Args:
        clips: with unique names.
        frames: as many as the product judges, so that they are the same.
        folder: an empty one.
        workers: processes that work on a clip each.
        on_progress: (clips done, clips in all).

    Raises:
        DataError: no face was found in any of them.
    """
    extract_faces(clips, folder, replace(AS_STORED, frames=frames), workers=workers, on_progress=on_progress)
    by_name = {clip.name: clip for clip in clips}
    stored = {}
    with (folder / TABLE).open(newline="", encoding="utf-8") as table:
        for row in csv.DictReader(table):
            clip = by_name[row["video"]]
            sample = Sample(
                path=folder / row["path"],
                member=None,
                name=row["path"],
                label=clip.label,
                source=clip.source,
                group=clip.group,
                method=clip.method,
                split=clip.split,
            )
            stored[moment(clip, float(row["time_s"]))] = sample
    return stored


def moment(clip: Clip, time_s: float) -> Moment:
    """The name of a frame on both sides."""
    return clip.name, round(time_s, 3)


def frame_figures(
    clips: Sequence[Clip], verdicts: Sequence[VideoVerdict], by_loader: Mapping[Moment, float]
) -> dict[str, Any]:
    """AUC of frames by the product and by the loader, over those of the foremost persons that both judged.

    Returns:
        `frames`, `product` and `loader`, None where there are not both classes; `difference`, product less loader, with
        its 95 % interval over persons where there are enough of them.
    """
    rows = [
        (clip, point.prob_fake, by_loader[moment(clip, point.time_s)])
        for clip, verdict in zip(clips, verdicts, strict=True)
        for person in verdict.persons[:1]
        for point in person.timeline
        if point.prob_fake is not None and moment(clip, point.time_s) in by_loader
    ]
    labels = np.array([clip.label for clip, _, _ in rows])
    if len(set(labels.tolist())) < 2:
        return {"frames": len(rows), "product": None, "loader": None, "difference": None}
    # probabilities rank as logits do
    product = np.array([p for _, p, _ in rows], float)
    loader = np.array([logit for _, _, logit in rows], float)
    point = auc(labels, product) - auc(labels, loader)
    values = np.array([])
    persons = [clip.person for clip, _, _ in rows]
    if enough_groups(labels, persons):
        draws = group_draws(persons, labels, np.random.default_rng(0))
        values = auc_draws(labels, product, draws) - auc_draws(labels, loader, draws)
    return {
        "frames": len(rows),
        "product": round(auc(labels, product), 4),
        "loader": round(auc(labels, loader), 4),
        "difference": bootstrapped(point, values, len(rows)).to_dict(),
    }
