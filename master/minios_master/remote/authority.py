"""The master's own certificate authority, and the certificate of its gate.

An invite carries the fingerprint of the authority, not of the gate's certificate, so that this
one may be renewed under workers that were attached long ago.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from minios_steps.core.errors import MiniosError

from .private import write_private

if TYPE_CHECKING:
    from pathlib import Path

SERVER_NAME = "minios-master"
"""The name in the gate's certificate: what it is, not where it is."""
_AUTHORITY_DAYS = 20 * 365
_GATE_DAYS = 825
_RENEW_DAYS = 90
# Clocks of machines that were off for long are slow.
_BEFORE = dt.timedelta(days=2)


@dataclass(frozen=True)
class Authority:
    """The authority's certificate (PEM) and its sha256 (hexadecimal, of the DER), and the gate's file.

    `gate` is a PEM file with the gate's key and certificate, mode 0600.
    """

    pem: str
    fingerprint: str
    gate: Path


def load_authority(folder: Path, now: dt.datetime | None = None) -> Authority:
    """The authority kept in a folder; made at the first call. The gate's certificate is renewed in time.

    Args:
        folder: where the keys are.
        now: the time; the clock's when not given.

    Raises:
        MiniosError: the files there are damaged.
    """
    now = now or dt.datetime.now(dt.timezone.utc)
    path, gate = folder / "ca.pem", folder / "gate.pem"
    try:
        if not path.exists():
            write_private(path, _new_authority(now))
        key = _key(path)
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        if not gate.exists() or _is_due(gate, certificate, now):
            write_private(gate, _new_gate(key, certificate, now))
    except (ValueError, TypeError) as error:
        raise MiniosError(
            f"the keys in {folder} are damaged: {error}",
            hint="remove the folder: every worker must then be invited again",
        ) from error
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")
    return Authority(pem, certificate.fingerprint(hashes.SHA256()).hex(), gate)


def _new_authority(now: dt.datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("minios workers' authority")
    made = (
        _builder(name, name, key, now, _AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pem(key, made)


def _new_gate(authority: ec.EllipticCurvePrivateKey, issuer: x509.Certificate, now: dt.datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    made = (
        _builder(_name(SERVER_NAME), issuer.subject, key, now, _GATE_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(SERVER_NAME)]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False
        )
        .sign(authority, hashes.SHA256())
    )
    return _pem(key, made)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: dt.datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + dt.timedelta(days=days))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> bytes:
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*plain) + certificate.public_bytes(serialization.Encoding.PEM)


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("not a key on an elliptic curve")
    return key


def _is_due(gate: Path, issuer: x509.Certificate, now: dt.datetime) -> bool:
    """Whether the gate's certificate ends soon, or is of an authority that was replaced."""
    certificate = x509.load_pem_x509_certificate(gate.read_bytes())
    left = certificate.not_valid_after_utc - now
    return certificate.issuer != issuer.subject or left < dt.timedelta(days=_RENEW_DAYS)
