"""`python -m detector.provenance SIGNERS.pem CLOCKS.pem --date 2027-01-31`: takes newer trust lists.

Both are published at https://github.com/c2pa-org/conformance-public, in the folder trust-list. Without arguments it
says which lists are in use. It fetches nothing itself.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from detector.console import print_anything
from detector.provenance.trust import FOLDER, TrustListError, take_lists, trust_lists


def main(argv: Sequence[str] | None = None, folder: Path = FOLDER) -> int:
    """Runs the command; returns its exit code."""
    print_anything()
    parser = argparse.ArgumentParser(prog="python -m detector.provenance", description=__doc__)
    parser.add_argument("signers", nargs="?", type=Path, metavar="SIGNERS.pem", help="C2PA-TRUST-LIST.pem")
    parser.add_argument("clocks", nargs="?", type=Path, metavar="CLOCKS.pem", help="C2PA-TSA-TRUST-LIST.pem")
    parser.add_argument("--date", type=date.fromisoformat, help="when the lists were published, as YYYY-MM-DD")
    options = parser.parse_args(argv)
    if (options.clocks is None) != (options.signers is None) or (options.signers and not options.date):
        parser.error("give both lists and their date")
    try:
        lists = (
            take_lists(options.signers, options.clocks, options.date, folder)
            if options.signers
            else trust_lists(folder)
        )
    except TrustListError as error:
        print(f"detector: {error}", file=sys.stderr)
        return 1
    days = lists.age_days(datetime.now(UTC).date())
    signers, clocks = (text.count("BEGIN CERTIFICATE") for text in (lists.signers, lists.clocks))
    print(f"Trust lists of {lists.published}, {days} days old: {signers} certificates of signers, {clocks} of clocks.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
