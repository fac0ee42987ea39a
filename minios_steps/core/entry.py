"""One item of a file tree as it goes into, or comes out of, an archive."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.errors import MiniosError

_MAX_PATH = 4096  # Linux's PATH_MAX


@dataclass(frozen=True)
class Entry:
    """A file, folder or link.

    `path` is POSIX, relative to the root, without `.` and `..`; `mode` the permission
    bits; `data` a file's bytes or where they are, nothing for an empty file; `target` what
    a symbolic link says, or the path of the file a hard link shares; `uid` and `gid` numbers;
    `mtime` seconds since 1970, of what was read: the writer of a layer gives all entries one time.
    """

    path: str
    kind: Literal["file", "dir", "symlink", "hardlink"]
    mode: int
    data: bytes | Path | None = None
    target: str = ""
    uid: int = 0
    gid: int = 0
    mtime: int = field(default=0, compare=False)


def check_path(path: str, error: type[MiniosError]) -> None:
    """Make sure a path is one an `Entry` may have; raises `error` when it is not."""
    parts = path.split("/")
    if not path or len(path) > _MAX_PATH or not path.isprintable() or {"", ".", ".."} & set(parts):
        raise error(f"not a plain relative path: {path[:200]!r}")


def parent_of(path: str) -> str:
    """The folder a path is in; empty for the root."""
    return posixpath.dirname(path)


def resolve_link(path: str, target: str) -> str:
    """Where a symbolic link at `path` leads, from the root of the tree.

    An absolute target counts from the root of the tree. The answer starts with `..` when
    it leads out of the tree, and is `.` for the root. Links on the way are not followed.
    """
    if target.startswith("/"):
        return posixpath.normpath(f"/{target.lstrip('/')}")[1:] or "."
    return posixpath.normpath(posixpath.join(parent_of(path), target))
