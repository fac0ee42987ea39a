"""Releases in an OCI image layout on disk: everything at once, by one rename."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci import media
from minios_steps.core.oci.layout_store import LayoutStore
from minios_steps.core.records import find_records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from minios_steps.core.candidates import CandidateStore
    from minios_steps.core.oci.layout import Layout
    from minios_steps.core.oci.model import Descriptor
    from minios_steps.core.oci.verify import BlobSource
    from minios_steps.core.release_target import Release

_RETRIES = 3


class LayoutTarget:
    """A layout, which need not exist yet; see `ReleaseTarget`.

    Args:
        layout: where releases go.
        candidates: where images come from.
    """

    index_type = media.INDEX
    retries = _RETRIES

    def __init__(self, layout: Layout, candidates: CandidateStore) -> None:
        self.layout = layout
        self.store = LayoutStore(layout)
        self._candidates = candidates

    def candidates(self, arch: str) -> BlobSource:  # noqa: ARG002  # they share one store
        """The store of candidates."""
        return self._candidates.layout

    def look(self, tags: Sequence[str]) -> dict[str, Descriptor]:
        """What tags point at now."""
        known = self.layout.tags()
        return {tag: known[tag] for tag in tags if tag in known}

    def publish(self, release: Release) -> bool:
        """Blobs first, tags last, once; then read everything back."""
        files = {
            digest: self._candidates.layout.blob_path(digest)
            for image in release.images
            if not image.carried
            for digest in self._candidates.blobs(image.descriptor)
        }
        changed = self.layout.publish(
            dict.fromkeys(release.tags, release.index.descriptor)
            | {item.tag: item.descriptor for item in release.artifacts if item.tag},
            raw=[release.index.raw, *(blob for item in release.artifacts for blob in item.blobs)],
            files=files,
            artifacts=[item.manifest for item in release.artifacts],
            expected={tag: release.seen[tag].digest if tag in release.seen else None for tag in release.tags},
        )
        found = self.look(release.tags)
        for tag in release.tags:
            if tag not in found or self.layout.read(found[tag].digest) != release.index.raw:
                raise ImageError(f"{self.store.name}: tag {tag!r} does not read back as it was written")
        self.layout.collect(self._before())
        return changed

    def _before(self) -> tuple[Descriptor, ...]:
        """What the tags pointed at before, where it is still whole: one step back stays possible."""
        found = []
        for tag, descriptor in self.layout.tags().items():
            with suppress(ImageError):
                records = find_records(self.store, descriptor.digest)
                moved = next((record for record in records if tag in record.tags), None)
                if moved and tag in moved.previous:
                    before = self.store.manifest(Digest.parse(moved.previous[tag])).descriptor
                    self.layout.closure(before)
                    found.append(before)
        return tuple(dict.fromkeys(found))
