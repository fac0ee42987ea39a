"""An artifact that refers to an image or index (image-spec, manifest.md, "Guidelines for Artifact Usage")."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from minios_steps.core.digest import Digest
from minios_steps.core.oci import media
from minios_steps.core.oci.model import SCHEMA, Descriptor, encode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from minios_steps.core.oci.store import ImageStore

EMPTY = b"{}"
"""The blob of an artifact that needs no config."""


@dataclass(frozen=True)
class Part:
    """One blob of an artifact."""

    media_type: str
    data: bytes
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def descriptor(self) -> Descriptor:
        """As the artifact's manifest names it."""
        return Descriptor(
            self.media_type, Digest.of(self.data), len(self.data), annotations=dict(self.annotations)
        )


@dataclass(frozen=True)
class Artifact:
    """An artifact's exact bytes: its manifest, and every blob that the manifest names.

    `tag`: one under which readers look for it that know no referrers; empty for none.
    """

    manifest: bytes
    blobs: tuple[bytes, ...]
    tag: str = ""

    @property
    def descriptor(self) -> Descriptor:
        """What a tag that points at it says."""
        return Descriptor(media.MANIFEST, Digest.of(self.manifest), len(self.manifest))

    def attach_to(self, store: ImageStore) -> bool:
        """Make sure a store has it, listed as a referrer of its subject; whether anything was written."""
        written = [store.put_blob(blob, Digest.of(blob)) for blob in self.blobs]
        written.append(store.attach(self.manifest))
        if self.tag:
            written.append(store.set_tags([self.tag], self.manifest, media.MANIFEST))
        return any(written)


def build_artifact(
    subject: Descriptor,
    artifact_type: str,
    parts: Sequence[Part],
    *,
    annotations: Mapping[str, str] | None = None,
    config: Part | None = None,
    tag: str = "",
) -> Artifact:
    """Write an artifact; the same arguments give the same bytes.

    Args:
        subject: what it refers to: an image manifest or an index.
        artifact_type: its media type.
        parts: its blobs, in order; at least one.
        annotations: for the manifest.
        config: only where readers of this type want one.
        tag: for those who look for it under a tag.
    """
    head = config or Part(media.EMPTY, EMPTY)
    target = Descriptor(subject.media_type, subject.digest, subject.size)
    manifest = encode(
        {
            "schemaVersion": SCHEMA,
            "mediaType": media.MANIFEST,
            "artifactType": artifact_type,
            "config": head.descriptor.as_json(),
            "layers": [part.descriptor.as_json() for part in parts],
            "subject": target.as_json(),
            **({"annotations": dict(annotations)} if annotations else {}),
        }
    )
    return Artifact(manifest, tuple(dict.fromkeys((head.data, *(part.data for part in parts)))), tag)
