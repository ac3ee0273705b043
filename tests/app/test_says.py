"""What the page says of a file, and what to do next: the words of the verdict, each text kept to itself."""

import re
from typing import Any

import pytest

from app.components.says import first_html, next_html, says_html
from app.components.verdict import head_html
from detector.stored import verdict_of
from tests.detector.test_schema import IMAGE_JSON, UNREADABLE_JSON, VIDEO_JSON


def with_provenance(document: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**document, "provenance": {**VIDEO_JSON["provenance"], **changes}}


@pytest.mark.parametrize("document", [IMAGE_JSON, VIDEO_JSON, with_provenance(UNREADABLE_JSON)])
def test_summary_facts_labels_history_and_hashes_are_shown(document: dict[str, Any]) -> None:
    verdict = verdict_of(document)
    html = first_html(verdict) + says_html(verdict)
    assert html.count("The file says something.") == 1
    for wanted in ("The file says something.", "The bytes fit.", "A camera.", "Grok.", "a likeness, no proof"):
        assert wanted in html
    assert document["sha256"] in html and "likeness, not identity" in html
    assert "The voice was not judged." in html


def test_texts_from_the_file_are_neither_markup_nor_reorder_a_line() -> None:
    html = first_html(verdict_of(with_provenance(IMAGE_JSON, summary="<script>alert(1)</script> \u05e9\u05dc")))
    assert "<script>" not in html
    assert re.search(r"<bdi>&lt;script&gt;alert\(1\)&lt;/script&gt; \u05e9\u05dc</bdi>", html)


def test_what_the_file_says_of_its_making_comes_before_the_band_and_silence_does_not() -> None:
    head = head_html(verdict_of(with_provenance(IMAGE_JSON)))
    assert head.index("The file says something.") < head.index("<h1>")
    silent = VIDEO_JSON["provenance"]["credentials"] | {"state": "none", "facts": [], "claims": []}
    verdict = verdict_of(with_provenance(IMAGE_JSON, credentials=silent, marks=[]))
    assert "The file says something." not in head_html(verdict)
    assert "The file says something." in says_html(verdict)


def test_the_state_of_credentials_is_said_once() -> None:
    text = "Content Credentials are not defined for this kind of file."
    undefined = {**VIDEO_JSON["provenance"]["credentials"], "state": "not_defined", "text": text}
    undefined |= {"facts": [], "claims": []}
    for summary in (f"{text} Nothing else.", "The file was not read."):
        html = says_html(verdict_of(with_provenance(IMAGE_JSON, credentials=undefined, marks=[], summary=summary)))
        assert html.count(text) == 1 and summary in html


def test_next_steps_name_their_page_and_what_leaves_this_computer() -> None:
    html = next_html(verdict_of(IMAGE_JSON))
    assert html.count("<li>") == 2
    assert '<a href="https://a.example/" target="_blank" rel="noopener noreferrer">a.example</a>' in html
    assert next_html(verdict_of(UNREADABLE_JSON)) == says_html(verdict_of(UNREADABLE_JSON)) == ""
