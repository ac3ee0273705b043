"""The one sentence under the headline: where something stands out, when, and whether it lasts. Pure."""

from app.charts import seconds
from app.words import edge, place_in
from detector import BANDS, FaceVerdict, FileVerdict, ImageVerdict, Person, VideoVerdict, report
from detector.words import score_of


def plain_sentence(verdict: FileVerdict) -> str:
    """The one or two sentences that a reader needs beside the band; without a band, the reason why there is none."""
    if verdict.band is None:
        return report.reason_text(verdict)
    if isinstance(verdict, ImageVerdict):
        return _of_photo(verdict, verdict.faces[0])
    if isinstance(verdict, VideoVerdict):
        return _of_video(verdict, verdict.persons[0])
    return ""


def tells_where(verdict: FileVerdict) -> bool:
    """Whether the sentence says already what is the first fact on where something stands out."""
    if isinstance(verdict, ImageVerdict):
        return _crowd_decides(verdict)
    if not isinstance(verdict, VideoVerdict) or verdict.band is None:
        return False
    return verdict.band != BANDS[0] or any(person.stands_out is not None for person in verdict.persons)


def _crowd_decides(verdict: ImageVerdict) -> bool:
    return verdict.crowd is not None and verdict.crowd.band == verdict.band != verdict.faces[0].band


def _of_photo(verdict: ImageVerdict, face: FaceVerdict) -> str:
    crowd = verdict.crowd
    if crowd is not None and _crowd_decides(verdict):
        return f"No single face does it: {crowd.above} of {crowd.of} together score higher than genuine faces do."
    if verdict.band == BANDS[0]:
        return _nothing(verdict, "The face does not score" if len(verdict.faces) == 1 else "None of the faces scores")
    where = ""
    if len(verdict.faces) > 1:
        where = f"Face {face.number}, {place_in(face.face.box, verdict.width, verdict.height)}. "
    fallen = _lowest_copy(face)
    if fallen:
        return f"{where}That is the file as it is: saved again, it can fall to “{fallen}”."
    if face.resaved:
        return f"{where}It holds when the picture is saved again."
    return where.strip()


def _of_video(verdict: VideoVerdict, person: Person) -> str:
    several = len(verdict.persons) > 1
    apart = max(
        ((p, p.stands_out) for p in verdict.persons if p.stands_out is not None),
        key=lambda pair: pair[1].prob_inside - pair[1].prob_outside,
        default=None,
    )
    if apart is not None:
        whose, part = apart
        return (
            f"From {part.start_s:.1f} to {seconds(part.end_s)} {_face_of(verdict, whose, several)} scores "
            f"{score_of(part.prob_inside)} of 100, at other times {score_of(part.prob_outside)}: look there."
        )
    if verdict.band == BANDS[0] or person.worst_window_s is None:
        return _nothing(verdict, "No part of it scores")
    start, end = person.worst_window_s
    return f"Most suspicious from {start:.1f} to {seconds(end)}: {_face_of(verdict, person, several)}."


def _face_of(verdict: VideoVerdict, person: Person, several: bool) -> str:
    if not several:
        return "the face"
    point = person.best_point
    where = f", {place_in(point.face.box, verdict.width, verdict.height)}" if point is not None else ""
    return f"person {person.number}{where}"


def _nothing(verdict: FileVerdict, none_scores: str) -> str:
    if verdict.thresholds is None:
        return ""
    weak = edge(verdict.thresholds.weak)
    return f"{none_scores} as high as weak evidence begins ({weak} of 100). That clears nothing."


def _lowest_copy(face: FaceVerdict) -> str:
    """The lowest band of a copy in words; empty where none is lower than the face's own."""
    bands = [r.band for r in face.resaved if r.band is not None]
    if face.band is None or not bands:
        return ""
    lowest = min(bands, key=BANDS.index)
    return report.band_word(lowest) if BANDS.index(lowest) < BANDS.index(face.band) else ""
