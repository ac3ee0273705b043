"""Sentences for people: what was tried, where it stands out, what becomes of it; beside the tables of codes.

Those stand in `detector.schema`. `detector.report` puts the sentences together with the verdict.
"""

import math
from collections.abc import Sequence

from detector.evidence import Line, Provenance
from detector.schema import AS_THEY_CAME, BLUR
from detector.types import (
    BANDS,
    CHANGES,
    REASONS,
    TRIED,
    Crowd,
    Face,
    FaceVerdict,
    FileVerdict,
    ImageVerdict,
    Kind,
    Person,
    Resaved,
    StandsOut,
    VideoVerdict,
)

LABELS_TITLE, HISTORY_TITLE = "Labels without a signature", "How the file came to be"
"""Above lines of evidence, on the page and in a report."""

BASIS_WORDS = {
    "observed": "stands in the file",
    "derived": "computed from the file",
    "inferred": "a likeness, no proof",
}
_MADE = {"generated", "partly_generated"}

_OF_ONE = {
    "face_too_small": "This face is too small to judge.",
    "face_too_blurred": "This face is too blurred to judge.",
}
"""Those of `REASONS` that speak of every face, of one."""
_OF_ONE_IN_SHORT = {
    "face_too_small": "face too small to judge",
    "face_too_blurred": "face too blurred to judge",
    "too_few_frames": "too few clear frames",
}
_NEXT_STEP = {
    "face_too_small": "Look for a version in a higher resolution, closest to the original.",
    "face_too_blurred": "Look for a sharper version, closest to the original.",
    "too_few_frames": "A verdict takes four: try a longer part in which the face is seen clearly.",
}


def no_verdict_message(reason: str | None, kind: Kind, tried: Sequence[str]) -> str | None:
    """Why a file has no verdict, what was tried, and what to do; None where it has one.

    Args:
        reason: a key of `REASONS`.
        kind: of the file.
        tried: keys of `TRIED`.
    """
    if reason is None:
        return None
    if reason != "no_face":
        return f"{REASONS[reason]} {_NEXT_STEP[reason]}"
    what = "frames" if kind == "video" else "picture"
    also = listed([TRIED[key] for key in tried])
    looked = f" The {what} {'were' if kind == 'video' else 'was'} also looked at {also}." if also else ""
    part = "a part in which a face is seen from the front, by its times" if kind == "video" else "a part of the picture"
    return (
        f"{REASONS[reason]}{looked} If you see one, look at {part}, or crop and turn a copy until the face is upright "
        "and large."
    )


def reason_of_one(reason: str | None) -> str:
    """Why one face or person has no verdict, in a sentence; empty for one that has."""
    return _OF_ONE.get(reason or "", REASONS.get(reason or "", ""))


def reason_in_short(reason: str | None) -> str:
    """The same in a few words."""
    return _OF_ONE_IN_SHORT.get(reason or "", REASONS.get(reason or "", ""))


def side_of(face: Face) -> str:
    """How large a face is: "113 pixels on its longer side"."""
    return f"{face.side_px} pixels on its longer side"


def listed(phrases: Sequence[str], last: str = "and") -> str:
    """Phrases as people list them: "a", "a and b", "a, b and c"; empty for none."""
    if len(phrases) < 2:
        return "".join(phrases)
    return f"{', '.join(phrases[:-1])} {last} {phrases[-1]}"


def score_of(prob: float) -> str:
    """A probability as a place on the evidence scale, never its ends: "84", "under 1", "over 99"."""
    if prob < 0.01:
        return "under 1"
    if prob > 0.99:
        return "over 99"
    # half goes up, as a reader expects; Python rounds half to even
    return str(math.floor(100 * prob + 0.5))


def percent(p: float) -> str:
    """A probability in whole percent, never certain: "81 %", "under 1 %", "over 99 %"."""
    return f"{score_of(p)} %"


def span_percent(low: float, high: float) -> str:
    """Two probabilities in whole percent: "74 to 87 %", "under 1 to 3 %", and "81 %" when both round to the same."""
    first, last = score_of(low), score_of(high)
    return f"{last} %" if first == last else f"{first} to {last} %"


def edges_line(verdict: FileVerdict) -> str:
    """Where the bands begin on this file's scale, those that it can get; empty without a verdict."""
    edges = verdict.thresholds
    if verdict.band is None or edges is None:
        return ""
    cap = verdict.band_cap if isinstance(verdict, VideoVerdict) else None
    can = BANDS[1 : BANDS.index(cap.band) + 1] if cap is not None else BANDS[1:]
    at = {"weak": edges.weak, "strong": edges.strong, "very_strong": edges.very_strong}
    begins = ", ".join(f"{band.replace('_', ' ')} {score_of(at[band])}" for band in can)
    if len(can) == len(BANDS) - 1:
        return f"Bands begin at: {begins}."
    return f"Bands begin at: {begins}. This version gives a video no more." if can else ""


