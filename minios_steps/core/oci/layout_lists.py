"""Lists of referrers in a layout: tagged by the referrers tag schema, alive while their subject is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minios_steps.core.digest import Digest
from minios_steps.core.oci import media
from minios_steps.core.oci.annotations import REF_NAME
from minios_steps.core.oci.model import MANIFEST_LIMIT, Descriptor
from minios_steps.core.oci.referrers import subject_of, with_referrer
from minios_steps.core.oci.tag import referrers_tag, subject_of_tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from minios_steps.core.oci.blobs import Blobs


def tag_of(entry: Mapping[str, Any]) -> str:
    """The tag of an entry of `index.json`; empty when it has none."""
    return str((entry.get("annotations") or {}).get(REF_NAME, ""))


def find_list(blobs: Blobs, told: Mapping[str, Any], subject: Digest) -> bytes | None:
    """The list of a manifest's referrers, an index; None when there is none.

    Args:
        blobs: of the layout.
        told: its `index.json`.
        subject: the manifest.

    Raises:
        ImageError: the list is missing or damaged.
    """
    tag = referrers_tag(subject)
    for entry in told["manifests"]:
        if tag_of(entry) == tag:
            return blobs.read(Descriptor.from_json(entry, f"{blobs.root}: {tag}").digest, MANIFEST_LIMIT)
    return None


def store_artifacts(
    blobs: Blobs, told: Mapping[str, Any], artifacts: Iterable[bytes]
) -> dict[str, Descriptor]:
    """Store manifests that name a subject, and the lists that have them.

    Args:
        blobs: of the layout; they have what the artifacts name.
        told: its `index.json`.
        artifacts: the manifests.

    Returns:
        What the lists' tags shall point at, for the lists that changed.

    Raises:
        ImageError: an artifact names no subject, or something cannot be written.
    """
    lists: dict[Digest, bytes] = {}
    for artifact in artifacts:
        subject = subject_of(artifact)
        blobs.put_bytes(artifact)
        known = lists.get(subject) or find_list(blobs, told, subject)
        longer = with_referrer(known, artifact, f"{blobs.root}: {referrers_tag(subject)}")
        if longer is not None:
            lists[subject] = longer
    for raw in lists.values():
        blobs.put_bytes(raw)
    return {
        referrers_tag(subject): Descriptor(media.INDEX, Digest.of(raw), len(raw))
        for subject, raw in lists.items()
    }


def reachable(blobs: Blobs, entries: Iterable[Descriptor], keep: Iterable[Descriptor]) -> set[Digest]:
    """Every blob that is in use.

    Args:
        blobs: where they are.
        entries: of a layout's `index.json`.
        keep: more that is in use.

    Raises:
        ImageError: an entry that is in use cannot be followed.
    """
    about: list[tuple[Digest, Descriptor]] = []
    used: set[Digest] = set()
    for entry in entries:
        if subject := subject_of_tag(entry.annotations.get(REF_NAME, "")):
            about.append((subject, entry))
        else:
            used.update(blobs.closure(entry))
    for descriptor in keep:
        used.update(blobs.closure(descriptor))
    # A signature may be of an artifact that is itself on a list.
    while more := [pair for pair in about if pair[0] in used]:
        about = [pair for pair in about if pair[0] not in used]
        for _, entry in more:
            used.update(blobs.closure(entry))
    return used
