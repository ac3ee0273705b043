"""The parts of the pages: each function draws one thing. Words come from `detector.report`."""

import base64
import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import streamlit as st
from streamlit.navigation.page import Page

from app import bugs, charts, session
from app.copies import MarkedCopy
from app.session import Case, Picture
from detector import (
    REASONS,
    Band,
    DetectorError,
    Face,
    FaceVerdict,
    FileVerdict,
    ImageVerdict,
    Person,
    ProbRange,
    Score,
    Thresholds,
    TimelinePoint,
    VideoVerdict,
    report,
)

_ASSETS = Path(__file__).parent / "assets"
_SHORT_WORDS = {"little": "little", "weak": "weak", "strong": "strong", "very_strong": "very"}
_MAX_FRAME_HEIGHT = 470

_REASON_OF_ONE = {
    "face_too_small": "face too small to judge",
    "face_too_blurred": "face too blurred to judge",
    "too_few_frames": "too few clear frames",
}

_media = st.components.v2.component(
    "unmask_media",
    html='<div class="root"></div>',
    css=(_ASSETS / "media.css").read_text(encoding="utf-8"),
    js=(_ASSETS / "media.js").read_text(encoding="utf-8"),
)
_copy = st.components.v2.component(
    "unmask_copy",
    html='<div class="row"><button type="button">Copy sentence</button><span role="status"></span></div>',
    css=(_ASSETS / "copy.css").read_text(encoding="utf-8"),
    js=(_ASSETS / "copy.js").read_text(encoding="utf-8"),
)


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
    best = session.best_time(person)
    detail = f"on screen {charts.seconds(person.on_screen_s)}"
    said = report.estimate(person)
    return Subject("Person", person.number, person.band, person.reason, said, person.range, detail, best)


def reason_of_one(reason: str | None) -> str:
    """Why one face or person has no band, in a few words."""
    return _REASON_OF_ONE.get(reason or "", REASONS.get(reason or "", ""))


@contextmanager
def one_line_errors(where: str) -> Iterator[None]:
    """Whatever goes wrong inside, the page shows one line; details of a bug go to the log, without file names.

    Streamlit's own control flow (rerun, stop) is no `Exception` and passes through.
    """
    try:
        yield
    except DetectorError as error:
        st.error(str(error))
    except Exception as error:
        bugs.log_bug(where, error)
        st.error(bugs.BUG_MESSAGE)


def draw_again() -> NoReturn:
    """Run the page's script again, unless the user has just asked for something else.

    `st.rerun` takes the place of whatever is waiting, so that a click on another page would be lost for good. Streamlit
    heeds what is waiting when something is drawn.
    """
    st.empty()
    st.rerun()


def style() -> None:
    """The style sheet of the page."""
    st.html(_ASSETS / "style.css")


def navigation(pages: list[Page], current: Page) -> None:
    """The bar at the top: name and pages."""
    with st.container(key="um-nav", horizontal=True, wrap=False, vertical_alignment="center", gap="medium"):
        st.html("<b>Unmask</b>", width="content")
        for page in pages:
            with st.container(key=f"um-nav-{'on' if page is current else page.title.lower()}", width="content"):
                st.page_link(page)


def theme() -> str:
    """ "light" or "dark", for what cannot follow the theme by itself."""
    return "dark" if st.context.theme.type == "dark" else "light"


def privacy_line() -> str:
    """Where files go, which depends on where the app runs."""
    if session.is_local():
        return "Runs on this computer. Nothing is uploaded or kept."
    minutes = max(1, round(st.get_option("server.disconnectedSessionTTL") / 60))
    within = "a minute" if minutes == 1 else f"{minutes} minutes"
    return (
        "Files are sent to this server and held in its memory only; on arrival, large ones pass through a temporary "
        "file without a name. They are deleted when you check another file, "
        f"and within {within} of closing this page."
    )


def small(text: str) -> None:
    """One quiet line."""
    st.html(f'<div class="um"><p class="um-small">{html.escape(text)}</p></div>')


def file_row(case: Case) -> None:
    """Name and facts of the current file, the choice of networks, and the way to the next file."""
    with st.container(key="um-file", horizontal=True, vertical_alignment="center", gap="small"):
        facts = " · ".join(_file_facts(case))
        st.html(
            f'<div class="um-file"><b>{html.escape(case.name)}</b><span>{html.escape(facts)}</span></div>',
            width="stretch",
        )
        networks_popover()
        st.button("Check another file", on_click=session.close, key="another")


