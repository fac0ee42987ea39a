"""A release's detached signature, verified with pinned keys by `gpgv`.

What gpgv says is read from its status lines, never from its words for people: GnuPG's
doc/DETAILS, "Format of the --status-fd output".
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from minios_steps.core.cancel import never
from minios_steps.core.errors import SourceError
from minios_steps.core.sources import child
from minios_steps.core.upstream.armor import dearmor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SECONDS = 60
_STATUS = "[GNUPG:] "
# Whichever of these is there: another, good signature beside it does not make up for it.
_BAD = {
    "BADSIG": "the signature is not of this file",
    "ERRSIG": "the signature is not of a pinned key, or cannot be read",
    "EXPSIG": "the signature has expired",
    "EXPKEYSIG": "the key has expired",
    "REVKEYSIG": "the key was revoked",
}
_PRIMARY = 9
_WHEN = 2


class BadSignatureError(SourceError):
    """A file has no good signature of a pinned key."""


@dataclass(frozen=True)
class PinnedKey:
    """A key whose signatures count.

    Args:
        path: its public part, armoured or not.
        fingerprint: 40 hexadecimal characters in capitals, of the primary key.
    """

    path: Path
    fingerprint: str


@dataclass(frozen=True)
class Signature:
    """A good signature.

    Args:
        fingerprint: of the primary key that made it.
        made: when, in seconds since 1970.
    """

    fingerprint: str
    made: int


def verify_signature(
    data: Path, signature: bytes, keys: Sequence[PinnedKey], *, cancelled: Callable[[], bool] = never
) -> Signature:
    """Verify a file.

    Args:
        data: the file that is signed.
        signature: the detached signature, armoured or not.
        keys: one of these must have made it.
        cancelled: asked while gpgv runs.

    Raises:
        BadSignatureError: it is not a good signature of that file by one of the keys.
        SourceError: it cannot be verified here: there is no gpgv, or the key cannot be read.
        CancelledError: cancelled.
    """
    if not shutil.which("gpgv"):
        raise SourceError("a signature cannot be verified: there is no gpgv here", hint="install gpgv")
    # A keyring is nothing but one key after the other.
    packets = b"".join(_read_key(key.path) for key in keys)
    try:
        bare = dearmor(signature)
    except SourceError as error:
        raise BadSignatureError(f"the signature cannot be read: {error.what}") from error
    with TemporaryDirectory(prefix="minios-gpgv-") as text:
        folder = Path(text)
        (folder / "key.gpg").write_bytes(packets)
        (folder / "data.sig").write_bytes(bare)
        done = child.run(
            (
                *("gpgv", "--status-fd", "1", "--keyring", str(folder / "key.gpg")),
                *(str(folder / "data.sig"), str(data.resolve())),
            ),
            folder=folder,
            environment={"GNUPGHOME": text},
            seconds=_SECONDS,
            cancelled=cancelled,
        )
    return _judge(done, [key.fingerprint for key in keys])


def _read_key(path: Path) -> bytes:
    try:
        return dearmor(path.read_bytes())
    except OSError as error:
        raise SourceError(f"{path}: the key cannot be read: {error.strerror}") from error
    except SourceError as error:
        raise SourceError(f"{path}: {error.what}") from error


def _judge(done: child.Finished, fingerprints: Sequence[str]) -> Signature:
    lines = [line.removeprefix(_STATUS).split() for line in done.output.splitlines()]
    said = {words[0]: words[1:] for words in lines if words}
    for word, meaning in _BAD.items():
        if word in said:
            raise BadSignatureError(meaning)
    valid = said.get("VALIDSIG", [])
    if done.code or len(valid) <= _PRIMARY:
        told = (done.errors.strip().splitlines() or ["gpgv said nothing"])[-1]
        raise BadSignatureError(f"there is no valid signature: {told[:200]}", details=done.errors)
    # The last field is the primary key's: the first may be a subkey's.
    if valid[_PRIMARY] not in fingerprints:
        raise BadSignatureError(f"signed by {valid[_PRIMARY]}, not by the pinned {' or '.join(fingerprints)}")
    return Signature(valid[_PRIMARY], int(valid[_WHEN]))
