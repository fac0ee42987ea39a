"""Packs wheels, stand-ins and the attach program into one self-extracting file."""

from __future__ import annotations

import ast
import stat
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from minios_steps.core.entry import Entry, check_path
from minios_steps.core.errors import SourceError
from minios_steps.core.oci.atomic import replacing
from minios_steps.core.tarball import write_layer

from .lock import dotted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from minios_steps.core.digest import Digest

    from .lock import Lock, Release

EPOCH = 1577836800
"""The time of every file in a bundle: 2020-01-01. The same lock makes the same bytes."""
MARK = ".minios-worker"
"""The file by which a worker's folder is known."""
_COMPILED = frozenset({".so", ".pyd", ".dll", ".c", ".h", ".pyc"})
_TESTS = frozenset({"test", "tests"})
_MODE = 0o644
_UNUSED = frozenset({"conch", "mail", "names", "news", "pair", "runner", "trial", "web", "words"})
"""Packages of Twisted that a worker never imports. Their plugins would be, and take memory."""


def write_bundle(
    lock: Lock, wheels: Mapping[str, Path], recipe: Path, dest: Path, machines: Iterable[str] = ()
) -> Digest:
    """Write the bundle; returns the digest of its payload.

    Args:
        lock: what it is for.
        wheels: the lock's wheels.
        recipe: the folder `workers/`.
        dest: the file to write; it appears whole or not at all.
        machines: what `uname -m` must print where it is unpacked; any when empty.

    Raises:
        SourceError: a wheel holds a path that leaves its folder, or a file that the oldest
            Python of the lock could not read.
        ImageError: the disk is full, or the folder cannot be written.
    """
    files = dict(_all_files(lock, wheels, recipe))
    files["agent/machines"] = " ".join(machines).encode("utf-8")
    _check_grammar(files, lock.oldest)
    entries = [*_folders(files), *(Entry(path, "file", _mode(path), data) for path, data in files.items())]
    with tempfile.TemporaryDirectory() as scratch:
        packed = write_layer(entries, Path(scratch) / "payload", EPOCH)
        header = (recipe / "bundle" / "header.sh").read_text("utf-8")
        values = {
            "@FILE@": dest.name,
            "@SHA256@": packed.digest.hex,
            "@SIZE@": str(packed.size),
            "@OLDEST@": f"'{lock.oldest}'",
            "@BELOW@": f"'{lock.below}'",
        }
        for key, value in values.items():
            header = header.replace(key, value)
        with replacing(dest) as stream:
            stream.write(header.encode("utf-8"))
            stream.write(packed.path.read_bytes())
    return packed.digest


def _all_files(lock: Lock, wheels: Mapping[str, Path], recipe: Path) -> Iterator[tuple[str, bytes]]:
    yield MARK, f"minios worker for Python {dotted(lock.oldest)} to below {dotted(lock.below)}\n".encode()
    yield "minios-worker", (recipe / "minios-worker.sh").read_bytes()
    for folder, place in (("agent", "agent"), ("units", "units"), ("standins", "lib")):
        for path in sorted((recipe / folder).rglob("*")):
            if path.is_file() and _is_wanted(PurePosixPath(path.relative_to(recipe / folder))):
                yield f"{place}/{path.relative_to(recipe / folder)}", path.read_bytes()
    for name, path in wheels.items():
        yield from _wheel_files(name, path)


def _wheel_files(name: str, wheel: Path) -> Iterator[tuple[str, bytes]]:
    """What of a wheel is unpacked: Python and its licences, no tests and nothing compiled."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                path = PurePosixPath(member.filename)
                kind = stat.S_IFMT(member.external_attr >> 16)
                if member.is_dir() or not _is_wanted(path) or _is_unused(path):
                    continue
                if kind not in (0, stat.S_IFREG):
                    raise SourceError(f"{name}: {path} is not a plain file")
                check_path(str(path), SourceError)
                yield f"lib/{path}", archive.read(member)
    except zipfile.BadZipFile as error:
        raise SourceError(f"{name}: {wheel} is not a wheel") from error


def _is_wanted(path: PurePosixPath) -> bool:
    return not (path.suffix in _COMPILED or _TESTS & set(path.parts) or path.name.endswith("nspkg.pth"))


def _is_unused(path: PurePosixPath) -> bool:
    if path.parts[0].endswith(".data"):
        return True
    plugin = path.parts[:2] == ("twisted", "plugins") and path.name != "__init__.py"
    return plugin or (path.parts[0] == "twisted" and not _UNUSED.isdisjoint(path.parts[1:2]))


def _check_grammar(files: Mapping[str, bytes], oldest: Release) -> None:
    """Refuse what the oldest Python could not even read."""
    for path, data in files.items():
        if not path.endswith(".py"):
            continue
        try:
            ast.parse(data, path, feature_version=oldest)
        except (SyntaxError, ValueError) as error:
            raise SourceError(f"{path} is not Python {dotted(oldest)}: {error}") from error


def _folders(paths: Iterable[str]) -> list[Entry]:
    found = {str(parent) for path in paths for parent in PurePosixPath(path).parents} - {"."}
    return [Entry(path, "dir", 0o755) for path in sorted(found)]


def _mode(path: str) -> int:
    return 0o755 if path == "minios-worker" else _MODE
