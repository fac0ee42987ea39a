"""A layout on disk as an `ImageStore`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from minios_steps.core.digest import BLOCK, Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci.blobs import Blobs
from minios_steps.core.oci.model import Descriptor, media_type_of
from minios_steps.core.oci.referrers import read_referrers
from minios_steps.core.oci.store import RawResult, Referrer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from minios_steps.core.oci.layout import Layout


class LayoutStore:
    """A layout, which need not exist yet; see `ImageStore`.

    Args:
        layout: its tags stand for the store's; lists of referrers are under the tags of the
            referrers tag schema, so that other tools find them when it is copied.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._blobs = Blobs(layout.root)

    @property
    def name(self) -> str:
        """`oci:FOLDER`, as skopeo calls it."""
        return f"oci:{self.layout.root}"

    def tags(self) -> tuple[str, ...]:
        """Every tag that people gave, sorted."""
        return tuple(sorted(self.layout.tags()))

    def head(self, ref: str | Digest) -> Descriptor | None:
        """What a tag or a manifest's digest is; None when it is not there."""
        if isinstance(ref, Digest):
            return self.manifest(ref).descriptor if self.layout.has_blob(ref) else None
        found = self.layout.all_tags().get(ref)
        return Descriptor(found.media_type, found.digest, found.size) if found else None

    def manifest(self, ref: str | Digest) -> RawResult:
        """The exact bytes of a manifest or index, by tag or digest."""
        if isinstance(ref, Digest):
            raw = self.layout.read(ref)
            return RawResult(raw, media_type_of(raw, f"{self.layout.root}: {ref}"), ref)
        found = self.head(ref)
        if found is None:
            raise ImageError(f"{self.name}: no tag {ref[:140]!r}")
        return RawResult(self.layout.read(found.digest), found.media_type, found.digest)

    def read(self, digest: Digest, limit: int) -> bytes:
        """A blob or manifest of at most `limit` bytes, hashed again."""
        return self.layout.read(digest, limit)

    def open_blob(self, digest: Digest, limit: int) -> Iterator[bytes]:
        """A blob in blocks; the last one is given only when the digest of all is right."""
        what = f"{self.layout.root}: blob {digest}"
        state = hashlib.sha256()
        held, size = b"", 0
        try:
            with self.layout.blob_path(digest).open("rb") as stream:
                while block := stream.read(BLOCK):
                    size += len(block)
                    if size > limit:
                        raise ImageError(f"{what} is larger than the {limit:,} bytes allowed")
                    if held:
                        yield held
                    held = block
                    state.update(block)
        except OSError as error:
            raise ImageError(f"{what} cannot be read: {error.strerror}") from error
        if state.hexdigest() != digest.hex:
            raise ImageError(f"{what} is damaged: its bytes have another digest")
        if held:
            yield held

    def has_blob(self, digest: Digest) -> bool:
        """Whether a blob is there."""
        return self.layout.has_blob(digest)

    def put_blob(self, source: Path | bytes, digest: Digest, *, mount_from: str = "") -> bool:  # noqa: ARG002  # registries' word
        """Make sure a blob is there; whether it had to be written."""
        self.layout.create()
        if isinstance(source, Path):
            return self._blobs.put_file(source, digest)
        if (found := Digest.of(source)) != digest:
            raise ImageError(f"{self.name}: blob {digest}: the bytes to store have the digest {found}")
        return self._blobs.put_bytes(source)

    def put_manifest(self, raw: bytes, media_type: str) -> bool:
        """Make sure a manifest is there, by its digest and under no tag; whether it was written."""
        if (found := media_type_of(raw, f"{self.name}: manifest {Digest.of(raw)}")) != media_type:
            raise ImageError(f"{self.name}: expected {media_type}, the manifest says {found:.80}")
        return self.put_blob(raw, Digest.of(raw))

    def set_tags(self, tags: Sequence[str], raw: bytes, media_type: str) -> bool:
        """Point tags at a manifest, all at once; whether any moved."""
        found = Descriptor(media_type, Digest.of(raw), len(raw))
        return self.layout.publish(dict.fromkeys(tags, found), raw=[raw])

    def referrers(self, digest: Digest) -> tuple[Referrer, ...]:
        """What names a manifest as its subject."""
        raw = self.layout.referrers_list(digest)
        return () if raw is None else read_referrers(raw, f"{self.name}: referrers of {digest}")

    def attach(self, raw: bytes) -> bool:
        """Make sure a manifest that names its subject is there and found by `referrers`."""
        return self.layout.publish({}, artifacts=[raw])
