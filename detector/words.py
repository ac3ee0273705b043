"""Sentences for people about what was tried and what to do next, beside the tables of `detector.types`."""

from collections.abc import Sequence

from detector.types import REASONS, TRIED, Kind

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


def listed(phrases: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"; empty for none."""
    return phrases[0] if len(phrases) == 1 else " and ".join([", ".join(phrases[:-1]), phrases[-1]]) if phrases else ""
