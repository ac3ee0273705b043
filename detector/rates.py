"""How often the published networks err and how much they catch, as a verdict tells it beside its band."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from detector.schema import Band, rounded


@dataclass(frozen=True, slots=True)
class Share:
    """Of how many media something is true: genuine ones that reached a band, faces whose band fell in a copy.

    Attributes:
        n: photos, or persons of videos; a person with several videos counts once.
        k: of them; not whole where a person's videos differ.
        low, high: 95 % interval by Wilson, as parts of one.
    """

    n: int
    k: float
    low: float
    high: float

    @property
    def rate(self) -> float:
        """Part of one."""
        return self.k / self.n


FalseAlarms = Mapping[Band, Share]
"""Band -> how many genuine media reached it or a stronger one."""


@dataclass(frozen=True, slots=True)
class BandFalls:
    """How often a face with weak evidence or more falls to a weaker band in a copy by `CHANGES`.

    Attributes:
        genuine, manipulated: faces with that evidence, and those of them that fall in at least one copy; None where
            there were no such faces.
        faces: "test", or "validation" where test faces were not measured.
    """

    genuine: Share | None
    manipulated: Share | None
    faces: Literal["test", "validation"]

    def to_dict(self) -> dict[str, Any]:
        return {
            "genuine": asdict(self.genuine) if self.genuine else None,
            "manipulated": asdict(self.manipulated) if self.manipulated else None,
            "faces": self.faces,
        }


@dataclass(frozen=True, slots=True)
class Measured:
    """How often the networks of a verdict err, and how often their bands hold.

    Attributes:
        false_alarms: how many genuine photos reached a band, as the manifest has it.
        clip_false_alarms: the same of persons in genuine videos; empty where it was not measured.
        band_falls: of photos that are saved again; None where it was not measured.
    """

    false_alarms: FalseAlarms
    clip_false_alarms: FalseAlarms
    band_falls: BandFalls | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "false_alarms": {band: asdict(share) for band, share in self.false_alarms.items()},
            "clip_false_alarms": {band: asdict(share) for band, share in self.clip_false_alarms.items()},
            "band_falls": self.band_falls.to_dict() if self.band_falls else None,
        }


@dataclass(frozen=True, slots=True)
class Caught:
    """How many manipulated test faces reach the strong band in pictures like this one.

    Attributes:
        change: what was done to the test faces to make their pictures like this one, or "as they came".
        share: of them that reach the band "strong"; `low` and `high`: its 95 % interval, None where none can be given.
        n: manipulated test faces.
    """

    change: str
    share: float
    low: float | None
    high: float | None
    n: int

    def to_dict(self) -> dict[str, Any]:
        return {
            "change": self.change,
            "share": round(self.share, 4),
            "low": rounded(self.low),
            "high": rounded(self.high),
            "n": self.n,
        }
