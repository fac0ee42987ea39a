"""The list of what refers to a manifest (distribution-spec, "Listing Referrers"), which is an index."""

from __future__ import annotations

from typing import Any

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci import media
from minios_steps.core.oci.index import parse_index
from minios_steps.core.oci.model import SCHEMA, decode, encode, media_type_of
from minios_steps.core.oci.store import Referrer


def subject_of(raw: bytes) -> Digest:
    """The manifest that an artifact's manifest refers to; raises `ImageError` when it names none."""
    subject = decode(raw, f"artifact {Digest.of(raw)}").get("subject")
    if not isinstance(subject, dict) or not isinstance(subject.get("digest"), str):
        raise ImageError(f"artifact {Digest.of(raw)}: names no subject")
    return Digest.parse(subject["digest"])


def read_referrers(raw: bytes, what: str) -> tuple[Referrer, ...]:
    """The entries of a list of referrers; `what` is what messages call it.

    Raises:
        ImageError: it is no index.
    """
    entries = parse_index(raw, what).entries
    told: list[Any] = decode(raw, what)["manifests"]
    types = [entry.get("artifactType", "") for entry in told]
    return tuple(
        Referrer(entry, kind if isinstance(kind, str) else "")
        for entry, kind in zip(entries, types, strict=True)
    )


def with_referrer(known: bytes | None, artifact: bytes, what: str) -> bytes | None:
    """A list of referrers with an artifact added at its end; None when it is in it already.

    Args:
        known: the list so far, whose entries stay as they are; None for an empty one.
        artifact: the artifact's manifest.
        what: what messages call the list.

    Raises:
        ImageError: the list is no index, or the artifact is no manifest.
    """
    entries: list[Any] = []
    if known is not None:
        parse_index(known, what)
        entries = decode(known, what)["manifests"]
    entry = _entry(artifact)
    if any(one.get("digest") == entry["digest"] for one in entries):
        return None
    return encode({"schemaVersion": SCHEMA, "mediaType": media.INDEX, "manifests": [*entries, entry]})


def _entry(artifact: bytes) -> dict[str, Any]:
    digest = Digest.of(artifact)
    told = decode(artifact, f"artifact {digest}")
    config = told.get("config")
    kind = told.get("artifactType") or (config.get("mediaType", "") if isinstance(config, dict) else "")
    own = media_type_of(artifact, f"artifact {digest}")
    entry = {"mediaType": own, "digest": str(digest), "size": len(artifact), "artifactType": kind}
    return {**entry, "annotations": told["annotations"]} if told.get("annotations") else entry
