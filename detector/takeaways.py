"""Files that the command line writes beside a verdict: marked copies, reports, sound, stills. The original stays.

Nothing is replaced unless that was asked for, and a file has its name only when it is complete.
"""

import io
import itertools
import json
import os
import secrets
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from detector.errors import Cancelled, DetectorError
from detector.progress import OnProgress
from detector.types import Face, FileVerdict, VideoVerdict

if TYPE_CHECKING:  # they bring torch and FFmpeg
    from detector.annotate import Annotated
    from detector.explain.gradcam import Heatmap
    from detector.media import RGB

_LONGEST_NAME = 255
"""Bytes of a file's name on nearly every file system."""


class Explains(Protocol):
    """The part of `detector.pipeline.Detector` that draws maps."""

    def explain(self, image: "RGB", face: Face) -> "Heatmap": ...


class Takeaway(Protocol):
    """Writes something of one file after the other."""

    def write(self, path: Path, verdict: FileVerdict, on_progress: OnProgress | None) -> bool:
        """False if it was to be written and was not; a complaint has been made then."""
        ...


@dataclass
class Folder:
    """Where things go, and how to speak of it.

    Attributes:
        say, complain: take a line on what was written, and on what could not be.
        shown: a name as a terminal may show it.
        taken: paths that must not be written: the files to look at, and what this run has written.
    """

    path: Path
    overwrite: bool
    say: Callable[[str], None]
    complain: Callable[[str], None]
    shown: Callable[[str], str]
    taken: set[Path] = field(default_factory=set)

    def places(self, stem: str, suffixes: Iterable[str]) -> dict[str, Path] | None:
        """A path for each suffix, of one stem: two folders may hold files of one name.

        None, with a complaint, where one of them exists already. A long stem is cut where the suffixes would not fit.
        """
        suffixes = tuple(suffixes)
        longest = max(suffixes, key=len, default="")
        for number in itertools.count(1):
            end = f"{'' if number == 1 else f'-{number}'}.unmask"
            while stem and len(os.fsencode(f"{stem}{end}{longest}")) > _LONGEST_NAME:
                stem = stem[:-1]
            name = f"{stem}{end}"
            out = {suffix: self.path / f"{name}{suffix}" for suffix in suffixes}
            if not {path.resolve() for path in out.values()} & self.taken:
                break
        self.taken |= {path.resolve() for path in out.values()}
        # by their folder: a name that the file system cannot hold is no error yet
        there = [path for path in out.values() if os.path.lexists(path)]
        if there and not self.overwrite:
            self.complain(
                f"{self.shown(str(there[0]))} exists already and stays as it is. Replace it with --overwrite."
            )
            return None
        return out

    def kept(self, path: Path, what: str, make: Callable[[], str]) -> bool:
        """Says what `make` says, or complains of what kept it from being made."""
        try:
            self.say(make())
        except (_AlreadyThere, Cancelled):
            raise
        except DetectorError as error:
            self.complain(f"No {what} of {self.shown(path.name)}: {error}")
            return False
        except OSError as error:
            self.complain(f"No {what} of {self.shown(path.name)}: {(error.strerror or 'cannot be written').lower()}.")
            return False
        except Exception:  # a bug keeps its traceback; the other files get theirs
            traceback.print_exc()
            self.complain(f"No {what} of {self.shown(path.name)}, because of the error in Unmask that is shown above.")
            return False
        return True


@dataclass(frozen=True)
class Copies:
    """Marked copies. `detector` draws heatmaps onto them; None leaves them out."""

    folder: Folder
    detector: Explains | None

    def write(self, path: Path, verdict: FileVerdict, on_progress: OnProgress | None) -> bool:
        from detector.annotate import annotate, can_annotate, suffix_of

        if not can_annotate(verdict):
            name = self.folder.shown(path.name)
            self.folder.say(f"No copy of {name}: no face was found, so there is nothing to mark.")
            return True
        suffix = suffix_of(verdict)
        out = self.folder.places(path.stem, (suffix,))
        if out is None:
            return False

        def make() -> str:
            done = annotate(path, verdict, out[suffix], detector=self.detector, on_progress=on_progress)
            return f"Copy with boxes: {self.folder.shown(str(out[suffix]))}{_lacking(done)}"

        return self.folder.kept(path, "copy", make)


