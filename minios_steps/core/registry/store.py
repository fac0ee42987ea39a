"""A repository of a registry as an `ImageStore`."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci.tag import is_hidden
from minios_steps.core.registry.attach import ensure_referrer
from minios_steps.core.registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from minios_steps.core.oci.model import Descriptor
    from minios_steps.core.oci.store import RawResult, Referrer
    from minios_steps.core.registry.client import Registry


class RegistryStore:
    """A repository, which need not exist yet; see `ImageStore`.

    Args:
        registry: it stays the caller's, who closes it.
        repository: the repository's path.

    Raises:
        RegistryError: no repository can be called so.
    """

    def __init__(self, registry: Registry, repository: str) -> None:
        self.repository = registry.repository(repository)
        self.host = registry.endpoint.host

    @property
    def name(self) -> str:
        """`HOST[:PORT]/REPOSITORY`."""
        return f"{self.host}/{self.repository.name}"

    def tags(self) -> tuple[str, ...]:
        """Every tag that people gave, sorted."""
        return tuple(tag for tag in self.repository.tags() if not is_hidden(tag))

    def head(self, ref: str | Digest) -> Descriptor | None:
        """What a tag or a manifest's digest is; None when it is not there."""
        return self.repository.head_manifest(ref)

    def manifest(self, ref: str | Digest) -> RawResult:
        """The exact bytes of a manifest or index, by tag or digest."""
        try:
            return self.repository.get_manifest(ref)
        except RegistryError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            raise ImageError(error.what) from error

    def read(self, digest: Digest, limit: int) -> bytes:
        """A blob or manifest of at most `limit` bytes, hashed again."""
        return self.repository.read(digest, limit)

    def open_blob(self, digest: Digest, limit: int) -> Iterator[bytes]:
        """A blob in blocks; who gets the whole has the right bytes."""
        return self.repository.open_blob(digest, limit)

    def has_blob(self, digest: Digest) -> bool:
        """Whether a blob is there."""
        return self.repository.head_blob(digest) is not None

    def put_blob(self, source: Path | bytes, digest: Digest, *, mount_from: str = "") -> bool:
        """Make sure a blob is there; whether its bytes had to be sent."""
        return self.repository.upload_blob(source, digest, mount_from=mount_from) == "sent"

    def put_manifest(self, raw: bytes, media_type: str) -> bool:
        """Make sure a manifest is there, by its digest and under no tag; whether it was sent."""
        return self.repository.ensure_manifest(Digest.of(raw), raw, media_type)

    def set_tags(self, tags: Sequence[str], raw: bytes, media_type: str) -> bool:
        """Point tags at a manifest, in the order given; whether any moved."""
        moved = [self.repository.ensure_manifest(tag, raw, media_type) for tag in tags]
        return any(moved)

    def referrers(self, digest: Digest) -> tuple[Referrer, ...]:
        """What names a manifest as its subject."""
        return self.repository.referrers(digest)

    def attach(self, raw: bytes) -> bool:
        """Make sure a manifest that names its subject is there and found by `referrers`."""
        return ensure_referrer(self.repository, raw)
