"""An OCI image in Docker's form (image manifest version 2, schema 2): the same layer under other names.

Such manifests have no annotations; what those say is put into the config, as labels.
"""

from __future__ import annotations

from dataclasses import dataclass

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci import media
from minios_steps.core.oci.model import SCHEMA, Descriptor, RawManifest, decode, encode

_LAYERS = {media.LAYER: media.DOCKER_LAYER}


@dataclass(frozen=True)
class DockerImage:
    """The exact bytes of an image's config and manifest, and its descriptor with the platform."""

    config: bytes
    manifest: bytes
    descriptor: Descriptor


def docker_form(image: Descriptor, manifest: bytes, config: bytes) -> DockerImage:
    """Write config and manifest; the same arguments give the same bytes.

    Args:
        image: of the OCI manifest, with its platform.
        manifest: its bytes.
        config: the bytes of its config.

    Raises:
        ImageError: it is no OCI image of gzipped layers.
    """
    told = RawManifest.parse(manifest, str(image.digest))
    if told.media_type != media.MANIFEST or any(layer.media_type not in _LAYERS for layer in told.layers):
        raise ImageError(f"{image.digest}: not an OCI image of gzipped layers")
    parsed = decode(config, str(told.config.digest))
    run = dict(parsed.get("config") or {})
    run["Labels"] = {**(run.get("Labels") or {}), **told.annotations}
    labelled = encode({**parsed, "config": run})
    named = Descriptor(media.DOCKER_CONFIG, Digest.of(labelled), len(labelled))
    layers = [Descriptor(_LAYERS[layer.media_type], layer.digest, layer.size) for layer in told.layers]
    written = encode(
        {
            "schemaVersion": SCHEMA,
            "mediaType": media.DOCKER_MANIFEST,
            "config": named.as_json(),
            "layers": [layer.as_json() for layer in layers],
        }
    )
    descriptor = Descriptor(media.DOCKER_MANIFEST, Digest.of(written), len(written), image.platform)
    return DockerImage(labelled, written, descriptor)


def labels_of(config: bytes, what: str) -> dict[str, str]:
    """The labels of a config; `what` is what messages call it.

    Raises:
        ImageError: it is no config, or they are not texts.
    """
    run = decode(config, what).get("config") or {}
    found = run.get("Labels") if isinstance(run, dict) else None
    if not isinstance(found or {}, dict) or not all(
        isinstance(value, str) for value in (found or {}).values()
    ):
        raise ImageError(f"{what}: labels are not texts")
    return dict(found or {})
