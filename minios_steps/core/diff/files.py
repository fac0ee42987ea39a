"""What is different between two layers: names, kinds, modes, owners, times, links, and contents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minios_steps.core.diff.elf import compare_elf, first_difference
from minios_steps.core.diff.model import Difference
from minios_steps.core.docker.tree import read_tree
from minios_steps.core.errors import ElfError
from minios_steps.core.oci.verify import scan_layer, unpack_layer
from minios_steps.core.rootfs import BUSYBOX

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from minios_steps.core.docker.tree import Node

_ELF = b"\x7fELF"


def compare_layers(before: bytes, after: bytes) -> list[Difference]:
    """What differs between the trees of two gzipped layers, by path.

    A file that several names share is told of once, as `bin/busybox` where that is one of them.

    Raises:
        ImageError: one is not gzip, or is too large.
        UnsafeArchiveError: its tar has what an archive must not have.
    """
    trees = read_tree(before), read_tree(after)
    shared = {path for tree in trees for path, node in tree.items() if node.linked}
    leaders = _leaders(*trees)
    found = []
    changed = []
    for path in sorted(trees[0].keys() | trees[1].keys()):
        one, other = trees[0].get(path), trees[1].get(path)
        if one is None or other is None:
            kinds = (node.kind if node else "-" for node in (one, other))
            found.append(Difference(path, "only on one side", *kinds))
        elif path not in shared or path in leaders:
            found += _node(path, one, other)
            if one.digest != other.digest and one.kind == other.kind == "file":
                changed.append(path)
        elif one.linked != other.linked:
            found.append(Difference(path, "shares its file with", one.linked, other.linked))
    contents = [_files(packed, changed) for packed in (before, after)]
    for path in changed:
        found += _contents(path, contents[0][path], contents[1][path])
    return sorted(found, key=lambda difference: difference.where)


def _leaders(*trees: Mapping[str, Node]) -> set[str]:
    """The one name of each shared file that is told of it; of each pair of files, where they differ."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for path in trees[0].keys() & trees[1].keys():
        groups.setdefault(tuple(tree[path].linked for tree in trees), []).append(path)
    return {BUSYBOX if BUSYBOX in names else min(names) for names in groups.values()}


def _node(path: str, one: Node, other: Node) -> Iterator[Difference]:
    """What differs but for the content."""
    if one.kind != other.kind:
        yield Difference(path, "kind", one.kind, other.kind)
        return
    facts = (
        ("mode", f"{one.mode:04o}", f"{other.mode:04o}"),
        ("owner", f"{one.uid}:{one.gid}", f"{other.uid}:{other.gid}"),
        ("mtime", str(one.mtime), str(other.mtime)),
        ("link target", one.target or "-", other.target or "-"),
        ("shares its file with", one.linked or "-", other.linked or "-"),
    )
    yield from (Difference(path, *fact) for fact in facts if fact[1] != fact[2])


def _files(packed: bytes, wanted: Collection[str]) -> dict[str, bytes]:
    """The bytes of some files of a layer, under whichever of their names the archive keeps them."""
    holders: dict[str, str] = {}
    held: dict[str, bytes] = {}
    # A hard link comes after its file, so the names are only known at the end.
    for entry in scan_layer(unpack_layer(packed)) if wanted else ():
        if entry.kind == "hardlink":
            holders[entry.path] = entry.target
        elif entry.kind == "file":
            held[entry.path] = entry.data if isinstance(entry.data, bytes) else b""
    return {path: held[holders.get(path, path)] for path in wanted}


def _contents(path: str, before: bytes, after: bytes) -> list[Difference]:
    if before.startswith(_ELF) and after.startswith(_ELF):
        try:
            return compare_elf(before, after, path)
        except ElfError:
            # Bytes can be compared whatever they are.
            pass
    at = first_difference(before, after)
    sizes = (f"{len(data):,} bytes, first different at {at:#x}" for data in (before, after))
    return [Difference(path, "content", *sizes)]
