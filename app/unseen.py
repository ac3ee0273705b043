"""The part of a file that was not judged, as the line above the headline, and the check that would judge it. Pure."""

import math
from dataclasses import dataclass

from app.charts import seconds
from app.look import FRAMES, Look
from detector import Coverage, FileVerdict, VideoVerdict, report
from detector.words import percent


@dataclass(frozen=True, slots=True)
class Unseen:
    """A line, and beside it the button for the rest; no look where nothing more can be looked at."""

    text: str
    button: str = ""
    look: Look | None = None


def unseen(verdict: FileVerdict) -> Unseen | None:
    """The part that was not looked at; None where all or nearly all of the file was."""
    coverage = verdict.coverage
    if verdict.region is not None and (coverage is None or coverage.part_s is None):
        return Unseen("Only the chosen part of the picture was looked at.", "Check the whole picture", Look())
    if not isinstance(verdict, VideoVerdict) or coverage is None:
        return None
    text = _text(coverage)
    if not text:
        return None
    broken = " The file breaks off: look for a whole copy." if coverage.incomplete else ""
    if coverage.part_s is not None:
        return Unseen(text + broken, "Check the whole video", Look())
    if coverage.stopped:
        return Unseen(text + broken, "Check the rest", Look(start_s=_read_until(verdict, coverage)))
    frames = _more_frames(verdict, coverage)
    if frames is None:
        return Unseen(f"{text}{broken}")
    return Unseen(text + broken, "Check the rest", Look(max_frames=frames))


def _text(coverage: Coverage) -> str:
    whole = coverage.duration_s
    if coverage.part_s is not None:
        start, end = coverage.part_s
        of = f" of {seconds(whole)}" if whole is not None else ""
        return f"Only the part from {start:.1f} to {seconds(end)}{of} was looked at, as asked."
    if coverage.stopped:
        return f"Stopped early, because reading this file took too much work: {_share(coverage)}."
    if coverage.share < report.LOW_COVERAGE and coverage.available_s is None:
        return f"A sample: {coverage.frames} frames from start to end, {_share(coverage)}."
    if coverage.incomplete:
        return f"A part of the file is missing: {_share(coverage)}."
    return ""


def _share(coverage: Coverage) -> str:
    if coverage.analysed_s is None or coverage.duration_s is None:
        return "how much that is of the whole is unknown"
    seen, whole = seconds(coverage.analysed_s), seconds(coverage.duration_s - coverage.start_s)
    return f"{seen} of {whole} were looked at, {percent(coverage.share)}"


def _read_until(verdict: VideoVerdict, coverage: Coverage) -> float:
    """Seconds up to which a video was read that was stopped early: frames are read in order."""
    times = [point.time_s for person in verdict.persons for point in person.timeline]
    return max([coverage.start_s + (coverage.analysed_s or 0.0), *times])


def _more_frames(verdict: VideoVerdict, coverage: Coverage) -> int | None:
    """Frames for one a second, as far as there is a choice of so many; None where that is no more than there were."""
    there_s = coverage.available_s or coverage.duration_s
    if there_s is None or coverage.share >= report.LOW_COVERAGE:
        return None
    wanted = next((n for n in FRAMES if n >= math.ceil(there_s)), FRAMES[-1])
    return wanted if wanted > (verdict.max_frames or coverage.frames) else None
