"""A verdict in words, as JSON and as a table; app and CLI say the same because both ask here.

A band is never named "real", "fake" or "authentic", and no number claims certainty. Every line states something that
was measured.
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from detector.calibration import BAND_RATES, VIDEO_BAND_RATES
from detector.types import (
    REASONS,
    Band,
    Coverage,
    FaceVerdict,
    FileVerdict,
    ImageVerdict,
    Person,
    ProbRange,
    Score,
    VideoVerdict,
)
from detector.words import (
    apart_line,
    asides,
    crowd_line,
    fragile,
    listed,
    part_that_stands_out,
    percent,
    photo_line,
    picture_line,
    resaved_line,
    score_of,
    side_of,
    span_percent,
    turned_line,
)

if TYPE_CHECKING:
    from detector.types import FalseAlarms

BAND_WORDS: dict[Band, str] = {"little": "little", "weak": "weak", "strong": "strong", "very_strong": "very strong"}

LOW_COVERAGE = 0.9
"""Share of a video that was looked at below which headline and quotation name it."""

PROBABILITY_HELP = (
    "The probability assumes as many manipulated as genuine files. It is not the chance that this one file was "
    "manipulated: that also depends on where the file comes from."
)

CSV_COLUMNS: dict[str, str] = {
    "file": "name of the file, without its folder",
    "sha256": "hash of its bytes",
    "kind": "image, video or unknown",
    "number": "face of a photo or person of a video, from 1, most suspicious first; empty in a file without any",
    "time_s": "seconds from the start of the video; empty for a photo",
    "x0": "left edge of the face in pixels of the upright picture",
    "y0": "top edge",
    "x1": "right edge",
    "y1": "bottom edge",
    "prob_fake": "of this face in this picture, 0 to 1; empty where it was not judged",
    "smoothed": "the same, smoothed over the frames of this person; empty for a photo",
    "overall": "the face's or person's probability over the whole file; empty without a verdict",
    "band": "the face's or person's band over the whole file: little, weak, strong or very_strong; empty without one",
    "reason": "why the face, person or file has no verdict, as a code; empty if it has one",
}
"""Columns of `to_csv`, in order, and what they hold."""

_NETWORK_NAMES = {
    "resnet18": "ResNet-18",
    "resnet32": "ResNet-32",
    "resnet32_discriminator": "ResNet-32, discriminator",
    "resnet50": "ResNet-50",
    "vgg16": "VGG-16",
    "densenet121": "DenseNet-121",
    "xception": "Xception",
    "mobilenet_v2": "MobileNetV2",
    "efficientnet_b0": "EfficientNet-B0",
    "efficientnet_b2": "EfficientNet-B2",
    "efficientnet_b4": "EfficientNet-B4",
    "meso4": "Meso-4",
    "mesoinception4": "MesoInception-4",
    "vit_tiny": "ViT-Tiny",
    "npr": "NPR",
    "hybrid": "Hybrid",
}

_NUMBER_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class HasFalseAlarms(Protocol):
    """The part of a `detector.manifest.Entry` that `error_rate_line` reads."""

    @property
    def false_alarms(self) -> "FalseAlarms":
        """Band -> n, k, low, high: k of n genuine media of unseen sources reached it; 95 % interval as parts of one."""
        ...

    @property
    def clip_false_alarms(self) -> "FalseAlarms":
        """The same of persons in genuine videos; empty where it was not measured."""
        ...


def band_word(band: Band | None) -> str:
    """The band in a word or two: "little", "weak", "strong", "very strong"; "no verdict" for None."""
    return "no verdict" if band is None else BAND_WORDS[band]


def estimate(judged: FileVerdict | FaceVerdict | Person) -> str:
    """The figure of a file, face or person: "81 of 100", or "2 of 3 networks" where networks vote; empty without one.

    It is a place on the evidence scale and no chance, so it has no percent sign. A vote is a count: a figure of 100
    would claim more steps than it has.
    """
    if judged.prob_fake is None:
        return ""
    parts = _parts(judged)[1] if isinstance(judged, FileVerdict) else (judged,)
    if _counted(parts):
        return f"{parts[0].votes} of {len(parts[0].scores)} networks"
    return f"{score_of(judged.prob_fake)} of 100"


def network_name(name: str) -> str:
    """A network's name as its authors write it; a name that is not known here stays as it is."""
    return _NETWORK_NAMES.get(name, name)


