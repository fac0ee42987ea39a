"""Keys for signing releases: ECDSA on the curve P-256 with SHA-256.

It is the scheme that every reader of cosign's signatures must know (cosign,
specs/SIGNATURE_SPEC.md, "Signature Schemes").
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey as Public
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
    load_pem_public_key,
)

from minios_steps.core.errors import MiniosError
from minios_steps.core.supply.cosign_key import decrypt_cosign, is_cosign

_MAX_PEM = 64 << 10


class KeyFileError(MiniosError):
    """A key cannot be used: not PEM, another scheme, or the password is wrong."""


@dataclass(frozen=True)
class VerifyKey:
    """A public key."""

    public: Public = field(repr=False)

    @classmethod
    def load(cls, pem: bytes, what: str = "public key") -> VerifyKey:
        """Read `-----BEGIN PUBLIC KEY-----`; `what` is what messages call it.

        Raises:
            KeyFileError: it is anything else, or not of P-256.
        """
        try:
            found = load_pem_public_key(pem[:_MAX_PEM])
        except (ValueError, UnsupportedAlgorithm) as error:
            raise KeyFileError(
                f"{what}: not a public key in PEM",
                hint="expected -----BEGIN PUBLIC KEY-----, such as cosign.pub",
                details=str(error),
            ) from error
        if not isinstance(found, Public) or not isinstance(found.curve, SECP256R1):
            raise KeyFileError(f"{what}: expected an ECDSA key of the curve P-256")
        return cls(found)

    @property
    def pem(self) -> bytes:
        """As `cosign verify --key` and `openssl dgst -verify` read it."""
        return self.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def accepts(self, signature: bytes, data: bytes) -> bool:
        """Whether the key's owner signed these bytes; `signature` in ASN.1 DER."""
        try:
            self.public.verify(signature, data, ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class SigningKey:
    """A private key; nothing of it is in its text form."""

    private: EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def load(cls, pem: bytes, password: bytes | None = None, what: str = "signing key") -> SigningKey:
        """Read a private key.

        Args:
            pem: in PEM: PKCS #8 with or without a password, SEC 1, or what
                `cosign generate-key-pair` writes.
            password: of the key, where it has one; a line end after it does not count.
            what: what messages call it: the secret's name, never its value.

        Raises:
            KeyFileError: it is anything else, not of P-256, or the password is wrong.
        """
        secret = password.rstrip(b"\r\n") if password else None
        data = pem[:_MAX_PEM]
        try:
            if is_cosign(data):
                found = load_der_private_key(decrypt_cosign(data, secret or b""), None)
            else:
                found = load_pem_private_key(data, secret or None)
        except TypeError as error:
            # cryptography's way to say that a password is missing, or that none is needed.
            needs = "needs a password" if not secret else "has no password, but one is configured"
            raise KeyFileError(f"{what}: the key {needs}", hint="see signing.password_secret") from error
        except (ValueError, UnsupportedAlgorithm) as error:
            # Its words may quote what it read.
            raise KeyFileError(
                f"{what}: not a private key in PEM, or the password is wrong",
                hint="make one with `cosign generate-key-pair` or `openssl genpkey -algorithm EC"
                " -pkeyopt ec_paramgen_curve:P-256`",
            ) from error
        if not isinstance(found, EllipticCurvePrivateKey) or not isinstance(found.curve, SECP256R1):
            raise KeyFileError(f"{what}: expected an ECDSA key of the curve P-256")
        return cls(found)

    @property
    def public(self) -> VerifyKey:
        """What checks its signatures."""
        return VerifyKey(self.private.public_key())

    def sign(self, data: bytes) -> bytes:
        """A signature in ASN.1 DER; another one each time, as ECDSA is."""
        return self.private.sign(data, ECDSA(SHA256()))
