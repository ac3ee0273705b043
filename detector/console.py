"""Printing, whatever the terminal or file behind it can take."""

import io
import sys


def print_anything() -> None:
    """Has standard output and error show what their encoding lacks as escapes, instead of ending the program.

    Names of files come from everywhere, and a Windows console, a pipe or a log is often cp1252 or ASCII. For programs,
    before they print.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None without a console; a test's stand-in takes everything
            stream.reconfigure(errors="backslashreplace")
