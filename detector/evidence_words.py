"""Evidence that a file carries itself, beside the networks' verdict, in lines for a person.

Lines of evidence that disagree are shown as such, with one sentence; they are never fused into a number.
"""

from detector.evidence import Line, Provenance
from detector.report import percent, span_percent
from detector.schema import AS_THEY_CAME, BLUR
from detector.types import FileVerdict, ImageVerdict, VideoVerdict
from detector.words import fragile, listed

BASIS_WORDS = {
    "observed": "stands in the file",
    "derived": "computed from the file",
    "inferred": "a likeness, no proof",
}
_MADE = {"generated", "partly_generated"}


def said(verdict: FileVerdict) -> tuple[str, ...]:
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
        return "Would it have seen a manipulation? That was not measured for videos of this size, blur and compression."
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
        f"How often evidence is fragile: of {falls.faces} faces with weak evidence or more, in {listed(said)}; 95 % "
        "intervals in brackets."
    )


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
    listed = signer is not None and signer.code == "signer.on_list" and binding is not None
    if verdict.band in ("strong", "very_strong") and listed and "camera" in says and not says & _MADE:
        return (
            "These lines disagree: a listed signer says that the picture was taken with a camera, while the networks "
            f"see {verdict.band.replace('_', ' ')} evidence. Networks raise false alarms; ask for the original."
        )
    return ""