def headline(verdict: FileVerdict) -> str:
    """The finding, before any number: "Strong evidence of manipulation" or "No verdict".

    Of a video of which less than `LOW_COVERAGE` was looked at, or not all is there, it says so; also that a band
    falls when the photo is saved again, which picture of several it is about, and which part of a video stands out.
    """
    finding = "No verdict"
    if verdict.band is not None:
        finding = f"{BAND_WORDS[verdict.band].capitalize()} evidence of manipulation"
    beside = ", ".join(part for part in (coverage_words(verdict), *asides(verdict)) if part)
    return f"{finding} ({beside})" if beside else finding


def coverage_words(verdict: FileVerdict) -> str:
    """A warning of how little of a video was looked at; empty where that is most of it.

    "3 % of the video looked at", "12.0 to 20.0 s looked at", "incomplete file".
    """
    coverage = verdict.coverage
    if verdict.kind != "video" or coverage is None:
        return ""
    words = []
    if coverage.part_s is not None:
        words.append(f"{_whole_seconds(coverage.part_s)} looked at")
    elif coverage.share < LOW_COVERAGE:
        words.append(f"{_share_words(coverage)} looked at")
    if coverage.incomplete:
        words.append("incomplete file")
    if coverage.stopped:
        words.append("reading stopped early")
    return ", ".join(words)


def reason_text(verdict: FileVerdict) -> str:
    """Why there is no verdict and what to try, in one or two sentences; empty when there is one."""
    if verdict.band is not None:
        return ""
    return verdict.message or REASONS.get(verdict.reason or "", REASONS["unreadable"])


def eyebrow(verdict: FileVerdict) -> str:
    """Which face or person the headline is about: "Person 1 of 3, the most suspicious"; "Photo" without a verdict."""
    noun, parts = _parts(verdict)
    if verdict.band is None or not parts:
        return {"image": "Photo", "video": "Video", "unknown": "File"}[verdict.kind]
    if len(parts) == 1:
        return f"The only {noun} found"
    return f"{noun.capitalize()} {parts[0].number} of {len(parts)}, the most suspicious"


def range_text(verdict: FileVerdict) -> str:
    """Its spread: "if saved again 74 to 87" for a photo, "95 % interval ..." for a video, else empty."""
    return "" if verdict.range is None else range_of(verdict.range)


def range_of(value: ProbRange) -> str:
    """The same for one face or person."""
    what = "if saved again" if value.kind == "re-encoding" else "95 % interval"
    return f"{what} {span_percent(value.low, value.high).removesuffix(' %')}"


Aspect = Literal["where", "sure", "seen", "more"]
"""What a fact answers: where something is suspicious, how sure that is, how much was seen; or it goes beyond that."""


def facts(verdict: FileVerdict) -> tuple[str, ...]:
    """Short lines, each one measured, what changes the reading of the headline first.

    With a verdict: what stands out or does not outlast a copy, where the bands begin if the score looks high for its
    band, how many networks lean towards manipulation, how many faces or persons could be judged, and how much was
    looked at when that is not all. Without one: what was looked at. Empty for a file that could not be read.
    """
    return tuple(line for _, line in facts_by_aspect(verdict))


