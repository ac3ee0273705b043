"""Check: drop files, watch the analysis, read the verdict."""

import html
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from app import bugs, networks, session
from app.case import Case
from app.components.checks import checks_table
from app.components.details import details
from app.components.file import file_row, networks_popover
from app.components.frame import privacy_line, small
from app.components.intake import intake, path_popover
from app.components.media import media_card
from app.components.verdict import verdict_card
from app.components.waiting import waiting
from app.pictures import jpeg
from detector import DetectorError, FileVerdict

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
    """The page at the address of the app: a check, or the place to begin one."""
    told = st.session_state.pop("told", None)
    if told:
        st.toast(told)
    case = session.current()
    if case is None:
        _start()
        return
    if case.busy:
        waiting(case)
    else:
        file_row(case)
        if case.state == "done" and case.verdict is not None:
            _result(case, case.verdict)
        else:
            _no_result(case)
    intake(zone=False)


def _start() -> None:
    st.html('<div class="um"><h1>Check a photo or a video for manipulated faces</h1></div>')
    try:
        networks.model_names()
    except DetectorError as error:
        st.warning(str(error))
        return
    if session.lost():
        minutes = max(1, round(st.get_option("server.disconnectedSessionTTL") / 60))
        st.info(
            "That check is no longer kept: Unmask was started anew, or the page had been closed for more than "
            f"{minutes} minutes. Drop the file again."
        )
    small(
        "You get one of four bands of evidence (little, weak, strong, very strong) or “no verdict”, with the reasons "
        "and how often that is wrong. It is a lead, not proof."
    )
    intake(zone=True)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="um-under-drop"):
        st.html(f'<div class="um"><p class="um-small">{html.escape(privacy_line())}</p></div>', width="stretch")
        if session.is_local():
            path_popover()
        networks_popover()
    cases = session.checks()
    if cases:
        checks_table(cases)
    _samples()
    small(
        "Unmask looks for traces in faces. It cannot tell whether a scene is staged, a caption wrong or a voice "
        "cloned, and little evidence does not clear a file."
    )


def _samples() -> None:
    samples = [sample for sample in SAMPLES if (_SAMPLES_DIR / sample.file).is_file()]
    if not samples:
        return
    st.html('<div class="um"><h2 class="um-h2">Or try one of these</h2></div>')
    with st.container(key="um-samples"):
        for column, sample in zip(st.columns(3), samples, strict=False):
            with (
                column,
                st.container(border=True, key=f"um-sample-{sample.file.partition('.')[0]}", height="stretch"),
            ):
                _sample(sample)


def _sample(sample: Sample) -> None:
    thumb = _sample_thumb(sample.file)
    if thumb:
        st.image(thumb, width="stretch", alt=sample.text)
    st.html(f'<div class="um"><h3>{sample.title}</h3><p class="um-small">{sample.text}</p></div>')
    label = f"Check the {sample.title.lower()}"
    st.button(label, key=f"sample-{sample.file}", on_click=_open_sample, args=(sample,), width="stretch")


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


def _no_result(case: Case) -> None:
    with st.container(border=True, key="um-verdict"):
        st.html('<div class="um"><h1>No result</h1></div>')
        if case.state == "stopped":
            small("The check was stopped.")
        else:
            st.error(case.error or bugs.BUG_MESSAGE)
        st.button("Check again", on_click=session.again, args=(case.id,), key="again")


def _result(case: Case, verdict: FileVerdict) -> None:
    if verdict.status == "unreadable":
        verdict_card(case, verdict)
        return
    with st.container(key="um-two"):
        left, right = st.columns([5, 7], gap="medium")
        with left:
            verdict_card(case, verdict)
        with right:
            media_card(case, verdict)
    details(verdict)
