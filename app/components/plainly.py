"""How good the default is, for people: of 100 genuine files it flags so many, of 100 of each kind it finds so many."""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from detector.words import span_percent

if TYPE_CHECKING:
    from detector.manifest import Manifest
    from detector.results import Measured
    from detector.types import FalseAlarms

_KINDS: dict[str, tuple[str, ...]] = {
    "Faces that StyleGAN made": ("140k", "stylegan2-1024"),
    "Faces that text-to-image programs made (Stable Diffusion, FLUX)": ("sd21", "flux-persons"),
    "Face swaps (DeepFaceLive, faceswap-GAN, FaceForensics++ and others)": ("dfl", "timit", "ffpp", "e4s"),
    "Faces set in motion or made to talk": ("edtalk", "fantasy", "hyavatar"),
    "Faces edited by hand or by a program (Photoshop, age, image editors)": ("yonsei", "hrfae", "qwenedit"),
}
"""Kinds of manipulation in words, and the test sets that hold them."""
_OTHER = "Other kinds"


@dataclass(frozen=True, slots=True)
class FoundShare:
    """How much of one kind is found: `share` of `n` manipulated test faces reach “strong” or more."""

    kind: str
    share: float
    n: int


def found_by_kind(slices: "Mapping[str, Measured]") -> tuple[FoundShare, ...]:
    """Manipulated test faces by kind, those that are found best first; test sets of no known kind count as others.

    Args:
        slices: what was measured on each test set.
    """
    kind_of = {name: kind for kind, names in _KINDS.items() for name in names}
    counts: dict[str, tuple[float, int]] = {}
    for name, measured in slices.items():
        rate = measured.figures.get("tpr")
        # sets that gather others have a name of several words
        if rate is None or not measured.manipulated or " " in name:
            continue
        kind = kind_of.get(name, _OTHER)
        hits, n = counts.get(kind, (0.0, 0))
        counts[kind] = (hits + rate.value * measured.manipulated, n + measured.manipulated)
    shares = [FoundShare(kind, hits / n, n) for kind, (hits, n) in counts.items()]
    return tuple(sorted(shares, key=lambda one: -one.share))


def plainly(manifest: "Manifest") -> None:
    """Three sentences and one table."""
    from detector.results import read_results

    entry, results = manifest.entry(manifest.default), read_results(manifest)
    sentences = [_alarms(entry.false_alarms, "genuine faces from sources it never saw", "faces")]
    if entry.clip_false_alarms:
        sentences.append(_alarms(entry.clip_false_alarms, "persons in genuine videos", "persons"))
    sentences.append("What it finds depends on how a face was made. “Little evidence” is no all-clear.")
    rows = ""
    if results is not None and manifest.default in results.choices:
        rows = "".join(
            f"<tr><th scope='row'>{html.escape(one.kind)}</th><td class='num'>"
            f"<span class='um-share' aria-hidden='true'><i style='width:{100 * one.share:.0f}%'></i></span>"
            f"{_of_hundred(one.share)}</td><td class='num'>{one.n}</td></tr>"
            for one in found_by_kind(results.choices[manifest.default].slices)
        )
    table = (
        "<table class='um-table um-kinds'><caption>Of 100 manipulated faces of each kind, how many come out as "
        "“strong” or more</caption><thead><tr><th scope='col'>Kind</th><th scope='col'>Found of 100</th>"
        f"<th scope='col'>Tested</th></tr></thead><tbody>{rows}</tbody></table>"
        if rows
        else ""
    )
    st.html(
        '<div class="um um-plainly"><h2 class="um-h2">How often it is wrong</h2>'
        f"{''.join(f'<p>{html.escape(s)}</p>' for s in sentences if s)}{table}</div>"
    )


def _alarms(rates: "FalseAlarms", of: str, noun: str) -> str:
    weak, strong = rates.get("weak"), rates.get("strong")
    if weak is None:
        return ""
    text = f"Of 100 {of}, it flags {_of_hundred(weak.k / weak.n)} as weak or more"
    if strong is not None:
        text += f", {_of_hundred(strong.k / strong.n)} as strong or more"
    span = span_percent(weak.low, weak.high).removesuffix(" %")
    return f"{text} ({weak.n} {noun} tested; with 95 % confidence it is {span} in 100 for weak or more)."


def _of_hundred(share: float) -> str:
    if 0 < share < 0.01:
        return "fewer than 1"
    return f"{100 * share:.0f}"
