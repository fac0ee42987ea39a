from __future__ import annotations

import dataclasses
import shutil
from typing import TYPE_CHECKING

import pytest
from configbed import ROOT
from upstreambed import REAL_SIGNATURE, MadeUpKey, made_up_key

from minios_steps.core.errors import SourceError
from minios_steps.core.sources import child
from minios_steps.core.upstream import signature as module
from minios_steps.core.upstream.armor import dearmor
from minios_steps.core.upstream.signature import BadSignatureError, PinnedKey, verify_signature

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = b"a release\n"
REAL_FINGERPRINT = "C9E9416F76E610DBD09D040F47B70C55ACC9965B"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MadeUpKey]:
    with made_up_key(tmp_path_factory.mktemp("keys") / "one") as made:
        yield made


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.write_bytes(DATA)
    return path


@pytest.mark.parametrize("armoured", [False, True])
def test_good(key: MadeUpKey, data: Path, tmp_path: Path, *, armoured: bool) -> None:
    signed = verify_signature(data, key.sign(DATA, armoured=armoured), [key.pinned(tmp_path)])
    assert signed.fingerprint == key.fingerprint
    assert signed.made > 1_700_000_000


def test_other_bytes(key: MadeUpKey, data: Path, tmp_path: Path) -> None:
    with pytest.raises(BadSignatureError, match="not of this file"):
        verify_signature(data, key.sign(b"another"), [key.pinned(tmp_path)])


def test_other_key(key: MadeUpKey, data: Path, tmp_path: Path) -> None:
    with (
        made_up_key(tmp_path / "other") as other,
        pytest.raises(BadSignatureError, match="not of a pinned key"),
    ):
        verify_signature(data, other.sign(DATA), [key.pinned(tmp_path)])


def test_good_signature_beside_a_bad_one(key: MadeUpKey, data: Path, tmp_path: Path) -> None:
    both = key.sign(DATA) + key.sign(b"another")
    with pytest.raises(BadSignatureError):
        verify_signature(data, both, [key.pinned(tmp_path)])


def test_any_of_several_keys(key: MadeUpKey, data: Path, tmp_path: Path) -> None:
    real = PinnedKey(ROOT / "config" / "keys" / "busybox.asc", REAL_FINGERPRINT)
    for keys in ([real, key.pinned(tmp_path)], [key.pinned(tmp_path), real]):
        assert verify_signature(data, key.sign(DATA), keys).fingerprint == key.fingerprint
        with pytest.raises(BadSignatureError, match="not of this file"):
            verify_signature(data, REAL_SIGNATURE.read_bytes(), keys)


def test_key_file_that_holds_another_key(key: MadeUpKey, data: Path, tmp_path: Path) -> None:
    pinned = dataclasses.replace(key.pinned(tmp_path), fingerprint=REAL_FINGERPRINT)
    with pytest.raises(BadSignatureError, match=f"signed by {key.fingerprint}, not by the pinned"):
        verify_signature(data, key.sign(DATA), [pinned])


@pytest.mark.parametrize("text", [b"", b"nonsense", b"-----BEGIN PGP SIGNATURE-----\n\n!\n"])
def test_no_signature_at_all(key: MadeUpKey, data: Path, tmp_path: Path, text: bytes) -> None:
    with pytest.raises(BadSignatureError):
        verify_signature(data, text, [key.pinned(tmp_path)])


def test_real_signature_is_of_the_shipped_key(data: Path) -> None:
    """The shipped key made the real signature; these bytes are not what it is of."""
    pinned = PinnedKey(ROOT / "config" / "keys" / "busybox.asc", REAL_FINGERPRINT)
    with pytest.raises(BadSignatureError, match="not of this file"):
        verify_signature(data, REAL_SIGNATURE.read_bytes(), [pinned])


def test_missing_key(data: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="the key cannot be read: No such file"):
        verify_signature(data, b"x", [PinnedKey(tmp_path / "none", REAL_FINGERPRINT)])


def test_damaged_key(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "key.asc"
    path.write_text("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n%%\n", "utf-8")
    with pytest.raises(SourceError, match=r"key\.asc: its ASCII armour is damaged") as caught:
        verify_signature(data, b"x", [PinnedKey(path, REAL_FINGERPRINT)])
    assert not isinstance(caught.value, BadSignatureError)


def test_no_gpgv(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(SourceError, match="there is no gpgv here") as caught:
        verify_signature(data, b"x", [PinnedKey(tmp_path, REAL_FINGERPRINT)])
    assert not isinstance(caught.value, BadSignatureError)


@pytest.mark.parametrize(
    ("status", "what"),
    [
        ("EXPKEYSIG 1 x\n[GNUPG:] VALIDSIG", "the key has expired"),
        ("REVKEYSIG 1 x\n[GNUPG:] VALIDSIG", "the key was revoked"),
        ("EXPSIG 1 x", "the signature has expired"),
        ("GOODSIG 1 x", "there is no valid signature: gpgv said nothing"),
    ],
)
def test_what_gpgv_says(status: str, what: str) -> None:
    done = child.Finished(0, f"[GNUPG:] {status}\n", "")
    with pytest.raises(BadSignatureError, match=what):
        module._judge(done, [REAL_FINGERPRINT])


def test_armour(key: MadeUpKey) -> None:
    plain = key.sign(DATA)
    assert dearmor(plain) == plain
    armoured = key.sign(DATA, armoured=True)
    assert dearmor(b"Comment before\n\n" + armoured.replace(b"\n", b"\r\n"))[:1] == plain[:1]
    lines = armoured.splitlines(keepends=True)
    swapped = b"".join([*lines[:2], lines[2][1:2] + lines[2][:1] + lines[2][2:], *lines[3:]])
    for damaged in (swapped, armoured.replace(b"-----END", b""), armoured.replace(b"\n=", b"\n=A")):
        with pytest.raises(SourceError, match="damaged"):
            dearmor(damaged)