def facts_by_aspect(verdict: FileVerdict) -> tuple[tuple[Aspect, str], ...]:
    """The same lines in the same order, each with what it answers."""
    facts: tuple[tuple[Aspect, str], ...] = ()
    if verdict.status == "unreadable":
        return facts
    high: tuple[Aspect, str] = ("sure", _high_for_little(verdict))
    if isinstance(verdict, ImageVerdict):
        facts = (
            ("where", crowd_line(verdict.crowd)),
            *(("more", resaved_line(face)) for face in verdict.faces[:1]),
            high,
            *_image_facts(verdict),
            ("seen", turned_line([f.face for f in verdict.faces])),
            ("seen", picture_line(verdict)),
        )
    elif isinstance(verdict, VideoVerdict):
        seen = [point.face for person in verdict.persons[:1] for point in person.timeline]
        facts = (
            ("where", apart_line(verdict)),
            high,
            *_video_facts(verdict),
            *(("more", photo_line(p)) for p in verdict.persons[:1]),
            ("seen", turned_line(seen)),
        )
    return tuple((aspect, line) for aspect, line in facts if line)


def error_rate_line(verdict: FileVerdict, entry: HasFalseAlarms) -> str:
    """How often genuine media get this band; empty without a verdict or when it was not measured.

    What was measured counts genuine media at or above a band, so for "little" the line gives those below "weak".

    Args:
        entry: the network or ensemble that gave the verdict, as the manifest has it.
    """
    if verdict.band is None:
        return ""
    of_videos = verdict.kind == "video"
    rates = entry.clip_false_alarms if of_videos else entry.false_alarms
    measured = rates.get("weak" if verdict.band == "little" else verdict.band)
    if measured is None:
        return "How often this version alarms on genuine videos was not measured." if of_videos else ""
    n, k = measured.n, int(measured.k)
    genuine = "persons in genuine videos that set no edge" if of_videos else "genuine media from sources it never saw"
    low, high = measured.low, measured.high
    if verdict.band == "little":
        return (
            f"On {genuine}, this version stays in this band in {n - k} of {n} "
            f"(95 % interval {span_percent(1 - high, 1 - low)}). Manipulations of a new kind can stay in it too."
        )
    this = "this band" if verdict.band == "very_strong" else "this band or a stronger one"
    return f"On {genuine}, this version reaches {this} in {k} of {n} (95 % interval {span_percent(low, high)})."


def promised_rates(verdict: FileVerdict) -> dict[Band, float]:
    """Band -> the share of genuine faces, or of genuine persons in videos, that reaches it or a stronger one."""
    return dict(VIDEO_BAND_RATES if verdict.kind == "video" else BAND_RATES)


def cap_text(verdict: FileVerdict) -> str:
    """Why a video cannot get a stronger band with these weights; empty where every band can be given."""
    cap = verdict.band_cap if isinstance(verdict, VideoVerdict) else None
    if cap is None:
        return ""
    return f"With these weights a video gets at most “{BAND_WORDS[cap.band]}”. {cap.message}"


def quote(verdict: FileVerdict) -> str:
    """A quotation for journalists: the finding with version and date of the weights, and what it is worth."""
    tool = f"Unmask {verdict.version}" + (f" (weights {verdict.weights_date})" if verdict.weights_date else "")
    medium = {"image": "photo", "video": "video", "unknown": "file"}[verdict.kind]
    seen = _seen_sentence(verdict)
    if verdict.band is None:
        # the first sentence of the table, not the message: a quotation gives no advice
        reason = REASONS.get(verdict.reason or "", REASONS["unreadable"]).rstrip(".")
        return (
            f"{tool} gives no verdict on this {medium}: {reason[0].lower()}{reason[1:]}. {seen}"
            "That says nothing for or against manipulation."
        )
    noun, parts = _parts(verdict)
    whose = f"the face in this {medium}"
    if len(parts) > 1:
        number = f"{parts[0].number} of {len(parts)}"
        whose = f"face {number} in this photo" if noun == "face" else f"the face of person {number} in this video"
    picture = verdict.picture if isinstance(verdict, ImageVerdict) else None
    if picture is not None:
        whose = whose.replace("this photo", f"picture {picture.number} of {picture.of} in this file")
    crowd = verdict.crowd if isinstance(verdict, ImageVerdict) else None
    if crowd is not None and verdict.band == crowd.band != parts[0].band:
        whose = f"faces in this photo ({crowd.above} of {crowd.of} counted together)"
    whose += " were" if whose.startswith("faces") else " was"
    when = ""
    top = parts[0] if parts else None
    if isinstance(top, Person) and top.worst_window_s and verdict.band != "little":
        when = f" between {_seconds(top.worst_window_s[0])} and {_seconds(top.worst_window_s[1])}"
    more = _more_sentences(verdict)
    return (
        f"{tool} finds {BAND_WORDS[verdict.band]} evidence that {whose} manipulated{when}. {more}{seen}"
        "This is a lead, not proof."
    )


