"""Unpacking a release's tarball without trusting it."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from minios_steps.core.cancel import never, stop_if
from minios_steps.core.errors import SourceError, UnsafeArchiveError
from minios_steps.core.members import scan_members
from minios_steps.core.sources.storage import writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from minios_steps.core.entry import Entry

MAX_ENTRIES = 50_000
"""Files and folders a source may have; BusyBox has some 3,000."""

_SPECIAL_BITS = 0o6000
_EXECUTABLE = 0o100
_MAGIC_LENGTH = 6


def unpack(
    archive: Path,
    folder: Path,
    *,
    max_bytes: int,
    max_entries: int = MAX_ENTRIES,
    cancelled: Callable[[], bool] = never,
) -> None:
    """Unpack a tar, plain or compressed by bzip2, gzip or xz, into an empty folder.

    Modes become 755 for folders and executable files and 644 for the others; owners and
    times are this process's. Hard links become copies.

    Args:
        archive: the tarball.
        folder: an existing, empty folder.
        max_bytes: how many bytes all files may have together, unpacked.
        max_entries: how many files and folders there may be.
        cancelled: asked between files.

    Raises:
        UnsafeArchiveError: see `safe_members`; some files may be unpacked by then.
        SourceError: the archive is damaged, or compressed in another way.
        StorageError: the disk is full, or refuses to be written.
        CancelledError: cancelled.
    """
    for entry in safe_members(archive, max_bytes=max_bytes, max_entries=max_entries):
        stop_if(cancelled)
        path = folder / entry.path
        with writing(path):
            # Neither follows a link: no parent is one, and nothing is written twice.
            path.parent.mkdir(parents=True, exist_ok=True)
            _place(entry, path, folder)


def safe_members(archive: Path, *, max_bytes: int, max_entries: int = MAX_ENTRIES) -> Iterator[Entry]:
    """Give the members of an untrusted tarball, one at a time.

    Raises:
        UnsafeArchiveError: naming the member: a path that is absolute or leads out, is
            there twice, or is below what is no folder; a link that leads out; a device,
            pipe or sparse file; a setuid or setgid bit; more bytes or entries than allowed.
        SourceError: the archive is damaged, or compressed in another way.
    """
    left = max_bytes
    sizes: dict[str, int] = {}
    with _decompressed(archive) as stream:
        for entry in scan_members(stream, max_bytes=max_bytes, max_entries=max_entries, name=archive.name):
            _check(entry, archive.name)
            # Many links to one large file are as large as many files once they are copies.
            size = (
                sizes.get(entry.target, 0)
                if entry.kind == "hardlink"
                else len(cast("bytes", entry.data or b""))
            )
            sizes[entry.path] = size
            left -= size
            if left < 0:
                raise UnsafeArchiveError(
                    f"{archive.name}: more than the {max_bytes:,} bytes allowed, at {entry.path!r}"
                )
            yield entry


def _check(entry: Entry, name: str) -> None:
    if entry.mode & _SPECIAL_BITS:
        raise UnsafeArchiveError(f"{name}: {entry.path!r} is setuid or setgid")
    if entry.kind != "symlink":
        return
    if entry.target.startswith("/"):
        raise UnsafeArchiveError(f"{name}: {entry.path!r} is a link to the absolute path {entry.target!r}")
    parts = [part for part in entry.target.split("/") if part not in ("", ".")]
    climbs = next((at for at, part in enumerate(parts) if part != ".."), len(parts))
    # After a name, `..` is one above where that name leads, which may be a link itself.
    if climbs > entry.path.count("/") or ".." in parts[climbs:]:
        raise UnsafeArchiveError(f"{name}: {entry.path!r} is a link that may lead out, to {entry.target!r}")


def _place(entry: Entry, path: Path, folder: Path) -> None:
    if entry.kind == "dir":
        path.mkdir(exist_ok=True)
        path.chmod(0o755)
    elif entry.kind == "symlink":
        path.symlink_to(entry.target)
    elif entry.kind == "hardlink":
        shutil.copy(folder / entry.target, path)
    else:
        with path.open("xb") as output:
            output.write(cast("bytes", entry.data or b""))
        path.chmod(0o755 if entry.mode & _EXECUTABLE else 0o644)


@contextmanager
def _decompressed(archive: Path) -> Iterator[BinaryIO]:
    """The plain tar in an archive; what the decompressor finds wrong becomes a `SourceError`."""
    try:
        with archive.open("rb") as raw:
            magic = raw.read(_MAGIC_LENGTH)
            raw.seek(0)
            with _open(raw, magic) as stream:
                yield stream
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise SourceError(f"{archive.name}: cannot be unpacked: {error}") from error


def _open(raw: BinaryIO, magic: bytes) -> BinaryIO:
    if magic.startswith(b"BZh"):
        return cast("BinaryIO", bz2.open(raw))
    if magic.startswith(b"\x1f\x8b"):
        return cast("BinaryIO", gzip.open(raw))
    if magic.startswith(b"\xfd7zXZ\x00"):
        return cast("BinaryIO", lzma.open(raw))
    return raw
