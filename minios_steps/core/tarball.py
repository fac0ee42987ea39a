"""Layers: what goes into one, and a writer that gives the same bytes every time."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

from minios_steps.core.digest import Digest
from minios_steps.core.entry import Entry, check_path, parent_of
from minios_steps.core.errors import ImageError
from minios_steps.core.members import read_members
from minios_steps.core.oci.atomic import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import BinaryIO

__all__ = ["Entry", "LayerFile", "read_members", "write_layer"]

_MAX_MODE = 0o7777
_OWN_CODES = 1 << 16
_TYPES = {
    "file": tarfile.REGTYPE,
    "dir": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
}


@dataclass(frozen=True)
class LayerFile:
    """A packed layer: `digest` and `size` of the gzip file, `diff_id` and `uncompressed` of the tar in it."""

    path: Path
    digest: Digest
    diff_id: Digest
    size: int
    uncompressed: int

    def as_json(self) -> dict[str, Any]:
        """A mapping of plain types."""
        return {
            "path": str(self.path),
            "digest": str(self.digest),
            "diff_id": str(self.diff_id),
            "size": self.size,
            "uncompressed": self.uncompressed,
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> LayerFile:
        """What `as_json` gave; raises `ImageError` when something is missing or malformed."""
        try:
            return cls(
                Path(told["path"]),
                Digest.parse(told["digest"]),
                Digest.parse(told["diff_id"]),
                int(told["size"]),
                int(told["uncompressed"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ImageError(f"not a layer's record: {error}") from error


def write_layer(entries: Iterable[Entry], dest: Path, epoch: int) -> LayerFile:
    """Pack entries into a gzipped tar whose bytes depend on nothing but the arguments.

    The tar is POSIX.1-2001 (pax): its headers are plain ustar, with an extended header
    only before a name over 100 characters or outside ASCII, so every runtime reads it.
    Owners are numbers only, every time is `epoch`. Order: folders, files and symbolic
    links by path, parents first; then hard links by path, each with the mode and owner of
    the file it names. The gzip header has no name and no time. The compressed bytes are
    those of this Python's zlib at level 9; `diff_id` does not depend on it. After each file of
    64 KiB or more a new deflate block begins: the headers of some 400 links, which follow the
    program, are packed better with codes of their own.

    Args:
        entries: in any order.
        dest: the file to write; it appears whole or not at all.
        epoch: seconds since 1970.

    Raises:
        ImageError: a path twice, without its folder or not plain; a hard link to what is
            no file; the disk is full.
    """
    ordered = _order(entries)
    if epoch < 0:
        raise ImageError(f"a layer's time cannot be before 1970: {epoch}")
    with replacing(dest) as stream:
        packed = _Meter(stream)
        # The gzip module's own clock and the destination's name stay out of the header.
        with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=packed, mtime=0) as zipped:
            plain = _Meter(zipped)
            with tarfile.open(
                fileobj=cast("IO[bytes]", plain), mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8"
            ) as archive:
                for entry in ordered:
                    if _add(archive, entry, epoch) >= _OWN_CODES:
                        zipped.flush(zlib.Z_SYNC_FLUSH)
    return LayerFile(dest, packed.digest, plain.digest, packed.size, plain.size)


class _Sink(Protocol):
    def write(self, data: bytes, /) -> int: ...


class _Meter:
    """Passes bytes on, counting and hashing them."""

    def __init__(self, sink: _Sink) -> None:
        self._sink = sink
        self._state = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self._state.update(data)
        self.size += len(data)
        return self._sink.write(data)

    def tell(self) -> int:
        """Where the next byte goes; tarfile asks."""
        return self.size

    def flush(self) -> None:
        """Leave it to the owner of the sink."""

    @property
    def digest(self) -> Digest:
        return Digest(self._state.hexdigest())


def _order(entries: Iterable[Entry]) -> list[Entry]:
    known: dict[str, Entry] = {}
    for entry in entries:
        check_path(entry.path, ImageError)
        if entry.path in known:
            raise ImageError(f"the layer has {entry.path!r} twice")
        if not 0 <= entry.mode <= _MAX_MODE or entry.uid < 0 or entry.gid < 0:
            raise ImageError(f"{entry.path}: mode {entry.mode:o}, owner {entry.uid}:{entry.gid} cannot be")
        known[entry.path] = entry
    for entry in known.values():
        parent = parent_of(entry.path)
        if parent and (parent not in known or known[parent].kind != "dir"):
            raise ImageError(f"the layer has {entry.path!r} but no folder {parent!r}")
        if entry.kind == "hardlink" and (entry.target not in known or known[entry.target].kind != "file"):
            raise ImageError(
                f"the layer has a hard link {entry.path!r} to {entry.target!r}, which is no file in it"
            )
        if entry.kind == "symlink" and not entry.target:
            raise ImageError(f"the layer has a symbolic link {entry.path!r} to nothing")
    return [
        _like_target(entry, known)
        for entry in sorted(known.values(), key=lambda e: (e.kind == "hardlink", e.path.split("/")))
    ]


def _like_target(entry: Entry, known: Mapping[str, Entry]) -> Entry:
    """A hard link with its file's mode and owner: unpackers apply those of the last name."""
    if entry.kind != "hardlink":
        return entry
    file = known[entry.target]
    return Entry(entry.path, "hardlink", file.mode, target=entry.target, uid=file.uid, gid=file.gid)


def _add(archive: tarfile.TarFile, entry: Entry, epoch: int) -> int:
    """Write an entry; returns the bytes of its file, 0 for what is none."""
    info = tarfile.TarInfo(entry.path)
    info.type = _TYPES[entry.kind]
    info.mode = entry.mode
    info.uid, info.gid = entry.uid, entry.gid
    info.mtime = epoch
    info.linkname = entry.target
    if entry.kind != "file":
        archive.addfile(info)
        return 0
    stream: BinaryIO = entry.data.open("rb") if isinstance(entry.data, Path) else BytesIO(entry.data or b"")
    with stream:
        info.size = stream.seek(0, 2)
        stream.seek(0)
        archive.addfile(info, stream)
    return info.size
