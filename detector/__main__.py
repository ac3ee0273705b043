"""`python -m detector FILE...`: one result a file, for people or, with --json, for programs."""

import argparse
import logging
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from detector.errors import DetectorError
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
    to_json,
)
from detector.types import FileVerdict
from detector.version import __version__

EXIT_OK = 0
EXIT_ERROR = 1
EXIT_UNREADABLE = 2
EXIT_INTERRUPTED = 130

OnProgress = Callable[[float, str], None]


class FileDetector(Protocol):
    """The part of `detector.pipeline.Detector` that the command line needs."""

    @property
    def entry(self) -> HasFalseAlarms:
        """What was measured of the networks in use."""
        ...

    def file(self, source: Path, *, max_frames: int, on_progress: OnProgress | None) -> FileVerdict:
        """The verdict on one file; a file that cannot be read has one, too."""
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
        Exit code: 0, 1 for wrong models or weights, 2 if any file could not be read.
    """
    options = _parser().parse_args(argv)
    # the decoders' complaints about broken files are in the verdict already
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s: %(message)s")
    try:
        return _run(options, detector_factory or _detector)
    except DetectorError as error:
        _complain(str(error))
        return EXIT_ERROR
    except KeyboardInterrupt:
        _complain("Stopped.")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # the reader has gone (`| head`): point stdout elsewhere, or the interpreter complains when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m detector",
        description="Evidence of manipulated faces in photos and videos, on this machine.",
        epilog=f"{PROBABILITY_HELP} Exit code: 0, 2 if any file could not be read, 1 if the networks are missing.",
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
    parser.add_argument("--version", action="version", version=f"Unmask {__version__}")
    return parser


def _run(options: argparse.Namespace, detector_factory: Callable[[str], FileDetector]) -> int:
    files, problems = collect(options.files)
    for problem in problems:
        _complain(problem)
    exit_code = EXIT_UNREADABLE if problems else EXIT_OK
    if not files:
        return exit_code
    detector = detector_factory(options.models)
    for number, path in enumerate(files, 1):
        with _progress(f"{number} of {len(files)}  {shown(path.name)}") as on_progress:
            verdict = detector.file(path, max_frames=options.max_frames, on_progress=on_progress)
        if verdict.status == "unreadable":
            exit_code = EXIT_UNREADABLE
        print(to_json(verdict) if options.json else block(shown(str(path)), verdict, detector.entry), flush=True)
    return exit_code


def collect(paths: Sequence[Path]) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """The files to look at, folders opened, and one line for each argument that gives none.

    Hidden files and links to folders inside a folder are passed over.
    """
    files: list[Path] = []
    problems: list[str] = []
    for path in paths:
        try:
            found = _files_of(path)
        except OSError as error:
            problems.append(f"{shown(str(path))}: {(error.strerror or 'cannot be opened').lower()}.")
            continue
        files += found
        if not found:
            problems.append(f"{shown(str(path))}: {'no files in this folder' if path.is_dir() else 'not a file'}.")
    return tuple(files), tuple(problems)


def block(name: str, verdict: FileVerdict, entry: HasFalseAlarms) -> str:
    """The verdict for a person: a few lines, with an empty one after it."""
    lines = [name]
    if verdict.prob_fake is None:
        lines += [f"  {headline(verdict)}. {reason_text(verdict)}"]
    else:
        spread = range_text(verdict)
        lines += [
            f"  {headline(verdict)}  ({eyebrow(verdict)})",
            f"  {estimate(verdict)}" + (f"  ({spread})" if spread else ""),
        ]
    lines += [f"  - {fact}" for fact in facts(verdict)]
    rate = error_rate_line(verdict, entry)
    if rate:
        lines.append(f"  {rate}")
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


def _files_of(path: Path) -> list[Path]:
    if path.is_dir():
        return [p for p in sorted(path.rglob("*")) if p.is_file() and not _hidden(p.relative_to(path))]
    # stat tells what is missing and what is forbidden; is_file() alone does not
    return [path] if stat.S_ISREG(path.stat().st_mode) else []


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError("expected a whole number of at least 1")
    return int(text)


def _complain(line: str) -> None:
    print(f"detector: {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
