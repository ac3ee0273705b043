"""Files to try, of which the truth is known: what a finding, a miss and a genuine picture look like."""

import html
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from app import session
from app.case import Case
from app.look import Look
from app.pictures import jpeg
from detector import DetectorError, FileVerdict, VideoVerdict

_DIR = Path(__file__).parents[1] / "samples"


@dataclass(frozen=True, slots=True)
class Sample:
    """A file to try.

    Attributes:
        title, text: of its card; a file without a card is the original of another.
        altered: what this project did to it; empty for a genuine picture.
        cut: the part of the picture that its card shows, as parts of width and height: x0, y0, x1, y1.
    """

    file: str
    title: str
    text: str
    altered: str
    cut: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)


SAMPLES = (
    Sample("hopper.jpg", "Portrait", "Genuine. US Navy, 1984, public domain.", "", (0.0, 0.06, 1.0, 0.66)),
    Sample(
        "astronaut_edited.jpg",
        "Edited face",
        "This project moved, reshaped and recoloured the face: found.",
        "The face in this picture was altered by this project.",
        (0.08, 0.0, 0.9, 0.48),
    ),
    Sample(
        "clip.mp4",
        "Edited clip",
        "Genuine but for two seconds: the timeline shows which.",
        "The face in this clip was altered by this project, from 2 to 4 s.",
    ),
    Sample(
        "two_portraits.jpg",
        "Retouched face",
        "The right one has larger eyes and a smaller mouth: missed.",
        "The right face was retouched by this project: larger eyes, a narrower mouth.",
        (0.0, 0.05, 1.0, 0.95),
    ),
    Sample("astronaut.jpg", "", "", ""),
)


def samples() -> None:
    """A card for each sample that has one."""
    there = [sample for sample in SAMPLES if sample.title and (_DIR / sample.file).is_file()]
    if not there:
        return
    st.html('<div class="um"><h2 class="um-h2">Or try one of these, of which the truth is known</h2></div>')
    with st.container(key="um-samples"):
        for column, sample in zip(st.columns(len(there)), there, strict=True):
            with (
                column,
                st.container(border=True, key=f"um-sample-{sample.file.partition('.')[0]}", height="stretch"),
            ):
                _card(sample)


def lesson(case: Case, verdict: FileVerdict) -> str:
    """The lesson of a sample's verdict, since the truth is known; empty for every other file."""
    sample = next((sample for sample in SAMPLES if sample.file == case.name), None)
    if sample is None or case.look != Look() or case.source != (_DIR / sample.file).read_bytes():
        return ""
    return lesson_of(sample, verdict)


def lesson_of(sample: Sample, verdict: FileVerdict) -> str:
    """The lesson of this verdict on a sample, in a sentence or two."""
    if not sample.altered:
        if verdict.band == "little":
            return "This picture is genuine, and nothing was found. A manipulation of a new kind can look the same."
        return "This picture is genuine: this is a false alarm, which is why a finding is a lead and not proof."
    if verdict.band in ("strong", "very_strong"):
        return f"{sample.altered} This version finds it."
    if verdict.band == "weak":
        return f"{sample.altered} This version finds little of it: weak evidence."
    if isinstance(verdict, VideoVerdict) and any(person.stands_out for person in verdict.persons):
        return f"{sample.altered} The band stays “little”, but this version says which part stands out: look there."
    return f"{sample.altered} This version misses it: “little evidence” does not clear a file."


def lesson_line(case: Case, verdict: FileVerdict) -> None:
    """Draws the lesson above the cards; nothing for other files."""
    text = lesson(case, verdict)
    if text:
        st.html(f'<div class="um um-lesson"><p><b>A sample.</b> {html.escape(text)}</p></div>')


def _card(sample: Sample) -> None:
    thumb = _thumb(sample.file)
    if thumb:
        st.image(thumb, width="stretch", alt=f"{sample.title}, a sample")
    st.html(f'<div class="um"><h3>{sample.title}</h3><p class="um-small">{sample.text}</p></div>')
    label = f"Check the {sample.title.lower()}"
    st.button(label, key=f"sample-{sample.file}", on_click=_open, args=(sample.file,), width="stretch")


def _open(file: str) -> None:
    session.open_file(file, (_DIR / file).read_bytes())


@st.cache_resource(show_spinner=False)
def _thumb(file: str) -> bytes:
    """A wide, small JPEG of a bundled sample; empty when it cannot be read."""
    from detector.apart import read_frame, read_image
    from detector.media import sniff_kind

    data = (_DIR / file).read_bytes()
    try:
        image = read_frame(data, 5.5) if sniff_kind(data[:4096]) == "video" else read_image(data)
    except DetectorError:
        return b""
    height, width = image.shape[:2]
    x0, y0, x1, y1 = next(sample.cut for sample in SAMPLES if sample.file == file)
    return jpeg(image[round(y0 * height) : round(y1 * height), round(x0 * width) : round(x1 * width)], 640).data
