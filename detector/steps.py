"""Next steps with a file, as data: page, command line and report say the same.

Nothing here is proof, and whatever sends the file elsewhere says so.
"""

from detector.evidence import Provenance, Step
from detector.types import FileVerdict, ImageVerdict, VideoVerdict

_LEAVES = "Your file leaves this computer if you upload it there."


def next_steps(verdict: FileVerdict) -> tuple[Step, ...]:
    """The steps that fit this verdict, the most useful first."""
    steps = [_ORIGINAL] if verdict.status != "unreadable" else [_READABLE]
    if isinstance(verdict, ImageVerdict):
        steps += _searches("the picture or a face")
    elif isinstance(verdict, VideoVerdict):
        steps += [_SAVE_FRAME, *_searches("a still")]
        if verdict.provenance is not None and verdict.provenance.sound is not None:
            steps.append(_VOICE)
    steps += _makers(verdict.provenance)
    steps += _WATERMARKS
    return tuple(steps)


_ORIGINAL = Step(
    "ask_sender",
    "Ask the sender for the original",
    "Ask for the file as the camera or program wrote it, sent as a file and not as a picture; who took it, where, when "
    "and with what; and for the pictures taken before and after. Compare what you get with this file.",
)
_READABLE = Step(
    "ask_sender",
    "Ask the sender for the file again",
    "Ask for the file as the camera or program wrote it, sent as a file and not as a picture. This copy could not be "
    "read.",
)
_SAVE_FRAME = Step(
    "save_frame",
    "Save the most telling frame",
    "Save the frame or the face that stands out, for a search and for colleagues to look at. It is a copy, not "
    "evidence.",
)
_VOICE = Step(
    "save_sound",
    "Have the voice checked",
    "The voice was not judged. Save the sound as WAV and give it to somebody who can examine voices, or compare it "
    "with recordings of the person that are beyond doubt.",
)
_NOTHING_FOUND = "Nothing found means nothing: other generators leave no such mark, and marks wear off."
_WATERMARKS = (
    Step(
        "maker_openai",
        "Ask OpenAI's own checker",
        f"It looks for Content Credentials and marks in the pixels of what OpenAI's generators made. {_NOTHING_FOUND}",
        "https://openai.com/verify/",
        _LEAVES,
    ),
    Step(
        "maker_google",
        "Ask Google's own checker, SynthID",
        f"It looks for marks in the pixels or the sound of what Google's generators made. {_NOTHING_FOUND}",
        "https://deepmind.google/models/synthid/",
        _LEAVES,
    ),
)
"""Meta marks what its generators make, too, but has no public page that reads the marks."""


def _searches(what: str) -> list[Step]:
    text = (
        f"Search for {what}. An older copy, or one with another face, background or caption, tells more than any "
        "network."
    )
    return [
        Step("reverse_search", "Search for earlier copies: Google", text, "https://images.google.com/", _LEAVES),
        Step("reverse_search_tineye", "Search for earlier copies: TinEye", text, "https://tineye.com/", _LEAVES),
    ]


def _makers(provenance: Provenance | None) -> list[Step]:
    if provenance is None or provenance.credentials.state not in ("present", "elsewhere"):
        return []
    return [
        Step(
            "content_credentials",
            "Look at the Content Credentials on the web",
            "See the Content Credentials as the coalition behind them shows them, with every earlier version.",
            "https://contentcredentials.org/verify",
            _LEAVES,
        )
    ]