def asides(verdict: FileVerdict) -> tuple[str, ...]:
    """Remarks beside a headline, in a few words: what a copy loses, which picture, which part stands out."""
    said = []
    if isinstance(verdict, ImageVerdict) and fragile(verdict):
        said.append("fragile")
    picture = verdict.picture if isinstance(verdict, ImageVerdict) else None
    if picture is not None and verdict.status == "ok":
        said.append(f"picture {picture.number} of {picture.of}")
    if verdict.region is not None:
        said.append("in the chosen region")
    part = part_that_stands_out(verdict)
    if part is not None:
        said.append(f"{part[1].start_s:.1f} to {part[1].end_s:.1f} s stands out")
    return tuple(said)


def part_that_stands_out(verdict: FileVerdict) -> tuple[Person, StandsOut] | None:
    """The clearest part of a video that stands out, and whose it is."""
    persons = verdict.persons if isinstance(verdict, VideoVerdict) else ()
    parts = [(p, p.stands_out) for p in persons if p.stands_out is not None]
    return max(parts, key=lambda pair: pair[1].prob_inside - pair[1].prob_outside, default=None)


def picture_line(verdict: ImageVerdict) -> str:
    """Which of several pictures the verdict is about and how many were looked at; empty for a still."""
    picture = verdict.picture
    if picture is None:
        return ""
    seen = len(picture.looked_at)
    looked = f"all {picture.of} were" if seen == picture.of else f"{seen} of them {'was' if seen == 1 else 'were'}"
    which = f"This is about picture {picture.number}, the most suspicious" if verdict.faces else "None shows a face"
    return f"The file holds {picture.of} pictures, {looked} looked at. {which}."


def turned_line(faces: Sequence[Face]) -> str:
    """That faces were found only after the picture was turned; empty where it stood upright."""
    turns = {face.turned_deg for face in faces} - {0}
    if not turns:
        return ""
    how = "upside down" if turns == {180} else "sideways"
    return f"The picture lies {how}: the face was found after turning it. If that is wrong, ask for the original."


def crowd_line(crowd: Crowd | None) -> str:
    """A line on the number of suspicious faces; empty where genuine pictures show as many every second time."""
    if crowd is None or crowd.chance > 0.5:
        return ""
    within, usual = round(1 / crowd.rate), round(crowd.of * crowd.rate)
    counted = f"{crowd.above} of {crowd.of} faces score higher than {within - 1} in {within} genuine faces do"
    if crowd.band == "little":
        return (
            f"{counted}; about {usual} would among genuine ones. That can still be chance, since faces of "
            "one picture resemble each other: look at each."
        )
    return f"{counted}. So many together are {crowd.band.replace('_', ' ')} evidence, whatever a single one is."


def fragile(verdict: ImageVerdict) -> bool:
    """Whether the band that stands in the headline falls when the picture is saved anew."""
    top = verdict.faces[0] if verdict.faces else None
    # a band that rests on the number of faces was not tried on copies
    return top is not None and top.band == verdict.band and bool(_fallen(top))


def _fallen(face: FaceVerdict) -> list[Resaved]:
    if face.band is None:
        return []
    return [r for r in face.resaved if r.band is not None and BANDS.index(r.band) < BANDS.index(face.band)]


def resaved_line(face: FaceVerdict) -> str:
    """A line on the band when the picture is saved anew, where it falls; empty where it holds."""
    if face.band is None:
        return ""
    none = [CHANGES[r.change] for r in face.resaved if r.band is None]
    if none and all(r.reason == "no_face" for r in face.resaved):
        return "In no copy that is saved again was a face found there: it may be none. Look at it."
    fallen = _fallen(face)
    said = []
    for band in BANDS:
        phrases = [CHANGES[r.change] for r in fallen if r.band == band]
        if phrases:
            said.append(f"{listed(phrases, 'or')} it would be {'only ' if band != BANDS[0] else ''}{band}")
    if none:
        said.append(f"{listed(none, 'or')} the face could not be judged")
    if not said:
        return ""
    text = "; ".join(said)
    return f"This does not outlast every copy: {text}. Look for the original."


def apart_line(verdict: FileVerdict) -> str:
    """Which part of a video stands out and by how much; empty where none does."""
    clearest = part_that_stands_out(verdict)
    if clearest is None:
        return ""
    person, part = clearest
    several = isinstance(verdict, VideoVerdict) and len(verdict.persons) > 1
    whose = f" of person {person.number}" if several else ""
    return (
        f"{part.start_s:.1f} to {part.end_s:.1f} s stands out: the {part.frames} frames{whose} there score "
        f"{score_of(part.prob_inside)} of 100, the others {score_of(part.prob_outside)}. Look there, and for a cut."
    )


def photo_line(person: Person) -> str:
    """That a video's band is lower than that of a photo with the same score; empty where it is not."""
    if person.band is None or person.photo_band is None:
        return ""
    if BANDS.index(person.photo_band) <= BANDS.index(person.band):
        return ""
    return (
        f"A photo with this score would be {person.photo_band.replace('_', ' ')} evidence. A video needs more: its "
        "most suspicious seconds are chosen out of many, and genuine videos reach this score more often. If there is a "
        "photo of this scene, check that too."
    )


