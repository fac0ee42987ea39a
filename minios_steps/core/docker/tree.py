"""The file tree in a layer, in a form in which two packings of one tree are equal."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from minios_steps.core.digest import Digest
from minios_steps.core.oci.verify import scan_layer, unpack_layer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from minios_steps.core.entry import Entry

_EMPTY = Digest.of(b"")


@dataclass(frozen=True)
class Node:
    """One name in a tree.

    `kind` is `file`, `dir` or `symlink`; `mode` the permission bits, 0 for a link, whose own
    nobody looks at; `target` what a symbolic link says; `digest` of a file's bytes; `linked`
    the first of all names that share the file, in order, which is its own when none does; `mtime`
    seconds since 1970, which every packing may have its own of.
    """

    kind: str
    mode: int
    uid: int
    gid: int
    target: str = ""
    digest: Digest | None = None
    linked: str = ""
    mtime: int = field(default=0, compare=False)


def read_tree(packed: bytes) -> dict[str, Node]:
    """The tree in a gzipped layer, by path.

    An archiver chooses which name of a hard-linked file holds the bytes, so that is left out.

    Raises:
        ImageError: it is not gzip, or is too large.
        UnsafeArchiveError: the tar has what an archive must not have.
    """
    found: dict[str, Node] = {}
    groups: dict[str, list[str]] = {}
    for entry in scan_layer(unpack_layer(packed)):
        if entry.kind == "hardlink":
            groups[entry.target].append(entry.path)
            continue
        if entry.kind == "file":
            groups[entry.path] = [entry.path]
        found[entry.path] = _node(entry)
    for holder, names in groups.items():
        node = found[holder]
        shared = dataclasses.replace(node, linked=min(names))
        found.update(dict.fromkeys(names, shared))
    return found


def differences(expected: Mapping[str, Node], found: Mapping[str, Node]) -> list[str]:
    """What is different, a line for each path, in order; empty when the trees are equal."""
    return list(_differences(expected, found))


def _differences(expected: Mapping[str, Node], found: Mapping[str, Node]) -> Iterator[str]:
    for path in sorted(expected.keys() | found.keys()):
        before, after = expected.get(path), found.get(path)
        if before is None or after is None:
            yield f"{path}: {'added' if before is None else 'missing'}"
        elif before != after:
            yield f"{path}: {_change(before, after)}"


def _change(before: Node, after: Node) -> str:
    if before.kind != after.kind:
        return f"{before.kind} → {after.kind}"
    if before.digest and after.digest and before.digest != after.digest:
        return f"content {before.digest.short} → {after.digest.short}"
    if before.mode != after.mode:
        return f"mode {before.mode:04o} → {after.mode:04o}"
    if (before.uid, before.gid) != (after.uid, after.gid):
        return f"owner {before.uid}:{before.gid} → {after.uid}:{after.gid}"
    if before.target != after.target:
        return f"link to {before.target!r} → {after.target!r:.200}"
    return f"shares its file with {before.linked} → {after.linked}"


def _node(entry: Entry) -> Node:
    link = entry.kind == "symlink"
    digest = Digest.of(entry.data) if isinstance(entry.data, bytes) else _EMPTY
    return Node(
        entry.kind,
        0 if link else entry.mode,
        entry.uid,
        entry.gid,
        target=entry.target if link else "",
        digest=digest if entry.kind == "file" else None,
        mtime=entry.mtime,
    )
