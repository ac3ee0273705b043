"""Who was found, and what each network says of one of them."""

import html

import streamlit as st

from app.case import Case
from app.components.page import small
from app.components.subjects import (
    Subject,
    choose,
    chosen_subject,
    judged_at,
    reason_of_one,
    shown_network,
    shown_time,
    subjects,
)
from app.pictures import data_uri
from detector import FileVerdict, ImageVerdict, Score, VideoVerdict, report


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
    portrait = data_uri(case.portrait(subject.number, subject.best_time_s))
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
        shown = (
            f'<img alt="Heatmap of {name} over {subject.name}" src="{data_uri(picture)}">' if picture else "<div></div>"
        )
        figures.append(f"<figure>{shown}<figcaption>{name}, {html.escape(note)}</figcaption></figure>")
    st.html(f'<div class="um um-heatmaps">{"".join(figures)}</div>')
    small(
        "Bright places raised this network's score the most; compare places within one picture, not pictures. Whether "
        "they mark the manipulated part has not been measured: look there, but do not quote them."
    )
