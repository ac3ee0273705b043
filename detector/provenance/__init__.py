"""Provenance, as a file tells it itself: Content Credentials, labels without a signature, and its history.

    provenance = read_provenance(Path("photo.jpg"), "photo.jpg")
    print(provenance.summary)

All from the original bytes, without a network, in a child process that is killed when it takes too long or grows too
large. Nothing of it is ever mixed into a network's probability.
"""

import atexit
from pathlib import Path

from detector.child import Child, ChildLost
from detector.evidence import Credentials, Provenance
from detector.media import Source

WALL_S = 20.0
"""Seconds that reading one file may take."""

__all__ = ["WALL_S", "Provenance", "not_read", "read_provenance"]

_PROBLEMS = {
    "too_slow": "Reading what the file says about itself took too long and was stopped.",
    "died": "What the file says about itself could not be read: reading it ended the process that did.",
    "too_large": "Reading what the file says about itself took too much memory and was stopped.",
    "failed": "What the file says about itself could not be read: a mistake in this program, or a hostile file.",
}
_child = Child("detector.provenance.reading:answer", wall_s=WALL_S)
atexit.register(_child.close)


def read_provenance(source: Source, name: str, *, child: Child | None = None) -> Provenance:
    """All that a file says about itself, but for the perceptual hash. Never raises for what is in the file.

    Args:
        source: the original file; a copy that was saved anew says something else.
        name: the file's name as received; only its shape is looked at.
    """
    try:
        if isinstance(source, Path):
            head, _ = (child or _child).ask({"path": str(source.absolute()), "name": name})
        else:
            head, _ = (child or _child).ask({"name": name}, [source])
        if "problem" in head:
            return not_read(str(head["problem"]))
        return Provenance.from_dict(head["provenance"])
    except ChildLost as lost:
        return not_read(_PROBLEMS[lost.reason])
    except (KeyError, TypeError, ValueError, AttributeError):
        return not_read(_PROBLEMS["failed"])


def not_read(problem: str) -> Provenance:
    """The provenance of a file that could not be looked at."""
    return Provenance(problem, Credentials("not_read", "Content Credentials were not read."), problem=problem)
