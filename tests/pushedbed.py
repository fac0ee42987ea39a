"""A registry's repository in memory, and what a worker's engine pushes into it."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

from archbed import make_arch
from tinyelf import make_elf
from tinyimage import KEY, make_image

from minios_steps.core.digest import Digest
from minios_steps.core.docker.pushed import Expected, Pushed, collect
from minios_steps.core.errors import ImageError
from minios_steps.core.oci import annotations as keys
from minios_steps.core.oci import media
from minios_steps.core.oci.image import PATH, Image
from minios_steps.core.oci.model import Descriptor, encode
from minios_steps.core.oci.store import RawResult
from minios_steps.core.platform import Platform

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.entry import Entry
    from minios_steps.core.tarball import LayerFile

AARCH64 = 183
TAG = "cell-abababababab"
LABELS = {keys.CELL_KEY: KEY, keys.VARIANT: "static", keys.OWNER: "0123456789abcdef"}
PROGRAM = make_elf(AARCH64, kind=2)


class Store:
    """The half of an `ImageStore` that is read."""

    name = "r.example/team/minios/aarch64"

    def __init__(self) -> None:
        self.blobs: dict[Digest, bytes] = {}
        self.tagged: dict[str, RawResult] = {}
        self.reads: list[Digest] = []

    def put(self, data: bytes, kind: str) -> Descriptor:
        self.blobs[Digest.of(data)] = data
        return Descriptor(kind, Digest.of(data), len(data))

    def manifest(self, ref: str | Digest) -> RawResult:
        if isinstance(ref, Digest):
            return RawResult(self.blobs[ref], media.MANIFEST, ref)
        if ref not in self.tagged:
            raise ImageError(f"manifest {ref}: not there")
        return self.tagged[ref]

    def read(self, digest: Digest, limit: int) -> bytes:
        self.reads.append(digest)
        return self.blobs[digest][:limit]


class Rig:
    """A staged layer, and a registry with what a worker made of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store: Any = Store()
        (folder / "staged").mkdir()
        self.staged = self.image(folder / "staged").layer
        self.config = {"Cmd": ["/bin/sh"], "Env": [f"PATH={PATH}"], "Labels": LABELS, "WorkingDir": "/"}

    def image(self, folder: Path, *, program: bytes = PROGRAM, entries: tuple[Entry, ...] = ()) -> Image:
        return make_image(folder, platform="linux/arm64/v8", program=program, entries=entries)

    def push(
        self,
        layer: LayerFile | None = None,
        *,
        architecture: str = "arm64",
        docker: bool = True,
        **config: Any,
    ) -> Descriptor:
        """Push as an engine does, in Docker's form or with the types of OCI."""
        packed = (layer or self.staged).path.read_bytes()
        told = {
            "architecture": architecture,
            "os": "linux",
            "config": {**self.config, **config},
            "container": "7" * 64,
            "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(gzip.decompress(packed)))]},
        }
        kinds = (
            (media.DOCKER_MANIFEST, media.DOCKER_CONFIG, media.DOCKER_LAYER)
            if docker
            else (media.MANIFEST, media.CONFIG, media.LAYER)
        )
        raw = encode(
            {
                "schemaVersion": 2,
                "mediaType": kinds[0],
                "config": self.store.put(encode(told), kinds[1]).as_json(),
                "layers": [self.store.put(packed, kinds[2]).as_json()],
            }
        )
        self.store.tagged[TAG] = RawResult(raw, kinds[0], Digest.of(raw))
        return Descriptor(kinds[0], Digest.of(raw), len(raw), Platform("linux", "arm64", "v8"))

    def collect(self) -> Pushed:
        expected = Expected(make_arch(), "static", KEY, ("/bin/sh",), LABELS, self.staged)
        return collect(self.store, TAG, expected, self.folder)
