"""The disk below the source caches: files that are whole or absent, locks, and clear errors."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

from minios_steps.core.cancel import POLL_SECONDS, never, stop_if
from minios_steps.core.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_STALE_SECONDS = 3600
_FULL = (errno.ENOSPC, errno.EDQUOT)


class StorageError(SourceError):
    """This machine's disk is full or refuses to be written: no mirror can help."""


@contextmanager
def writing(path: Path, *, needed: int | None = None) -> Iterator[None]:
    """Turn the operating system's errors into one clear line.

    Args:
        path: what is written; named in the error.
        needed: how many bytes, when that is known.

    Raises:
        StorageError: for any `OSError` in the block.
    """
    try:
        yield
    except OSError as error:
        raise _storage_error(path, error, needed) from error


def _storage_error(path: Path, error: OSError, needed: int | None) -> StorageError:
    if error.errno not in _FULL:
        return StorageError(f"cannot write {path}: {error.strerror or error}")
    amount = "" if needed is None else f", {needed:,} bytes are needed"
    with suppress(OSError):
        amount += f", {shutil.disk_usage(path.parent).free:,} are free"
    return StorageError(
        f"cannot write {path}: the disk is full{amount}", hint="free some space, then run again"
    )


@contextmanager
def replacing(path: Path, *, needed: int | None = None) -> Iterator[BinaryIO]:
    """Give a stream whose bytes become the file `path` when the block ends well.

    Whatever happens before leaves what was at `path`, and no unfinished file.

    Args:
        path: the file; its folder is made.
        needed: how many bytes will be written, when that is known.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with writing(path, needed=needed):
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("xb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
            _sync_folder(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(path: Path, cancelled: Callable[[], bool] = never) -> Iterator[None]:
    """Hold a lock that only one thread of all processes can hold.

    The lock's file stays: removing it would let two holders in. A holder that dies
    releases the lock.

    Raises:
        CancelledError: cancelled while waiting.
        StorageError: the lock's file cannot be made.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        while not _try_lock(handle):
            stop_if(cancelled)
            time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """An empty folder that is gone when the block ends; one that a killed run left is emptied.

    The caller holds a lock under which nobody else uses `path`.
    """
    shutil.rmtree(path, ignore_errors=True)
    with writing(path):
        path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def remove_leftovers(path: Path) -> None:
    """Remove the unfinished files that killed runs left of `path`."""
    now = time.time()
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        with suppress(OSError):
            # A younger one may be a neighbour's that is still being written.
            if now - leftover.stat().st_mtime > _STALE_SECONDS:
                leftover.unlink()
