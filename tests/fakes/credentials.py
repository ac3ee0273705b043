"""Content Credentials for tests: certificates of a made-up authority, and pictures signed with them."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
CAMERA = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"


@dataclass(frozen=True)
class Signer:
    """A certificate with its authority: `chain` to sign with, `anchor` for a trust list."""

    chain: bytes
    key: bytes
    anchor: str


def make_signer(
    name: str = "Test Newsroom",
    *,
    valid_days: tuple[float, float] = (-1, 365),
    usage: Any = ExtendedKeyUsageOID.EMAIL_PROTECTION,
) -> Signer:
    """A signer of a made-up authority. `valid_days`: from and until, counted from now."""
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    now = datetime.now(UTC)
    root_name = _named("Test Authority")
    root = (
        x509.CertificateBuilder()
        .subject_name(root_name)
        .issuer_name(root_name)
        .public_key(root_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2000))
        .not_valid_after(now + timedelta(days=2000))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(sign=False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    leaf = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(root_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=valid_days[0]))
        .not_valid_after(now + timedelta(days=valid_days[1]))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return Signer(
        chain=leaf.public_bytes(pem) + root.public_bytes(pem),
        key=key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        anchor=root.public_bytes(pem).decode(),
    )


def _named(name: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.ORGANIZATION_NAME, name)]
    )


def _usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=sign,
        key_cert_sign=not sign,
        crl_sign=not sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def sign(
    data: bytes,
    mime: str,
    signer: Signer,
    source_type: str | None = GENERATED,
    *,
    parent: bytes | None = None,
    remote: str | None = None,
    edits: Sequence[Mapping[str, Any]] = (),
    whole: bool = True,
) -> bytes:
    """A signed copy.

    Args:
        parent: a picture of the same kind; its credentials, if it has any, go in as an earlier version.
        edits: actions after the first.
        whole: whether the list of actions is declared complete.
    """
    action: dict[str, Any] = {"action": "c2pa.opened" if parent else "c2pa.created"}
    if source_type:
        action["digitalSourceType"] = source_type
    actions = {"actions": [action, *edits], "allActionsIncluded": whole}
    manifest = {
        "claim_generator_info": [{"name": "Test Maker", "version": "1"}],
        "assertions": [{"label": "c2pa.actions.v2", "data": actions}],
    }
    # the library refuses to sign with a certificate that it would not accept, which is what some tests need
    context = c2pa.Context.from_dict(
        {"version": 1, "verify": {"verify_after_sign": False, "verify_trust": False, "remote_manifest_fetch": False}}
    )
    info = c2pa.C2paSignerInfo(alg=b"es256", sign_cert=signer.chain, private_key=signer.key, ta_url=None)
    builder = c2pa.Builder.from_json(manifest, context=context)
    if parent is not None:
        builder.add_ingredient({"title": "before", "relationship": "parentOf"}, mime, io.BytesIO(parent))
    if remote is not None:
        builder.set_no_embed()
        builder.set_remote_url(remote)
    out = io.BytesIO()
    builder.sign(c2pa.Signer.from_info(info), mime, io.BytesIO(data), out)
    return out.getvalue()
