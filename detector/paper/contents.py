"""The JSON of a verdict → the content of its report, in blocks. Every word comes from where the page has it."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from PIL import Image

from detector import report
from detector.evidence import Line, Provenance
from detector.paper import charts
from detector.paper.blocks import MAX_SUBJECTS, WHOLE, Block, Bullets, Figure, Figures, Heading, Name, Paragraph, Table
from detector.stored import verdict_of
from detector.types import Box, FaceVerdict, FileVerdict, ImageVerdict, Person, VideoVerdict
from detector.words import (
    BASIS_WORDS,
    HISTORY_TITLE,
    LABELS_TITLE,
    caught_line,
    disagreement,
    falls_line,
    percent,
    reason_of_one,
    resaved_line,
    score_of,
    side_of,
    span_percent,
    voice_line,
)

TITLE = "Unmask report"
_WHOLE_WIDTH, _FACE_WIDTH = 0.5, 0.3
LIMITS = (
    "Unmask looks for traces of manipulation in faces. It cannot tell whether a scene is staged, a caption is wrong or "
    "a voice is cloned.",
    "Little evidence does not clear a file: manipulations of a new kind, and strong compression, can leave no trace "
    "that these networks know.",
    "A map shows where a network found what speaks for manipulation. It is not a map of what was changed.",
    "What a file says about itself can be removed or forged, unless it is signed; and a signature is as good as its "
    "signer.",
    "This report is a lead, not proof. Ask for the original, and for a second source.",
)
_FACTS = {"binding": "Bytes", "signature": "Signature", "signer": "Signer", "time": "Time", "claim": "Statement"}


def contents(document: Mapping[str, Any]) -> tuple[Block, ...]:
    """The blocks of a report, in order.

    Args:
        document: a verdict in schema version 2, with its `pictures` if there are any.

    Raises:
        ValueError: not such a document.
    """
    verdict = verdict_of(document)
    pictures = document.get("pictures", [])
    return (
        Heading(TITLE),
        *_finding(verdict),
        *_file(verdict, pictures),
        *_said(verdict),
        *_subjects(verdict, pictures),
        *_rates(verdict),
        Heading("Limits", 2),
        Bullets(LIMITS),
        *_next(verdict),
        *_made(verdict),
    )


def title(document: Mapping[str, Any]) -> str:
    """The title of the document for its properties: it tells reports of different files apart."""
    return f"{TITLE}, SHA-256 {document.get('sha256', '')[:12] or 'unknown'}"


def _finding(verdict: FileVerdict) -> Iterator[Block]:
    if verdict.provenance is not None and verdict.provenance.tells:
        yield Paragraph(f"The file says: {verdict.provenance.summary}")
    yield Paragraph(report.headline(verdict), "lead")
    if verdict.band is None:
        yield Paragraph(report.reason_text(verdict))
    yield Paragraph(report.quote(verdict), "quote")
    if verdict.prob_fake is not None and verdict.thresholds is not None:
        spread = report.range_text(verdict)
        yield Figure(
            charts.scale(verdict.prob_fake, verdict.range, verdict.thresholds),
            "image/svg+xml",
            f"Scale of evidence from little to very strong, with a line at {report.estimate(verdict)}.",
            f"{report.eyebrow(verdict)}: {report.estimate(verdict)}{f' ({spread})' if spread else ''}. The bar has "
            f"four bands: little, weak from {percent(verdict.thresholds.weak)}, strong from "
            f"{percent(verdict.thresholds.strong)}, very strong from "
            f"{percent(verdict.thresholds.very_strong)}. The line is this file, the frame its spread.",
        )
        yield Paragraph(report.PROBABILITY_HELP, "small")
    facts = (*report.facts(verdict), *filter(None, (voice_line(verdict.provenance),)))
    if facts:
        yield Bullets(facts)
    apart = disagreement(verdict)
    if apart:
        yield Paragraph(apart)


def _file(verdict: FileVerdict, pictures: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    yield Heading("The file", 2)
    coverage, kind = verdict.coverage, {"image": "photo", "video": "video", "unknown": "not known"}[verdict.kind]
    rows: list[tuple[str, str]] = [("Name as received", Name(verdict.file)), ("Kind", kind)]
    if verdict.size_bytes is not None:
        rows.append(("Size", f"{verdict.size_bytes:,} bytes"))
    if verdict.width and verdict.height:
        rows.append(("Picture", f"{verdict.width} × {verdict.height} pixels"))
    if coverage is not None and coverage.duration_s is not None:
        rows.append(("Duration", f"{coverage.duration_s:.2f} s"))
        rows.append(("Looked at", f"{coverage.frames} frames, {percent(coverage.share)} of the time"))
    rows.append(("SHA-256", verdict.sha256 or "the file could not be opened"))
    if verdict.provenance is not None and verdict.provenance.perceptual_hash:
        rows.append(("Perceptual hash", f"{verdict.provenance.perceptual_hash} (likeness, not identity)"))
    if verdict.provenance is not None and verdict.provenance.frame_hashes:
        hashes = ", ".join(f"{one.hash} at {one.time_s:.1f} s" for one in verdict.provenance.frame_hashes)
        rows.append(("Perceptual hashes", f"{hashes} (likeness, not identity)"))
    rows.append(("Analysed", _utc(verdict.date)))
    yield Table((), tuple(rows))
    yield from _pictures(pictures, WHOLE, _WHOLE_WIDTH)
    yield Paragraph(
        "This report and its pictures are derived from the file with this hash. The file itself was only read.", "small"
    )


def _utc(date: str) -> str:
    """An ISO 8601 time for people."""
    return f"{datetime.fromisoformat(date).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _said(verdict: FileVerdict) -> Iterator[Block]:
    provenance = verdict.provenance
    if provenance is None:
        return
    yield Heading("What the file says about itself", 2)
    yield Paragraph(provenance.summary)
    yield Heading("Content Credentials", 3)
    yield Paragraph(provenance.credentials.text)
    lines = (*provenance.credentials.facts, *provenance.credentials.claims)
    if lines:
        yield Table(("Fact", "Finding"), tuple((_FACTS[line.code.partition(".")[0]], line.text) for line in lines))
    yield from _lines(LABELS_TITLE, provenance.marks, _no_marks(provenance))
    yield from _lines(HISTORY_TITLE, provenance.history, "")
    if provenance.problem:
        yield Paragraph(provenance.problem)


def _no_marks(provenance: Provenance) -> str:
    if provenance.credentials.state == "not_read":
        return ""
    return "None found. That means nothing: labels are easily lost or removed."


def _lines(heading: str, lines: Sequence[Line], without: str) -> Iterator[Block]:
    if not lines and not without:
        return
    yield Heading(heading, 3)
    if not lines:
        yield Paragraph(without)
        return
    rows = tuple((line.text, line.where, BASIS_WORDS[line.basis]) for line in lines)
    yield Table(("Finding", "Where", "How it is known"), rows)


def _subjects(verdict: FileVerdict, pictures: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    subjects: Sequence[FaceVerdict | Person] = ()
    if isinstance(verdict, ImageVerdict):
        subjects = verdict.faces
    elif isinstance(verdict, VideoVerdict):
        subjects = verdict.persons
    if not subjects:
        return
    noun = "face" if isinstance(verdict, ImageVerdict) else "person"
    yield Heading({"face": "Faces", "person": "Persons"}[noun], 2)
    if len(subjects) > MAX_SUBJECTS:
        yield Paragraph(f"The {MAX_SUBJECTS} most suspicious of {len(subjects)}; the JSON has all.")
    for one in subjects[:MAX_SUBJECTS]:
        yield Heading(f"{noun.capitalize()} {one.number}: {report.band_word(one.band)}", 3)
        yield from _pictures(pictures, one.number, _FACE_WIDTH)
        yield Table((), tuple(_about(one)))
        if isinstance(one, Person) and verdict.thresholds and verdict.coverage and verdict.coverage.duration_s:
            yield _timeline(one, verdict.coverage.duration_s, verdict)


def _pictures(pictures: Sequence[Mapping[str, Any]], number: int, width: float) -> Iterator[Block]:
    own = [picture for picture in pictures if picture["number"] == number]
    if own:
        yield Figures(tuple(_figure(picture, width) for picture in own))


def _figure(picture: Mapping[str, Any], width: float) -> Figure:
    """A picture that is no higher than a square of this width, or a high one would leave half a page empty."""
    data = base64.b64decode(picture["data"], validate=True)
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            width *= min(1.0, image.width / image.height)
    except OSError as error:
        raise ValueError("a picture of the document cannot be read") from error
    return Figure(data, picture["mime"], picture["alt"], picture["alt"], width)


def _timeline(person: Person, duration_s: float, verdict: FileVerdict) -> Block:
    assert verdict.thresholds is not None
    when = ""
    if person.worst_window_s:
        when = (
            f" Shaded: {person.worst_window_s[0]:.1f} s to {person.worst_window_s[1]:.1f} s, the most suspicious part."
        )
    return Figure(
        charts.timeline(person, duration_s, verdict.thresholds),
        "image/svg+xml",
        f"Timeline of person {person.number} over {duration_s:.1f} s.{when}",
        f"From 0 s on the left to {duration_s:.1f} s on the right; dots are frames that were judged, from 0 % at the "
        "bottom to 100 % at the top, the line is their smoothed course, and the thin lines are the edges of the bands."
        f"{when}",
    )


def _about(one: FaceVerdict | Person) -> Iterator[tuple[str, str]]:
    yield "Evidence", report.band_word(one.band) if one.band else f"none: {reason_of_one(one.reason)}"
    if one.prob_fake is not None:
        yield "Score", report.estimate(one)
        if one.votes is None:
            yield "Probability", percent(one.prob_fake)
    if isinstance(one, FaceVerdict) and (fallen := resaved_line(one)):
        yield "Copies", fallen
    if one.range is not None:
        yield "Stability", report.range_of(one.range)
    if isinstance(one, FaceVerdict):
        yield "Size", side_of(one.face)
        yield "Sharpness", f"{one.sharpness:.0f}"
    else:
        yield "On screen", f"{one.on_screen_s:.1f} s, judged in {one.usable_frames} of {len(one.timeline)} frames"
        sizes = [point.face.side_px for point in one.timeline]
        if sizes:
            span = f"{min(sizes)} to {max(sizes)}" if min(sizes) < max(sizes) else f"{sizes[0]}"
            yield "Size", f"{span} pixels on the face's longer side"
        if one.worst_window_s:
            yield "Most suspicious", f"{one.worst_window_s[0]:.1f} s to {one.worst_window_s[1]:.1f} s"
    for score in one.scores:
        side = "above" if score.above_threshold else "below"
        edge = f" of {score_of(score.threshold)}" if score.threshold is not None else ""
        yield report.network_name(score.model), f"{score_of(score.prob_fake)} of 100, {side} its own threshold{edge}"


def _rates(verdict: FileVerdict) -> Iterator[Block]:
    if verdict.measured is None:
        return
    line = report.error_rate_line(verdict, verdict.measured)
    rates = verdict.measured.clip_false_alarms if verdict.kind == "video" else verdict.measured.false_alarms
    rows = tuple(
        (
            report.BAND_WORDS[band],
            f"{rate.k:g} of {rate.n}",
            span_percent(rate.low, rate.high),
        )
        for band, rate in rates.items()
        if band in report.BAND_WORDS
    )
    if not line and not rows:
        return
    yield Heading("Measured error rates", 2)
    for text in filter(None, (line, caught_line(verdict), falls_line(verdict))):
        yield Paragraph(text)
    if rows:
        whom = "Persons in genuine videos" if verdict.kind == "video" else "Genuine media"
        yield Table(("Band or stronger", f"{whom} that reached it", "95 % interval"), rows)
        if any(rate.k % 1 for rate in rates.values()):
            yield Paragraph("A person with several videos counts once, in parts where they differ.", "small")
    cap = report.cap_text(verdict)
    if cap:
        yield Paragraph(cap)


def _next(verdict: FileVerdict) -> Iterator[Block]:
    if not verdict.next_steps:
        return
    yield Heading("What to do next", 2)
    yield Bullets(
        tuple(
            " ".join(filter(None, (f"{step.title}.", step.text, step.link, step.privacy)))
            for step in verdict.next_steps
        )
    )


def _made(verdict: FileVerdict) -> Iterator[Block]:
    yield Heading("How this was made", 2)
    rows: list[tuple[str, str]] = [
        ("Tool", f"Unmask {verdict.version}"),
        ("Weights", verdict.weights_date or "not stated"),
        ("Networks", f"{verdict.ensemble}: {', '.join(report.network_name(m.name) for m in verdict.models) or 'none'}"),
    ]
    rows += [(f"{report.network_name(m.name)}, SHA-256", m.sha256) for m in verdict.models]
    if verdict.engines:
        by_engine: dict[str, list[str]] = {}
        for name, engine in sorted(verdict.engines.items()):
            by_engine.setdefault(engine, []).append("faces found" if name == "faces" else report.network_name(name))
        rows.append(("Computed by", "; ".join(f"{e} ({', '.join(names)})" for e, names in by_engine.items())))
    rows += _asked_for(verdict)
    if verdict.provenance is not None and verdict.provenance.credentials.trust_list:
        rows.append(("Trust lists", f"C2PA, {verdict.provenance.credentials.trust_list}"))
    yield Table((), tuple(rows))
    yield Heading("How to cite", 3)
    yield Paragraph(
        f"Unmask {verdict.version}, weights {verdict.weights_date or 'unknown'}, analysis of {_utc(verdict.date)} of "
        f"the file with SHA-256 {verdict.sha256 or 'unknown'}."
    )
    yield Heading("How to repeat", 3)
    yield Paragraph(
        f"Install Unmask {verdict.version} with the weights of {verdict.weights_date or 'that date'}, check that the "
        f"file has the hash above, and run: python -m detector --json {_options(verdict)} FILE. The "
        "report itself is made of its JSON alone; the same JSON and version give the same bytes."
    )


def _asked_for(verdict: FileVerdict) -> Iterator[tuple[str, str]]:
    """The caller's choices beside the networks."""
    part = verdict.coverage.part_s if verdict.coverage is not None else None
    if verdict.max_frames is not None:
        yield "Frames asked for", str(verdict.max_frames)
    if part is not None:
        yield "Part asked for", f"{part[0]:.2f} s to {part[1]:.2f} s"
    if verdict.region is not None:
        yield "Region asked for", f"{_region(verdict.region)} (left, top, right, bottom in pixels)"


def _options(verdict: FileVerdict) -> str:
    """The same as options of the command line."""
    part = verdict.coverage.part_s if verdict.coverage is not None else None
    options = [f"--models {verdict.ensemble}"]
    options += [f"--max-frames {verdict.max_frames}"] if verdict.max_frames is not None else []
    options += [f"--from {part[0]:.2f} --to {part[1]:.2f}"] if part is not None else []
    options += [f"--region {_region(verdict.region)}"] if verdict.region is not None else []
    return " ".join(options)


def _region(region: Box) -> str:
    return ",".join(f"{value:.0f}" for value in region)
