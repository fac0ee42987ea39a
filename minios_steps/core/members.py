"""Reading a tar that an untrusted machine made.

Headers are taken apart by `tarfile.TarInfo.frombuf` one block at a time; the walk is
ours, because `tarfile`'s own keeps every header, trusts extended headers, fills sparse
files up and has had loops that never end (CVE-2024-6232, CVE-2025-8194) in versions of
Python that are still in the field. Nothing here ever writes to disk.
Format: POSIX.1-2001 `pax`, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format".
"""

from __future__ import annotations

import dataclasses
import re
import tarfile
from typing import TYPE_CHECKING, BinaryIO, Literal

from minios_steps.core.entry import Entry, check_path, parent_of, resolve_link
from minios_steps.core.errors import UnsafeArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BLOCK = tarfile.BLOCKSIZE
_KINDS: dict[bytes, Literal["file", "dir", "symlink", "hardlink"]] = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.DIRTYPE: "dir",
    tarfile.SYMTYPE: "symlink",
    tarfile.LNKTYPE: "hardlink",
}
_REFUSED = {
    tarfile.CHRTYPE: "a character device",
    tarfile.BLKTYPE: "a block device",
    tarfile.FIFOTYPE: "a named pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
    tarfile.XGLTYPE: "a global header",
}
_GNU_NAMES = {tarfile.GNUTYPE_LONGNAME: "path", tarfile.GNUTYPE_LONGLINK: "linkpath"}
_ATTRIBUTES = (b"SCHILY.xattr.", b"LIBARCHIVE.xattr.")
_MAX_EXTENDED = 64 << 10
_SECONDS = re.compile(r"-?[0-9]{1,15}")
_SPECIAL = 0o6000
_KEPT_MODE = 0o1777


def read_members(path: Path, *, max_bytes: int, max_entries: int) -> list[Entry]:
    """Read a plain tar into memory, with owners set to 0, and folders without setuid and setgid.

    Args:
        path: the tar.
        max_bytes: how many bytes all files in it may have together.
        max_entries: how many entries it may have.

    Raises:
        UnsafeArchiveError: it is no tar or cut short; is over a limit; has an absolute
            path or link, a path or link that leads out, a path twice or below what is no
            folder, a device, pipe or sparse file, a setuid or setgid file.
    """
    name = path.name
    found = []
    try:
        with path.open("rb") as stream:
            for entry in scan_members(stream, max_bytes=max_bytes, max_entries=max_entries, name=name):
                _check_worker(entry, name)
                # A folder made below a setgid folder is one too: no reason to refuse it.
                found.append(dataclasses.replace(entry, mode=entry.mode & _KEPT_MODE, uid=0, gid=0))
    except OSError as error:
        raise UnsafeArchiveError(f"{path}: cannot be read: {error.strerror}") from error
    return found


def scan_members(stream: BinaryIO, *, max_bytes: int, max_entries: int, name: str) -> Iterator[Entry]:
    """Give the entries of a tar one by one; see `read_members` for the limits.

    Absolute symbolic links and setuid bits pass, as in a layer they may be meant; the rest
    of what `read_members` refuses is refused here.

    Args:
        stream: the plain tar.
        max_bytes: how many bytes all files in it may have together.
        max_entries: how many entries it may have.
        name: how to call the archive in messages.

    Raises:
        UnsafeArchiveError: as in `read_members`.
    """
    kinds: dict[str, str] = {}
    extended: dict[str, str] = {}
    left = max_bytes
    entries = 0
    while info := _header(stream, name):
        if info.type in _GNU_NAMES or info.type == tarfile.XHDTYPE:
            # These count as well: a tar of nothing but extended headers ends too.
            left -= _BLOCK + info.size
            extended |= _extended(stream, info, min(left, _MAX_EXTENDED), name)
            continue
        entries += 1
        if entries > max_entries:
            raise UnsafeArchiveError(f"{name}: more than the {max_entries:,} entries allowed")
        path = _plain(extended.get("path", info.name), name)
        target = extended.get("linkpath", info.linkname)
        size = _number(extended, "size", info.size, name)
        owner = _number(extended, "uid", info.uid, name), _number(extended, "gid", info.gid, name)
        # Times may have a fraction, and nothing is decided by them.
        time = (extended.get("mtime") or str(info.mtime)).partition(".")[0]
        extended = {}
        kind = _kind(info, path, size, name)
        if kind == "file":
            if size > left:
                raise UnsafeArchiveError(f"{name}: more than the {max_bytes:,} bytes allowed, at {path!r}")
            left -= size
        if not path:
            continue
        entry = Entry(
            path,
            kind,
            info.mode & 0o7777,
            data=_data(stream, size, name) if kind == "file" else None,
            target=_plain(target, name) if kind == "hardlink" else target if kind == "symlink" else "",
            uid=owner[0],
            gid=owner[1],
            mtime=int(time) if _SECONDS.fullmatch(time) else 0,
        )
        _check_place(entry, kinds, name)
        kinds[path] = kind
        yield entry


