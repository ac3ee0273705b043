"""Faces of a photo and persons of a video: what both have in common on the page."""

from dataclasses import dataclass

from app.charts import seconds
from detector import (
    Band,
    FaceVerdict,
    FileVerdict,
    ImageVerdict,
    Person,
    ProbRange,
    Score,
    VideoVerdict,
    report,
)
from detector.words import reason_in_short, score_of


@dataclass(frozen=True, slots=True)
class Subject:
    """A face of a photo or a person of a video."""

    noun: str
    number: int
    band: Band | None
    prob: float | None
    voted: bool
    estimate: str
    range: ProbRange | None
    scores: tuple[Score, ...]
    detail: str
    best_time_s: float | None

    @property
    def name(self) -> str:
        """ "Person 2"."""
        return f"{self.noun} {self.number}"

    @property
    def in_words(self) -> str:
        """ "Strong, score 81", "Strong, 2 of 3 networks" or "No verdict"."""
        if self.band is None:
            return "No verdict"
        return f"{report.band_word(self.band).capitalize()}, {self.estimate}"


def subjects(verdict: FileVerdict) -> tuple[Subject, ...]:
    """The faces or persons of a file in the order of the verdict, most suspicious first."""
    if isinstance(verdict, ImageVerdict):
        return tuple(_of_face(face) for face in verdict.faces)
    if isinstance(verdict, VideoVerdict):
        return tuple(_of_person(person) for person in verdict.persons)
    return ()


def _of_face(face: FaceVerdict) -> Subject:
    detail = reason_in_short(face.reason) or f"{face.face.side_px}\u00a0px"
    return Subject(
        "Face",
        face.number,
        face.band,
        face.prob_fake,
        _voted(face),
        _estimate(face),
        face.range,
        face.scores,
        detail,
        None,
    )


def _of_person(person: Person) -> Subject:
    detail = reason_in_short(person.reason) or f"on screen {seconds(person.on_screen_s)}"
    best = person.best_point.time_s if person.best_point else None
    return Subject(
        "Person",
        person.number,
        person.band,
        person.prob_fake,
        _voted(person),
        _estimate(person),
        person.range,
        person.scores,
        detail,
        best,
    )


def _voted(judged: FaceVerdict | Person) -> bool:
    return judged.votes is not None


def _estimate(judged: FaceVerdict | Person) -> str:
    """A score, or how many networks where they vote: a vote is a count."""
    if judged.prob_fake is None:
        return ""
    return report.estimate(judged) if _voted(judged) else f"score {score_of(judged.prob_fake)}"
