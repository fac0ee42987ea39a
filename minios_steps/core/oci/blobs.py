"""The content-addressed half of a layout: `blobs/sha256/HEX`, each file named after its bytes."""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING

from minios_steps.core.digest import BLOCK, Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci import media
from minios_steps.core.oci.atomic import TEMPORARY, disk_error, replacing
from minios_steps.core.oci.index import parse_index
from minios_steps.core.oci.model import MANIFEST_LIMIT, Descriptor, RawManifest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

FOLDER = "blobs/sha256"
_STALE = 3600.0
"""Seconds after which an unfinished file is one of a writer that died."""


class Blobs:
    """Blobs of a layout that is there.

    Args:
        root: the layout's folder; unfinished files are there while they are written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / FOLDER

    def path(self, digest: Digest) -> Path:
        """Where a blob is, or would be."""
        return self.folder / digest.hex

    def holds(self, digest: Digest) -> bool:
        """Whether a blob is there with the right bytes: they are hashed."""
        try:
            return Digest.of_file(self.path(digest)) == digest
        except OSError:
            return False

    def read(self, digest: Digest, limit: int) -> bytes:
        """A blob's bytes, hashed again.

        Raises:
            ImageError: the blob is missing, longer than `limit` bytes, or damaged.
        """
        try:
            with self.path(digest).open("rb") as stream:
                data = stream.read(limit + 1)
        except FileNotFoundError as error:
            raise ImageError(f"{self.root}: blob {digest} is missing") from error
        except OSError as error:
            raise ImageError(f"{self.root}: blob {digest} cannot be read: {error.strerror}") from error
        if len(data) > limit:
            raise ImageError(f"{self.root}: blob {digest} is larger than the {limit:,} bytes allowed")
        if Digest.of(data) != digest:
            raise ImageError(f"{self.root}: blob {digest} is damaged: its bytes have another digest")
        return data

    def put_bytes(self, data: bytes) -> bool:
        """Store bytes; whether they had to be written, as a blob was missing or damaged.

        Raises:
            ImageError: they cannot be written.
        """
        digest = Digest.of(data)
        if self._refresh(digest):
            return False
        with replacing(self.path(digest), scratch=self.root) as stream:
            stream.write(data)
        return True

    def put_file(self, path: Path, digest: Digest) -> bool:
        """Store a copy of a file; whether it had to be written, as a blob was missing or damaged.

        Raises:
            ImageError: the file cannot be read, has another digest, or cannot be written.
        """
        if self._refresh(digest):
            return False
        try:
            source = path.open("rb")
        except OSError as error:
            raise ImageError(f"cannot read {path}: {error.strerror}") from error
        state = hashlib.sha256()
        with source, replacing(self.path(digest), scratch=self.root) as stream:
            while block := source.read(BLOCK):
                state.update(block)
                stream.write(block)
            if state.hexdigest() != digest.hex:
                raise ImageError(f"{path}: expected sha256 {digest.hex}, found {state.hexdigest()}")
        return True

    def closure(self, descriptor: Descriptor) -> tuple[Digest, ...]:
        """A manifest or index and every blob below it, each once, parents first.

        Raises:
            ImageError: a manifest or index is missing, damaged, or of an unknown
                kind. Configs and layers are not looked at.
        """
        return tuple(dict.fromkeys(item.digest for item in self._walk(descriptor, set())))

    def check(self, descriptor: Descriptor) -> None:
        """Make sure a manifest or index and every blob below it are there, of the right size and bytes.

        Raises:
            ImageError: one is missing, damaged, or not what its descriptor says.
        """
        for item in dict.fromkeys(self._walk(descriptor, set())):
            if not self.holds(item.digest):
                raise ImageError(f"{self.root}: blob {item.digest} is missing or damaged")
            if (found := self.path(item.digest).stat().st_size) != item.size:
                raise ImageError(
                    f"{self.root}: blob {item.digest} has {found} bytes, its descriptor says {item.size}"
                )

    def sweep(self, used: Collection[Digest], *, min_age: float) -> int:
        """Remove the blobs that are not used, and unfinished files of writers that died; how many blobs.

        Args:
            used: what stays.
            min_age: seconds for which a blob stays after it was last stored.

        Raises:
            ImageError: a file cannot be removed.
        """
        now = time.time()
        kept = {digest.hex for digest in used}
        try:
            for path in self.root.glob(f"{TEMPORARY}*"):
                if now - path.stat().st_mtime > _STALE:
                    path.unlink()
            unused = [
                path
                for path in self.folder.iterdir()
                if path.name not in kept and now - path.stat().st_mtime >= min_age
            ]
            for path in unused:
                path.unlink()
        except OSError as error:
            raise disk_error(self.root, error) from error
        return len(unused)

    def _walk(self, descriptor: Descriptor, seen: set[Digest]) -> Iterator[Descriptor]:
        yield descriptor
        if descriptor.digest in seen:
            return
        seen.add(descriptor.digest)
        raw = self.read(descriptor.digest, MANIFEST_LIMIT)
        what = f"{self.root}: {descriptor.digest}"
        if descriptor.media_type in media.INDEXES:
            for entry in parse_index(raw, what).entries:
                yield from self._walk(entry, seen)
        elif descriptor.media_type in media.MANIFESTS:
            manifest = RawManifest.parse(raw, what)
            yield manifest.config
            yield from manifest.layers
        else:
            raise ImageError(f"{what}: neither an image nor an index: {descriptor.media_type:.80}")

    def _refresh(self, digest: Digest) -> bool:
        """Whether a blob is there; if so it is marked as used now, which `Layout.collect` goes by."""
        if not self.holds(digest):
            return False
        os.utime(self.path(digest))
        return True
