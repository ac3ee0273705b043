"""Content Credentials (C2PA) of a file as five separate facts, read offline.

The library's own word ("Valid", "Invalid", "Trusted") mixes what must be told apart: untouched pictures of OpenAI,
Black Forest Labs and Samsung are "Invalid" because of their certificates. So each fact is taken from the codes of the
C2PA specification 2.4, section 15 ("validation status"), of the manifest that is bound to the file.

Nothing is fetched: remote manifests, OCSP and every host are off.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from detector.evidence import Credentials, Line, plain
from detector.provenance.claims import WHERE, claims_of
from detector.provenance.packets import Packets
from detector.provenance.trust import STALE_DAYS, TrustListError, TrustLists, trust_lists

MIME = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
    "HEIF": "image/heic",
    "mov": "video/mp4",
    "avi": "video/avi",
}
"""Formats that can carry Content Credentials (C2PA 2.4, Appendix A), by `sniff_format`'s names."""
MAX_MANIFESTS = 100
_NONE = (
    "The file carries no Content Credentials. That means nothing by itself: most files have none, and they are lost "
    "when a file is saved by software or a platform that does not keep them."
)
_DAMAGED = (
    "The file has a place for Content Credentials, but they are damaged and cannot be read. That can be an accident of "
    "copying; ask for the original file."
)


def read_credentials(file: BinaryIO, packets: Packets, today: date | None = None) -> Credentials:
    """The Content Credentials of a file, from its beginning.

    Args:
        packets: of the same file.
        today: what the age of the trust lists is counted to; now by default.
    """
    mime = MIME.get(packets.format or "")
    if mime is None:
        return Credentials("not_defined", "Content Credentials are not defined for this kind of file.")
    if packets.format == "mov" and not packets.credentials and not _names_a_place(packets):
        # the library reads a damaged file of boxes four bytes at a time, half a gigabyte of it, too
        return Credentials("none", _NONE)
    try:
        lists = trust_lists()
    except TrustListError as error:
        return Credentials("not_read", f"Content Credentials were not read. {error}")
    try:
        import c2pa
    except (ImportError, OSError):
        return Credentials("not_read", "Content Credentials were not read: the package c2pa-python is not installed.")
    file.seek(0)
    try:
        reader = c2pa.Reader.try_create(mime, file, context=_context(lists))
        if reader is None:
            return Credentials("unreadable", _DAMAGED) if packets.credentials else Credentials("none", _NONE)
        with reader:
            store = json.loads(reader.json())
    except c2pa.C2paError as error:
        return _without_store(str(error), packets)
    return from_store(store, lists, today or datetime.now(UTC).date())


def _names_a_place(packets: Packets) -> bool:
    """Whether XMP may name a place on the web where the credentials lie (dcterms:provenance)."""
    return any(b"provenance" in packet for packet, _ in packets.xmp)


@cache
def _context(lists: TrustLists) -> Any:
    import c2pa

    return c2pa.Context.from_dict(settings(lists))


def settings(lists: TrustLists) -> dict[str, Any]:
    """Settings of the library: both lists for what each is for, and nothing from anywhere else."""
    return {
        "version": 1,
        "trust": {
            "anchors": [
                {"trust_kind": "manifest", "trust_anchors": lists.signers},
                {"trust_kind": "tsa", "trust_anchors": lists.clocks},
            ]
        },
        "verify": {
            "verify_trust": True,
            "verify_timestamp_trust": True,
            "remote_manifest_fetch": False,
            "ocsp_fetch": False,
        },
        "core": {"allowed_network_hosts": []},
    }


def _without_store(error: str, packets: Packets) -> Credentials:
    remote = re.search(r"https?://\S+", error) if "emote" in error else None
    if remote:
        host = plain(urlsplit(remote[0]).hostname or "another computer", 80)
        return Credentials(
            "elsewhere",
            f"The file says that its Content Credentials lie on the web, at {host}. They were not fetched, so nothing "
            "is known of them.",
        )
    if packets.credentials:
        return Credentials("unreadable", _DAMAGED)
    return Credentials("not_read", "The file is damaged, so that Content Credentials could not be looked for.")


def from_store(store: Mapping[str, Any], lists: TrustLists, today: date) -> Credentials:
    """The facts from what the library read: its JSON of the manifest store."""
    manifests: dict[str, Any] = dict(list(store.get("manifests", {}).items())[:MAX_MANIFESTS])
    active = store.get("active_manifest", "")
    results = store.get("validation_results", {}).get("activeManifest", {})
    good, notes, bad = (_codes(results.get(key)) for key in ("success", "informational", "failure"))
    signed = manifests.get(active, {}).get("signature_info") or {}
    binding, signature = _binding(good, bad), _signature(good, bad)
    signer = _signer(signed, good, bad, lists.published, signature.code == "signature.whole")
    old = lists.age_days(today)
    if old > STALE_DAYS:
        stale = f"{signer.text} The trust lists in use are {old} days old; newer ones may name other signers."
        signer = replace(signer, text=stale)
    return Credentials(
        state="present",
        text="The file carries Content Credentials, a signed statement on how it was made. What they say is as good as "
        "whoever signed it.",
        facts=(
            binding,
            signature,
            signer,
            _time(signed, good, notes, bad),
        ),
        claims=claims_of(manifests, active, _subject(binding, signature)),
        manifests=len(manifests),
        trust_list=lists.published.isoformat(),
    )


