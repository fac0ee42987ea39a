"""What was released: the indexes that a store's tags point at, with their records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minios_steps.core.errors import ImageError
from minios_steps.core.oci import annotations as keys
from minios_steps.core.oci import media
from minios_steps.core.oci.image import config_platform
from minios_steps.core.oci.index import parse_index
from minios_steps.core.oci.model import MANIFEST_LIMIT, RawManifest, decode, texts
from minios_steps.core.records import ReleaseRecord, Trigger, find_records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from minios_steps.core.digest import Digest
    from minios_steps.core.oci.store import ImageStore, RawResult

MADE = ("release", "partial")
"""The actions of records that made an index, where others only moved tags to it."""


@dataclass(frozen=True)
class Released:
    """An index, or a single image, and what is known of it.

    Args:
        digest: its digest.
        tags: those that point at it, sorted.
        version: as its annotation or its newest record says; may be empty.
        variant: likewise.
        platforms: of its images, each with the image's digest.
        records: the newest first.
        problem: why its records cannot be read; empty when they can.
    """

    digest: Digest
    tags: tuple[str, ...]
    version: str
    variant: str
    platforms: tuple[tuple[str, Digest], ...]
    records: tuple[ReleaseRecord, ...]
    problem: str

    @property
    def made(self) -> ReleaseRecord | None:
        """The record of how it was made last; None when there is none."""
        return next((record for record in self.records if record.action in MADE), None)

    @property
    def time(self) -> str:
        """When it was made last, ISO 8601; else when a tag was moved to it; empty when nobody knows."""
        known = self.made or next(iter(self.records), None)
        return known.time if known else ""

    @property
    def by(self) -> str:
        """Who asked for it, else why it was made; empty when nobody knows."""
        trigger = self.made.trigger if self.made else Trigger()
        return trigger.owner or trigger.reason

    def as_json(self) -> dict[str, Any]:
        """A mapping of plain types, without the records."""
        return {
            "digest": str(self.digest),
            "tags": list(self.tags),
            "version": self.version,
            "variant": self.variant,
            "platforms": {platform: str(digest) for platform, digest in self.platforms},
            "time": self.time,
            "by": self.by,
            **({"problem": self.problem} if self.problem else {}),
        }


def find_released(store: ImageStore) -> tuple[Released, ...]:
    """Everything that tags point at, the newest first; what has no record comes last.

    Raises:
        ImageError: a manifest is missing or malformed. A damaged record is a `problem`.
    """
    tagged: dict[Digest, list[str]] = {}
    for tag in store.tags():
        # Between the list and this, somebody may have removed it.
        if found := store.head(tag):
            tagged.setdefault(found.digest, []).append(tag)
    all_of_it = [describe(store, store.manifest(digest), tags) for digest, tags in tagged.items()]
    ordered = sorted(all_of_it, key=lambda one: (one.version, one.tags), reverse=True)
    return tuple(sorted(ordered, key=lambda one: one.time, reverse=True))


def describe(store: ImageStore, found: RawResult, tags: list[str]) -> Released:
    """An index or image of a store, with its records.

    Raises:
        ImageError: it, or an image's config, is missing or malformed.
    """
    if found.media_type in media.INDEXES:
        entries = parse_index(found.raw, str(found.digest)).entries
        platforms = tuple((str(entry.platform or "unknown"), entry.digest) for entry in entries)
    else:
        manifest = RawManifest.parse(found.raw, str(found.digest))
        config = decode(store.read(manifest.config.digest, MANIFEST_LIMIT), str(manifest.config.digest))
        platforms = ((str(config_platform(config)) or "unknown", found.digest),)
    problem = ""
    records: tuple[ReleaseRecord, ...] = ()
    try:
        records = find_records(store, found.digest)
    except ImageError as error:
        problem = error.what
    version, variant = version_of(found, records)
    return Released(
        digest=found.digest,
        tags=tuple(sorted(tags)),
        version=version,
        variant=variant,
        platforms=platforms,
        records=records,
        problem=problem,
    )


def version_of(found: RawResult, records: Sequence[ReleaseRecord]) -> tuple[str, str]:
    """Version and variant of an index or image: by its annotations, else by its records.

    Docker's lists have no annotations.

    Args:
        found: the index or image.
        records: its records, the newest first.

    Raises:
        ImageError: it is malformed.
    """
    about = texts(decode(found.raw, str(found.digest)), str(found.digest))
    known = next(iter(records), None)
    return (
        about.get(keys.VERSION) or (known.version if known else ""),
        about.get(keys.VARIANT) or (known.variant if known else ""),
    )
