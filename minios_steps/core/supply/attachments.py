"""Everything that is kept with one release, as artifacts ready to be attached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minios_steps.core.cellkey import CellInputs
from minios_steps.core.digest import Digest
from minios_steps.core.errors import ConfigError, ImageError
from minios_steps.core.supply.contents import read_contents
from minios_steps.core.supply.material import Material
from minios_steps.core.supply.provenance import provenance
from minios_steps.core.supply.sbom import bill

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from minios_steps.core.config.project import Project
    from minios_steps.core.oci.artifact import Artifact
    from minios_steps.core.oci.model import Descriptor
    from minios_steps.core.oci.verify import BlobSource
    from minios_steps.core.supply.material import Invocation
    from minios_steps.core.supply.papers import Papers


@dataclass(frozen=True)
class Subject:
    """An image of a release.

    `inputs`: of its cell (`CellInputs.as_json`); None where they are not known, as for an image
    that an earlier release brought: its papers are those that were written then. `source` has
    the image's bytes.
    """

    descriptor: Descriptor
    inputs: Mapping[str, Any] | None
    source: BlobSource


def attachments(
    papers: Papers,
    project: Project,
    index: Descriptor,
    images: Sequence[Subject],
    invocation: Invocation | None = None,
) -> tuple[Artifact, ...]:
    """What goes with a release; each is attached with `attach_to`, in this order.

    Args:
        papers: the store that the release goes to, and the key.
        project: the configuration.
        index: the release.
        images: the images in it.
        invocation: the run, where the provenance shall tell.

    Raises:
        ImageError: an image's bytes or inputs, or what is attached to it already, are damaged.
        ElfError: a program in an image is damaged.
        UnsafeArchiveError: a layer has what an archive must not have.
    """
    patches = patch_names(project)
    made: list[Artifact] = []
    for image in images:
        if image.inputs:
            material = describe(image.descriptor, image.inputs, project, image.source, patches)
            statements = [bill(material), provenance(material, project.minios.builder_id, invocation)]
            made += papers.statements(image.descriptor, statements)
        made += papers.signature(image.descriptor)
    # The index last: whoever finds it signed finds all below it signed too.
    return (*made, *papers.signature(index))


def describe(
    descriptor: Descriptor,
    inputs: Mapping[str, Any],
    project: Project,
    source: BlobSource,
    patches: Mapping[str, str],
) -> Material:
    """What an image's papers are written from; raises as `attachments` does."""
    try:
        read = CellInputs.from_json(inputs)
    except ConfigError as error:
        raise ImageError(f"image {descriptor.digest}: {error.what}") from error
    image = project.minios.image
    return Material(image.name, image.licenses, descriptor, read, read_contents(source, descriptor), patches)


def patch_names(project: Project) -> dict[str, str]:
    """The name of each patch in the configuration, by the sha256 of its bytes.

    Raises:
        ConfigError: one cannot be read.
    """
    found = {}
    for path in sorted((project.root / "patches").glob("*")):
        try:
            found[Digest.of_file(path).hex] = path.name
        except OSError as error:
            raise ConfigError(f"{path}: the patch cannot be read: {error.strerror}") from error
    return found
