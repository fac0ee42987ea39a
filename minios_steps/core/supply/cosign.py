"""Signatures and attestations as cosign keeps them beside an image.

An image manifest under the tag `sha256-HEX.sig` (or `.att`), with a layer for each signature.
Formats: cosign, specs/SIGNATURE_SPEC.md ("Storage", "Payloads") and specs/ATTESTATION_SPEC.md;
pkg/oci/static/signature.go (the annotations, also on attestations, where the signature is empty);
pkg/oci/empty/empty.go and pkg/oci/mutate/signatures.go (the config); cmd/cosign/cli/attest/attest.go
(`predicateType`); internal/pkg/oci/remote/remote.go (the artifact types); sigstore,
pkg/signature/payload/payload.go (the payload).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci import media
from minios_steps.core.oci.artifact import Artifact, Part, build_artifact
from minios_steps.core.oci.model import RawManifest, decode, encode
from minios_steps.core.oci.tag import referrers_tag
from minios_steps.core.supply.dsse import MEDIA_TYPE as ENVELOPE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from minios_steps.core.oci.model import Descriptor
    from minios_steps.core.oci.store import ImageStore
    from minios_steps.core.supply.keys import SigningKey, VerifyKey

Kind = Literal["sig", "att"]

SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE = "dev.cosignproject.cosign/signature"
PREDICATE = "predicateType"
PART_LIMIT = 4 << 20
"""Bytes that a payload or an attestation may have."""
_MAX_PARTS = 100
_TYPE = "cosign container image signature"
# Go's zero time: an image that was never given one.
_NEVER = "0001-01-01T00:00:00Z"


def artifact_type(kind: Kind) -> str:
    """The artifact type by which referrers of a kind are found."""
    return f"application/vnd.dev.cosign.artifact.{kind}.v1+json"


def cosign_tag(subject: Digest, kind: Kind) -> str:
    """The tag where cosign looks for what is about a manifest."""
    return f"{referrers_tag(subject)}.{kind}"


@dataclass(frozen=True)
class Signature:
    """A signed claim that a manifest is what its owner calls `reference`."""

    payload: bytes
    signature: bytes

    def signed_by(self, key: VerifyKey) -> bool:
        """Whether the key's owner signed it."""
        return key.accepts(self.signature, self.payload)

    @property
    def digest(self) -> str:
        """The manifest's digest as the payload says it; empty when it says none."""
        critical = decode(self.payload, "signature's payload").get("critical")
        image = critical.get("image") if isinstance(critical, dict) else None
        found = image.get("docker-manifest-digest") if isinstance(image, dict) else None
        return found if isinstance(found, str) else ""

    @classmethod
    def read(cls, part: Part) -> Signature | None:
        """A layer's signature; None when the layer is something else, or damaged."""
        if part.media_type != SIMPLE_SIGNING:
            return None
        try:
            signature = base64.b64decode(part.annotations.get(SIGNATURE, ""), validate=True)
        except binascii.Error:
            return None
        return cls(part.data, signature)


def claim(subject: Digest, reference: str) -> bytes:
    """The payload of a signature; the same arguments give the same bytes.

    Args:
        subject: the manifest's digest.
        reference: what its owner calls it: `HOST/REPOSITORY`. cosign does not look at it;
            skopeo and podman do, as their policy says (containers-policy.json(5), "signedIdentity").
    """
    critical = {
        "identity": {"docker-reference": reference},
        "image": {"docker-manifest-digest": str(subject)},
        "type": _TYPE,
    }
    return encode({"critical": critical, "optional": None})


def signature_part(payload: bytes, key: SigningKey) -> Part:
    """A signature's layer."""
    return Part(SIMPLE_SIGNING, payload, {SIGNATURE: base64.b64encode(key.sign(payload)).decode()})


def attestation_part(envelope: bytes, predicate_type: str) -> Part:
    """An attestation's layer."""
    return Part(ENVELOPE, envelope, {PREDICATE: predicate_type, SIGNATURE: ""})


def build_attached(subject: Descriptor, kind: Kind, parts: Sequence[Part]) -> Artifact:
    """All signatures, or all attestations, of a manifest: for cosign's tag and as a referrer."""
    config = {
        "architecture": "",
        "config": {},
        "created": _NEVER,
        "history": [{"created": _NEVER} for _ in parts],
        "os": "",
        "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(part.data)) for part in parts]},
    }
    return build_artifact(
        subject,
        artifact_type(kind),
        parts,
        config=Part(media.CONFIG, encode(config)),
        tag=cosign_tag(subject.digest, kind),
    )


def read_parts(store: ImageStore, manifest: Digest | str) -> tuple[Part, ...]:
    """The layers of an artifact, with their bytes.

    Raises:
        ImageError: it is missing, damaged, too large or no image manifest.
    """
    found = store.manifest(manifest)
    what = f"{store.name}: {manifest}"
    layers = RawManifest.parse(found.raw, what).layers
    if len(layers) > _MAX_PARTS:
        raise ImageError(f"{what}: {len(layers)} layers, {_MAX_PARTS} are allowed")
    parts = []
    for layer in layers:
        if layer.size > PART_LIMIT:
            raise ImageError(f"{what}: a layer of {layer.size:,} bytes, {PART_LIMIT:,} are allowed")
        data = store.read(layer.digest, layer.size)
        if Digest.of(data) != layer.digest or len(data) != layer.size:
            raise ImageError(f"{what}: layer {layer.digest} has other bytes")
        parts.append(Part(layer.media_type, data, dict(layer.annotations)))
    return tuple(parts)


def kept_parts(store: ImageStore, subject: Digest, kind: Kind) -> tuple[Part, ...]:
    """What a store has of a kind: under cosign's tag, or where that is gone, among the referrers.

    Raises:
        ImageError: it cannot be read.
    """
    tag = cosign_tag(subject, kind)
    if store.head(tag):
        return read_parts(store, tag)
    listed = [
        one.descriptor.digest for one in store.referrers(subject) if one.artifact_type == artifact_type(kind)
    ]
    return tuple(dict.fromkeys(part for digest in listed for part in read_parts(store, digest)))