def _subject(binding: Line, signature: Line) -> str:
    """The subject of the claims' sentences: nobody signed a statement whose signature does not fit."""
    if signature.code != "signature.whole":
        return "A statement whose signature does not hold"
    return "The statement on the file before that change" if binding.says == "changed" else "The signed statement"


def _codes(entries: Any) -> dict[str, str]:
    """Code -> explanation."""
    return {str(e.get("code", "")): str(e.get("explanation", "")) for e in entries or () if isinstance(e, dict)}


def _has(codes: Iterable[str], *endings: str) -> bool:
    return any(code.endswith(endings) for code in codes)


def _line(code: str, text: str, **more: Any) -> Line:
    return Line(code, "derived", text, WHERE, **more)


def _binding(good: Mapping[str, str], bad: Mapping[str, str]) -> Line:
    hashes = ("dataHash", "bmffHash", "boxesHash", "collectionHash", "multiAssetHash")
    if _has(bad, *(f"{kind}.mismatch" for kind in hashes)):
        return _line(
            "binding.mismatch",
            "The file was changed after it was signed: its bytes are not those that the signature covers.",
            says="changed",
        )
    if _has(good, *(f"{kind}.match" for kind in hashes)):
        if _has(good, "claimSignature.validated"):
            return _line("binding.match", "The file's bytes are those that were signed; nothing was changed since.")
        return _line("binding.match", "The file's bytes are those that the statement describes.")
    return _line("binding.unknown", "Whether the file's bytes are those that were signed could not be told.")


def _signature(good: Mapping[str, str], bad: Mapping[str, str]) -> Line:
    if _has(bad, "claimSignature.mismatch"):
        return _line("signature.broken", "The signature does not fit the statement: one of them was altered.")
    if _has(bad, "hashedURI.mismatch", "assertion.missing", "assertion.undeclared"):
        return _line(
            "signature.statements_changed", "The signature is whole, but statements that it covers were altered."
        )
    if _has(good, "claimSignature.validated"):
        return _line("signature.whole", "The signature fits the statement; it was not altered since it was signed.")
    return _line("signature.missing", "There is no signature that could be checked.")


def _signer(signed: Mapping[str, Any], good: Mapping[str, str], bad: Mapping[str, str], day: date, holds: bool) -> Line:
    who = plain(signed.get("issuer") or "", 80) or "A signer without a name"
    name = plain(signed.get("common_name") or "", 80)
    value = f"{who}, {name}" if name and name != who else who
    when = f"the C2PA trust list of {day.isoformat()}"
    if _has(bad, "signingCredential.revoked", "ocsp.revoked"):
        return _line("signer.revoked", f"“{who}” signed with a certificate that was withdrawn.", value=value)
    if _has(bad, "signingCredential.invalid"):
        return _line(
            "signer.faulty",
            f"The certificate names “{who}”, but it is faulty for this purpose and not on {when}. That is a fault of "
            "the certificate and says nothing of the picture. Anybody can make such a certificate.",
            value=value,
        )
    untrusted = _has(bad, "signingCredential.untrusted")
    expired = _has(bad, "signingCredential.expired")
    if not holds and not untrusted:
        # whoever copies a listed certificate into a file of their own has not its key
        return _line(
            "signer.not_shown",
            f"The certificate names “{who}”. As the signature does not hold, nothing shows who made this statement.",
            value=value,
        )
    if not untrusted and not expired and _has(good, "signingCredential.trusted"):
        return _line("signer.on_list", f"“{who}” signed; its certificate is on {when}.", value=value)
    if expired and not untrusted:
        return _line(
            "signer.expired",
            f"“{who}” signed with a certificate of {when} that has run out since. That is no sign of a change.",
            value=value,
        )
    since = " and has run out since" if expired else ""
    return _line(
        "signer.not_on_list_expired" if expired else "signer.not_on_list",
        f"The certificate names “{who}”, but is not on {when}{since}. That is no sign of a change, yet anybody can "
        "make a certificate with this name.",
        value=value,
    )


def _time(signed: Mapping[str, Any], good: Mapping[str, str], notes: Mapping[str, str], bad: Mapping[str, str]) -> Line:
    stated = plain(signed.get("time") or "", 40) or None
    said = f" ({_utc(stated)})" if stated else ""
    if _has(bad, "timeStamp.mismatch", "timeStamp.malformed") or _has(notes, "timeStamp.mismatch"):
        return _line("time.faulty", "There is a time stamp, but it does not belong to this signature.")
    trusted = next((why for code, why in good.items() if code.endswith("timeStamp.trusted")), None)
    if trusted is not None and not trusted.startswith("legacy"):
        return _line("time.trusted", f"A time service of the trust list stamped the signature{said}.", value=stated)
    if stated:
        return _line(
            "time.not_on_list",
            f"The signature has a time stamp{said}, but the service that gave it is not known to be on the trust list.",
            value=stated,
        )
    if _has(bad, "signingCredential.expired"):
        return _line(
            "time.none",
            "There is no time stamp, and the certificate has run out since: nothing shows when it was signed.",
        )
    return _line("time.none", "There is no time stamp, so nothing shows when it was signed.")


def _utc(time: str) -> str:
    """An ISO 8601 time for people; what is none stays as it is."""
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return time
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if moment.tzinfo else f"{moment:%Y-%m-%d %H:%M}"
