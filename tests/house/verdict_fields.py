"""Writes `detector/VERDICT.md`, every field of a verdict, from the types: `python -m tests.house.verdict_fields`."""

import re
from dataclasses import fields
from inspect import getdoc
from pathlib import Path

from detector import evidence, types
from train.measure.tables import table

PATH = Path(__file__).resolve().parents[2] / "detector" / "VERDICT.md"
SHOWN = (
    types.FileVerdict, types.ImageVerdict, types.VideoVerdict, types.FaceVerdict, types.Person, types.Face,
    types.Score, types.ProbRange, types.Thresholds, types.TimelinePoint, types.Coverage, types.BandCap,
    types.PictureUsed, types.Crowd, types.Caught, types.ModelUsed, types.Measured, types.BandFalls,
    types.Share, evidence.Provenance, evidence.FrameHash, evidence.Step,
)  # fmt: skip


def described(kind: type) -> dict[str, str]:
    """Field -> what the docstring says of it."""
    text = (getdoc(kind) or "").partition("Attributes:\n")[2]
    found: dict[str, str] = {}
    names: list[str] = []
    for line in text.splitlines():
        match = re.match(r"^    (\w+(?:, \w+)*): (.+)$", line)
        if match:
            names = match[1].split(", ")
            found |= dict.fromkeys(names, match[2])
        elif line.startswith("     ") and names:
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
        elif line.strip():
            break
    return found


def page() -> str:
    """The whole file."""
    lines = [
        "# Every field of a verdict",
        "",
        f"Made from the types by `python -m tests.house.verdict_fields`. Schema version {types.SCHEMA_VERSION}; as "
        "JSON schema: `verdict.schema.json`. `to_dict` and `--json` use the same names. An `ImageVerdict` and a "
        "`VideoVerdict` have the fields of `FileVerdict` too.",
    ]
    for kind in SHOWN:
        said = described(kind)
        inherited = {f.name for base in kind.__mro__[1:] if base in SHOWN for f in fields(base)}
        own = [f for f in fields(kind) if f.name not in inherited]
        rows = [[f"`{f.name}`", f"`{_type(f.type)}`", said.get(f.name, "")] for f in own]
        first = (getdoc(kind) or "").partition("\n\n")[0].replace("\n", " ")
        lines += ["", f"## {kind.__name__}", "", first, "", *table(["field", "type", "meaning"], rows)]
    return "\n".join(lines) + "\n"


def _type(annotation: object) -> str:
    name = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    return re.sub(r"\b(?:detector\.\w+|collections\.abc|typing)\.", "", name).replace("|", "or")


if __name__ == "__main__":
    PATH.write_text(page())
