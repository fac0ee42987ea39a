"""Attaching an artifact to a manifest (distribution-spec, "Pushing Manifests with Subject")."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci import media
from minios_steps.core.oci.model import SCHEMA, decode, encode
from minios_steps.core.registry.errors import RegistryError
from minios_steps.core.registry.listing import fallback_tag, read_referrers

if TYPE_CHECKING:
    from minios_steps.core.registry.repository import Repository

_TRIES = 5


def ensure_referrer(repository: Repository, raw: bytes) -> bool:
    """Send an image manifest that names its subject, and list it where the registry does not do so.

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
    digest = Digest.of(raw)
    told = decode(raw, f"artifact {digest}")
    subject = told.get("subject")
    if not isinstance(subject, dict) or not isinstance(subject.get("digest"), str):
        raise ImageError(f"artifact {digest}: names no subject")
    of = Digest.parse(subject["digest"])
    if any(one.descriptor.digest == digest for one in repository.referrers(of)):
        return False
    if not repository.put_manifest(digest, raw, media.MANIFEST).subject_listed:
        _list(repository, of, _entry(told, digest, len(raw)))
    return True


def _entry(told: dict[str, Any], digest: Digest, size: int) -> dict[str, Any]:
    config = told.get("config")
    kind = told.get("artifactType") or (config.get("mediaType", "") if isinstance(config, dict) else "")
    entry = {"mediaType": media.MANIFEST, "digest": str(digest), "size": size, "artifactType": kind}
    return {**entry, "annotations": told["annotations"]} if told.get("annotations") else entry


def _list(repository: Repository, subject: Digest, entry: dict[str, Any]) -> None:
    """Add an entry to the list under the tag that stands in; two writers at once lose none."""
    tag = fallback_tag(subject)
    for _ in range(_TRIES):
        entries = _entries(repository, tag)
        if any(one.get("digest") == entry["digest"] for one in entries):
            return
        told = {"schemaVersion": SCHEMA, "mediaType": media.INDEX, "manifests": [*entries, entry]}
        # Registries know no condition for a PUT: who comes second reads it again, and adds itself.
        repository.put_manifest(tag, encode(told), media.INDEX)
    if not any(one.get("digest") == entry["digest"] for one in _entries(repository, tag)):
        raise RegistryError(f"{repository.name}: others keep on changing the list of referrers {tag}")


def _entries(repository: Repository, tag: str) -> list[dict[str, Any]]:
    try:
        raw = repository.get_manifest(tag).raw
    except RegistryError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return []
        raise
    read_referrers(raw, tag)
    return list(decode(raw, tag)["manifests"])
