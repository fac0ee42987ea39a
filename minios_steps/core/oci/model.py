"""Descriptors and manifests (OCI image-spec, descriptor.md and manifest.md)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci import media
from minios_steps.core.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MANIFEST_LIMIT = 4 << 20
"""Bytes a manifest or index may have (distribution-spec: registries need take no more)."""


SCHEMA = 2
"""The `schemaVersion` of manifests and indexes."""


def encode(value: Mapping[str, Any]) -> bytes:
    """JSON in its one form: keys sorted, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def decode(raw: bytes, what: str) -> dict[str, Any]:
    """Read a JSON object; `what` is what messages call it.

    Raises:
        ImageError: it is not JSON, or not an object.
    """
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ImageError(f"{what}: not JSON", details=str(error)) from error
    if not isinstance(value, dict):
        raise ImageError(f"{what}: not a JSON object")
    return value


@dataclass(frozen=True)
class Descriptor:
    """What a blob is, and where in the content-addressed store; `size` in bytes."""

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    def as_json(self) -> dict[str, Any]:
        """The descriptor as image-spec writes it."""
        told: dict[str, Any] = {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}
        if self.platform:
            told["platform"] = self.platform.as_json()
        if self.annotations:
            told["annotations"] = dict(self.annotations)
        return told

    @classmethod
    def from_json(cls, told: Any, what: str = "descriptor") -> Descriptor:
        """Read a descriptor; `what` is what messages call it.

        Raises:
            ImageError: a part is missing or has the wrong type.
        """
        if not isinstance(told, dict):
            raise ImageError(f"{what}: not an object")
        kind, digest, size = told.get("mediaType"), told.get("digest"), told.get("size")
        if not isinstance(kind, str) or not isinstance(digest, str):
            raise ImageError(f"{what}: no mediaType or no digest")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise ImageError(f"{what}: the size is {size!r:.40}")
        return cls(kind, Digest.parse(digest), size, _platform(told.get("platform"), what), texts(told, what))


@dataclass(frozen=True)
class RawManifest:
    """An image manifest: the bytes that its digest is of, and what they say."""

    raw: bytes
    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def digest(self) -> Digest:
        """The digest of the bytes."""
        return Digest.of(self.raw)

    @classmethod
    def parse(cls, raw: bytes, what: str = "manifest") -> RawManifest:
        """Read a manifest; `what` is what messages call it.

        Raises:
            ImageError: it is not an image manifest.
        """
        told = decode(raw, what)
        kind = checked_type(told, media.MANIFESTS, media.MANIFEST, what)
        layers = told.get("layers")
        if not isinstance(layers, list):
            raise ImageError(f"{what}: no layers")
        return cls(
            raw,
            kind,
            Descriptor.from_json(told.get("config"), f"{what}: config"),
            tuple(Descriptor.from_json(layer, f"{what}: layer {n}") for n, layer in enumerate(layers)),
            texts(told, what),
        )


def checked_type(told: Mapping[str, Any], allowed: Collection[str], default: str, what: str) -> str:
    """The media type of a manifest or index, which may leave it out (manifest.md: SHOULD).

    Raises:
        ImageError: it is none of those allowed, or the schema version is not 2.
    """
    kind = told.get("mediaType", default)
    version = told.get("schemaVersion")
    if not isinstance(kind, str) or kind not in allowed or version != SCHEMA:
        raise ImageError(
            f"{what}: not a {default.split('.')[-2]} of OCI: mediaType {kind!r:.80}, schema {version!r:.20}"
        )
    return kind


def media_type_of(raw: bytes, what: str) -> str:
    """What a manifest or index calls itself, or is by its form: it may leave the type out.

    Raises:
        ImageError: it is not a JSON object.
    """
    told = decode(raw, what)
    return str(told.get("mediaType", media.INDEX if "manifests" in told else media.MANIFEST))


def texts(told: Mapping[str, Any], what: str, key: str = "annotations") -> dict[str, str]:
    """An optional mapping of texts to texts; raises `ImageError` for anything else."""
    found = told.get(key) or {}
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ImageError(f"{what}: {key} are not texts")
    return dict(found)


def _platform(told: Any, what: str) -> Platform | None:
    if told is None:
        return None
    parts = [told.get(key, "") for key in ("os", "architecture", "variant")] if isinstance(told, dict) else []
    if not parts or not all(isinstance(part, str) for part in parts) or not all(parts[:2]):
        raise ImageError(f"{what}: a platform without os or architecture")
    return Platform(*parts)