def _more_sentences(verdict: FileVerdict) -> str:
    """The sentences that a quotation must not leave out, each with a space after it."""
    said = ""
    part = part_that_stands_out(verdict)
    if part is not None:
        said += f"The part from {part[1].start_s:.1f} to {_seconds(part[1].end_s)} stands out from the rest. "
    if verdict.region is not None:
        said += "Only a chosen part of the picture was looked at. "
    if isinstance(verdict, ImageVerdict) and fragile(verdict):
        said += "This is fragile: copies of it that are saved again give less evidence or none. "
    return said


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _share_words(coverage: Coverage) -> str:
    if coverage.duration_s is None and coverage.analysed_s is not None:
        return f"{_seconds(coverage.analysed_s)} of a video of unknown length"
    return f"{percent(coverage.share)} of the video"


def _seen_sentence(verdict: FileVerdict) -> str:
    """The same as `coverage_words` in sentences, each with a space after it."""
    coverage = verdict.coverage
    if not coverage_words(verdict) or coverage is None:
        return ""
    said = ""
    if coverage.part_s is not None:
        said = f"Only the part from {_whole_seconds(coverage.part_s)} was looked at. "
    elif coverage.share < LOW_COVERAGE:
        said = f"{_capital(_share_words(coverage))} was looked at. "
    said += "The file is incomplete. " if coverage.incomplete else ""
    return said + ("Reading it was stopped before the end, because it took too much work. " if coverage.stopped else "")


def to_json(verdict: FileVerdict, indent: int | None = None) -> str:
    """The verdict in the versioned schema, on one line unless `indent` is given.

    ASCII only: file names may hold what a terminal's or reader's encoding cannot.
    """
    return json.dumps(verdict.to_dict(), indent=indent, allow_nan=False)


def to_csv(*verdicts: FileVerdict, header: bool = True) -> str:
    """Every face that was found, one a line; of a video every person at every analysed time. See `CSV_COLUMNS`.

    A file in which no face was found has one line, with the reason. Names are guarded against being taken for formulas
    by a spreadsheet: one that begins like a formula gets an apostrophe in front. Write it as UTF-8 with a byte order
    mark ("utf-8-sig"), or Excel garbles names.
    """
    text = io.StringIO()
    table = csv.writer(text)
    if header:
        table.writerow(CSV_COLUMNS)
    for verdict in verdicts:
        about = (_cell(verdict.file), verdict.sha256, verdict.kind)
        rows = list(_rows(verdict))
        table.writerows([*about, *row] for row in rows or [(*[""] * 10, verdict.reason or "")])
    return text.getvalue()


def _rows(verdict: FileVerdict) -> Iterator[tuple[object, ...]]:
    if isinstance(verdict, ImageVerdict):
        for face in verdict.faces:
            prob = _figure(face.prob_fake)
            place = [round(v, 1) for v in face.face.box]
            yield face.number, "", *place, prob, "", prob, face.band or "", face.reason or ""
    elif isinstance(verdict, VideoVerdict):
        for person in verdict.persons:
            over_all = (_figure(person.prob_fake), person.band or "", person.reason or "")
            for point in person.timeline:
                place = [round(v, 1) for v in point.face.box]
                probs = (_figure(point.prob_fake), _figure(point.smoothed))
                yield person.number, round(point.time_s, 3), *place, *probs, *over_all


