"""`python -m detector FILE...`: one result a file, for people or, with --json, for programs.

`--csv` keeps every analysed point in a table, `--annotated` a copy of every file with what was found drawn onto it,
`--report` a report for an editor.
"""

import argparse
import logging
import math
import os
import stat
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from detector.console import print_anything
from detector.errors import DetectorError
from detector.progress import OnProgress
from detector.report import (
    PROBABILITY_HELP,
    HasFalseAlarms,
    error_rate_line,
    estimate,
    eyebrow,
    facts,
    headline,
    range_text,
    reason_text,
    to_csv,
    to_json,
)
from detector.takeaways import Copies, Folder, Forensics, Reports, Sounds, Stills, Takeaway
from detector.types import Box, Face, FileVerdict
from detector.version import __version__
from detector.words import caught_line, disagreement, edges_line, evidence_lines, falls_line, next_line, voice_line

if TYPE_CHECKING:  # they bring torch and FFmpeg, which --help does without
    from detector.explain.gradcam import Heatmap

EXIT_OK = 0
EXIT_ERROR = 1
EXIT_UNREADABLE = 2
EXIT_INTERRUPTED = 130


class FileDetector(Protocol):
    """The part of `detector.pipeline.Detector` that the command line needs."""

    @property
    def entry(self) -> HasFalseAlarms:
        """The manifest's entry of the networks in use."""
        ...

    def file(
        self,
        source: Path,
        *,
        max_frames: int,
        start_s: float | None,
        end_s: float | None,
        region: Box | None,
        on_progress: OnProgress | None,
    ) -> FileVerdict:
        """The verdict on one file; a file that cannot be read has one, too."""
        ...

    def explain(self, image: Any, face: Face) -> "Heatmap":
        """Where a network sees evidence; asked for --heatmaps alone."""
        ...


def main(
    argv: Sequence[str] | None = None,
    *,
    detector_factory: Callable[[str], FileDetector] | None = None,
) -> int:
    """Runs the command line.

    Args:
        argv: arguments without the program's name; None takes the process's own.
        detector_factory: makes the detector from the value of --models.

    Returns:
        Exit code: 0, 1 for wrong models or weights or what could not be written, 2 if any file could not be read.
    """
    print_anything()
    options = command_line_parser().parse_args(argv)
    # the decoders' complaints about broken files are in the verdict already
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s: %(message)s")
    try:
        return _run(options, detector_factory or _detector)
    except (DetectorError, _CannotWrite) as error:
        _complain(str(error))
        return EXIT_ERROR
    except KeyboardInterrupt:
        _complain("Stopped.")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # the reader has gone (`| head`): point stdout elsewhere, or the interpreter complains when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK


def command_line_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m detector",
        description="Evidence of manipulated faces in photos and videos, on this machine.",
        epilog=f"{PROBABILITY_HELP} Exit code: 0, 2 if any file could not be read, 1 if the networks are missing "
        "or something could not be written.",
    )
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="photo, video, or folder (with its subfolders)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a file, one a line, on standard output")
    parser.add_argument("--models", default="default", metavar="NAME", help="ensemble or single network to use")
    parser.add_argument(
        "--max-frames",
        type=_positive,
        default=32,
        metavar="N",
        help="frames of a video to look at (default: %(default)s)",
    )
    parser.add_argument(
        "--from",
        dest="start_s",
        type=_moment,
        metavar="TIME",
        help="look at a video from this time on alone: seconds, or 1:23:45.5 as players show it",
    )
    parser.add_argument(
        "--to", dest="end_s", type=_moment, metavar="TIME", help="look at a video up to this time alone"
    )
    parser.add_argument(
        "--region",
        type=_region,
        metavar="X0,Y0,X1,Y1",
        help="look for faces in this part of the picture alone: left, top, right and bottom in pixels, or as shares of "
        "its width and height (0.5,0,1,0.5 is the upper right quarter)",
    )
    parser.add_argument(
        "--csv",
        type=Path,
        metavar="OUT.csv",
        help="write every face, and of a video every analysed point of every person, to this table",
    )
    parser.add_argument(
        "--annotated",
        type=Path,
        metavar="DIR",
        help="write a copy of every file with boxes and bands drawn onto it to this folder: NAME.unmask.mp4 of a video "
        "(at most 1280 pixels and 60 seconds, of a long one the analysed parts), NAME.unmask.jpg of a photo",
    )
    parser.add_argument("--heatmaps", action="store_true", help="with --annotated: draw heatmaps, too")
    parser.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help="write a report on every file to this folder, for an editor and to keep: NAME.unmask.pdf, the same as "
        ".html, and the .json that both are made of",
    )
    parser.add_argument(
        "--sound", type=Path, metavar="DIR", help="write the sound of every video to this folder: NAME.unmask.wav"
    )
    parser.add_argument(
        "--stills",
        type=Path,
        metavar="DIR",
        help="write the faces, and of a video the most telling frame, to this folder, for a search: NAME.unmask.*.jpg",
    )
    parser.add_argument(
        "--forensics",
        type=Path,
        metavar="DIR",
        help="write views of the compression of every JPEG to this folder, and how each can mislead: NAME.unmask.*.png",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace what the options above would write if it is there already"
    )
    parser.add_argument("--version", action="version", version=f"Unmask {__version__}")
    return parser