@dataclass(frozen=True)
class Reports:
    """Reports as PDF and HTML, with the JSON that they are made of. Of every file, also of one that cannot be read."""

    folder: Folder
    detector: Explains

    def write(self, path: Path, verdict: FileVerdict, on_progress: OnProgress | None) -> bool:
        from detector.paper import pictures_of, to_html, to_pdf, with_pictures

        out = self.folder.places(path.stem, (".pdf", ".html", ".json"))
        if out is None:
            return False

        def make() -> str:
            pictures = () if verdict.status == "unreadable" else pictures_of(path, verdict, self.detector)
            # once through its text, so that whoever makes the report again from the file gets the same
            text = json.dumps(with_pictures(verdict.to_dict(), pictures), allow_nan=False)
            document = json.loads(text)
            pdf, page = to_pdf(document), to_html(document)
            for suffix, data in ((".pdf", pdf), (".html", page.encode("utf-8")), (".json", text.encode("ascii"))):
                _write(out[suffix], data)
            return f"Report: {self.folder.shown(str(out['.pdf']))}, and the same as .html and .json"

        return self.folder.kept(path, "report", make)


@dataclass(frozen=True)
class Sounds:
    """The sound of videos as WAV, for somebody who can examine voices."""

    folder: Folder

    def write(self, path: Path, verdict: FileVerdict, on_progress: OnProgress | None) -> bool:
        from detector.wav import write_wav

        if not isinstance(verdict, VideoVerdict) or verdict.provenance is None or verdict.provenance.sound is None:
            self.folder.say(f"No sound of {self.folder.shown(path.name)}: it has none.")
            return True
        out = self.folder.places(path.stem, (".wav",))
        if out is None:
            return False

        def make() -> str:
            data = io.BytesIO()
            seconds = write_wav(path, data)
            _write(out[".wav"], data.getvalue())
            return f"Sound: {self.folder.shown(str(out['.wav']))} ({seconds:.1f} s). The voice was not judged."

        return self.folder.kept(path, "sound", make)


@dataclass(frozen=True)
class Stills:
    """The most telling frame of a video and the faces, for a search and for people to look at."""

    folder: Folder

    def write(self, path: Path, verdict: FileVerdict, on_progress: OnProgress | None) -> bool:
        from detector.paper.pictures import stills_of

        def make() -> str:
            stills = stills_of(path, verdict)
            if not stills:
                return f"No still of {self.folder.shown(path.name)}: no face was found."
            out = self.folder.places(path.stem, [f".{name}.jpg" for name in stills])
            if out is None:
                raise _AlreadyThere
            for name, data in stills.items():
                _write(out[f".{name}.jpg"], data)
            return f"Stills: {', '.join(self.folder.shown(str(place)) for place in out.values())}"

        try:
            return self.folder.kept(path, "still", make)
        except _AlreadyThere:
            return False


@dataclass(frozen=True)
class Forensics:
    """Views of a JPEG's compression as PNG, with a text that says how each can mislead."""

    folder: Folder

    def write(self, path: Path, verdict: FileVerdict, on_progress: OnProgress | None) -> bool:
        from PIL import Image

        from detector.provenance.forensic import forensic_views, views_text

        def make() -> str:
            views = forensic_views(path)
            out = self.folder.places(path.stem, [".views.txt", *(f".{view.code}.png" for view in views)])
            if out is None:
                raise _AlreadyThere
            for view in views:
                data = io.BytesIO()
                Image.fromarray(view.image).save(data, "PNG")
                _write(out[f".{view.code}.png"], data.getvalue())
            about = views_text(views, path.name, verdict.sha256)
            _write(out[".views.txt"], about.encode("utf-8", "replace"))
            return f"Views: {', '.join(self.folder.shown(str(place)) for place in out.values())}"

        try:
            return self.folder.kept(path, "view", make)
        except _AlreadyThere:
            return False


class _AlreadyThere(Exception):
    """A file that was to be written exists; the complaint has been made."""


def _lacking(copy: "Annotated") -> str:
    """The parts of the original that a copy lacks, in brackets."""
    lacks = []
    if len(copy.spans) > 1 or any(start > 0 for start, _ in copy.spans):
        lacks.append(f"{sum(end - start for start, end in copy.spans):.1f} s of it, around the analysed frames")
    if copy.sound == "left out":
        lacks.append("without its sound, which could not be read")
    return f" ({'; '.join(lacks)})" if lacks else ""


def _write(place: Path, data: bytes) -> None:
    part = place.with_name(f".{secrets.token_hex(8)}.part")
    try:
        part.write_bytes(data)
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)
