"""An image as `docker load` takes it: the tar that `docker save` writes (moby, image/spec/v1.2.md)."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci.model import MANIFEST_LIMIT, RawManifest, decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from minios_steps.core.oci.model import Descriptor
    from minios_steps.core.oci.store import ImageStore

_BLOCK = 512


@dataclass(frozen=True)
class LoadableImage:
    """An image out of a store, ready to be streamed.

    Args:
        store: has it.
        manifest: the image's.
        config: the exact bytes of its config.
        diff_ids: its layers, as the config says.
    """

    store: ImageStore
    manifest: RawManifest
    config: bytes
    diff_ids: tuple[Digest, ...]

    @classmethod
    def read(cls, store: ImageStore, image: Descriptor) -> LoadableImage:
        """Read manifest and config; raises `ImageError` when they are missing, damaged or malformed."""
        manifest = RawManifest.parse(store.read(image.digest, MANIFEST_LIMIT), str(image.digest))
        config = store.read(manifest.config.digest, MANIFEST_LIMIT)
        rootfs = decode(config, f"config {manifest.config.digest}").get("rootfs")
        found = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
        if not isinstance(found, list) or len(found) != len(manifest.layers):
            raise ImageError(f"config {manifest.config.digest}: expected {len(manifest.layers)} diff ids")
        return cls(store, manifest, config, tuple(Digest.parse(str(one)) for one in found))

    def archive(self, names: Sequence[str]) -> Iterator[bytes]:
        """The tar in blocks; layers are read as they are sent, and stay compressed.

        Args:
            names: what the image shall be called: `minios:1.38.0`.

        Raises:
            ImageError: a layer is missing, damaged, or not of the size its manifest says.
        """
        layers = {layer.digest: layer for layer in self.manifest.layers}
        config = f"{self.manifest.config.digest.hex}.json"
        head = {
            "Config": config,
            "RepoTags": list(names),
            "Layers": [_layer_name(layer.digest) for layer in self.manifest.layers],
        }
        yield from _member(config, self.config)
        for layer in layers.values():
            yield _header(_layer_name(layer.digest), layer.size)
            sent = 0
            for block in self.store.open_blob(layer.digest, layer.size):
                sent += len(block)
                yield block
            if sent != layer.size:
                raise ImageError(f"layer {layer.digest}: expected {layer.size:,} bytes, found {sent:,}")
            yield _padding(layer.size)
        yield from _member("manifest.json", json.dumps([head]).encode())
        yield bytes(2 * _BLOCK)


def _layer_name(digest: Digest) -> str:
    return f"{digest.hex}.tar"


def _member(name: str, data: bytes) -> Iterator[bytes]:
    yield _header(name, len(data))
    yield data
    yield _padding(len(data))


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)
