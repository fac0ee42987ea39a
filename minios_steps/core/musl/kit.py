"""musl for one CPU as workers get it: Debian's packages `musl` and `musl-dev`, repacked.

Debian has these packages for each of its architectures, and a spec file in them that makes any
gcc for that CPU use them (GCC manual, "Spec Files"). apt fetches them with state of its own,
so no foreign architecture is added to the machine, and nothing is installed.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core.digest import Digest
from minios_steps.core.errors import SourceError, UnsafeArchiveError
from minios_steps.core.musl.plain import plain_objects
from minios_steps.core.sources import child
from minios_steps.core.sources.private_apt import APT_TOOLS, PrivateApt, machine_archives
from minios_steps.core.sources.repack import repack
from minios_steps.core.sources.storage import StorageError, locked, replacing, scratch_folder, writing
from minios_steps.core.sources.unpack import safe_members
from minios_steps.core.toolchain import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from minios_steps.core.config.arch import Arch, MuslSpec
    from minios_steps.core.entry import Entry

KIT_MARK = "@KIT@"
"""Stands in the spec file for the kit's own folder, which only the worker knows."""
SPECS = "musl-gcc.specs"
FETCH_TOOLS = (*APT_TOOLS, "dpkg-deb")
"""Commands without which nothing can be fetched."""

_FORMAT = 1
"""Changes whenever the same packages would give other bytes."""
_PACKAGES = ("musl", "musl-dev")
_UNPACK_SECONDS = 60
_MAX_BYTES = 64 << 20
_DEB = re.compile(r"(musl|musl-dev)_([0-9][A-Za-z0-9.+~%-]*)_[a-z0-9-]+\.deb")
_LIBRARY = re.compile(r"(?:usr/)?lib/([a-z0-9_]+-linux-musl[a-z0-9]*)/([A-Za-z0-9_.+-]+)")
_HEADER = re.compile(r"usr/include/([a-z0-9_]+-linux-musl[a-z0-9]*)/([A-Za-z0-9_./+-]+)")
_LOADER = re.compile(r"(?:usr/)?lib/(ld-musl-[a-z0-9_]+\.so\.1)")


@dataclass(frozen=True)
class MuslKit:
    """musl for one CPU, packed.

    Args:
        path: a tar.gz with the folders `lib` and `include`, and the spec file.
        digest: of that file.
        triplet: such as `aarch64-linux-musl`.
        version: of the packages, such as `1.2.5-3`.
        suite: the Debian suite they are from.
        packages: the sha256 of each package's file, sorted.
    """

    path: Path
    digest: Digest
    triplet: str
    version: str
    suite: str
    packages: tuple[str, ...]

    @property
    def name(self) -> str:
        """What its folder and file on a worker begin with; another kit has another name."""
        return f"minios-musl-{self.triplet}-{self.digest.short}"

    @property
    def libc(self) -> str:
        """The C library for people and for the cell key: `musl 1.2.5-3`."""
        return f"musl {self.version}"


def obtain_kit(
    arch: Arch,
    cache_root: Path,
    *,
    report: Callable[[str], None],
    cancelled: Callable[[], bool],
) -> MuslKit | None:
    """The kit that an arch's file names, from the cache or from Debian's archive.

    Once it is in the cache it stays as it is: a newer package changes nothing until the cache
    is removed. Blocks; call it from a thread. Several threads and processes may ask for the same.

    Args:
        arch: the CPU; nothing is done for one that does not link musl, or names none.
        cache_root: holds `SUITE-ARCHITECTURE.tar.gz` and the `.json` that vouches for it.
        report: called with lines for people.
        cancelled: asked often; when it says yes, the work stops.

    Raises:
        ToolchainError: it cannot be had; the hint says what to write to do without.
        StorageError: the disk is full, or refuses to be written.
        CancelledError: cancelled.
    """
    spec = arch.musl
    if spec is None or arch.libc != "musl":
        return None
    stem = cache_root / f"{spec.suite}-{spec.debian}"
    with locked(stem.with_suffix(".lock"), cancelled):
        if found := cached_kit(arch, cache_root):
            return found
        try:
            return _make(spec, stem, report, cancelled)
        except StorageError:
            raise
        except (SourceError, UnsafeArchiveError) as error:
            raise ToolchainError(
                f"musl for {arch.name} cannot be had from Debian {spec.suite}: {error.what}",
                hint=f"write `libc: glibc` in arches/{arch.name}.yaml to link the compiler's own C library",
            ) from error