def _figure(prob: float | None) -> float | str:
    return "" if prob is None else round(prob, 4)


def _cell(name: str) -> str:
    """A file's name for a spreadsheet (OWASP, "CSV Injection"), without what cannot be encoded."""
    name = name.encode("utf-8", "replace").decode("utf-8")
    return f"'{name}" if name.lstrip().startswith(("=", "+", "-", "@")) or name.startswith(("\t", "\r", "\n")) else name


def _parts(verdict: FileVerdict) -> tuple[str, tuple[FaceVerdict, ...] | tuple[Person, ...]]:
    if isinstance(verdict, ImageVerdict):
        return "face", verdict.faces
    if isinstance(verdict, VideoVerdict):
        return "person", verdict.persons
    return "face", ()


def _counted(parts: Sequence[FaceVerdict | Person]) -> bool:
    """Whether networks vote, so that no percentage is shown."""
    return bool(parts) and parts[0].votes is not None


def _image_facts(verdict: ImageVerdict) -> Iterator[tuple[Aspect, str]]:
    faces = verdict.faces
    judged = sum(face.band is not None for face in faces)
    if not judged:
        if faces:
            largest = max(face.face.side_px for face in faces)
            yield "seen", f"{_count(len(faces), 'face')} found, the largest {largest} pixels."
        yield "seen", _looked_at(verdict)
        return
    yield "sure", _networks(faces[0].scores, _counted(faces))
    size = side_of(faces[0].face)
    if len(faces) == 1:
        yield "seen", f"1 face found, {size}."
    else:
        judged_of = f"{len(faces)} faces found, {judged} of them could be judged"
        yield "seen", f"{judged_of}; face {faces[0].number} is {size}."


def _video_facts(verdict: VideoVerdict) -> Iterator[tuple[Aspect, str]]:
    persons = verdict.persons
    judged = sum(person.band is not None for person in persons)
    if not judged:
        if persons:
            most = max(person.usable_frames for person in persons)
            frames = _count(most, "frame")
            yield "seen", f"{_count(len(persons), 'person')} found, with at most {frames} clear enough to judge."
        yield "seen", _looked_at(verdict)
    else:
        yield from _judged_facts(verdict, persons[0], judged)
    for line in _coverage(verdict):
        yield "seen", line


def _judged_facts(verdict: VideoVerdict, top: Person, judged: int) -> Iterator[tuple[Aspect, str]]:
    persons = verdict.persons
    yield "sure", _networks(top.scores, _counted(persons))
    if verdict.band_cap is not None and verdict.band_cap.applied:
        yield "sure", f"The score alone would reach a stronger band. {cap_text(verdict)}"
    if top.worst_window_s:
        start, end = top.worst_window_s
        frames = sum(start <= point.time_s <= end and point.prob_fake is not None for point in top.timeline)
        yield "where", f"Most suspicious from {_seconds(start)} to {_seconds(end)}, in {_count(frames, 'frame')}."
    of_persons = f"; {judged} of {len(persons)} persons could be judged" if len(persons) > 1 else ""
    yield (
        "seen",
        f"The face could be judged in {top.usable_frames} of {_count(len(top.timeline), 'frame')}{of_persons}.",
    )


def _high_for_little(verdict: FileVerdict) -> str:
    """Why a probability above one half is little evidence: "84 %" beside "little" reads like a mistake."""
    if verdict.band != "little" or verdict.prob_fake is None or verdict.prob_fake <= 0.5 or not verdict.thresholds:
        return ""
    if _counted(_parts(verdict)[1]):
        return ""
    genuine = "genuine videos" if verdict.kind == "video" else "genuine photos"
    edge = score_of(verdict.thresholds.weak)
    return f"Weak evidence begins at {edge} of 100 here: 1 in 10 {genuine} scores that or more."


