"""The evidence that a file carries itself, and the next steps; also of a file without a face or one that is damaged."""

import html

from detector import FileVerdict, Line, Provenance, Step
from detector.words import BASIS_WORDS, HISTORY_TITLE, LABELS_TITLE, disagreement, voice_line

_STEPS = 3
"""Next steps that are there at once; the rest opens in place."""
_FACTS = {"binding": "Bytes", "signature": "Signature", "signer": "Signer", "time": "Time", "claim": "Statement"}


def first_html(verdict: FileVerdict) -> str:
    """The file's own statement on how it was made, as HTML, to stand before the band; empty where there is none."""
    provenance = verdict.provenance
    if provenance is None or not provenance.tells:
        return ""
    apart = disagreement(verdict)
    beside = f'<p class="um-apart">{_text(apart)}</p>' if apart else ""
    return f'<div class="um-first"><p>The file says: <b>{_text(provenance.summary)}</b></p>{beside}</div>'


def says_html(verdict: FileVerdict) -> str:
    """The evidence that the file carries itself, the strongest first, as HTML; empty where nothing was looked for.

    Its summary only where `first_html` does not have it.
    """
    provenance = verdict.provenance
    if provenance is None:
        return ""
    parts = ['<h2 class="um-h3">What the file says</h2>']
    if not provenance.tells:
        parts.append(f"<p>{_text(provenance.summary)}</p>")
    parts += [_credentials(provenance), _lines(LABELS_TITLE, provenance.marks)]
    parts.append(_lines(HISTORY_TITLE, provenance.history))
    rest = (voice_line(provenance), provenance.problem if provenance.problem != provenance.summary else None)
    parts += [f'<p class="um-small">{_text(line)}</p>' for line in rest if line]
    hashes = [f"SHA-256 <code>{verdict.sha256}</code>"] if verdict.sha256 else []
    if provenance.perceptual_hash:
        hashes.append(f"Perceptual hash <code>{provenance.perceptual_hash}</code> (likeness, not identity)")
    if provenance.frame_hashes:
        frames = ", ".join(f"<code>{one.hash}</code> at {one.time_s:.1f} s" for one in provenance.frame_hashes)
        hashes.append(f"Perceptual hashes of frames: {frames} (likeness, not identity)")
    if hashes:
        parts.append(f'<details><summary>Hashes</summary><p class="um-small">{"<br>".join(hashes)}</p></details>')
    return f'<div class="um um-says">{"".join(parts)}</div>'


def next_html(verdict: FileVerdict) -> str:
    """The next steps as HTML; empty where there are none."""
    if not verdict.next_steps:
        return ""
    items = [_step(step) for step in verdict.next_steps]
    first, rest = "".join(items[:_STEPS]), "".join(items[_STEPS:])
    more = f'<details><summary>More ways: {len(items) - _STEPS}</summary><ul class="um-next">{rest}</ul></details>'
    steps = f'<ul class="um-next">{first}</ul>{more if rest else ""}'
    return f'<div class="um um-says"><h2 class="um-h3">Next</h2>{steps}</div>'


def _step(step: Step) -> str:
    link = (
        f' <a href="{html.escape(step.link)}" target="_blank" rel="noopener noreferrer">{_address(step.link)}</a>'
        if step.link
        else ""
    )
    privacy = f' <span class="um-leaves">{_text(step.privacy)}</span>' if step.privacy else ""
    return f"<li><details><summary>{_text(step.title)}</summary>{_text(step.text)}{link}{privacy}</details></li>"


def _credentials(provenance: Provenance) -> str:
    credentials = provenance.credentials
    lines = (*credentials.facts, *credentials.claims)
    if not lines:
        if credentials.state == "none" or credentials.text in provenance.summary:
            return ""
        return f'<p class="um-small">{_text(credentials.text)}</p>'
    rows = "".join(
        f'<tr><th scope="row">{_FACTS[line.code.partition(".")[0]]}</th><td>{_text(line.text)}</td></tr>'
        for line in lines
    )
    return (
        f"<details><summary>Content Credentials: {len(lines)} facts</summary>"
        f'<p class="um-small">{_text(credentials.text)}</p>'
        f'<table class="um-table"><tbody>{rows}</tbody></table></details>'
    )


def _lines(title: str, lines: tuple[Line, ...]) -> str:
    if not lines:
        return ""
    items = "".join(
        f'<li>{_text(line.text)} <span class="um-small">{_text(line.where)}; {BASIS_WORDS[line.basis]}.</span></li>'
        for line in lines
    )
    return f"<details><summary>{title}: {len(lines)}</summary><ul>{items}</ul></details>"


def _text(text: str) -> str:
    # names from the file may run from right to left: each text keeps to itself
    return f"<bdi>{html.escape(text)}</bdi>"


def _address(link: str) -> str:
    return html.escape(link.removeprefix("https://").strip("/"))