def _file_facts(case: Case) -> list[str]:
    facts = []
    verdict = case.verdict
    if verdict is not None:
        if verdict.kind == "video" and verdict.coverage and verdict.coverage.duration_s:
            facts.append(charts.seconds(verdict.coverage.duration_s))
        if verdict.width and verdict.height:
            facts.append(f"{verdict.width} × {verdict.height}")
    size = case.size_bytes
    facts.append(f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB" if size >= 1000 else f"{size} bytes")
    return facts


def networks_popover() -> None:
    """Which networks judge; a change checks the current file again."""
    names = session.model_names()
    chosen = names[0] if session.models() == "default" else session.models()

    def choose() -> None:
        session.choose_models(st.session_state.networks)

    with st.popover("Networks", type="tertiary"):
        st.radio(
            "Which networks judge?",
            names,
            index=names.index(chosen),
            format_func=models_label,
            key="networks",
            on_change=choose,
        )
        small("The first is the default. A change checks the file again.")


def models_label(name: str) -> str:
    """A network or ensemble by its name for a person: "Average of ResNet-18 and MobileNetV2"."""
    members = session.members(name)
    if not members:
        return report.network_name(name)
    names = [report.network_name(m) for m in members]
    return f"{name.replace('_', ' ').capitalize()} of {', '.join(names[:-1])} and {names[-1]}"


def verdict_card(case: Case, verdict: FileVerdict) -> None:
    """What was found, in words first; then scale, facts, error rate, sentence to quote, JSON."""
    with st.container(border=True, key="um-verdict", height="stretch"):
        st.html(verdict_html(verdict, report.error_rate_line(verdict, case.entry) if case.entry else ""))
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            _copy(data={"text": report.quote(verdict)}, key="copy", width="content")
            st.download_button(
                "Download JSON",
                report.to_json(verdict, indent=2),
                file_name=f"{Path(case.name).stem or 'file'}.unmask.json",
                mime="application/json",
                on_click="ignore",
                key="json",
            )


def downloads(case: Case, verdict: FileVerdict) -> None:
    """The table of all points, and a marked copy of the file once somebody asks for it."""
    from detector.annotate import can_annotate

    stem = Path(case.name).stem or "file"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html(
            '<div class="um"><h2 class="um-h3">Table</h2><p class="um-small">One line for each '
            f"{'person and frame that was looked at' if verdict.kind == 'video' else 'face'}, for a spreadsheet.</p>"
            "</div>",
            width="stretch",
        )
        st.download_button(
            "Download CSV",
            # with a byte order mark, or Excel garbles names
            report.to_csv(verdict).encode("utf-8-sig"),
            file_name=f"{stem}.unmask.csv",
            mime="text/csv",
            on_click="ignore",
            key="csv",
        )
    if not can_annotate(verdict):
        return
    medium = "video" if verdict.kind == "video" else "photo"
    heat = st.session_state.get("copy_heat", True)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html(
            f'<div class="um"><h2 class="um-h3">Marked {medium}</h2><p class="um-small">A copy with boxes, bands and '
            "a line that says what it is, to show to colleagues. It is no evidence: keep the original.</p></div>",
            width="stretch",
        )
        if any(s.band for s in subjects(verdict)):
            heat = st.checkbox("With heatmaps", value=True, key="copy_heat")
        st.button(f"Make marked {medium}", on_click=case.make_copy, args=(heat,), key="make_copy")
    if case.copy is not None:
        _copy_progress(f"{stem}.unmask", medium)


@st.fragment(run_every=0.4)
def _copy_progress(name: str, medium: str) -> None:
    from detector.annotate import suffix_of

    with one_line_errors("a marked copy"):
        case = session.current()
        copy = case.copy if case is not None else None
        if case is None or copy is None or case.verdict is None:
            return
        if copy.state == "making":
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.progress(copy.progress.done, text=copy.progress.what, width="stretch")
                st.button("Cancel", on_click=case.drop_copy, key="cancel_copy")
        elif copy.state == "done":
            small(_copy_in_words(case.verdict, copy))
            suffix = suffix_of(case.verdict)
            st.download_button(
                f"Download marked {medium}",
                copy.data,
                file_name=f"{name}{suffix}",
                mime="video/mp4" if suffix == ".mp4" else "image/jpeg",
                on_click="ignore",
                key="copy_file",
            )
        else:
            st.error(copy.error or bugs.BUG_MESSAGE)


def _copy_in_words(verdict: FileVerdict, copy: MarkedCopy) -> str:
    if copy.made is None or not copy.made.spans:
        return "The marked photo is ready."
    shown = sum(end - start for start, end in copy.made.spans)
    whole = verdict.coverage.duration_s if verdict.coverage else None
    text = "The marked video is ready."
    if whole is not None and shown < 0.98 * whole:
        text += f" It shows {charts.seconds(shown)} of {charts.seconds(whole)}, around the frames that were looked at."
    if copy.made.sound == "left out":
        text += " Its sound could not be read and is left out."
    return text


def verdict_html(verdict: FileVerdict, error_rate: str) -> str:
    """The text of the verdict card as HTML."""
    parts = [f'<p class="um-eyebrow">{html.escape(report.eyebrow(verdict))}</p>']
    headline = report.headline(verdict)
    first, evidence, rest = headline.partition(" evidence")
    parts.append(
        f'<h1><span class="um-word-{verdict.band or "none"}">{html.escape(first)}</span>'
        f"{html.escape(evidence + rest)}</h1>"
    )
    if verdict.band is None:
        parts.append(f'<p style="margin-top:10px">{html.escape(report.reason_text(verdict))}</p>')
    elif verdict.prob_fake is not None:
        if verdict.thresholds is not None:
            parts.append(scale_html(verdict.prob_fake, verdict.band, verdict.range, verdict.thresholds))
        detail = f' <span class="um-small">({html.escape(report.range_text(verdict))})</span>' if verdict.range else ""
        parts.append(f"<p><b>{report.estimate(verdict)}</b>{detail}</p>")
    facts = report.facts(verdict)
    if facts:
        parts.append("<ul>" + "".join(f"<li>{_unbroken(fact)}</li>" for fact in facts) + "</ul>")
    if error_rate:
        parts.append(f'<p class="um-small">{html.escape(error_rate)}</p>')
    parts.append(f'<p class="um-quote">“{html.escape(report.quote(verdict))}”</p>')
    return f'<div class="um">{"".join(parts)}</div>'


def _unbroken(text: str) -> str:
    """Text as HTML in which a name such as ResNet-18 is not torn apart at the end of a line."""
    return re.sub(r"\b\w+-\w*\d\b", r'<span class="um-name">\g<0></span>', html.escape(text))


def scale_html(prob: float, band: Band, span: ProbRange | None, thresholds: Thresholds) -> str:
    """The evidence scale: four zones, the range as a frame, the probability as a line."""
    scale = charts.scale_of(thresholds)
    said = f"Evidence scale from little to very strong: {report.percent(prob)}, in the band {report.band_word(band)}"
    zones, ticks, marks = [], [], []
    left = 0.0
    for name, width in zip(_SHORT_WORDS, scale.widths, strict=True):
        # the gaps between the zones come out of every zone alike
        zones.append(f'<div class="um-fill-{name}" style="flex:{100 * width:.2f} 1 0"></div>')
        ticks.append(f'<span style="left:{100 * (left + width / 2):.2f}%">{_SHORT_WORDS[name]}</span>')
        left += width
    if span is not None:
        said += f", {report.range_of(span)}"
        low, high = scale.place(span.low), scale.place(span.high)
        marks.append(f'<div class="um-range" style="left:{100 * low:.2f}%;width:{100 * (high - low):.2f}%"></div>')
    marks.append(f'<div class="um-point" style="left:{100 * scale.place(prob):.2f}%"></div>')
    return (
        f'<div class="um-scale" role="img" aria-label="{html.escape(said)}">'
        f'<div class="um-zones">{"".join(zones)}</div>'
        f'{"".join(marks)}<div class="um-ticks">{"".join(ticks)}</div></div>'
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
                "frame": _uri(frame),
                "heat": _uri(heat),
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
                "src": _uri(case.thumb(moment)),
                "selected": time_s is not None and abs(moment - time_s) < 1e-6,
                # the part of the frame where the face is stays in the little window
                "x": round(min(max(50.0 * (box[0] + box[2]) / width, 0.0), 100.0)),
                "y": round(min(max(50.0 * (box[1] + box[3]) / height, 0.0), 100.0)),
            }
        )
    return film


