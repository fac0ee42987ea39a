"""Mirrors of the kind `debian-source`: the upstream tarball inside a Debian source package.

apt does the work (see `private_apt`): apt-get(8) `source`, apt-cache(8) `showsrc`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core.cancel import CancelledError
from minios_steps.core.errors import SourceError
from minios_steps.core.sources.private_apt import PrivateApt, machine_archives
from minios_steps.core.sources.request import Obtained
from minios_steps.core.sources.storage import StorageError, writing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from minios_steps.core.config.sources import DebianSourceMirror
    from minios_steps.core.sources.apt_sources import AptSource
    from minios_steps.core.sources.request import Request


@dataclass(frozen=True)
class SourceFile:
    """An upstream tarball that a suite has.

    Args:
        version: the source package's version, such as `1:1.38.0-3`.
        name: the file's name.
        size: bytes.
        sha256: 64 hexadecimal characters.
    """

    version: str
    name: str
    size: int
    sha256: str


def obtain(mirror: DebianSourceMirror, request: Request, folder: Path) -> Obtained:
    """Download the upstream tarball of a Debian source package.

    Suites are asked in the configured order, one list at a time: each costs a download
    of some 10 MB. A suite counts when its package list gives the pinned sha256.

    Args:
        mirror: the package and the suites.
        request: what is wanted.
        folder: an empty folder to work in; the file is below it.

    Raises:
        SourceError: there is no apt here, its configuration names no Debian archive, or
            no suite has the file.
        CancelledError: cancelled.
    """
    archives = machine_archives(mirror.suites, folder, request.cancelled)
    problems: list[str] = []
    for suite in mirror.suites:
        for archive in archives:
            try:
                return _from_suite(mirror.package, suite, archive, request, folder)
            except (StorageError, CancelledError):
                raise
            except SourceError as error:
                problems.append(f"{suite}: {error.what}")
                request.report(f"Debian source package {mirror.package}: {problems[-1]}")
    raise SourceError("; ".join(dict.fromkeys(problems)))


def upstream_version(version: str) -> str:
    """The upstream part of a Debian version (deb-version(7)): `1.38.0` of `1:1.38.0-3`."""
    without_epoch = version.partition(":")[2] if ":" in version else version
    return without_epoch.rpartition("-")[0] if "-" in without_epoch else without_epoch


def parse_source_files(text: str, package: str) -> tuple[SourceFile, ...]:
    """The `.orig` tarballs in what `apt-cache showsrc` prints, for one source package."""
    name = re.compile(rf"{re.escape(package)}_[^_/]+\.orig\.tar\.[a-z0-9]+")
    found = []
    for paragraph in re.split(r"\n\s*\n", text):
        # A name can also match as a binary package of another source.
        if not re.search(rf"(?m)^Package: {re.escape(package)}$", paragraph):
            continue
        version = re.search(r"(?m)^Version: (\S+)$", paragraph)
        sums = re.search(r"(?m)^Checksums-Sha256:[^\n]*\n((?:[ \t][^\n]*\n?)+)", paragraph)
        lines = sums[1].splitlines() if version and sums else []
        for line in lines:
            match = re.fullmatch(r"\s+([0-9a-f]{64})\s+(\d+)\s+(\S+)", line)
            if version and match and name.fullmatch(match[3]):
                found.append(SourceFile(version[1], match[3], int(match[2]), match[1]))
    return tuple(found)


def choose(files: Sequence[SourceFile], request: Request) -> SourceFile:
    """The file that has the wanted version and digest.

    Raises:
        SourceError: there is none; the message names the versions that are there.
    """
    if not files:
        raise SourceError("has no such source package")
    same = [found for found in files if upstream_version(found.version) == str(request.version)]
    if not same:
        versions = ", ".join(dict.fromkeys(found.version for found in files))
        raise SourceError(f"has {versions}, not {request.version}")
    right = [found for found in same if found.sha256 == request.digest.hex]
    if not right:
        raise SourceError(f"has {same[0].version}, but its upstream tarball has sha256 {same[0].sha256}")
    if right[0].size > request.max_bytes:
        raise SourceError(f"{right[0].size:,} bytes, more than the {request.max_bytes:,} allowed")
    return right[0]


def _from_suite(package: str, suite: str, archive: AptSource, request: Request, folder: Path) -> Obtained:
    apt = PrivateApt(folder / "apt", cancelled=request.cancelled)
    apt.update(archive.stanza(suite, "deb-src"))
    chosen = choose(parse_source_files(apt.show_source(package), package), request)
    request.report(f"Debian source package {package}: {suite} has {chosen.version}")
    downloads = folder / "download"
    with writing(downloads):
        downloads.mkdir(exist_ok=True)
    apt.download_source(package, chosen.version, downloads)
    path = downloads / chosen.name
    if not path.is_file():
        raise SourceError(f"apt-get source did not bring {chosen.name}")
    return Obtained(path, f"Debian source package {package} {chosen.version} ({suite})")