def cached_kit(arch: Arch, cache_root: Path) -> MuslKit | None:
    """The kit that an earlier call left, when its bytes are still those it wrote."""
    if arch.musl is None or arch.libc != "musl":
        return None
    stem = cache_root / f"{arch.musl.suite}-{arch.musl.debian}"
    archive = stem.with_suffix(".tar.gz")
    try:
        told = json.loads(stem.with_suffix(".json").read_text("utf-8"))
        digest = Digest.of_file(archive)
        if told["format"] == _FORMAT and told["archive"] == digest.hex:
            packages = tuple(str(item) for item in told["packages"])
            return MuslKit(archive, digest, told["triplet"], told["version"], arch.musl.suite, packages)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _make(
    spec: MuslSpec, stem: Path, report: Callable[[str], None], cancelled: Callable[[], bool]
) -> MuslKit:
    if not shutil.which("dpkg-deb"):
        raise SourceError("needs dpkg-deb, and there is none on this machine")
    with scratch_folder(stem.with_suffix(".tmp")) as scratch:
        debs = _download(spec, scratch, report, cancelled)
        versions = {match[2] for deb in debs if (match := _DEB.fullmatch(deb.name))}
        if len(versions) != 1:
            raise SourceError(f"it has {' and '.join(sorted(versions))} side by side")
        tree = scratch / "tree"
        triplet = _unpack(debs, tree, scratch, cancelled)
        archive = stem.with_suffix(".tar.gz")
        repack(tree, "kit", archive, epoch=0, cancelled=cancelled)
        digest = Digest.of_file(archive)
        packages = tuple(sorted(Digest.of_file(deb).hex for deb in debs))
        version = versions.pop().replace("%3a", ":")
        told = {
            "format": _FORMAT,
            "archive": digest.hex,
            "triplet": triplet,
            "version": version,
            "packages": packages,
        }
        with replacing(stem.with_suffix(".json")) as stream:
            stream.write(json.dumps(told, sort_keys=True).encode())
    report(f"musl {version} for {spec.debian}, from Debian {spec.suite}")
    return MuslKit(archive, digest, triplet, version, spec.suite, packages)


def _download(
    spec: MuslSpec, scratch: Path, report: Callable[[str], None], cancelled: Callable[[], bool]
) -> list[Path]:
    """Both packages, from the first archive that has them."""
    problems = []
    folder = scratch / "download"
    with writing(folder):
        folder.mkdir()
    for archive in machine_archives((spec.suite,), scratch, cancelled):
        apt = PrivateApt(scratch / "apt", architecture=spec.debian, cancelled=cancelled)
        try:
            apt.update(archive.stanza(spec.suite, "deb"))
            apt.download(_PACKAGES, folder)
        except StorageError:
            raise
        except SourceError as error:
            problems.append(error.what)
            report(f"musl for {spec.debian}: {error.what}")
            continue
        found = sorted(path for path in folder.iterdir() if _DEB.fullmatch(path.name))
        if len(found) == len(_PACKAGES):
            return found
        problems.append(f"apt-get download brought {len(found)} packages, not {len(_PACKAGES)}")
    raise SourceError("; ".join(dict.fromkeys(problems)))


def _unpack(debs: Iterable[Path], tree: Path, scratch: Path, cancelled: Callable[[], bool]) -> str:
    """Put what a compiler needs of the packages into a tree; returns the triplet."""
    with writing(tree):
        for name in ("include", "lib"):
            (tree / name).mkdir(parents=True)
    triplets: set[str] = set()
    loaders: list[str] = []
    for deb in debs:
        packed = scratch / f"{deb.stem}.tar"
        command = ("sh", "-c", 'exec dpkg-deb --fsys-tarfile "$1" >"$2"', "sh", str(deb), str(packed))
        done = child.run(
            command, folder=scratch, environment={}, seconds=_UNPACK_SECONDS, cancelled=cancelled
        )
        if done.code:
            raise SourceError(f"{deb.name} cannot be unpacked: {done.errors.strip()[:200]}")
        for entry in safe_members(packed, max_bytes=_MAX_BYTES):
            if match := _LOADER.fullmatch(entry.path):
                loaders.append(match[1])
            elif placed := _place(entry, tree):
                triplets.add(placed)
    specs = tree / "lib" / SPECS
    if len(triplets) != 1 or len(loaders) != 1 or not specs.is_file():
        raise SourceError("its packages are not laid out as expected")
    triplet = triplets.pop()
    with writing(tree):
        (tree / "lib" / loaders[0]).symlink_to("libc.so")
        text = specs.read_text("utf-8")
        for folder in ("lib", "include"):
            text = text.replace(f"/usr/{folder}/{triplet}", f"{KIT_MARK}/{folder}")
        (tree / SPECS).write_text(text, "utf-8")
        specs.unlink()
    return triplet


def _place(entry: Entry, tree: Path) -> str:
    """Write a file of a package where the kit has it; returns the triplet, empty for what is left out."""
    library, header = _LIBRARY.fullmatch(entry.path), _HEADER.fullmatch(entry.path)
    match = library or header
    if match is None or entry.kind == "dir":
        return ""
    path = tree / ("lib" if library else "include") / match[2]
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if entry.kind == "file" and isinstance(entry.data, bytes | None):
            data = entry.data or b""
            path.write_bytes(plain_objects(data, entry.path) if path.suffix in (".a", ".o") else data)
        elif entry.kind == "symlink" and "/" not in entry.target:
            path.symlink_to(entry.target)
        else:
            raise UnsafeArchiveError(f"/{entry.path} is a {entry.kind}, expected a file")
    return match[1]