def _uri(picture: Picture | None) -> str:
    if picture is None or not picture.data:
        return ""
    return "data:image/jpeg;base64," + base64.b64encode(picture.data).decode("ascii")


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


def people(case: Case, verdict: FileVerdict) -> None:
    """Who was found: a choice of face or person, and a card for each."""
    found = subjects(verdict)
    chosen = chosen_subject(verdict)
    if chosen is None:
        return
    if len(found) > 1:
        names = {s.number: s.name for s in found}
        st.session_state.person_choice = chosen.number

        def switch() -> None:
            choose(verdict, st.session_state.person_choice)

        st.segmented_control(
            f"{chosen.noun} to look at",
            list(names),
            format_func=names.__getitem__,
            required=True,
            key="person_choice",
            on_change=switch,
            label_visibility="collapsed",
        )
    st.html(
        f'<div class="um um-people">{"".join(_person_html(case, s, s.number == chosen.number) for s in found)}</div>'
    )


def _person_html(case: Case, subject: Subject, on: bool) -> str:
    portrait = _uri(case.portrait(subject.number, subject.best_time_s))
    picture = f'<img class="um-avatar" alt="" src="{portrait}">' if portrait else '<div class="um-avatar"></div>'
    detail = subject.detail
    if subject.band is None:
        detail = reason_of_one(subject.reason) or detail
    elif subject.range is not None:
        detail = f"{report.range_of(subject.range)}, {detail}"
    return (
        f'<div class="um-person{" on" if on else ""}">{picture}<div><b>{subject.name}</b>'
        f'<div class="um-chip"><span class="um-dot um-fill-{subject.band or "none"}"></span>'
        f'{html.escape(subject.in_words)}</div><div class="um-small">{html.escape(detail)}</div></div></div>'
    )


