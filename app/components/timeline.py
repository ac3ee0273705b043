"""Evidence over time."""

import streamlit as st

from app import charts
from app.case import Case
from app.components.page import small, theme
from app.components.subjects import shown_time, subjects
from detector import VideoVerdict, report


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
