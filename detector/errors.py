"""Errors that a caller may want to catch.

    DetectorError
    ├── MediaError          a file cannot be analysed; `reason` says why in a code
    ├── WeightsError        weights are missing, damaged, or do not fit the manifest
    ├── UnknownModelError   no such network or ensemble
    ├── EngineError         what was demanded to compute the networks cannot
    └── Cancelled           the caller's `should_stop` asked for it

Messages are one or two sentences for a person: what is wrong, then what to do. Programs catch `DetectorError` and
show the message; anything else is a bug and keeps its traceback.
"""


class DetectorError(Exception):
    """Base of everything that this package raises on purpose."""


class MediaError(DetectorError):
    """A file that cannot be analysed.

    Args:
        message: what is wrong with the file and what to try, for a person. Never contains a path or file name.
        reason: one of `detector.schema.REASONS`, for a program.
    """

    def __init__(self, message: str, reason: str = "unreadable") -> None:
        super().__init__(message)
        self.reason = reason


class WeightsError(DetectorError):
    """Weights are missing, damaged or do not match `weights/manifest.json`."""


class UnknownModelError(DetectorError):
    """A network or ensemble that is not registered or not published."""


class EngineError(DetectorError):
    """The engine that was demanded to compute the networks does not exist or does not work here."""


class Cancelled(DetectorError):
    """The work was stopped because the caller asked for it."""