def _run(options: argparse.Namespace, detector_factory: Callable[[str], FileDetector]) -> int:
    files, problems = collect(options.files)
    for problem in problems:
        _complain(problem)
    exit_code = EXIT_UNREADABLE if problems else EXIT_OK
    if not files:
        return exit_code
    _check_places(options, files)
    detector = detector_factory(options.models)
    takeaways = _takeaways(options, detector, files)
    lines = _Output("standard output", sys.stdout, needed=not takeaways and options.csv is None)
    with _table(options.csv) as table:
        for number, path in enumerate(files, 1):
            title = f"{number} of {len(files)}  {shown(path.name)}"
            try:
                with _progress(title) as on_progress:
                    verdict = detector.file(
                        path,
                        max_frames=options.max_frames,
                        start_s=options.start_s,
                        end_s=options.end_s,
                        region=options.region,
                        on_progress=on_progress,
                    )
            except DetectorError:
                raise  # of the networks: no other file would fare better
            except Exception:  # a bug keeps its traceback; the other files are looked at
                traceback.print_exc()
                _complain(f"{shown(str(path))}: not looked at, because of the error in Unmask that is shown above.")
                exit_code = EXIT_UNREADABLE
                continue
            if verdict.status == "unreadable":
                exit_code = EXIT_UNREADABLE
            text = to_json(verdict) if options.json else block(shown(str(path)), verdict, detector.entry)
            written = [lines.write(f"{text}\n"), table is None or table.write(to_csv(verdict, header=False))]
            for takeaway in takeaways:
                if verdict.status == "unreadable" and not isinstance(takeaway, Reports):
                    continue
                with _progress(title) as on_progress:
                    written.append(takeaway.write(path, verdict, on_progress))
            exit_code = exit_code or (EXIT_OK if all(written) else EXIT_ERROR)
    return exit_code


def _takeaways(options: argparse.Namespace, detector: FileDetector, files: Sequence[Path]) -> tuple[Takeaway, ...]:
    """All that is written beside every verdict; said among the results for a person, on stderr beside JSON."""
    say = _complain if options.json else lambda line: _tell(f"  {line}\n")
    taken = {path.resolve() for path in files}

    def folder(path: Path) -> Folder:
        return Folder(path, options.overwrite, say, _complain, shown, taken)

    takeaways: list[Takeaway] = []
    if options.annotated is not None:
        takeaways.append(Copies(folder(options.annotated), detector if options.heatmaps else None))
    if options.report is not None:
        takeaways.append(Reports(folder(options.report), detector))
    if options.sound is not None:
        takeaways.append(Sounds(folder(options.sound)))
    if options.stills is not None:
        takeaways.append(Stills(folder(options.stills)))
    if options.forensics is not None:
        takeaways.append(Forensics(folder(options.forensics)))
    return tuple(takeaways)


class _Output:
    """Takes text; where it can no longer be written, for instance on a full disk, says so once and the work goes on.

    Args:
        name: for the complaint.
        needed: nothing else is written, so that going on would be for nothing.
    """

    def __init__(self, name: str, file: TextIO, *, needed: bool = False) -> None:
        self._name, self._file, self._needed = name, file, needed
        self._failed = False

    def write(self, text: str) -> bool:
        """False if it could not be written."""
        if self._failed:
            return False
        try:
            self._file.write(text)
            self._file.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            self._failed = True
            complaint = _cannot_write(self._name, error)
            if self._needed:
                raise complaint from error
            _complain(str(complaint))
        return not self._failed


class _CannotWrite(Exception):
    """A table or folder that was asked for cannot be written; the message says what to do."""


def _check_places(options: argparse.Namespace, files: Sequence[Path]) -> None:
    """Complains about what cannot be written before anything is analysed."""
    table = options.csv
    if options.heatmaps and options.annotated is None:
        raise _CannotWrite("--heatmaps draws on the copies of --annotated: name their folder, too.")
    for folder in (options.annotated, options.report, options.sound, options.stills, options.forensics):
        if folder is not None and not folder.is_dir():
            raise _CannotWrite(f"{shown(str(folder))}: there is no such folder. Make it first.")
    if table is None:
        return
    if not table.parent.is_dir():
        raise _CannotWrite(f"{shown(str(table.parent))}: there is no such folder. Make it first.")
    if table.resolve() in {path.resolve() for path in files}:
        raise _CannotWrite(f"{shown(str(table))} is one of the files to look at. Choose another name for the table.")
    if table.exists() and not options.overwrite:
        raise _CannotWrite(f"{shown(str(table))} exists already. Choose another name, or replace it with --overwrite.")


@contextmanager
def _table(path: Path | None) -> Iterator[_Output | None]:
    """A writer of the rows of --csv, one file's after the other, so that an interrupt leaves those that are done."""
    if path is None:
        yield None
        return
    try:
        # the mark in front tells Excel the encoding; csv ends its lines itself
        file = path.open("w", encoding="utf-8-sig", newline="")
    except OSError as error:
        raise _cannot_write(shown(str(path)), error) from error
    table = _Output(shown(str(path)), file)
    try:
        table.write(to_csv())
        yield table
    finally:
        with suppress(OSError):  # what a full disk did not take was complained about
            file.close()