def networks_table(verdict: FileVerdict, subject: Subject) -> None:
    """What each network says of one face or person."""
    scores = _scores(verdict, subject.number)
    rows = "".join(
        f"<tr><td>{html.escape(report.network_name(s.model))}</td><td class='num'>{report.percent(s.prob_fake)}</td>"
        f"<td>{'above its threshold' if s.above_threshold else 'below its threshold'}</td></tr>"
        for s in scores
    )
    st.html(
        f'<div class="um"><table class="um-table"><caption class="um-small">'
        f"{html.escape(subject.name)}: what each network says by itself</caption>"
        "<thead><tr><th scope='col'>Network</th><th scope='col'>Probability</th><th scope='col'>Threshold</th></tr>"
        f"</thead><tbody>{rows}</tbody></table></div>"
    )


def _scores(verdict: FileVerdict, number: int) -> tuple[Score, ...]:
    if isinstance(verdict, ImageVerdict):
        return next((f.scores for f in verdict.faces if f.number == number), ())
    if isinstance(verdict, VideoVerdict):
        return next((p.scores for p in verdict.persons if p.number == number), ())
    return ()


def heatmaps(case: Case, verdict: FileVerdict, subject: Subject) -> None:
    """One face with the heatmap of every network, and the choice of the one over the large picture."""
    networks = [model.name for model in verdict.models]
    time_s = shown_time(verdict)
    if not judged_at(verdict, subject.number, time_s):
        small(f"{subject.name} is not judged in this frame. Choose another frame on the timeline.")
        return
    if len(networks) > 1:
        st.session_state.network_choice = shown_network(verdict)

        def switch() -> None:
            st.session_state.network = st.session_state.network_choice

        st.segmented_control(
            "Heatmap over the large picture",
            networks,
            format_func=report.network_name,
            required=True,
            key="network_choice",
            on_change=switch,
        )
    figures = []
    for network in networks:
        picture = case.closeup(subject.number, network, time_s)
        name = html.escape(report.network_name(network))
        if picture is not None and not picture.data:
            figures.append(f"<figure><div></div><figcaption>{name}: could not be drawn</figcaption></figure>")
            continue
        note = "drawing…" if picture is None else "no place stands out" if picture.note == "flat" else picture.note
        shown = f'<img alt="Heatmap of {name} over {subject.name}" src="{_uri(picture)}">' if picture else "<div></div>"
        figures.append(f"<figure>{shown}<figcaption>{name}, {html.escape(note)}</figcaption></figure>")
    st.html(f'<div class="um um-heatmaps">{"".join(figures)}</div>')
    small(
        "Bright places raised this network's score the most; compare places within one picture, not pictures. Whether "
        "they mark the manipulated part has not been measured: look there, but do not quote them."
    )


