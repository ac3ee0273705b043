"""The vocabulary of the JSON schema: its version, its codes with their words for a person, and its rounding."""

from typing import Literal

SCHEMA_VERSION = "2.4"

Kind = Literal["image", "video", "unknown"]
Status = Literal["ok", "no_verdict", "unreadable"]
Band = Literal["little", "weak", "strong", "very_strong"]
BANDS: tuple[Band, ...] = ("little", "weak", "strong", "very_strong")

REASONS: dict[str, str] = {
    "no_face": "No face was found.",
    "face_too_small": "Every face is too small to judge.",
    "face_too_blurred": "Every face is too blurred to judge.",
    "too_few_frames": "Too few frames show a face clearly enough to judge.",
    "empty": "The file is empty.",
    "unreadable": "The file could not be read.",
    "unsupported": "This kind of file is not supported.",
    "raw": "A camera's raw file holds no finished picture.",
    "too_large": "The picture or video is too large.",
    "truncated": "The file is incomplete.",
    "no_video": "The file has no video that can be read.",
    "too_slow": "Reading the file took too long.",
    "outside": "The file has no picture in the part that was asked for.",
}
"""Why a file, face or person has no verdict: code -> sentence."""

CAP_REASONS: dict[str, str] = {
    "not_measured": "How often these weights raise a false alarm on genuine videos was not measured.",
    "too_few_clips": "Too few genuine videos were at hand to show that a stronger band keeps its promise.",
    "too_many_alarms": "On genuine videos a stronger band alarmed more often than it promises.",
}
"""Why a video cannot get a stronger band: code -> sentence."""

CHANGES: dict[str, str] = {
    "jpeg_95": "saved as JPEG 95",
    "jpeg_75": "saved as JPEG 75",
    "jpeg_50": "saved as JPEG 50",
    "size_75": "at three quarters of its size",
    "size_50": "at half its size",
    "crop": "slightly cropped",
}
"""Harmless changes of a photo that the range is taken over, each saved anew: code -> phrase."""

TRIED: dict[str, str] = {
    "turned": "turned sideways and upside down",
    "closer": "at a larger scale, for tiny faces",
}
"""What is tried where no face is found: code -> phrase."""

AS_THEY_CAME, BLUR = "as they came", "blur"
"""Changes of test faces that `Caught` names beside those of the table of changed pictures."""


def rounded(value: float | None, digits: int = 4) -> float | None:
    """A number as the JSON holds it; None stays."""
    return None if value is None else round(value, digits)
