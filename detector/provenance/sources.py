"""IPTC's digital source types: a code → what it says of how a picture was made.

Source: IPTC NewsCodes, http://cv.iptc.org/newscodes/digitalsourcetype/, and the two codes that C2PA adds.
"""

from typing import NamedTuple

from detector.evidence import Says


class SourceType(NamedTuple):
    """The meaning of a code, as the end of "says that it was ...", and what that is worth as evidence."""

    text: str
    says: Says


SOURCE_TYPES: dict[str, SourceType] = {
    "trainedAlgorithmicMedia": SourceType("made by a generative model", "generated"),
    "trainedAlgorithmicData": SourceType("made by a generative model", "generated"),
    "compositeWithTrainedAlgorithmicMedia": SourceType(
        "put together or edited with parts made by a generative model", "partly_generated"
    ),
    "compositeSynthetic": SourceType("put together from parts of which at least one is synthetic", "may_be_generated"),
    "composite": SourceType("put together from several parts, which may include generated ones", "may_be_generated"),
    "algorithmicMedia": SourceType("made by a program that did not learn from examples", "may_be_generated"),
    "dataDrivenMedia": SourceType("drawn by a program from data", "may_be_generated"),
    "virtualRecording": SourceType("recorded of a virtual scene", "may_be_generated"),
    "digitalCreation": SourceType("made by a person with tools that are not generative, and no camera", "nothing"),
    "digitalArt": SourceType("made by a person with software, not with a camera", "may_be_generated"),
    # by its definition the pixels were corrected, not invented
    "algorithmicallyEnhanced": SourceType("corrected by a program, which is no generation", "edited"),
    "humanEdits": SourceType("edited by a person", "edited"),
    "minorHumanEdits": SourceType("edited lightly by a person", "edited"),
    "digitalCapture": SourceType("taken with a camera", "camera"),
    "computationalCapture": SourceType("taken with a camera that combines several exposures", "camera"),
    "multiFrameComputationalCapture": SourceType("taken with a camera that combines several exposures", "camera"),
    "compositeCapture": SourceType("put together from several camera pictures", "camera"),
    "negativeFilm": SourceType("scanned from film", "camera"),
    "positiveFilm": SourceType("scanned from film", "camera"),
    "print": SourceType("scanned from a print", "camera"),
    "screenCapture": SourceType("taken off a screen, which can show generated pictures too", "may_be_generated"),
    "softwareImage": SourceType("made with software", "nothing"),
    "empty": SourceType("started from an empty canvas", "nothing"),
}


def source_type(value: str) -> tuple[str, SourceType] | None:
    """The code in a URI, a QCode ("digsrctype:...") or by itself, with its meaning; None for what is no such code."""
    code = value.strip().rstrip("/").rpartition("/")[2].rpartition(":")[2]
    lowered = code.casefold()
    for name, meaning in SOURCE_TYPES.items():
        if name.casefold() == lowered:
            return name, meaning
    return None