def _number(extended: dict[str, str], key: str, plain: int, name: str) -> int:
    """A number of a member: what an extended header says stands above the plain header."""
    told = extended.get(key)
    if not told:
        return plain
    if not re.fullmatch(r"[0-9]{1,15}", told):
        raise UnsafeArchiveError(f"{name}: an extended header with the {key} {told[:40]!r}")
    return int(told)


def _check_worker(entry: Entry, name: str) -> None:
    if entry.mode & _SPECIAL and entry.kind != "dir":
        raise UnsafeArchiveError(f"{name}: {entry.path!r} is setuid or setgid")
    if entry.kind != "symlink":
        return
    if entry.target.startswith("/"):
        raise UnsafeArchiveError(
            f"{name}: {entry.path!r} is a link to the absolute path {entry.target[:200]!r}"
        )
    if resolve_link(entry.path, entry.target).split("/")[0] == "..":
        raise UnsafeArchiveError(
            f"{name}: {entry.path!r} is a link that leads out, to {entry.target[:200]!r}"
        )


def _check_place(entry: Entry, kinds: dict[str, str], name: str) -> None:
    if entry.path in kinds:
        raise UnsafeArchiveError(f"{name}: {entry.path!r} is there twice")
    folder = parent_of(entry.path)
    while folder:
        if kinds.get(folder, "dir") != "dir":
            raise UnsafeArchiveError(f"{name}: {entry.path!r} is below {folder!r}, which is no folder")
        folder = parent_of(folder)
    if entry.kind == "hardlink" and kinds.get(entry.target) != "file":
        raise UnsafeArchiveError(
            f"{name}: {entry.path!r} is a hard link to {entry.target!r}, no file before it"
        )
    if entry.kind == "symlink" and not (entry.target and entry.target.isprintable()):
        raise UnsafeArchiveError(f"{name}: {entry.path!r} is a link to {entry.target[:200]!r}")


def _header(stream: BinaryIO, name: str) -> tarfile.TarInfo | None:
    """The next header; nothing at the block of zeros that ends an archive."""
    block = _exactly(stream, _BLOCK, name)
    if not any(block):
        return None
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError) as error:
        raise UnsafeArchiveError(
            f"{name}: not a plain tar archive, or a damaged one", details=str(error)
        ) from error
    if min(info.size, info.mode, info.uid, info.gid) < 0:
        raise UnsafeArchiveError(f"{name}: a header with a negative number")
    return info


def _kind(
    info: tarfile.TarInfo, path: str, size: int, name: str
) -> Literal["file", "dir", "symlink", "hardlink"]:
    kind = _KINDS.get(info.type)
    if kind is None:
        what = _REFUSED.get(info.type, f"of the unknown type {info.type!r}")
        raise UnsafeArchiveError(f"{name}: {path!r} is {what}")
    if kind != "file" and size:
        raise UnsafeArchiveError(f"{name}: {path!r} is a {kind} with data")
    if not path and kind != "dir":
        raise UnsafeArchiveError(f"{name}: the root is a {kind}")
    return kind


def _plain(path: str, name: str) -> str:
    """A path without what `tar -C DIR .` puts around it; empty for the root."""
    if path.startswith("/"):
        raise UnsafeArchiveError(f"{name}: {path[:200]!r} is absolute")
    plain = "/".join(part for part in path.split("/") if part not in ("", "."))
    if plain:
        try:
            check_path(plain, UnsafeArchiveError)
        except UnsafeArchiveError as error:
            raise UnsafeArchiveError(f"{name}: {error.what}") from error
    return plain


def _extended(stream: BinaryIO, info: tarfile.TarInfo, limit: int, name: str) -> dict[str, str]:
    """What a GNU long name or a pax header says about the entry after it."""
    if info.size > limit:
        raise UnsafeArchiveError(f"{name}: an extended header of {info.size:,} bytes")
    payload = _data(stream, info.size, name)
    if info.type in _GNU_NAMES:
        return {_GNU_NAMES[info.type]: payload.rstrip(b"\0").decode("utf-8", "surrogateescape")}
    found: dict[str, str] = {}
    while payload:
        digits = payload[:6].partition(b" ")[0]
        length = int(digits) if digits.isdigit() else 0
        key, equals, value = payload[len(digits) + 1 : max(length - 1, 0)].partition(b"=")
        if not equals or payload[length - 1 : length] != b"\n":
            raise UnsafeArchiveError(f"{name}: a damaged extended header")
        if key.startswith(b"GNU.sparse"):
            raise UnsafeArchiveError(f"{name}: a sparse file")
        if key.startswith(_ATTRIBUTES):
            # A file's capabilities, such as those that make a program as strong as a setuid one.
            raise UnsafeArchiveError(f"{name}: a file with extended attributes")
        found[key.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
        payload = payload[length:]
    return found


def _data(stream: BinaryIO, size: int, name: str) -> bytes:
    """A member's bytes; the padding after them is skipped."""
    data = _exactly(stream, size, name)
    _exactly(stream, -size % _BLOCK, name)
    return data


def _exactly(stream: BinaryIO, size: int, name: str) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise UnsafeArchiveError(f"{name}: ends in the middle; it was cut short, or is no tar archive")
    return data
