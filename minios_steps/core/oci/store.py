"""What a layout on disk and a repository of a registry have in common: where images are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from minios_steps.core.oci.model import Descriptor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from minios_steps.core.digest import Digest


@dataclass(frozen=True)
class RawResult:
    """A manifest or index: its exact bytes, its media type, and the digest of these bytes."""

    raw: bytes
    media_type: str
    digest: Digest

    @property
    def descriptor(self) -> Descriptor:
        """What a tag or an index that names it says of it, without a platform."""
        return Descriptor(self.media_type, self.digest, len(self.raw))


@dataclass(frozen=True)
class Referrer:
    """A manifest that names another one as its subject; `artifact_type` may be empty."""

    descriptor: Descriptor
    artifact_type: str


class ImageStore(Protocol):
    """Images, indexes, tags, and what refers to them; bytes go in and out as they are.

    Methods raise `ImageError` when bytes are missing, damaged or other than their digest says,
    `RegistryError` (one of these) when a registry refuses or stays away, and
    `CancelledError` when the work was cancelled. They may wait for a network.
    """

    @property
    def name(self) -> str:
        """What people call it: `oci:out/minios`, `registry.example:5000/team/minios`."""

    def tags(self) -> tuple[str, ...]:
        """Every tag that people gave, sorted; not those that stand in for a list of referrers."""

    def head(self, ref: str | Digest) -> Descriptor | None:
        """What a tag or a manifest's digest is; None when it is not there."""

    def manifest(self, ref: str | Digest) -> RawResult:
        """The exact bytes of a manifest or index, by tag or digest."""

    def read(self, digest: Digest, limit: int) -> bytes:
        """A blob or manifest of at most `limit` bytes, hashed again."""

    def open_blob(self, digest: Digest, limit: int) -> Iterator[bytes]:
        """A blob in blocks; who gets the whole has the right bytes."""

    def has_blob(self, digest: Digest) -> bool:
        """Whether a blob is there."""

    def put_blob(self, source: Path | bytes, digest: Digest, *, mount_from: str = "") -> bool:
        """Make sure a blob is there; whether its bytes had to be written.

        Args:
            source: its bytes, or a file with them, which is streamed.
            digest: of these bytes.
            mount_from: a repository of the same registry that may have it already.
        """

    def put_manifest(self, raw: bytes, media_type: str) -> bool:
        """Make sure a manifest is there, by its digest and under no tag; whether it was written."""

    def set_tags(self, tags: Sequence[str], raw: bytes, media_type: str) -> bool:
        """Point tags at a manifest that is there, in the order given; whether any moved."""

    def referrers(self, digest: Digest) -> tuple[Referrer, ...]:
        """What names a manifest as its subject."""

    def attach(self, raw: bytes) -> bool:
        """Make sure a manifest that names its subject is there and found by `referrers`."""
