"""Errors of training that a person can put right; everything else is a bug and keeps its traceback."""


class DataError(Exception):
    """The data are missing or not laid out as documented; the message says what to do."""
