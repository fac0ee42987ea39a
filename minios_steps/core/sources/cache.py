"""Verified release tarballs, kept by the digest of their bytes."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from minios_steps.core.cancel import never
from minios_steps.core.digest import BLOCK, Digest
from minios_steps.core.errors import SourceError
from minios_steps.core.sources.storage import locked, remove_leftovers, replacing, scratch_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class WrongDigestError(SourceError):
    """A file's bytes are not the pinned ones."""


class SourceCache:
    """A folder of tarballs that any number of threads and processes may share.

    Layout below `root`: `sha256/HEX` the verified files, `locks/HEX`, `partial/` the
    unfinished downloads, `scratch/HEX` a mirror's working folder. It is made when it is
    first written.

    Args:
        root: the cache's folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, digest: Digest) -> Path:
        """Where the file with this digest is, if it is here."""
        return self.root / "sha256" / digest.hex

    def get(self, digest: Digest) -> Path | None:
        """The file with this digest, hashed again; one that was damaged is removed.

        Raises:
            SourceError: the file is there and cannot be read.
        """
        path = self.path(digest)
        try:
            if Digest.of_file(path) == digest:
                return path
            path.unlink()
        except FileNotFoundError:
            pass
        except OSError as error:
            raise SourceError(f"the cached source {path} cannot be read: {error.strerror}") from error
        return None

    def add(self, path: Path, digest: Digest) -> Path:
        """Copy a file into the cache, if its bytes have this digest.

        Returns:
            The copy.

        Raises:
            WrongDigestError: the bytes are others; nothing is kept.
            StorageError: the disk is full, or refuses to be written; nothing is kept.
            SourceError: `path` cannot be read.
        """
        state = hashlib.sha256()
        kept = self.path(digest)
        try:
            source = path.open("rb")
            size = path.stat().st_size
        except OSError as error:
            raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
        with source, replacing(kept, needed=size) as copy:
            while block := source.read(BLOCK):
                state.update(block)
                copy.write(block)
            found = Digest(state.hexdigest())
            if found != digest:
                raise WrongDigestError(
                    f"wrong sha256: expected {digest.hex}, found {found.hex} ({size:,} bytes)"
                )
        return kept

    @contextmanager
    def lock(self, digest: Digest, cancelled: Callable[[], bool] = never) -> Iterator[None]:
        """Hold the right to fetch this digest; whoever waits finds it in the cache afterwards.

        Raises:
            CancelledError: cancelled while waiting.
            StorageError: the cache cannot be written.
        """
        with locked(self.root / "locks" / digest.hex, cancelled):
            remove_leftovers(self.path(digest))
            yield

    def partial(self, digest: Digest, origin: str) -> Path:
        """Where an unfinished download is kept; another origin's bytes never mix in."""
        folder = self.root / "partial"
        return folder / f"{digest.hex}-{Digest.of(origin.encode()).short}.part"

    def drop_partials(self, digest: Digest) -> None:
        """Remove this digest's unfinished downloads, from every origin."""
        for path in (self.root / "partial").glob(f"{digest.hex}-*"):
            with suppress(OSError):
                path.unlink()

    @contextmanager
    def scratch(self, digest: Digest) -> Iterator[Path]:
        """An empty working folder for whoever holds `lock(digest)`."""
        with scratch_folder(self.root / "scratch" / digest.hex) as folder:
            yield folder
