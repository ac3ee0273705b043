"""What can be taken away: table and marked copy."""

from pathlib import Path

import streamlit as st

from app import bugs, charts, session
from app.case import Case
from app.components.page import one_line_errors, small
from app.components.subjects import subjects
from app.copies import MarkedCopy
from detector import FileVerdict, report


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
