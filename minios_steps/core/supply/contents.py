"""The programs and libraries in an image, read from its layers."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from minios_steps.core.elf import ElfInfo, read_elf
from minios_steps.core.errors import ElfError
from minios_steps.core.oci.model import MANIFEST_LIMIT, RawManifest
from minios_steps.core.oci.verify import LAYER_LIMIT, fetch, scan_layer, unpack_layer
from minios_steps.core.rootfs import BUSYBOX

if TYPE_CHECKING:
    from minios_steps.core.oci.model import Descriptor
    from minios_steps.core.oci.verify import BlobSource

_MAGIC = b"\x7fELF"


@dataclass(frozen=True)
class Binary:
    """An ELF file of an image: where it is, the sha256 of its bytes in hexadecimal, what it says."""

    path: str
    sha256: str
    elf: ElfInfo

    @property
    def name(self) -> str:
        """What others link it by, or its file's name."""
        return self.elf.soname or PurePosixPath(self.path).name


@dataclass(frozen=True)
class Contents:
    """`program` is BusyBox; `libraries` every other ELF file, by path."""

    program: Binary
    libraries: tuple[Binary, ...]


def read_contents(source: BlobSource, descriptor: Descriptor) -> Contents:
    """Read an image's layers, which are hashed again; a file that is there twice counts once.

    Raises:
        ImageError: a blob is missing, damaged or too large.
        ElfError: there is no BusyBox, or an ELF file is damaged.
        UnsafeArchiveError: a layer has what an archive must not have.
    """
    manifest = RawManifest.parse(fetch(source, descriptor, MANIFEST_LIMIT, "manifest"))
    found: dict[str, Binary] = {}
    # A Docker engine keeps a file's bytes under whichever of its hard links comes first.
    holder = BUSYBOX
    for layer in manifest.layers:
        tar = unpack_layer(fetch(source, layer, LAYER_LIMIT, "layer"))
        for entry in scan_layer(tar):
            if entry.path == BUSYBOX:
                holder = entry.target if entry.kind == "hardlink" else BUSYBOX
            if isinstance(entry.data, bytes) and entry.data.startswith(_MAGIC):
                sha256 = hashlib.sha256(entry.data).hexdigest()
                found[entry.path] = Binary(entry.path, sha256, read_elf(entry.data, entry.path))
    program = found.pop(holder, None)
    if program is None:
        raise ElfError(f"image {descriptor.digest} has no program {BUSYBOX}")
    return Contents(dataclasses.replace(program, path=BUSYBOX), tuple(found[path] for path in sorted(found)))
