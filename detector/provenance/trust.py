"""The trust lists of the C2PA conformance programme: who may sign Content Credentials, and who may stamp their time.

They lie in `trust/` beside this file (CC BY 4.0, see trust/LICENSE.md), with `trust.json` for their date and hashes.
`python -m detector.provenance` takes newer ones.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

from detector.errors import DetectorError

FOLDER = Path(__file__).parent / "trust"
SIGNERS, CLOCKS = "C2PA-TRUST-LIST.pem", "C2PA-TSA-TRUST-LIST.pem"
STALE_DAYS = 180
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\s+[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")


class TrustListError(DetectorError):
    """A trust list is missing, damaged, or no trust list."""


@dataclass(frozen=True, slots=True)
class TrustLists:
    """Both lists as PEM, and the date that they were published."""

    signers: str
    clocks: str
    published: date

    def age_days(self, today: date) -> int:
        return (today - self.published).days


@cache
def trust_lists(folder: Path = FOLDER) -> TrustLists:
    """The lists of a folder, held against their hashes.

    Raises:
        TrustListError: a list is missing or is not the one that `trust.json` describes.
    """
    try:
        about = json.loads((folder / "trust.json").read_text(encoding="utf-8"))
        texts = {name: (folder / name).read_bytes() for name in (SIGNERS, CLOCKS)}
        for name, data in texts.items():
            if hashlib.sha256(data).hexdigest() != about["sha256"][name]:
                raise TrustListError(f"The trust list {name} is not the one that trust.json describes. Take it anew.")
        return TrustLists(texts[SIGNERS].decode(), texts[CLOCKS].decode(), date.fromisoformat(about["date"]))
    except (OSError, KeyError, ValueError) as error:
        raise TrustListError("The trust lists are missing or damaged. Install Unmask again.") from error


def take_lists(signers: Path, clocks: Path, published: date, folder: Path = FOLDER) -> TrustLists:
    """Puts newer lists in place of those of a folder; the older ones stay if anything is wrong with the new.

    Raises:
        TrustListError: a file is no list of certificates, the date is older than what is there, or the folder cannot
            be written.
    """
    try:
        data = {SIGNERS: signers.read_bytes(), CLOCKS: clocks.read_bytes()}
    except OSError as error:
        raise TrustListError(f"The new list cannot be read: {error.strerror}.") from error
    for name, content in data.items():
        if not _CERTIFICATE.search(content.decode("utf-8", "replace")):
            raise TrustListError(f"This is no list of certificates (PEM), so {name} stays as it is.")
    try:
        older = published < trust_lists(folder).published
    except TrustListError:
        older = False  # what is damaged is to be replaced
    if older:
        raise TrustListError("The lists that are there are newer, so they stay.")
    about = {
        "source": "https://github.com/c2pa-org/conformance-public (trust-list)",
        "licence": "CC BY 4.0",
        "date": published.isoformat(),
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in data.items()},
    }
    try:
        for name, content in (*data.items(), ("trust.json", (json.dumps(about, indent=2) + "\n").encode())):
            half = folder / f"{name}.new"
            half.write_bytes(content)
            half.replace(folder / name)
    except OSError as error:
        raise TrustListError(f"The folder of the trust lists cannot be written: {error.strerror}.") from error
    trust_lists.cache_clear()
    return trust_lists(folder)
