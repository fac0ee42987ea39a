"""Made-up images for tests: real layers, configs and manifests around an ELF file of a hundred bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyelf import make_elf

from minios_steps.core.entry import Entry
from minios_steps.core.oci import annotations as keys
from minios_steps.core.oci.image import Image, build_image
from minios_steps.core.platform import Platform
from minios_steps.core.tarball import write_layer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from minios_steps.core.oci.layout import Layout

KEY = "sha256:" + "ab" * 32


def make_image(
    folder: Path,
    *,
    platform: str = "linux/amd64",
    program: bytes | None = None,
    entries: Sequence[Entry] = (),
    key: str = KEY,
    variant: str = "static",
    version: str = "1.38.0",
) -> Image:
    """An image with `bin/busybox`; its layer's file is put into `folder`."""
    tree = [
        Entry("bin", "dir", 0o755),
        Entry("bin/busybox", "file", 0o755, data=make_elf(kind=2) if program is None else program),
        Entry("bin/sh", "hardlink", 0o755, target="bin/busybox"),
        Entry("platform", "file", 0o644, data=platform.encode()),
        *entries,
    ]
    name = f"{platform.replace('/', '-')}-{variant}-{len(list(folder.iterdir()))}.tar.gz"
    return build_image(
        write_layer(tree, folder / name, 1700000000),
        Platform.parse(platform),
        epoch=1700000000,
        command=("/bin/sh",),
        labels={keys.TITLE: "tiny", keys.VERSION: version},
        annotations={keys.CELL_KEY: key, keys.VARIANT: variant},
    )


def put_image(layout: Layout, image: Image) -> None:
    """Store an image's three blobs."""
    layout.put_file(image.layer.path, image.layer.digest)
    layout.put_bytes(image.config)
    layout.put_bytes(image.manifest)
