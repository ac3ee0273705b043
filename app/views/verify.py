"""Check: drop a file, watch the analysis, read the verdict."""

import html
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from app import bugs, networks, session
from app.case import Case
from app.components.downloads import downloads
from app.components.file import file_row, networks_popover
from app.components.guide import how_to_read
from app.components.media import media_card
from app.components.page import draw_again, one_line_errors, privacy_line, small
from app.components.people import heatmaps, networks_table, people
from app.components.subjects import chosen_subject, shown_time
from app.components.timeline import timeline
from app.components.verdict import verdict_card
from app.pictures import jpeg
from detector import DetectorError, FileVerdict, VideoVerdict

_SAMPLES_DIR = Path(__file__).parents[1] / "samples"


@dataclass(frozen=True, slots=True)
class Sample:
    """A file to try."""

    file: str
    title: str
    text: str


SAMPLES = (
    Sample("astronaut.jpg", "Portrait", "NASA, public domain, as published."),
    Sample("astronaut_edited.jpg", "Edited portrait", "The same portrait; this project altered the face."),
    Sample("clip.mp4", "Clip, six seconds", "The altered face is on screen from 2\u00a0s to 4\u00a0s."),
)


def page() -> None:
    """The page at the address of the app."""
    case = session.current()
    if case is None:
        _first_visit()
    else:
        file_row(case)
        small(privacy_line())
        if case.busy:
            _waiting()
        elif case.state == "done" and case.verdict is not None:
            _result(case, case.verdict)
        else:
            _no_result(case)


def _first_visit() -> None:
    st.html('<div class="um"><h1>Check a photo or a video for manipulated faces</h1></div>')
    try:
        networks.model_names()
    except DetectorError as error:
        st.warning(str(error))
        return
    accepted = f"Photo or video, up to {session.upload_limit_mb()} MB"
    st.html(f"<style>:root {{ --um-limit: '{accepted}'; }}</style>")
    upload = st.file_uploader(
        accepted,
        key=f"upload-{st.session_state.get('upload_number', 0)}",
        label_visibility="collapsed",
    )
    if upload is not None:
        session.open_file(upload.name, session.take_upload(upload))
        draw_again()
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="um-under-drop"):
        st.html(f'<div class="um"><p class="um-small">{html.escape(privacy_line())}</p></div>', width="stretch")
        if session.is_local():
            _path_popover()
        networks_popover()
    samples = [sample for sample in SAMPLES if (_SAMPLES_DIR / sample.file).is_file()]
    if samples:
        st.html('<div class="um"><h2 class="um-h2">Or try one of these</h2></div>')
        with st.container(key="um-samples"):
            for column, sample in zip(st.columns(3), samples, strict=False):
                with (
                    column,
                    st.container(border=True, key=f"um-sample-{sample.file.partition('.')[0]}", height="stretch"),
                ):
                    _sample(sample)
    small(
        "Unmask looks for traces in faces. It cannot tell whether a scene is staged, a caption wrong or a voice "
        "cloned, and little evidence does not clear a file."
    )


def _path_popover() -> None:
    """A file too large to drop, read from where it lies."""
    label = f"Larger than {session.upload_limit_mb()} MB?"
    with st.popover(label, type="tertiary"), st.form("path", border=False):
        text = st.text_input("Path of a photo or a video on this computer", key="path_text")
        small("It is read where it lies, whatever its size; nothing is copied.")
        asked = st.form_submit_button("Check this file", width="stretch")
    if asked:
        problem = session.open_path(text)
        if problem:
            st.error(problem)
        else:
            draw_again()


def _sample(sample: Sample) -> None:
    thumb = _sample_thumb(sample.file)
    if thumb:
        st.image(thumb, width="stretch", alt=sample.text)
    st.html(f'<div class="um"><h3>{sample.title}</h3><p class="um-small">{sample.text}</p></div>')
    st.button("Check this one", key=f"sample-{sample.file}", on_click=_open_sample, args=(sample,), width="stretch")


