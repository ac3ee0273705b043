"""Below the cards, closed until asked: numbers, how to read them, and what the result was made with."""

import html

import streamlit as st

from app.components.guide import how_to_read
from app.subjects import Subject, subjects
from app.words import edge, score
from detector import FileVerdict, VideoVerdict, report


def details(verdict: FileVerdict) -> None:
    """Three sections that open in place."""
    found = subjects(verdict)
    numbers = "".join(_networks(subject) for subject in found if subject.scores)
    if isinstance(verdict, VideoVerdict):
        numbers += _points(verdict)
    sections = [("Numbers", _edges(verdict) + numbers)] if numbers else []
    sections += [("How to read this", how_to_read(verdict)), ("What this result was made with", _made_with(verdict))]
    body = "".join(
        f'<details class="um-details"><summary>{title}</summary><div class="um-inside">{inside}</div></details>'
        for title, inside in sections
    )
    st.html(f'<div class="um">{body}</div>')


def _edges(verdict: FileVerdict) -> str:
    t = verdict.thresholds
    if t is None:
        return ""
    return (
        f"<p>All networks together are put on one scale; its bands begin at {edge(t.weak)} (weak), {edge(t.strong)} "
        f"(strong) and {edge(t.very_strong)} (very strong) for this file. Each network by itself has a scale and a "
        "threshold of its own, so the joint score can lie above or below each of them.</p>"
    )


def _networks(subject: Subject) -> str:
    rows = "".join(
        f"<tr><th scope='row'>{html.escape(report.network_name(s.model))}</th><td class='num'>{score(s.prob_fake)}</td>"
        f"<td>{'above its threshold' if s.above_threshold else 'below its threshold'}</td></tr>"
        for s in subject.scores
    )
    title = html.escape(f"{subject.name}: {subject.in_words.lower()}")
    heads = "".join(f"<th scope='col'>{head}</th>" for head in ("Network", "Its own score", "Its own threshold"))
    return (
        f'<table class="um-table"><caption>{title}</caption><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _points(verdict: VideoVerdict) -> str:
    rows = "".join(
        f"<tr><td class='num'>{point.time_s:.2f}</td><td>{person.number}</td>"
        f"<td>{'not judged' if point.prob_fake is None else score(point.prob_fake)}</td></tr>"
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