def _cannot_write(name: str, error: OSError) -> _CannotWrite:
    return _CannotWrite(f"{name}: {(error.strerror or 'cannot be written').lower()}.")


def collect(paths: Sequence[Path]) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """The files to look at, folders opened, and one line for each argument that gives none.

    Hidden files and links to folders inside a folder are passed over.
    """
    files: list[Path] = []
    problems: list[str] = []

    def note(error: OSError) -> None:
        problems.append(f"{shown(str(error.filename))}: {(error.strerror or 'cannot be opened').lower()}.")

    for path in paths:
        try:
            inside = _files_of(path, note)
        except OSError as error:
            problems.append(f"{shown(str(path))}: {(error.strerror or 'cannot be opened').lower()}.")
            continue
        files += inside
        if not inside:
            problems.append(f"{shown(str(path))}: {'no files in this folder' if path.is_dir() else 'not a file'}.")
    return tuple(files), tuple(problems)


def block(name: str, verdict: FileVerdict, entry: HasFalseAlarms) -> str:
    """The verdict for a person: a few lines, with an empty one after it."""
    lines = [name]
    summary, *lines_of_file = evidence_lines(verdict) or ("",)
    if summary:
        lines += [f"  The file says: {summary}", *(f"  - {line}" for line in lines_of_file), ""]
    if verdict.prob_fake is None:
        lines += [f"  {headline(verdict)}. {reason_text(verdict)}"]
    else:
        spread = range_text(verdict)
        lines += [
            f"  {headline(verdict)}  ({eyebrow(verdict)})",
            f"  {estimate(verdict)}" + (f"  ({spread})" if spread else ""),
        ]
        begin = edges_line(verdict)
        lines += [f"  {begin}"] if begin else []
    lines += [f"  - {fact}" for fact in facts(verdict)]
    rates = (error_rate_line(verdict, entry), caught_line(verdict), falls_line(verdict))
    lines += [f"  {line}" for line in (*rates, disagreement(verdict), voice_line(verdict.provenance)) if line]
    steps = next_line(verdict)
    lines += [f"  {steps}"] if steps else []
    return "\n".join([*lines, ""])


def shown(name: str) -> str:
    """A file's name as a terminal may show it: a name can hold control codes that would rewrite the screen."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)


@contextmanager
def _progress(title: str) -> Iterator[OnProgress | None]:
    """A bar on stderr that goes away when done; none where nobody watches."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[what]}"), TimeRemainingColumn())
    # stdout is the caller's: without redirect_stdout=False, rich would take it along to stderr
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as progress:
        task = progress.add_task(escape(title), total=1.0, what="")

        def on_progress(done: float, what: str) -> None:
            progress.update(task, completed=done, what=escape(what))

        yield on_progress


def _detector(models: str) -> FileDetector:
    from detector.engine import leave_cores_free
    from detector.pipeline import Detector

    leave_cores_free()
    return Detector(models)


def _files_of(path: Path, on_error: Callable[[OSError], None]) -> list[Path]:
    if path.is_dir():
        paths = []
        for folder, inner, names in os.walk(path, onerror=on_error):
            inner[:] = [name for name in inner if not name.startswith(".")]
            paths += [Path(folder, name) for name in names if not name.startswith(".")]
        return sorted(p for p in paths if _is_regular(p))
    # stat tells what is missing and what is forbidden; is_file() alone does not
    return [path] if stat.S_ISREG(path.stat().st_mode) else []


def _is_regular(path: Path) -> bool:
    """Whether it is worth a try; what may not be looked at is, so that it is complained about."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return False  # gone meanwhile, or a link to nowhere
    except OSError:
        return True


def _moment(text: str) -> float:
    """Seconds of "83", "83.5", "1:23.5" or "1:02:03"."""
    parts = text.split(":")
    if not 1 <= len(parts) <= 3 or not all(part.isascii() and part.replace(".", "", 1).isdigit() for part in parts):
        raise argparse.ArgumentTypeError("expected seconds, or a time such as 1:23 or 1:02:03.5")
    if any("." in part for part in parts[:-1]):
        raise argparse.ArgumentTypeError("expected a point only in the seconds, as in 1:02:03.5")
    return sum(float(part) * 60.0**i for i, part in enumerate(reversed(parts)))


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError("expected a whole number of at least 1")
    return int(text)


def _region(text: str) -> Box:
    try:
        x0, y0, x1, y1 = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError("expected four numbers with commas: left,top,right,bottom") from None
    if not (0 <= x0 < x1 < math.inf and 0 <= y0 < y1 < math.inf):
        raise argparse.ArgumentTypeError("expected left below right and top below bottom, none below 0")
    return (x0, y0, x1, y1)


def _tell(line: str) -> None:
    # where standard output is full, that was said already
    with suppress(OSError):
        print(line, flush=True)


def _complain(line: str) -> None:
    print(f"detector: {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
