"""Below the cards, closed until asked: numbers, how to read them, and what the result was made with."""

import html

import streamlit as st

from app.components.guide import how_to_read
from app.subjects import Subject, subjects
from app.words import band_at, edge, place_by_edges
from detector import BANDS, Band, FileVerdict, Score, Thresholds, VideoVerdict, report
from detector.words import score_of


def details(verdict: FileVerdict) -> None:
    """Three sections that open in place."""
    judged = subjects(verdict)
    numbers = "".join(_networks(subject, verdict) for subject in judged if subject.scores)
    if isinstance(verdict, VideoVerdict):
        numbers += _points(verdict)
    sections = [("Numbers", _edges(verdict) + numbers)] if numbers else []
    sections += [("How to read this", how_to_read(verdict)), ("What this result was made with", _made_with(verdict))]
    body = "".join(
        f'<details class="um-details"><summary>{title}</summary><div class="um-inside">{inside}</div></details>'
        for title, inside in sections
    )
    with st.container(key="um-below"):
        st.html(f'<div class="um">{body}</div>')


def _edges(verdict: FileVerdict) -> str:
    if verdict.thresholds is None:
        return ""
    return (
        "<p>Each network by itself has a score and band edges of its own, set so that all of them raise equally many "
        "false alarms. Drawn from edge to edge they stand on one scale. The verdict goes by the last line: networks "
        "that err in different ways are surer together, so the joint score can lie above or below each of them. Edges "
        "are given for weak, strong and very strong.</p>"
    )


def _networks(subject: Subject, verdict: FileVerdict) -> str:
    """Every network against its own band edges, all on one scale, and the joint score against its own."""
    cap = verdict.band_cap if isinstance(verdict, VideoVerdict) else None
    strongest = cap.band if cap is not None else BANDS[-1]
    rows = [_row(report.network_name(s.model), s.prob_fake, s.thresholds, strongest, _vote(s)) for s in subject.scores]
    if len(subject.scores) > 1 and subject.prob is not None and not subject.voted:
        rows.append(_row("All together", subject.prob, verdict.thresholds, strongest, ""))
    title = html.escape(f"{subject.name}: {subject.in_words[0].lower()}{subject.in_words[1:]}")
    heads = "".join(f"<th scope='col'>{head}</th>" for head in ("Network", "Score", "On one scale, by its own edges"))
    return (
        f'<table class="um-table um-nets"><caption>{title}</caption><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _row(name: str, prob: float, edges: Thresholds | None, strongest: Band, vote: str) -> str:
    where = vote
    if edges is not None:
        given = BANDS.index(strongest)
        zones = "".join(f'<i class="{f"um-fill-{b}" if i <= given else "um-shut"}"></i>' for i, b in enumerate(BANDS))
        begins = "&nbsp;· ".join(edge(low) for low in (edges.weak, edges.strong, edges.very_strong))
        where = (
            f'<span class="um-strip" aria-hidden="true">{zones}'
            f'<b style="left:{100 * place_by_edges(prob, edges):.1f}%"></b></span>'
            f'{band_at(prob, edges, strongest).capitalize()} <span class="um-small">(edges {begins})</span>'
        )
    return f"<tr><th scope='row'>{html.escape(name)}</th><td class='num'>{score_of(prob)}</td><td>{where}</td></tr>"


def _vote(one: Score) -> str:
    """Where networks vote: for what, and from where on; empty elsewhere."""
    if one.thresholds is not None or one.threshold is None:
        return ""
    side = "for" if one.above_threshold else "not for"
    return f"Votes {side} manipulation <span class='um-small'>(votes for it from {edge(one.threshold)})</span>"


def _points(verdict: VideoVerdict) -> str:
    rows = "".join(
        f"<tr><td class='num'>{point.time_s:.2f}</td><td>{person.number}</td>"
        f"<td>{'not judged' if point.prob_fake is None else score_of(point.prob_fake)}</td></tr>"
        for person in verdict.persons
        for point in person.timeline
    )
    return (
        '<div class="um-tall" tabindex="0" role="region" aria-label="Score of every frame"><table class="um-table">'
        "<caption>Every frame that shows a person</caption><thead><tr><th scope='col'>Time in s</th>"
        f"<th scope='col'>Person</th><th scope='col'>Score</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _made_with(verdict: FileVerdict) -> str:
    facts = {
        "Program": f"Unmask {verdict.version}",
        "Networks": ", ".join(report.network_name(model.name) for model in verdict.models),
        "Published on": verdict.weights_date,
        "Checked at": verdict.date,
        "SHA-256 of the file": verdict.sha256,
    }
    rows = "".join(
        f"<tr><th scope='row'>{name}</th><td class='um-all'>{html.escape(value)}</td></tr>"
        for name, value in facts.items()
        if value
    )
    return f'<table class="um-table"><tbody>{rows}</tbody></table>'
