"""Lines for the user and for the log when something goes wrong on our side."""

import logging
import traceback

from detector import DetectorError

logger = logging.getLogger("unmask.app")

BUG_MESSAGE = "Something went wrong on our side. Try the file again; if it happens again, please report it."
BUSY_MESSAGE = "Too many files are waiting right now. Try again in a minute."


def failure(where: str, error: Exception) -> str:
    """The line that a person reads of work that failed; a bug is logged."""
    if isinstance(error, DetectorError):
        return str(error)
    log_bug(where, error)
    return BUG_MESSAGE


def log_bug(where: str, error: BaseException) -> None:
    """Log where a bug happened, but not its message: messages of libraries quote file names and content."""
    steps = "".join(traceback.format_tb(error.__traceback__))
    logger.error("%s in %s\n%s", type(error).__name__, where, steps)
