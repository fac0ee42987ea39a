"""A candidate's way from the local store to its arch's staging repository: by digest, under no tag."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from minios_steps.core.digest import Digest
from minios_steps.core.oci import media
from minios_steps.core.oci.docker_form import docker_form
from minios_steps.core.oci.model import MANIFEST_LIMIT, RawManifest
from minios_steps.core.oci.oci_form import oci_form
from minios_steps.core.oci.verify import CONFIG_LIMIT
from minios_steps.core.registry.errors import RegistryError

if TYPE_CHECKING:
    from minios_steps.core.candidates import CandidateStore
    from minios_steps.core.cell_record import CellRecord
    from minios_steps.core.registry.connect import Connection
    from minios_steps.core.registry.store import RegistryStore


@dataclass(frozen=True)
class Staged:
    """A candidate that is in staging.

    Args:
        record: the cell's, whose descriptor is of the manifest in staging.
        place: `HOST/REPO@sha256:HEX`.
        sent: whether anything had to be sent; not when all of it was there.
        lost: whether some of it was in the release's repository neither; False when nobody looked.
    """

    record: CellRecord
    place: str
    sent: bool
    lost: bool = False


def stage_candidate(
    store: CandidateStore, record: CellRecord, connection: Connection, *, look: bool = False
) -> Staged:
    """Make sure a candidate is in its arch's staging repository, in the form the release will have.

    Args:
        store: has the candidate's blobs.
        record: the cell's record.
        connection: the registry.
        look: also say what is `lost`, which takes one more request.

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
    # A blob that the release has is mounted. Asked before the manifest is sent: two repositories of one
    # registry share what is stored, so that sending it to one may bring it back to both.
    lost = any(sent) or (look and not _has_manifest(connection.release, descriptor.digest))
    sent.append(staging.put_manifest(manifest, descriptor.media_type))
    return Staged(
        dataclasses.replace(record, descriptor=descriptor),
        f"{staging.name}@{descriptor.digest}",
        any(sent),
        look and lost and any(sent),
    )


def _has_manifest(store: RegistryStore, digest: Digest) -> bool:
    try:
        return store.head(digest) is not None
    except RegistryError as error:
        # Half an entry, as a full disk leaves it; see `Repository.ensure_manifest`.
        if error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        return False
