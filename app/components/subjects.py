"""Faces and persons of a verdict, which of them is looked at, and in which frame."""

from dataclasses import dataclass

import streamlit as st

from app import charts
from app.case import best_time
from detector import (
    REASONS,
    Band,
    Face,
    FaceVerdict,
    FileVerdict,
    ImageVerdict,
    Person,
    ProbRange,
    TimelinePoint,
    VideoVerdict,
    report,
)

_REASON_OF_ONE = {
    "face_too_small": "face too small to judge",
    "face_too_blurred": "face too blurred to judge",
    "too_few_frames": "too few clear frames",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """A face of a photo or a person of a video: what both have in common on the page."""

    noun: str
    number: int
    band: Band | None
    reason: str | None
    estimate: str
    range: ProbRange | None
    detail: str
    best_time_s: float | None

    @property
    def name(self) -> str:
        """ "Person 2"."""
        return f"{self.noun} {self.number}"

    @property
    def in_words(self) -> str:
        """ "Strong, 81 %", "Strong, 2 of 3 networks" or "No verdict"."""
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
    detail = f"{round(face.face.size_px)}\u00a0px"
    return Subject("Face", face.number, face.band, face.reason, report.estimate(face), face.range, detail, None)


def _of_person(person: Person) -> Subject:
    best = best_time(person)
    detail = f"on screen {charts.seconds(person.on_screen_s)}"
    said = report.estimate(person)
    return Subject("Person", person.number, person.band, person.reason, said, person.range, detail, best)


def reason_of_one(reason: str | None) -> str:
    """Why one face or person has no band, in a few words."""
    return _REASON_OF_ONE.get(reason or "", REASONS.get(reason or "", ""))


def chosen_subject(verdict: FileVerdict) -> Subject | None:
    """The face or person that the reader looks at, the most suspicious one until another is chosen."""
    found = subjects(verdict)
    number = st.session_state.get("person")
    return next((s for s in found if s.number == number), found[0] if found else None)


def choose(verdict: FileVerdict, number: int, move: bool = True) -> None:
    """Look at another face or person; `move` goes to that person's most suspicious frame."""
    st.session_state.person = number
    if move:
        st.session_state.pop("time_s", None)


def shown_time(verdict: FileVerdict) -> float | None:
    """Time of the frame on show; None for a photo."""
    if not isinstance(verdict, VideoVerdict):
        return None
    chosen = chosen_subject(verdict)
    best = chosen.best_time_s if chosen else None
    if best is None:
        # nobody to look at: the middle of the clip
        best = (verdict.coverage.duration_s or 0.0) / 2 if verdict.coverage else 0.0
    return float(st.session_state.get("time_s", best))


def shown_network(verdict: FileVerdict) -> str | None:
    """The network whose heatmap is shown, the first one until another is chosen."""
    names = [model.name for model in verdict.models]
    chosen = st.session_state.get("network")
    return chosen if chosen in names else (names[0] if names else None)


def face_in_frame(verdict: FileVerdict, number: int, time_s: float | None) -> Face | None:
    """The box of a face or person in the frame at a time; None where that person is not seen."""
    if isinstance(verdict, ImageVerdict):
        return next((f.face for f in verdict.faces if f.number == number), None)
    point = _point_at(verdict, number, time_s)
    return point.face if point else None


def judged_at(verdict: FileVerdict, number: int, time_s: float | None) -> bool:
    """Whether a face or person has a score in the frame at a time."""
    if isinstance(verdict, ImageVerdict):
        return any(f.number == number and f.prob_fake is not None for f in verdict.faces)
    point = _point_at(verdict, number, time_s)
    return point is not None and point.prob_fake is not None


def _point_at(verdict: FileVerdict, number: int, time_s: float | None) -> TimelinePoint | None:
    if not isinstance(verdict, VideoVerdict) or time_s is None:
        return None
    points = (point for p in verdict.persons if p.number == number for point in p.timeline)
    return next((point for point in points if abs(point.time_s - time_s) < 1e-3), None)