def _open_sample(sample: Sample) -> None:
    session.open_file(sample.file, (_SAMPLES_DIR / sample.file).read_bytes())


@st.cache_resource(show_spinner=False)
def _sample_thumb(file: str) -> bytes:
    """A wide, small JPEG of a bundled sample; empty when it cannot be read."""
    from detector.media import read_image, sniff_kind
    from detector.video import read_frame

    data = (_SAMPLES_DIR / file).read_bytes()
    try:
        image = read_frame(data, 3.0) if sniff_kind(data[:4096]) == "video" else read_image(data)
    except DetectorError:
        return b""
    height, width = image.shape[:2]
    band = min(height, round(width * 0.56))
    return jpeg(image[:band], 640).data


def _waiting() -> None:
    with st.container(key="um-two"):
        left, right = st.columns([1, 1.1], gap="medium")
        with left, st.container(border=True, key="um-verdict"):
            _progress()
        with right:
            st.skeleton(height=420)


@st.fragment(run_every=0.4)
def _progress() -> None:
    with one_line_errors("progress"):
        case = session.current()
        if case is None or not case.busy:
            draw_again()
        now = case.progress
        st.html(f'<div class="um"><p class="um-eyebrow">Checking</p><h1>{_sentence(now.what)}</h1></div>')
        left = "" if now.left_s is None else f"About {max(1, round(now.left_s))} s left"
        st.progress(now.done, text=left or "Working out the time left")
        st.button("Cancel", on_click=session.close, key="cancel")


def _sentence(what: str) -> str:
    return what[:1].upper() + what[1:]


def _no_result(case: Case) -> None:
    with st.container(border=True, key="um-verdict"):
        if case.state == "stopped":
            small("The check was stopped because the connection to this page was lost.")
        else:
            st.error(case.error or bugs.BUG_MESSAGE)
        st.button("Check again", on_click=session.again, key="again")


def _result(case: Case, verdict: FileVerdict) -> None:
    if verdict.status == "unreadable":
        verdict_card(case, verdict)
        return
    seen = case.drawn
    time_s = shown_time(verdict)
    frame_was_there = case.has_frame(time_s)
    with st.container(key="um-two"):
        left, right = st.columns([1, 1.1], gap="medium")
        with left:
            verdict_card(case, verdict)
        with right:
            media_card(case, verdict)
    people(case, verdict)
    _details(case, verdict)
    if case.drawing or case.drawn != seen:
        _watch_drawing(time_s, frame_was_there)


def _details(case: Case, verdict: FileVerdict) -> None:
    chosen = chosen_subject(verdict)
    judged = chosen if chosen is not None and chosen.band is not None else None
    names = []
    if isinstance(verdict, VideoVerdict) and chosen is not None:
        names.append("Timeline")
    if case.playable:
        names.append("Video")
    if judged is not None:
        names += ["Networks", "Heatmaps"]
    names += ["Downloads", "How to read this"]
    for name, tab in zip(names, st.tabs(names, key="tabs", on_change="rerun"), strict=True):
        # what is not open is not drawn: each heatmap costs a run of its network
        if not tab.open:
            continue
        with tab, st.container(border=True, key="um-tab"):
            if name == "Timeline" and isinstance(verdict, VideoVerdict):
                timeline(case, verdict)
            elif name == "Video" and case.playable:
                start = shown_time(verdict) or 0.0
                st.video(case.source, format=case.playable, start_time=int(start), alt="The video as it was given")
            elif name == "Networks" and judged is not None:
                networks_table(verdict, judged)
            elif name == "Heatmaps" and judged is not None:
                heatmaps(case, verdict, judged)
            elif name == "Downloads":
                downloads(case, verdict)
            else:
                how_to_read(verdict)


@st.fragment(run_every=0.4)
def _watch_drawing(time_s: float | None, frame_was_there: bool) -> None:
    """Draws the page again when the frame has come, and once more when all of its pictures have."""
    with one_line_errors("pictures"):
        case = session.current()
        if case is None or not case.drawing or (case.has_frame(time_s) and not frame_was_there):
            draw_again()
