"""What stands released now, and whether a run has anything to add to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core.cell_result import GOOD
from minios_steps.core.errors import ImageError
from minios_steps.core.oci.index import parse_index
from minios_steps.core.tag_moves import check_whole
from minios_steps.core.tags import tags_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from minios_steps.core.cell_result import CellResult
    from minios_steps.core.config.base import Variant
    from minios_steps.core.config.project import Project
    from minios_steps.core.digest import Digest
    from minios_steps.core.oci.model import Descriptor
    from minios_steps.core.oci.store import ImageStore
    from minios_steps.core.version import Version

_RELEASED = ("required", "optional")


@dataclass(frozen=True)
class Standing:
    """The index that all tags of a version and variant point at.

    Args:
        index: of the index.
        tags: of the version and variant.
        images: the index's entries, by arch name; an entry of an unknown platform is under its text.
    """

    index: Descriptor
    tags: tuple[str, ...]
    images: Mapping[str, Descriptor]

    def has(self, arch: str, digest: Digest | str) -> bool:
        """Whether an arch's image is the one with a digest."""
        return arch in self.images and str(self.images[arch].digest) == str(digest)

    def settles(self, project: Project, cells: Iterable[CellResult]) -> bool:
        """Whether a release of these cells would bring nothing new.

        Args:
            project: says which arches are in releases.
            cells: how the cells of this version and variant ended. One without an image asks for
                nothing: what is released of it stays.
        """
        roles = {arch: project.role(arch) for arch in project.arches}
        fresh = [
            cell
            for cell in cells
            if cell.outcome in GOOD and roles[cell.arch] in _RELEASED and not self.has(cell.arch, cell.digest)
        ]
        strangers = [arch for arch in self.images if roles.get(arch) not in _RELEASED]
        return not fresh and not strangers


def check_images(store: ImageStore, now: Standing) -> None:
    """Make sure that every manifest and blob of a release is there; no blob is read.

    Raises:
        ImageError: one is not; the error names the arch.
        RegistryError: the registry refuses or stays away.
    """
    for arch, image in now.images.items():
        try:
            check_whole(store, store.manifest(image.digest))
        except ImageError as error:
            raise ImageError(f"{arch}'s image is not whole: {error.what}") from error


def lacks_image(store: ImageStore, digest: Digest) -> bool:
    """Whether an image, or a blob of it, is not there.

    Raises:
        RegistryError: the registry refuses or stays away.
    """
    try:
        check_whole(store, store.manifest(digest))
    except ImageError:
        return True
    return False


def standing(store: ImageStore, project: Project, version: Version, variant: Variant) -> Standing | None:
    """What the tags of a version and variant point at, read again and hashed.

    Returns:
        None when a tag is not there, or the tags do not agree.

    Raises:
        ImageError: the index is missing or damaged.
        RegistryError: the registry refuses or stays away.
    """
    tags = tags_of(project, variant, version)
    found = {descriptor for tag in tags for descriptor in [store.head(tag)]}
    index = found.pop()
    if index is None or found:
        return None
    raw = store.manifest(index.digest).raw
    platforms = {arch.platform.platform.normalised: name for name, arch in project.arches.items()}
    images = {
        platforms.get(entry.platform.normalised, str(entry.platform)): entry
        for entry in parse_index(raw, f"{store.name}: {index.digest}").entries
        if entry.platform
    }
    return Standing(index, tags, images)
