"""DSSE envelopes: a payload, its type, its signatures (secure-systems-lab/dsse, envelope.md, protocol.md)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core.errors import ImageError
from minios_steps.core.oci.model import decode, encode
from minios_steps.core.supply import statement

if TYPE_CHECKING:
    from minios_steps.core.supply.keys import SigningKey, VerifyKey

MEDIA_TYPE = "application/vnd.dsse.envelope.v1+json"
_MAX_SIGNATURES = 100


@dataclass(frozen=True)
class Envelope:
    """An in-toto statement's bytes and the signatures over them."""

    payload: bytes
    signatures: tuple[bytes, ...]

    def signed_by(self, key: VerifyKey) -> bool:
        """Whether one of the signatures is by this key."""
        data = _signed_bytes(self.payload)
        return any(key.accepts(signature, data) for signature in self.signatures)

    @classmethod
    def parse(cls, raw: bytes, what: str = "envelope") -> Envelope:
        """Read an envelope; `what` is what messages call it.

        Raises:
            ImageError: it is none, or its payload is no in-toto statement.
        """
        told = decode(raw, what)
        if told.get("payloadType") != statement.MEDIA_TYPE:
            raise ImageError(f"{what}: its payload is no in-toto statement")
        signatures = told.get("signatures")
        if not isinstance(signatures, list) or not 0 < len(signatures) <= _MAX_SIGNATURES:
            raise ImageError(f"{what}: no signatures, or too many")
        try:
            payload = base64.b64decode(told["payload"], validate=True)
            return cls(payload, tuple(base64.b64decode(one["sig"], validate=True) for one in signatures))
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise ImageError(f"{what}: damaged", details=str(error)) from error


def sign_statement(payload: bytes, key: SigningKey) -> bytes:
    """An envelope around a statement's bytes, with the empty key id that cosign writes."""
    signature = key.sign(_signed_bytes(payload))
    return encode(
        {
            "payloadType": statement.MEDIA_TYPE,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [{"keyid": "", "sig": base64.b64encode(signature).decode()}],
        }
    )


def _signed_bytes(payload: bytes) -> bytes:
    """What is signed: the pre-authentication encoding (protocol.md, "PAE")."""
    kind = statement.MEDIA_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
