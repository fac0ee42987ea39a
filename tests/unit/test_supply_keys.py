from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from nacl.secret import SecretBox
from supplybed import make_key

from minios_steps.core.supply.keys import KeyFileError, SigningKey, VerifyKey

# Written by `cosign generate-key-pair` of cosign 3.1.1, for nothing but this test.
COSIGN_KEY = b"""\
-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----
eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjo2NTUzNiwiciI6
OCwicCI6MX0sInNhbHQiOiIxeXNWNm9EV2lmVWwwbVJiMXBvMGkySTFQSk5lUlpQ
cTJRZmUvQVEvY0dJPSJ9LCJjaXBoZXIiOnsibmFtZSI6Im5hY2wvc2VjcmV0Ym94
Iiwibm9uY2UiOiJwUlV1aW1sRXpEbnlkR2g5TzdRdFJKdFBCOGo5SzUzSCJ9LCJj
aXBoZXJ0ZXh0IjoiTmtIam52VjlISERWRG5PRHc5YWd2Y3BVUTBSWmJ3OUZRSlIz
N3V0aUFIaXo2TnBrZ1pjNXREdHR3dUxTVitOT0s4eWJJaXpMWGJhelF3U0Z1dndG
dmJzci9MNVgrU0doSVo4WWVYUDg3ay9aOHdUd255elErQm9IYnhrc3pDNUhqMUtM
L1I2K0RscTdtTTZkYkk5ZWlLZjEybGw2K1hMUHpDOEV5eFEyZFZXN0REa0gzV2VU
RGk0cHBqbmpjbkx5Q1QvTjA1RUdpQ3NsY2c9PSJ9
-----END ENCRYPTED SIGSTORE PRIVATE KEY-----
"""
COSIGN_PUB = b"""\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEuvTavfTSBOxVYVhqsEfs4jJHlRcV
2BQAolBH6ijfHUOeAUhWINi6sIBGGcwn83v+v+k4F+4zVl5PgyevgL4N1g==
-----END PUBLIC KEY-----
"""
PASSWORD = b"tiny"


def pem(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    *,
    password: bytes = b"",
    kind: PrivateFormat = PrivateFormat.PKCS8,
) -> bytes:
    protection: KeySerializationEncryption = NoEncryption()
    if password:
        protection = BestAvailableEncryption(password)
    return key.private_bytes(Encoding.PEM, kind, protection)


def cosign_pem(
    der: bytes, *, costs: dict[str, int] | None = None, kind: str = "COSIGN", **changes: str
) -> bytes:
    """A file as cosign's first versions wrote it."""
    costs = costs or {"N": 1 << 15, "r": 8, "p": 1}
    salt = bytes(32)
    key = Scrypt(salt=salt, length=32, n=1 << 15, r=8, p=1).derive(PASSWORD)
    box = SecretBox(key).encrypt(der)
    told = {
        "kdf": {"name": "scrypt", "params": costs, "salt": base64.b64encode(salt).decode()},
        "cipher": {"name": "nacl/secretbox", "nonce": base64.b64encode(box.nonce).decode()},
        "ciphertext": base64.b64encode(box.ciphertext).decode(),
        **changes,
    }
    body = base64.encodebytes(json.dumps(told).encode())
    return b"-----BEGIN ENCRYPTED %b PRIVATE KEY-----\n%b-----END ENCRYPTED %b PRIVATE KEY-----\n" % (
        kind.encode(),
        body,
        kind.encode(),
    )


@pytest.mark.parametrize("kind", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("password", [b"", PASSWORD])
def test_keys_of_openssl(kind: PrivateFormat, password: bytes) -> None:
    made = make_key()
    read = SigningKey.load(pem(made.private, password=password, kind=kind), password)
    assert read.public.pem == made.public.pem


def test_a_key_that_cosign_made() -> None:
    # A secret in a file has a line end after it.
    read = SigningKey.load(COSIGN_KEY, PASSWORD + b"\n")
    assert read.public.pem == COSIGN_PUB
    assert VerifyKey.load(COSIGN_PUB).accepts(read.sign(b"data"), b"data")


def test_a_key_of_an_old_cosign() -> None:
    made = make_key()
    der = made.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert SigningKey.load(cosign_pem(der), PASSWORD).public.pem == made.public.pem


@pytest.mark.parametrize("data", [COSIGN_KEY, pem(make_key().private, password=PASSWORD)])
def test_a_wrong_password(data: bytes) -> None:
    with pytest.raises(KeyFileError, match="release-key: not a private key in PEM, or the password is wrong"):
        SigningKey.load(data, b"other", "release-key")


def test_a_password_too_many_or_too_few() -> None:
    with pytest.raises(KeyFileError, match="needs a password"):
        SigningKey.load(pem(make_key().private, password=PASSWORD))
    with pytest.raises(KeyFileError, match="has no password, but one is configured"):
        SigningKey.load(pem(make_key().private), PASSWORD)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nothing",
        COSIGN_KEY.replace(b"eyJr", b"eyJ4"),
        cosign_pem(b"no key"),
        cosign_pem(b"x", costs={"N": 1 << 30, "r": 8, "p": 1}),
        cosign_pem(b"x", cipher="none"),
        cosign_pem(b"x", ciphertext="*"),
    ],
)
def test_what_is_no_key(data: bytes) -> None:
    with pytest.raises(KeyFileError, match="not a private key in PEM"):
        SigningKey.load(data, PASSWORD)


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)]
)
def test_keys_of_other_schemes(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    with pytest.raises(KeyFileError, match="expected an ECDSA key of the curve P-256"):
        SigningKey.load(pem(key))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(KeyFileError, match="P-256"):
        VerifyKey.load(public)


def test_a_private_key_in_the_place_of_a_public_one() -> None:
    with pytest.raises(KeyFileError, match="pub: not a public key in PEM"):
        VerifyKey.load(COSIGN_KEY, "pub")


def test_nothing_of_a_key_is_shown() -> None:
    key = make_key()
    assert repr(key) == "SigningKey()"
    assert repr(key.public) == "VerifyKey()"


def test_a_signature_is_of_its_data_only() -> None:
    key, other = make_key(), make_key()
    signature = key.sign(b"data")
    assert key.public.accepts(signature, b"data")
    assert not key.public.accepts(signature, b"date")
    assert not other.public.accepts(signature, b"data")
    assert not key.public.accepts(b"", b"data")
