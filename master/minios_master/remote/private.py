"""Files that hold keys: readable by their owner only, from the first byte on."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_private(path: Path, data: bytes) -> None:
    """Replace a file at once by one of mode 0600; its folder gets mode 0700."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def kept_secret(path: Path, size: int) -> bytes:
    """The random bytes that a file keeps; made when it is not there, or has another size."""
    if not path.exists() or path.stat().st_size != size:
        write_private(path, secrets.token_bytes(size))
    return path.read_bytes()
