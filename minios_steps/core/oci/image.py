"""One image: a layer's config and manifest (OCI image-spec, config.md and manifest.md)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minios_steps.core.digest import Digest
from minios_steps.core.oci import media
from minios_steps.core.oci.model import SCHEMA, Descriptor, encode
from minios_steps.core.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from minios_steps.core.tarball import LayerFile

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CREATED_BY = "minios: BusyBox, skeleton and libraries in one layer"


@dataclass(frozen=True)
class Image:
    """An image's exact bytes, and the descriptor of its manifest with the platform."""

    config: bytes
    manifest: bytes
    layer: LayerFile
    descriptor: Descriptor


def build_image(
    layer: LayerFile,
    platform: Platform,
    *,
    epoch: int,
    command: Sequence[str],
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
) -> Image:
    """Write config and manifest; the same arguments give the same bytes.

    Args:
        layer: the image's one layer.
        platform: what it runs on; the variant is written as given.
        epoch: when it was made, seconds since 1970.
        command: what runs when nothing else is asked for.
        labels: for the config.
        annotations: for the manifest.
    """
    created = rfc3339(epoch)
    config = encode(
        {
            **platform.as_json(),
            "created": created,
            "config": {
                "Cmd": list(command),
                "Env": [f"PATH={PATH}"],
                **({"Labels": dict(labels)} if labels else {}),
            },
            "history": [{"created": created, "created_by": CREATED_BY}],
            "rootfs": {"type": "layers", "diff_ids": [str(layer.diff_id)]},
        }
    )
    manifest = encode(
        {
            "schemaVersion": SCHEMA,
            "mediaType": media.MANIFEST,
            "config": Descriptor(media.CONFIG, Digest.of(config), len(config)).as_json(),
            "layers": [Descriptor(media.LAYER, layer.digest, layer.size).as_json()],
            **({"annotations": dict(annotations)} if annotations else {}),
        }
    )
    return Image(
        config, manifest, layer, Descriptor(media.MANIFEST, Digest.of(manifest), len(manifest), platform)
    )


def config_platform(config: Mapping[str, Any]) -> Platform:
    """The platform that an image's config says; of an artifact's config, an empty one."""
    return Platform(*(str(config.get(key, "")) for key in ("os", "architecture", "variant")))


def rfc3339(epoch: int) -> str:
    """Seconds since 1970 as RFC 3339 writes them, in UTC: `2024-09-26T21:31:42Z`."""
    return dt.datetime.fromtimestamp(epoch, dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
