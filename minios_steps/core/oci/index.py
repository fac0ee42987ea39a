"""The index of a release: one image for each platform (OCI image-spec, image-index.md)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci import media
from minios_steps.core.oci.model import SCHEMA, Descriptor, checked_type, decode, encode, texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from minios_steps.core.platform import Platform


@dataclass(frozen=True)
class Index:
    """An index: the bytes that its digest is of, and what they say."""

    raw: bytes
    media_type: str
    entries: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def descriptor(self) -> Descriptor:
        """What a tag points at."""
        return Descriptor(self.media_type, Digest.of(self.raw), len(self.raw))


def build_index(
    entries: Sequence[Descriptor], annotations: Mapping[str, str], *, media_type: str = media.INDEX
) -> Index:
    """Write an index; the order of the arguments does not matter.

    Args:
        entries: one image manifest for each platform.
        annotations: for the index.
        media_type: an OCI index, or Docker's manifest list, which has no annotations.

    Raises:
        ImageError: there is no entry, an entry has no platform, two have the same one, or one
            has another form than the index.
    """
    if not entries:
        raise ImageError("an index needs an image")
    docker = media_type == media.DOCKER_INDEX
    allowed = (media.DOCKER_MANIFEST,) if docker else media.MANIFESTS
    seen: dict[Platform, Descriptor] = {}
    for entry in entries:
        if entry.platform is None:
            raise ImageError(f"an index needs the platform of {entry.digest}")
        if entry.media_type not in allowed:
            raise ImageError(f"{entry.platform}: not an image manifest: {entry.media_type}")
        other = seen.setdefault(entry.platform.normalised, entry)
        if other is not entry:
            raise ImageError(f"two images for {entry.platform}: {other.digest} and {entry.digest}")
    ordered = tuple(seen[platform] for platform in sorted(seen))
    if docker:
        annotations = {}
        ordered = tuple(dataclasses.replace(entry, annotations={}) for entry in ordered)
    raw = encode(
        {
            "schemaVersion": SCHEMA,
            "mediaType": media_type,
            "manifests": [entry.as_json() for entry in ordered],
            **({"annotations": dict(annotations)} if annotations else {}),
        }
    )
    return Index(raw, media_type, ordered, dict(annotations))


def parse_index(raw: bytes, what: str = "index") -> Index:
    """Read an index, or Docker's manifest list; `what` is what messages call it.

    Raises:
        ImageError: it is neither.
    """
    told = decode(raw, what)
    kind = checked_type(told, media.INDEXES, media.INDEX, what)
    entries = told.get("manifests")
    if not isinstance(entries, list):
        raise ImageError(f"{what}: no manifests")
    found = tuple(Descriptor.from_json(entry, f"{what}: entry {n}") for n, entry in enumerate(entries))
    return Index(raw, kind, found, texts(told, what))
