"""`python -m train faces`: from a data set of videos to a folder of faces that `train cnn` takes."""

from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from detector.faces.align import MARGIN
from train.console import Bar, say
from train.data.extract import SKIPPED, Cutting, extract_faces
from train.data.sources import find_data_root, load_clips
from train.errors import DataError


@dataclass(frozen=True)
class Faces:
    """Cut the faces out of a data set of videos; killed, it goes on with the same options."""

    data_root: Path | None = None
    """Folder with the videos, as FaceForensics++, Celeb-DF v2 or DFDC lay it out, with a videos.csv, or with
    real_data/ and fake_data/; else $UNMASK_DATA, else data/."""
    out: Path = Path("faces")
    """The folder to fill: then `python -m train cnn --data_root` takes it."""
    frames: int = 32
    """Frames taken of each video, evenly spread."""
    margin: float = 1.5
    """Side of the stored square over the longer side of the face box. Networks see 1.3 of it; the rest is room for the
    random framing of training."""
    size_px: int = 320
    """Longest side of a stored picture; smaller ones are not enlarged."""
    min_face_px: int = 40
    """Smaller faces are left out."""
    quality: int = 95
    """Of the stored JPEG files."""
    only: str = ""
    """Only videos whose names fit a pattern, such as "*/c23/*"."""
    allow_missing: bool = False
    """Go on without videos that the publisher's lists name."""
    workers: int = 2
    """Processes that work on a video each."""
    seed: int = 0
    """Of the splits that the publisher left open."""

    def __post_init__(self) -> None:
        if self.frames < 1 or self.min_face_px < 1 or self.size_px < 64 or not 1 <= self.quality <= 100:
            raise ValueError("frames and min_face_px must be at least 1, size_px at least 64, quality from 1 to 100")
        if not MARGIN <= self.margin <= 4:
            raise ValueError(f"margin must be from {MARGIN}, which the networks see, to 4")


def run(options: Faces) -> Path:
    """Cuts, writes the tables, says what was skipped; returns the folder."""
    root = find_data_root(options.data_root)
    layout = load_clips(root, options.seed, options.allow_missing)
    clips = [c for c in layout.clips if not options.only or fnmatch(c.name, options.only)]
    if not clips:
        first = layout.clips[0].name
        raise DataError(f"none of {len(layout.clips)} videos is named like {options.only!r}; one is called {first}")
    say(f"{layout.dataset}: {len(clips)} videos")
    for split in ("train", "val", "test"):
        counts = Counter("manipulated" if c.label else "genuine" for c in clips if c.split == split)
        say(f"  {split}: {counts['genuine']} genuine, {counts['manipulated']} manipulated")
    for note in layout.notes:
        say(f"  {note}")
    cutting = Cutting(options.frames, options.margin, options.size_px, options.min_face_px, options.quality)
    with Bar("Cutting out faces") as bar:
        done = extract_faces(clips, options.out, cutting, workers=options.workers, on_progress=bar.at)
    for reason, count in sorted(Counter(done.skipped.values()).items()):
        say(f"skipped {count} videos ({reason}): {options.out.name}/{SKIPPED} names them")
    say(f"{done.faces} faces of {len(clips) - len(done.skipped)} videos in {options.out.name}/: train with")
    say(f"  python -m train cnn --data_root {options.out.name}")
    return options.out
