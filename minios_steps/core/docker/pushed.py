"""What a worker pushed, fetched from the registry and believed only after its own bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core.docker.image import check_config
from minios_steps.core.docker.tree import differences, read_tree
from minios_steps.core.errors import ImageError
from minios_steps.core.oci import media
from minios_steps.core.oci.image import PATH
from minios_steps.core.oci.index import parse_index
from minios_steps.core.oci.model import Descriptor, decode
from minios_steps.core.oci.verify import CONFIG_LIMIT, LAYER_LIMIT, TAR_LIMIT, unpack_layer, verify_candidate
from minios_steps.core.tarball import LayerFile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from minios_steps.core.config.arch import Arch
    from minios_steps.core.config.base import Variant
    from minios_steps.core.digest import Digest
    from minios_steps.core.oci.store import ImageStore, RawResult

MAX_TOLD = 20
"""Differences of two trees that are listed."""


@dataclass(frozen=True)
class Expected:
    """What the image must be.

    Args:
        arch: the CPU.
        variant: its linkage.
        cell_key: of its label.
        command: the default command.
        labels: all labels.
        layer: the one that the master packed itself.
    """

    arch: Arch
    variant: Variant
    cell_key: str
    command: Sequence[str]
    labels: Mapping[str, str]
    layer: LayerFile


@dataclass(frozen=True)
class Pushed:
    """An image that is what it must be, with the exact bytes that are in the registry."""

    descriptor: Descriptor
    manifest: bytes
    config: bytes
    layer: LayerFile


def collect(store: ImageStore, tag: str, expected: Expected, folder: Path) -> Pushed:
    """Fetch a pushed image, verify it, and compare its files with those that were staged.

    Args:
        store: the repository it was pushed into.
        tag: what it was pushed as.
        expected: what it must be.
        folder: where the layer's file goes, as `pushed.tar.gz`.

    Raises:
        ImageError: it is missing, or anything of it is not as expected; the first
            difference is named, all of them are in `details`.
        ElfError: it has a program for another machine.
        UnsafeArchiveError: its layer has what an archive must not have.
    """
    found = _manifest(store, tag, expected.arch)
    platform = expected.arch.platform.platform
    descriptor = Descriptor(found.media_type, found.digest, len(found.raw), platform)
    kept = _Kept(store, {found.digest: found.raw})
    verified = verify_candidate(kept, descriptor, expected.arch, expected.cell_key, expected.variant)
    config = kept.read(verified.config, CONFIG_LIMIT)
    check_config(decode(config, "config"), command=expected.command, labels=expected.labels, path=PATH)
    packed = kept.read(verified.layer, LAYER_LIMIT)
    wrong = differences(read_tree(expected.layer.path.read_bytes()), read_tree(packed))
    if wrong:
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise ImageError(
            f"what was pushed as {store.name}:{tag} is not what was staged: {wrong[0]}{more}",
            hint="was it changed on the worker or in the registry?",
            details="\n".join(wrong[:MAX_TOLD]),
        )
    path = folder / "pushed.tar.gz"
    path.write_bytes(packed)
    size = len(unpack_layer(packed))
    layer = LayerFile(path, verified.layer, verified.diff_id, len(packed), size)
    return Pushed(descriptor, found.raw, config, layer)


def _manifest(store: ImageStore, tag: str, arch: Arch) -> RawResult:
    """The manifest that a tag names, or the one for the arch in the index that it names."""
    found = store.manifest(tag)
    if found.media_type not in media.INDEXES:
        return found
    # Engines whose images are containerd's push an index of one image.
    wanted = arch.platform.platform.normalised
    entries = parse_index(found.raw, f"{store.name}:{tag}").entries
    fitting = [entry for entry in entries if entry.platform and entry.platform.normalised == wanted]
    if len(fitting) != 1:
        raise ImageError(f"{store.name}:{tag}: {len(fitting)} images for {wanted} in it, expected one")
    return store.manifest(fitting[0].digest)


class _Kept:
    """Gives each blob once from the registry and then from memory; `verify_candidate` bounds their sizes."""

    def __init__(self, store: ImageStore, known: dict[Digest, bytes]) -> None:
        self._store = store
        self._known = known

    def read(self, digest: Digest, limit: int) -> bytes:
        if digest not in self._known:
            self._known[digest] = self._store.read(digest, min(limit, TAR_LIMIT))
        return self._known[digest]
