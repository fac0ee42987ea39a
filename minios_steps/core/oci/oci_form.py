"""An image in Docker's form in OCI's: another manifest around the same config and layers.

An OCI config is one of Docker's with fewer keys (image-spec, conversion.md and config.md), so its bytes stay.
"""

from __future__ import annotations

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci import annotations as keys
from minios_steps.core.oci import media
from minios_steps.core.oci.docker_form import labels_of
from minios_steps.core.oci.model import SCHEMA, Descriptor, RawManifest, encode

_LAYERS = {media.DOCKER_LAYER: media.LAYER}


def oci_form(image: Descriptor, manifest: bytes, config: bytes) -> tuple[bytes, Descriptor]:
    """Write the manifest; the same arguments give the same bytes.

    Args:
        image: of Docker's manifest, with its platform.
        manifest: its bytes.
        config: the bytes of its config; what an image of ours has as annotations is in its labels.

    Returns:
        The manifest's bytes, and its descriptor with the platform.

    Raises:
        ImageError: it is no image of gzipped layers in Docker's form.
    """
    told = RawManifest.parse(manifest, str(image.digest))
    if told.media_type != media.DOCKER_MANIFEST or any(
        layer.media_type not in _LAYERS for layer in told.layers
    ):
        raise ImageError(f"{image.digest}: not an image of gzipped layers in Docker's form")
    labels = labels_of(config, str(told.config.digest))
    ours = (keys.CELL_KEY, keys.SOURCE_SHA256, keys.VARIANT)
    layers = [Descriptor(_LAYERS[layer.media_type], layer.digest, layer.size) for layer in told.layers]
    raw = encode(
        {
            "schemaVersion": SCHEMA,
            "mediaType": media.MANIFEST,
            "config": Descriptor(media.CONFIG, told.config.digest, told.config.size).as_json(),
            "layers": [layer.as_json() for layer in layers],
            "annotations": {key: labels[key] for key in ours if key in labels},
        }
    )
    return raw, Descriptor(media.MANIFEST, Digest.of(raw), len(raw), image.platform)
