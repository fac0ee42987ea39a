"""A candidate's way from the local store to its arch's staging repository: by digest, under no tag."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core.digest import Digest
from minios_steps.core.oci import media
from minios_steps.core.oci.docker_form import docker_form
from minios_steps.core.oci.model import MANIFEST_LIMIT, RawManifest
from minios_steps.core.oci.oci_form import oci_form
from minios_steps.core.oci.verify import CONFIG_LIMIT

if TYPE_CHECKING:
    from minios_steps.core.candidates import CandidateStore, CellRecord
    from minios_steps.core.registry.connect import Connection


@dataclass(frozen=True)
class Staged:
    """A candidate that is in staging.

    Args:
        record: the cell's, whose descriptor is of the manifest in staging.
        place: `HOST/REPO@sha256:HEX`.
        sent: whether anything had to be sent; not when all of it was there.
    """

    record: CellRecord
    place: str
    sent: bool


def stage_candidate(store: CandidateStore, record: CellRecord, connection: Connection) -> Staged:
    """Make sure a candidate is in its arch's staging repository, in the form the release will have.

    Args:
        store: has the candidate's blobs.
        record: the cell's record.
        connection: the registry.

    Raises:
        ImageError: the candidate is damaged.
        RegistryError: the registry refuses or stays away.
        CancelledError: cancelled.
    """
    layout = store.layout
    manifest = layout.read(record.descriptor.digest, MANIFEST_LIMIT)
    told = RawManifest.parse(manifest, str(record.descriptor.digest))
    config = layout.read(told.config.digest, CONFIG_LIMIT)
    descriptor = record.descriptor
    if connection.destination.format == "docker" and told.media_type == media.MANIFEST:
        image = docker_form(descriptor, manifest, config)
        manifest, config, descriptor = image.manifest, image.config, image.descriptor
    elif connection.destination.format == "oci" and told.media_type == media.DOCKER_MANIFEST:
        manifest, descriptor = oci_form(descriptor, manifest, config)
    staging = connection.staging(record.arch)
    # After a clean-up of the staging repository the release's may still have them.
    mount = connection.destination.path
    sent = [
        staging.put_blob(layout.blob_path(layer.digest), layer.digest, mount_from=mount)
        for layer in told.layers
    ]
    sent.append(staging.put_blob(config, Digest.of(config), mount_from=mount))
    sent.append(staging.put_manifest(manifest, descriptor.media_type))
    return Staged(
        dataclasses.replace(record, descriptor=descriptor),
        f"{staging.name}@{descriptor.digest}",
        any(sent),
    )
