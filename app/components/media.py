"""The frame with its boxes, heatmap and filmstrip."""

import streamlit as st

from app import charts, session
from app.case import Case
from app.components.page import ASSETS, draw_again, small
from app.components.subjects import (
    Subject,
    choose,
    chosen_subject,
    face_in_frame,
    judged_at,
    shown_network,
    shown_time,
    subjects,
)
from app.pictures import Picture, data_uri
from detector import FileVerdict, VideoVerdict, report

_MAX_FRAME_HEIGHT = 470
_media = st.components.v2.component(
    "unmask_media",
    html='<div class="root"></div>',
    css=(ASSETS / "media.css").read_text(encoding="utf-8"),
    js=(ASSETS / "media.js").read_text(encoding="utf-8"),
)


def media_card(case: Case, verdict: FileVerdict) -> None:
    """The frame with numbered boxes, heatmap slider and filmstrip, with what of it has been drawn so far."""
    chosen = chosen_subject(verdict)
    time_s = shown_time(verdict)
    frame = case.frame(time_s)
    label, heat = _heat(case, verdict, chosen, time_s)
    if frame is not None and not frame.data:
        with st.container(border=True, key="um-media-missing"):
            small("This frame could not be shown.")
        return
    width, height = (frame.width, frame.height) if frame else (verdict.width or 16, verdict.height or 9)
    faces = _boxes(verdict, chosen, time_s, width, height)
    caption = "Photo" if time_s is None else f"Frame at {charts.seconds(time_s)}"
    with st.container(border=True, key="um-media"):
        result = _media(
            data={
                "turn": session.next_turn(),
                "width": width,
                "height": height,
                "max_height": _MAX_FRAME_HEIGHT,
                "frame": data_uri(frame),
                "heat": data_uri(heat),
                "heat_label": label,
                "caption": caption,
                "stage": f"{caption}, {len(faces)} {'face' if len(faces) == 1 else 'faces'} marked",
                "alt": ". ".join([caption, *(str(face["label"]) for face in faces)]),
                "faces": faces,
                "film": _film(case, verdict, chosen, time_s, width, height),
            },
            key="media",
            on_person_change=lambda: None,
            on_time_s_change=lambda: None,
        )
    if result.person is not None:
        choose(verdict, int(result.person), move=False)
        draw_again()
    if result.time_s is not None:
        st.session_state.time_s = float(result.time_s)
        draw_again()


def _heat(case: Case, verdict: FileVerdict, chosen: Subject | None, time_s: float | None) -> tuple[str, Picture | None]:
    """What stands beside the heatmap's slider, and the picture once it is there."""
    network = shown_network(verdict)
    if chosen is None or chosen.band is None or network is None:
        return "", None
    if not judged_at(verdict, chosen.number, time_s):
        return f"{chosen.name} is not judged in this frame", None
    picture = case.heat(chosen.number, network, time_s)
    if picture is None:
        return "Drawing the heatmap…", None
    if not picture.data:
        return "The heatmap could not be drawn", None
    if picture.note == "flat":
        return f"Heatmap ({report.network_name(network)}): no place stands out", None
    return f"Heatmap ({picture.note}, {report.network_name(network)})", picture


def _boxes(
    verdict: FileVerdict, chosen: Subject | None, time_s: float | None, width: int, height: int
) -> list[dict[str, object]]:
    boxes: list[dict[str, object]] = []
    for subject in subjects(verdict):
        face = face_in_frame(verdict, subject.number, time_s)
        if face is None:
            continue
        x0, y0, x1, y1 = face.box
        boxes.append(
            {
                "number": subject.number,
                "band": subject.band or "none",
                "box": [max(0.0, x0 / width), max(0.0, y0 / height), min(1.0, x1 / width), min(1.0, y1 / height)],
                "label": f"{subject.name}: {subject.in_words}",
                "selected": chosen is not None and chosen.number == subject.number,
            }
        )
    return boxes


def _film(
    case: Case, verdict: FileVerdict, chosen: Subject | None, time_s: float | None, width: int, height: int
) -> list[dict[str, object]]:
    if not isinstance(verdict, VideoVerdict) or chosen is None:
        return []
    person = next(p for p in verdict.persons if p.number == chosen.number)
    film: list[dict[str, object]] = []
    for moment in charts.key_times(person):
        face = face_in_frame(verdict, person.number, moment)
        box = face.box if face else (0.0, 0.0, float(width), float(height))
        film.append(
            {
                "time_s": moment,
                "label": charts.seconds(moment),
                "src": data_uri(case.thumb(moment)),
                "selected": time_s is not None and abs(moment - time_s) < 1e-6,
                # the part of the frame where the face is stays in the little window
                "x": round(min(max(50.0 * (box[0] + box[2]) / width, 0.0), 100.0)),
                "y": round(min(max(50.0 * (box[1] + box[3]) / height, 0.0), 100.0)),
            }
        )
    return film
