"""What a place for releases must be able to do, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from minios_steps.core.oci.artifact import Artifact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from minios_steps.core.cell_record import CellRecord
    from minios_steps.core.config.base import Variant
    from minios_steps.core.config.project import Project
    from minios_steps.core.oci.index import Index
    from minios_steps.core.oci.model import Descriptor
    from minios_steps.core.oci.store import ImageStore
    from minios_steps.core.oci.verify import BlobSource
    from minios_steps.core.version import Version


@dataclass(frozen=True)
class ReleasedImage:
    """An image of an index.

    Args:
        arch: the arch's name.
        descriptor: of its manifest, with the platform, as the index has it.
        record: of its cell; None when it is carried over, or no longer known.
        carried: it is kept from the index before.
    """

    arch: str
    descriptor: Descriptor
    record: CellRecord | None
    carried: bool


@dataclass(frozen=True)
class ReleaseContext:
    """A release whose tags are about to move, for those who attach something to it.

    Args:
        project: the configuration, with the image's texts and the pinned sources.
        version: the release of BusyBox.
        variant: `static` or `dynamic`.
        index: of the index.
        images: its images, in the order of arch names.
        tags: that will point at it.
        store: where it will be; to look what is attached already.
    """

    project: Project
    version: Version
    variant: Variant
    index: Descriptor
    images: tuple[ReleasedImage, ...]
    tags: tuple[str, ...]
    store: ImageStore


Attachments = Callable[[ReleaseContext], Sequence[Artifact]]
"""Makes what is attached to the index and its images before the tags move. It is called for an
unchanged release too: what is there already must come out with the same bytes, or not at all."""


@dataclass(frozen=True)
class Release:
    """What a target publishes.

    Args:
        version: the release of BusyBox.
        index: the index.
        images: its images.
        tags: in the order in which they move.
        seen: what the tags pointed at when it was decided; a tag that was not there is not in it.
        artifacts: what is attached first.
    """

    version: Version
    index: Index
    images: tuple[ReleasedImage, ...]
    tags: tuple[str, ...]
    seen: Mapping[str, Descriptor]
    artifacts: tuple[Artifact, ...]

    @property
    def to_move(self) -> tuple[str, ...]:
        """The tags that point at something else, or at nothing."""
        wanted = self.index.descriptor.digest
        return tuple(tag for tag in self.tags if tag not in self.seen or self.seen[tag].digest != wanted)


class ReleaseTarget(Protocol):
    """A place for releases. Its methods raise what those of `ImageStore` do."""

    @property
    def store(self) -> ImageStore:
        """Where the releases are."""

    @property
    def index_type(self) -> str:
        """The media type of its indexes."""

    @property
    def retries(self) -> int:
        """How often a release is decided again when somebody else moved a tag meanwhile."""

    def candidates(self, arch: str) -> BlobSource:
        """Where an arch's candidates are read from, to be believed."""

    def look(self, tags: Sequence[str]) -> dict[str, Descriptor]:
        """What tags point at now; one that is not there is not in it."""

    def publish(self, release: Release) -> bool:
        """Bring everything there, then move the tags, then read it back; whether a tag moved.

        Raises:
            TagMovedError: somebody else moved a tag meanwhile.
            PolicyError: a tag must not move.
        """
