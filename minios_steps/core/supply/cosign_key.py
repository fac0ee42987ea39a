"""The private key file of `cosign generate-key-pair`: PKCS #8 in a secret box.

Format: cosign, pkg/cosign/keys.go (`LoadPrivateKey`, the PEM types); go-securesystemslib,
encrypted/encrypted.go (the JSON inside, scrypt's three sets of parameters).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

_PEM = re.compile(
    rb"-----BEGIN ENCRYPTED (SIGSTORE|COSIGN) PRIVATE KEY-----\s+([A-Za-z0-9+/=\s]+)"
    rb"-----END ENCRYPTED \1 PRIVATE KEY-----"
)
# Its own readers refuse all others, so that nobody can make them work for hours.
_COSTS = (1 << 15, 1 << 16, 1 << 17)
_BLOCK, _PARALLEL = 8, 1


def is_cosign(pem: bytes) -> bool:
    """Whether this is such a file."""
    return bool(_PEM.search(pem))


def decrypt_cosign(pem: bytes, password: bytes) -> bytes:
    """The PKCS #8 key inside, in DER.

    Raises:
        ValueError: the file is malformed, or the password is wrong.
    """
    match = _PEM.search(pem)
    if not match:
        raise ValueError("no such PEM block")
    try:
        told: Any = json.loads(base64.b64decode(match[2]))
        kdf, cipher, costs = told["kdf"], told["cipher"], told["kdf"]["params"]
        if (kdf["name"], cipher["name"]) != ("scrypt", "nacl/secretbox"):
            raise ValueError("unknown kdf or cipher")
        if costs["N"] not in _COSTS or (costs["r"], costs["p"]) != (_BLOCK, _PARALLEL):
            raise ValueError("unknown scrypt parameters")
        salt, nonce, box = (
            base64.b64decode(text, validate=True)
            for text in (kdf["salt"], cipher["nonce"], told["ciphertext"])
        )
        key = Scrypt(salt=salt, length=SecretBox.KEY_SIZE, n=costs["N"], r=_BLOCK, p=_PARALLEL).derive(
            password
        )
        return SecretBox(key).decrypt(box, nonce)
    except (KeyError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
        raise ValueError("damaged") from error
    except CryptoError as error:
        raise ValueError("wrong password") from error