def evidence_lines(verdict: FileVerdict) -> tuple[str, ...]:
    """The strongest first: a summary, then one line for each thing found. Empty where nothing was looked for."""
    provenance = verdict.provenance
    if provenance is None:
        return ()
    problem = (provenance.problem,) if provenance.problem and provenance.problem != provenance.summary else ()
    return (provenance.summary, *(with_basis(line) for line in provenance.lines), *problem)


def with_basis(line: Line) -> str:
    """A line with how it is known; what is computed needs no word, since it is a fact of the bytes."""
    return line.text if line.basis == "derived" else f"{line.text} [{BASIS_WORDS[line.basis]}]"


def caught_line(verdict: FileVerdict) -> str:
    """Beside little evidence: would it have seen a manipulation? Empty elsewhere, and where no photo was measured."""
    if isinstance(verdict, VideoVerdict) and verdict.band == "little":
        return "Would it have seen a manipulation? That was not measured for videos."
    caught = verdict.caught if isinstance(verdict, ImageVerdict) and verdict.band == "little" else None
    if caught is None:
        return ""
    how = "blurred" if caught.change == BLUR else caught.change
    like = f", changed to be like this picture ({how})," if caught.change != AS_THEY_CAME else ""
    spread = (
        "" if caught.low is None or caught.high is None else f" (95 % interval {span_percent(caught.low, caught.high)})"
    )
    return (
        f"Would it have seen a manipulation? Of {caught.n} manipulated test faces{like} this version puts "
        f"{percent(caught.share)}{spread} in the band “strong” or above; the rest stays below."
    )


def falls_line(verdict: FileVerdict) -> str:
    """Beside a photo's band that is fragile: how often that happens; empty elsewhere."""
    falls = verdict.measured.band_falls if verdict.measured is not None else None
    if falls is None or not isinstance(verdict, ImageVerdict) or not fragile(verdict):
        return ""
    said = [
        f"{share.k:g} of {share.n} {kind} ones ({span_percent(share.low, share.high)})"
        for kind, share in (("genuine", falls.genuine), ("manipulated", falls.manipulated))
        if share is not None
    ]
    if not said:
        return ""
    return (
        f"Of {falls.faces} faces with weak evidence or more, {listed(said)} fall in such a copy; 95 % intervals in "
        "brackets."
    )


def next_line(verdict: FileVerdict) -> str:
    """The next steps with their addresses, and what leaves this computer, in one line; empty where there are none."""
    if not verdict.next_steps:
        return ""
    steps = "; ".join(f"{step.title} ({step.link})" if step.link else step.title for step in verdict.next_steps)
    leaves = dict.fromkeys(step.privacy for step in verdict.next_steps if step.privacy)
    return " ".join((f"Next: {steps}.", *leaves))


def voice_line(provenance: Provenance | None) -> str:
    """That nobody listened, with the facts of the track; empty for a file without sound."""
    if provenance is None or provenance.sound is None:
        return ""
    sound = provenance.sound
    facts = [sound.codec]
    if sound.channels:
        facts.append({1: "mono", 2: "stereo"}.get(sound.channels, f"{sound.channels} channels"))
    if sound.rate:
        facts.append(f"{sound.rate / 1000:g} kHz")
    if sound.duration_s:
        facts.append(f"{sound.duration_s:.1f} s")
    if sound.language:
        facts.append(f"language “{sound.language}”")
    return f"The voice was not judged. The video has a sound track ({', '.join(facts)}); a voice can be cloned."


def disagreement(verdict: FileVerdict) -> str:
    """One sentence where the file and the networks point different ways; empty where they do not."""
    provenance = verdict.provenance
    if provenance is None or verdict.band is None:
        return ""
    says = {line.says for line in (*provenance.credentials.claims, *provenance.marks)}
    binding, signer = provenance.credentials.fact("binding"), provenance.credentials.fact("signer")
    if verdict.band == "little" and binding is not None and binding.code == "binding.mismatch":
        return (
            "The file was changed after signing, while the networks see little evidence in its faces: the change may "
            "lie elsewhere, or be of a kind that they miss."
        )
    if verdict.band == "little" and says & _MADE:
        return (
            "These lines disagree: the file says that a generative model took part, while the networks see little "
            "evidence. Anybody can write such a label, and networks miss new generators."
        )
    on_list = signer is not None and signer.code == "signer.on_list" and binding is not None
    if verdict.band in ("strong", "very_strong") and on_list and "camera" in says and not says & _MADE:
        return (
            "These lines disagree: a listed signer says that the picture was taken with a camera, while the networks "
            f"see {verdict.band.replace('_', ' ')} evidence. Networks raise false alarms; ask for the original."
        )
    return ""