def timeline(case: Case, verdict: VideoVerdict) -> None:
    """Evidence over time, a slider for the frame, and the same figures as a table."""
    if verdict.thresholds is None or not any(p.timeline for p in verdict.persons):
        small("Nobody could be followed through this video.")
        return
    figure = charts.timeline(
        verdict.persons, verdict.thresholds, verdict.coverage.duration_s if verdict.coverage else None, theme()
    )

    def click() -> None:
        points = st.session_state.timeline_chart.selection.points
        if points and points[0].get("customdata"):
            number, time_s, words = points[0]["customdata"]
            if words:
                st.session_state.person, st.session_state.time_s = int(number), float(time_s)

    st.plotly_chart(
        figure,
        theme=None,
        key="timeline_chart",
        on_select=click,
        selection_mode="points",
        config={"displayModeBar": False, "responsive": True},
        alt=_timeline_in_words(verdict),
    )
    times = sorted({point.time_s for p in verdict.persons for point in p.timeline})
    shown = shown_time(verdict) or 0.0
    st.session_state.time_slider = min(times, key=lambda t: abs(t - shown))

    def slide() -> None:
        st.session_state.time_s = st.session_state.time_slider

    if len(times) > 1:
        st.select_slider("Frame on show", times, format_func=charts.seconds, key="time_slider", on_change=slide)
    small(_coverage_in_words(verdict))
    with st.expander("Show as table"):
        st.dataframe(
            {
                "Time (s)": [round(point.time_s, 2) for p in verdict.persons for point in p.timeline],
                "Person": [p.number for p in verdict.persons for _ in p.timeline],
                "Probability": [
                    "not judged" if point.prob_fake is None else report.percent(point.prob_fake)
                    for p in verdict.persons
                    for point in p.timeline
                ],
            },
            hide_index=True,
            width="stretch",
            column_config={"Time (s)": st.column_config.NumberColumn(format="%.2f")},
        )


def _timeline_in_words(verdict: VideoVerdict) -> str:
    lines = []
    for person in subjects(verdict):
        lines.append(f"{person.name}: {person.in_words}")
    return "Evidence over time for each person. " + ". ".join(lines) + "."


def _coverage_in_words(verdict: VideoVerdict) -> str:
    text = "Move the slider or click a point to see that frame with its heatmap. "
    text += "Gaps: the face was turned away, too small or too blurred."
    if verdict.coverage:
        frames, share = verdict.coverage.frames, verdict.coverage.share
        covered = "the whole clip" if share >= 0.995 else f"{report.percent(share)} of the clip"
        text += f" {frames} frames read, {covered} covered."
    return text


def how_to_read(verdict: FileVerdict) -> None:
    """What the words and numbers of a verdict mean."""
    edges = ""
    if verdict.thresholds is not None:
        t = verdict.thresholds
        edges = (
            f"For this file the bands begin at {charts.percent_edge(t.weak)} (weak), {charts.percent_edge(t.strong)} "
            f"(strong) and {charts.percent_edge(t.very_strong)} (very strong). The scale gives each band room to be "
            "read; it is not drawn to one measure."
        )
    span = (
        "The 95 % interval comes from drawing pieces of the video again and again: a wide one means that the pieces "
        "disagree."
        if verdict.kind == "video"
        else "The range under re-encoding is the lowest and highest probability over harmless copies of the photo: "
        "saved again as JPEG at quality 95 and 75, at three quarters of its size, and slightly cropped. A wide range "
        "means that the finding hangs on details that such copies destroy."
    )
    shares = "10 % come out as weak or more, 2 % as strong or more, 0.5 % as very strong."
    sections = (
        (
            "The bands are false-alarm rates",
            (
                f"Their edges were set on persons in genuine videos, so that of new ones at most {shares} With "
                "several persons, or a longer look at one, they move up, since more chances are more false alarms."
                if verdict.kind == "video"
                else f"Their edges were set on genuine faces of sources that no network was trained on: {shares} With "
                "several faces they move up, since more faces are more chances for a false alarm."
            )
            + f" {edges} {report.cap_text(verdict)}".rstrip(),
        ),
        ("The probability", report.PROBABILITY_HELP),
        ("The range", span),
        (
            "Little evidence does not clear a file",
            "Manipulations of a kind that the networks never saw, strong compression and small faces leave few traces. "
            "“Little” means that nothing was found, not that nothing is there.",
        ),
        (
            "No verdict",
            "Faces that are too small or too blurred are not judged: on such faces the networks were hardly better "
            "than a guess.",
        ),
        (
            "A lead, not proof",
            "Use a finding to ask further: find the source, earlier copies and other recordings of the same moment.",
        ),
    )
    body = "".join(f'<h2 class="um-h3">{html.escape(title)}</h2><p>{html.escape(text)}</p>' for title, text in sections)
    st.html(f'<div class="um um-read">{body}</div>')
