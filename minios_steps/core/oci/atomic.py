"""Files that are whole or absent: written beside their place, synced, then renamed."""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

from minios_steps.core.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEMPORARY = ".tmp-"
"""What the names of unfinished files start with."""
FILE_MODE = 0o644
FOLDER_MODE = 0o755

_HINTS = {
    errno.ENOSPC: "free some disk space, then run again",
    errno.EDQUOT: "free some of your disk quota, then run again",
    errno.EACCES: "the folder must be writable by this user",
    errno.EPERM: "the folder must be writable by this user",
    errno.EROFS: "the file system is mounted read-only",
}


def disk_error(path: Path, error: OSError) -> ImageError:
    """The error that tells a person why a path could not be written, and what to do."""
    cause = error.strerror or str(error)
    where = (
        f" ({error.filename})"
        if error.filename and not str(error.filename).startswith(str(path.parent))
        else ""
    )
    return ImageError(f"cannot write {path}: {cause}{where}", hint=_HINTS.get(error.errno or 0, ""))


@contextmanager
def replacing(path: Path, *, scratch: Path | None = None) -> Iterator[BinaryIO]:
    """Give a stream whose bytes become the file `path`, readable by all, when the block ends well.

    Args:
        path: the file; an older one is replaced.
        scratch: the folder for the unfinished file, on the same file system; beside
            `path` when not given.

    Whatever happens before the end leaves what was at `path`, and no unfinished file.

    Raises:
        ImageError: the disk is full, or the folder cannot be written.
    """
    temporary = (scratch or path.parent) / f"{TEMPORARY}{secrets.token_hex(8)}"
    try:
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            os.fchmod(stream.fileno(), FILE_MODE)
            os.fsync(stream.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise disk_error(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_bytes(path: Path, data: bytes, *, scratch: Path | None = None) -> None:
    """Write a whole file; see `replacing`."""
    with replacing(path, scratch=scratch) as stream:
        stream.write(data)


def make_folder(path: Path) -> None:
    """Make a folder that everybody may read, whatever the umask; one that is there is left alone."""
    if not path.is_dir():
        path.mkdir()
        path.chmod(FOLDER_MODE)


def sync_folder(path: Path) -> None:
    """Make the names in a folder outlive a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
