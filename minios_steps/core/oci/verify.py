"""A candidate, believed only after its own bytes: every digest, the platform, the program inside.

The bytes may come from a layout on disk or from anything else that gives a blob by its
digest; nothing of them is trusted, and nothing of them is written to disk.
"""

from __future__ import annotations

import dataclasses
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Protocol

from minios_steps.core.digest import Digest
from minios_steps.core.elf import ElfInfo, check_machine, read_elf
from minios_steps.core.errors import ImageError
from minios_steps.core.members import scan_members
from minios_steps.core.oci import annotations as keys
from minios_steps.core.oci import media
from minios_steps.core.oci.docker_form import labels_of
from minios_steps.core.oci.model import MANIFEST_LIMIT, Descriptor, RawManifest, decode
from minios_steps.core.platform import Platform
from minios_steps.core.rootfs import BUSYBOX, follow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from minios_steps.core.config.arch import Arch
    from minios_steps.core.config.base import Variant
    from minios_steps.core.entry import Entry

CONFIG_LIMIT = 1 << 20
"""Bytes an image's config may have."""
LAYER_LIMIT = 64 << 20
"""Bytes a compressed layer may have; one of BusyBox with glibc has 2 to 5 million."""
TAR_LIMIT = 128 << 20
"""Bytes a layer may have when it is unpacked, which is done in memory."""
MAX_ENTRIES = 20_000
"""Entries a layer may have; one of BusyBox has 500."""


_FORMS = (
    (media.MANIFEST, media.CONFIG, media.LAYER),
    (media.DOCKER_MANIFEST, media.DOCKER_CONFIG, media.DOCKER_LAYER),
)


class BlobSource(Protocol):
    """Whatever gives a blob's bytes: a layout, or a registry's repository."""

    def read(self, digest: Digest, limit: int) -> bytes:
        """The blob; raises `ImageError` when it is missing or longer than `limit` bytes."""


@dataclass(frozen=True)
class VerifiedCandidate:
    """What was found in a candidate's own bytes.

    `size` is of manifest, config and layer together; `names` are those that BusyBox has in the layer.
    """

    descriptor: Descriptor
    platform: Platform
    config: Digest
    layer: Digest
    diff_id: Digest
    size: int
    program: ElfInfo
    names: tuple[str, ...]


def verify_candidate(
    source: BlobSource, descriptor: Descriptor, arch: Arch, cell_key: str, variant: Variant
) -> VerifiedCandidate:
    """Read a candidate again from the start.

    Args:
        source: where its blobs are.
        descriptor: the manifest to verify.
        arch: the CPU it must be for.
        cell_key: what its cell-key annotation must say; of Docker's form its label in the config.
        variant: the linkage `bin/busybox` must have.

    Raises:
        ImageError: a blob is missing, too large, or not what its digest says; the manifest
            is not of one gzipped layer; cell key, variant or platform differ; the layer has
            no BusyBox, or one with the wrong linkage, or without its loader.
        ElfError: BusyBox is a program for another machine.
        UnsafeArchiveError: the layer has what an archive must not have.
    """
    manifest = RawManifest.parse(fetch(source, descriptor, MANIFEST_LIMIT, "manifest"))
    docker = _check_manifest(manifest, descriptor)
    config = fetch(source, manifest.config, CONFIG_LIMIT, "config")
    kind, said = ("label", {}) if docker else ("annotation", manifest.annotations)
    # An engine writes no annotations, in whichever form it pushes.
    said = {**labels_of(config, "config"), **said}
    for key, expected in ((keys.CELL_KEY, cell_key), (keys.VARIANT, variant)):
        if (found_text := said.get(key)) != expected:
            raise ImageError(f"{kind} {key}: expected {expected!r}, found {found_text!r:.120}")
    platform, diff_id = _read_config(config)
    wanted = arch.platform.platform
    for found in filter(None, (platform, descriptor.platform)):
        if found.normalised != wanted.normalised:
            raise ImageError(f"expected an image for {wanted}, found one for {found}")
    layer = manifest.layers[0]
    tar = unpack_layer(fetch(source, layer, LAYER_LIMIT, "layer"))
    if (unpacked := Digest.of(tar)) != diff_id:
        raise ImageError(f"the layer's diff id: the config says {diff_id}, found {unpacked}")
    program, names = _check_program(tar, arch, variant)
    size = descriptor.size + manifest.config.size + layer.size
    return VerifiedCandidate(
        descriptor, platform, manifest.config.digest, layer.digest, diff_id, size, program, names
    )