def _networks(scores: Sequence[Score], voted: bool) -> str:
    """One sentence on how the networks agree; empty for a single one.

    Where they vote, by their vote; else by the side of even odds that each is on, since the joint score is no vote and
    can be strong where none is above an edge of its own.
    """
    if len(scores) < 2:
        return ""
    verb = "vote for" if voted else "lean towards"
    pro = [network_name(s.model) for s in scores if (s.above_threshold if voted else s.prob_fake >= 0.5)]
    contra = [network_name(s.model) for s in scores if network_name(s.model) not in pro]
    total = len(scores)
    one = verb.replace("vote", "votes").replace("lean", "leans")
    if not contra:
        return f"{'Both' if total == 2 else f'All {_number(total)}'} networks {verb} manipulation."
    if not pro:
        return f"{'Neither' if total == 2 else 'None'} of the {_number(total)} networks {one} manipulation."
    does = "does" if len(contra) == 1 else "do"
    # the smaller group is the one worth naming
    tail = f": {listed(pro)}" if len(pro) < len(contra) or total == 2 else f"; {listed(contra)} {does} not"
    said = one if len(pro) == 1 else verb
    return f"{_number(len(pro)).capitalize()} of {_number(total)} networks {said} manipulation{tail}."


def _looked_at(verdict: FileVerdict) -> str:
    if verdict.kind == "video" and verdict.coverage is not None:
        return f"{_count(verdict.coverage.frames, 'frame')} looked at."
    if verdict.region is not None:
        x0, y0, x1, y1 = (round(v) for v in verdict.region)
        size = f"{x1 - x0} x {y1 - y0} pixels of {verdict.width} x {verdict.height}"
        return f"A part of the picture was looked at, as asked: {size}, from {x0}, {y0}."
    if isinstance(verdict, ImageVerdict) and verdict.picture is not None:
        return ""  # picture_line says it
    if verdict.width and verdict.height:
        return f"The whole picture was looked at, {verdict.width} x {verdict.height} pixels."
    return ""


def _coverage(verdict: FileVerdict) -> tuple[str, ...]:
    """How much of a video was looked at and what of it is missing, when it is not all of it."""
    coverage = verdict.coverage
    if coverage is None:
        return ()
    lines = []
    if coverage.incomplete:
        line = "The file is incomplete: it breaks off"
        if coverage.available_s is not None:
            line += f" at {_seconds(coverage.available_s)}"
            if coverage.duration_s is not None and coverage.duration_s > coverage.available_s:
                line += f" of {_seconds(coverage.duration_s)}"
        lines.append(f"{line}. Look for a whole copy.")
    if coverage.stopped:
        lines.append(
            "Reading the file took too much work and was stopped early: fewer frames were looked at than usual. "
            "Save it again as MP4 (H.264) and try that copy."
        )
    if coverage.second_file:
        lines.append("Another video follows in the same file. Players do not show it, and it was not looked at.")
    # what rounds to the whole would read as a contradiction
    if coverage.part_s is not None or coverage.share < 0.995:
        line = f"{_capital(_share_words(coverage))} was looked at"
        if coverage.analysed_s is not None and coverage.duration_s is not None:
            line += f", {_seconds(coverage.analysed_s)} of {_seconds(coverage.duration_s - coverage.start_s)}"
        if coverage.part_s is not None:
            line += f", as asked only from {_whole_seconds(coverage.part_s)}"
        if coverage.scouted:
            line += f"; faces alone were looked for in {coverage.scouted} more frames between start and end"
        lines.append(f"{line}.")
    return tuple(lines)


def _seconds(value: float) -> str:
    return f"{value:.1f} s"


def _whole_seconds(span_s: tuple[float, float]) -> str:
    return f"{span_s[0]:.1f} to {_seconds(span_s[1])}"


def _number(value: int) -> str:
    return _NUMBER_WORDS[value] if value < len(_NUMBER_WORDS) else str(value)


def _count(value: int, noun: str) -> str:
    return f"{value} {noun}" if value == 1 else f"{value} {noun}s"
