"""Attaching an artifact to a manifest (distribution-spec, "Pushing Manifests with Subject")."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from minios_steps.core.digest import Digest
from minios_steps.core.oci import media
from minios_steps.core.oci.model import media_type_of
from minios_steps.core.oci.referrers import subject_of, with_referrer
from minios_steps.core.oci.tag import referrers_tag
from minios_steps.core.registry.errors import RegistryError

if TYPE_CHECKING:
    from minios_steps.core.registry.repository import Repository

_TRIES = 5


def ensure_referrer(repository: Repository, raw: bytes) -> bool:
    """Send a manifest that names its subject, and list it where the registry does not do so.

    Args:
        repository: has the subject, and the artifact's blobs.
        raw: the manifest: `subject`, `mediaType`, and `artifactType` or a config's media type.

    Returns:
        Whether anything was sent.

    Raises:
        ImageError: the manifest names no subject.
        RegistryError: the registry refuses, or others keep on changing the list.
        CancelledError: cancelled.
    """
    digest, subject = Digest.of(raw), subject_of(raw)
    if any(one.descriptor.digest == digest for one in repository.referrers(subject)):
        return False
    kind = media_type_of(raw, f"artifact {digest}")
    if not repository.put_manifest(digest, raw, kind).subject_listed:
        _list(repository, referrers_tag(subject), raw)
    return True


def _list(repository: Repository, tag: str, artifact: bytes) -> None:
    """Add an artifact to the list under the tag that stands in; two writers at once lose none."""
    for _ in range(_TRIES):
        longer = with_referrer(_known(repository, tag), artifact, tag)
        if longer is None:
            return
        # Registries know no condition for a PUT: who comes second reads it again, and adds itself.
        repository.put_manifest(tag, longer, media.INDEX)
    if with_referrer(_known(repository, tag), artifact, tag) is not None:
        raise RegistryError(f"{repository.name}: others keep on changing the list of referrers {tag}")


def _known(repository: Repository, tag: str) -> bytes | None:
    try:
        return repository.get_manifest(tag).raw
    except RegistryError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return None
        raise