def fetch(source: BlobSource, descriptor: Descriptor, limit: int, what: str) -> bytes:
    """A blob whose size and digest are those of its descriptor, whatever the source checked.

    Raises:
        ImageError: it is missing, larger than `limit` bytes, or has other bytes.
    """
    if descriptor.size > limit:
        raise ImageError(f"{what} {descriptor.digest}: {descriptor.size:,} bytes, {limit:,} are allowed")
    data = source.read(descriptor.digest, descriptor.size)
    if len(data) != descriptor.size:
        raise ImageError(
            f"{what} {descriptor.digest}: expected {descriptor.size:,} bytes, found {len(data):,}"
        )
    if (found := Digest.of(data)) != descriptor.digest:
        raise ImageError(f"{what} {descriptor.digest}: its bytes have the digest {found}")
    return data


def _check_manifest(manifest: RawManifest, descriptor: Descriptor) -> bool:
    """Make sure it is an image of one gzipped layer; whether it has Docker's form."""
    kinds = (descriptor.media_type, manifest.media_type, manifest.config.media_type)
    layers = [layer.media_type for layer in manifest.layers]
    for one, config, layer in _FORMS:
        if kinds == (one, one, config) and layers == [layer]:
            return one == media.DOCKER_MANIFEST
    raise ImageError(
        f"expected an image of one gzipped layer, found {kinds[1]:.80} with {len(layers)} layers"
    )


def _read_config(raw: bytes) -> tuple[Platform, Digest]:
    told = decode(raw, "config")
    parts = [told.get(key, "") for key in ("os", "architecture", "variant")]
    rootfs = told.get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not all(isinstance(part, str) for part in parts) or not all(parts[:2]):
        raise ImageError("config: no os or no architecture")
    if not isinstance(diff_ids, list) or len(diff_ids) != 1 or not isinstance(diff_ids[0], str):
        raise ImageError("config: expected one diff id")
    return Platform(*parts), Digest.parse(diff_ids[0])


def unpack_layer(packed: bytes) -> bytes:
    """The tar in a layer's gzip file.

    Raises:
        ImageError: it is not gzip, is damaged, or unpacks to more than `TAR_LIMIT` bytes.
    """
    state = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        tar = state.decompress(packed, TAR_LIMIT)
    except zlib.error as error:
        raise ImageError("the layer is not gzip, or is damaged", details=str(error)) from error
    if state.unconsumed_tail:
        raise ImageError(f"the layer unpacks to more than the {TAR_LIMIT:,} bytes allowed")
    if not state.eof or state.unused_data:
        raise ImageError("the layer's gzip is cut short, or something follows it")
    return tar


def _check_program(tar: bytes, arch: Arch, variant: Variant) -> tuple[ElfInfo, tuple[str, ...]]:
    # Only names are kept: the bytes of a whole layer need not be in memory twice.
    tree = {entry.path: dataclasses.replace(entry, data=None) for entry in scan_layer(tar)}
    program = _read_program(tar, tree, BUSYBOX, arch)
    if variant == "static" and (program.interpreter or program.needed):
        raise ImageError(
            f"{BUSYBOX} is dynamic in a static image: it names {program.interpreter or program.needed[0]}"
        )
    if variant == "dynamic":
        if not program.interpreter:
            raise ImageError(f"{BUSYBOX} is static in a dynamic image: it names no loader")
        loader = follow(tree, program.interpreter)
        if loader is None or loader.kind == "dir":
            raise ImageError(f"{BUSYBOX} names the loader {program.interpreter}, which is not in the layer")
        _read_program(tar, tree, loader.path, arch)
    return program, _names(tree)


def _names(tree: Mapping[str, Entry]) -> tuple[str, ...]:
    holder = _holder(tree, BUSYBOX)
    found = (
        path for path, entry in tree.items() if entry.kind != "symlink" and holder in (path, entry.target)
    )
    return tuple(sorted({path.rpartition("/")[2] for path in found}))


def _holder(tree: Mapping[str, Entry], path: str) -> str:
    """The entry that has a file's bytes: Docker keeps them under whichever of its hard links comes first."""
    named = tree.get(path)
    return named.target if named and named.kind == "hardlink" else path


def _read_program(tar: bytes, tree: Mapping[str, Entry], path: str, arch: Arch) -> ElfInfo:
    holder = _holder(tree, path)
    for entry in scan_layer(tar):
        if entry.path == holder and isinstance(entry.data, bytes):
            program = read_elf(entry.data, path)
            check_machine(program, arch, path)
            return program
    raise ImageError(f"the layer has no file {path}")


def scan_layer(tar: bytes) -> Iterator[Entry]:
    """The entries of a layer's tar, within the limits; see `scan_members` for what it raises."""
    return scan_members(BytesIO(tar), max_bytes=TAR_LIMIT, max_entries=MAX_ENTRIES, name="layer")
