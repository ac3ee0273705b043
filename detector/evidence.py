"""Evidence that a file carries itself, as frozen values; none of it is ever mixed into a network's probability.

A line is "observed" (it stands in the file, word for word), "derived" (computed from the file's bytes) or "inferred" (a
likeness that could have other causes). Texts that come from the file are cleaned by `plain` before they get here.
"""

import unicodedata
from dataclasses import dataclass
from typing import Any, Literal

Basis = Literal["observed", "derived", "inferred"]
Says = Literal["generated", "partly_generated", "may_be_generated", "edited", "camera", "changed", "nothing"]
"""What a line, if it is true, means for how the picture came to be."""
CredentialState = Literal["present", "none", "elsewhere", "unreadable", "not_defined", "not_read"]

MAX_TEXT = 300
"""Characters of a text from the file that are kept."""


def plain(text: object, limit: int = MAX_TEXT) -> str:
    """A text from an untrusted file on one line of at most `limit`, without control codes and what reorders a line."""
    shown = "".join(
        " " if c.isspace() else c for c in str(text)[: 4 * limit] if c.isspace() or unicodedata.category(c)[0] != "C"
    )
    shown = " ".join(shown.split())
    return shown if len(shown) <= limit else shown[: limit - 1].rstrip() + "…"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that the file says, or that follows from its bytes.

    Attributes:
        code: stable name of the finding, such as "binding.match".
        text: one or two sentences for a person.
        where: the part of the file it comes from, such as "XMP, DigitalSourceType".
        value: what stands there, cleaned and cut; None where the text says it all.
    """

    code: str
    basis: Basis
    text: str
    where: str
    says: Says = "nothing"
    value: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "basis": self.basis,
            "text": self.text,
            "where": self.where,
            "says": self.says,
            "value": self.value,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Line":
        """The line that `to_dict` gave."""
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Content Credentials (C2PA) as five separate facts; they answer different questions and never become one word.

    Attributes:
        state: "present", "none", "elsewhere" (the file names an address, which is not fetched), "unreadable" (something
            is there, but damaged), "not_defined" (this kind of file cannot carry any) or "not_read".
        text: the state in a sentence.
        facts: binding, signature, signer and time, in this order, where state is "present".
        claims: what the manifests say of how the picture was made, of all manifests in the store, the outermost first.
        manifests: how many the store holds.
        trust_list: ISO date of the trust lists that the signer and the time were held against.
    """

    state: CredentialState
    text: str
    facts: tuple[Line, ...] = ()
    claims: tuple[Line, ...] = ()
    manifests: int = 0
    trust_list: str = ""

    def fact(self, name: Literal["binding", "signature", "signer", "time"]) -> Line | None:
        """One of the facts; None where there is none."""
        return next((line for line in self.facts if line.code.startswith(f"{name}.")), None)

    def to_dict(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "text": self.text,
            "facts": [line.to_dict() for line in self.facts],
            "claims": [line.to_dict() for line in self.claims],
            "manifests": self.manifests,
            "trust_list": self.trust_list,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Credentials":
        """The credentials that `to_dict` gave."""
        lines = {key: tuple(map(Line.from_dict, values[key])) for key in ("facts", "claims")}
        return cls(**{**values, **lines})


@dataclass(frozen=True, slots=True)
class SoundTrack:
    """The sound of a video, by its header. Nobody listened to it."""

    codec: str
    rate: int | None
    channels: int | None
    duration_s: float | None
    language: str | None

    def to_dict(self) -> dict[str, Any]:
        return {
            "codec": self.codec,
            "rate": self.rate,
            "channels": self.channels,
            "duration_s": None if self.duration_s is None else round(self.duration_s, 2),
            "language": self.language,
            "judged": False,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "SoundTrack":
        """The track that `to_dict` gave."""
        return cls(**{key: value for key, value in values.items() if key != "judged"})


@dataclass(frozen=True, slots=True)
class FrameHash:
    """The perceptual hash of one frame of a video, 16 hexadecimal digits, and its time on a player's clock."""

    time_s: float
    hash: str

    def to_dict(self) -> dict[str, Any]:
        return {"time_s": round(self.time_s, 2), "hash": self.hash}


@dataclass(frozen=True, slots=True)
class Provenance:
    """All that a file says about itself.

    Attributes:
        summary: the strongest of it in one sentence.
        marks: labels without a signature: anybody can remove or forge them, and their absence means nothing.
        history: how the file came to be as it is: camera, software, times, compression, container, likeness.
        sound: the sound track of a video; None where there is none, or where it could not be read.
        perceptual_hash: of a picture, 16 hexadecimal digits; None where the pixels could not be read.
        frame_hashes: of a video, of a few frames over the part that was looked at.
        problem: why something above is missing; None where all was read.
    """

    summary: str
    credentials: Credentials
    marks: tuple[Line, ...] = ()
    history: tuple[Line, ...] = ()
    sound: SoundTrack | None = None
    perceptual_hash: str | None = None
    frame_hashes: tuple[FrameHash, ...] = ()
    problem: str | None = None

    @property
    def tells(self) -> bool:
        """Whether the file says something on how it was made or changed, so that it comes before what networks see."""
        return bool(self.marks) or self.credentials.state in ("present", "elsewhere", "unreadable")

    @property
    def lines(self) -> tuple[Line, ...]:
        """Every line, the strongest kind of evidence first."""
        return (*self.credentials.facts, *self.credentials.claims, *self.marks, *self.history)

    def to_dict(self) -> dict[str, Any]:
        return {
            "summary": self.summary,
            "credentials": self.credentials.to_dict(),
            "marks": [line.to_dict() for line in self.marks],
            "history": [line.to_dict() for line in self.history],
            "sound": self.sound.to_dict() if self.sound else None,
            "perceptual_hash": self.perceptual_hash,
            "frame_hashes": [one.to_dict() for one in self.frame_hashes],
            "problem": self.problem,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Provenance":
        """The provenance that `to_dict` gave."""
        return cls(
            summary=values["summary"],
            credentials=Credentials.from_dict(values["credentials"]),
            marks=tuple(map(Line.from_dict, values["marks"])),
            history=tuple(map(Line.from_dict, values["history"])),
            sound=SoundTrack.from_dict(values["sound"]) if values["sound"] else None,
            perceptual_hash=values["perceptual_hash"],
            frame_hashes=tuple(FrameHash(**one) for one in values.get("frame_hashes", ())),
            problem=values["problem"],
        )


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do next.

    Attributes:
        code: stable name, such as "reverse_search".
        text: what to do and why, in one or two sentences.
        link: where, if it is a page on the web.
        privacy: what leaves this computer if it is done; None where nothing does.
    """

    code: str
    title: str
    text: str
    link: str | None = None
    privacy: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "title": self.title,
            "text": self.text,
            "link": self.link,
            "privacy": self.privacy,
        }
