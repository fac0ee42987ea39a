"""Mirrors of the kind `debian-source`: the upstream tarball inside a Debian source package.

apt does the work, with state of its own, so the machine's is neither read nor changed:
sources.list(5), apt.conf(5), apt-get(8) `source`, apt-cache(8) `showsrc`.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from minios_steps.core.cancel import CancelledError
from minios_steps.core.errors import SourceError
from minios_steps.core.sources import child
from minios_steps.core.sources.apt_sources import AptSource, debian_archives, read_apt_sources
from minios_steps.core.sources.request import Obtained
from minios_steps.core.sources.storage import StorageError, writing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from minios_steps.core.config.sources import DebianSourceMirror
    from minios_steps.core.sources.request import Request

_TOOLS = ("apt-get", "apt-cache", "apt-config")
_UPDATE_SECONDS = 180
_DOWNLOAD_SECONDS = 300
_QUERY_SECONDS = 60
_OS_RELEASE = Path("/etc/os-release")

# Hooks of the machine would run with its own state in mind, and fail without root.
# A default release that the private sources do not have is an error for apt.
_CONFIGURATION = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Default-Release "";
Acquire::Languages "none";
Acquire::Retries "1";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
Dir::State "{folder}/state";
Dir::State::lists "{folder}/state/lists";
Dir::State::status "{folder}/state/status";
Dir::Cache "{folder}/cache";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{folder}/sources.list.d";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
"""


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
    archives = _archives(mirror.suites, folder, request)
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


def _archives(suites: Sequence[str], folder: Path, request: Request) -> tuple[AptSource, ...]:
    missing = [tool for tool in _TOOLS if not shutil.which(tool)]
    if missing:
        raise SourceError(f"needs apt, and there is no {missing[0]} on this machine")
    command = (
        "apt-config", "shell", "LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d",
    )  # fmt: skip
    told = child.run(
        command, folder=folder, environment={}, seconds=_QUERY_SECONDS, cancelled=request.cancelled
    )
    paths = dict(word.split("=", 1) for word in shlex.split(told.output) if "=" in word)
    sources = read_apt_sources(Path(paths.get("LIST", "/dev/null")), Path(paths.get("PARTS", "/dev/null")))
    archives = debian_archives(sources, {*suites, *_own_suite()})
    if not archives:
        raise SourceError("this machine's apt has no source that looks like the Debian archive")
    return archives


def _own_suite() -> tuple[str, ...]:
    """This machine's release name, such as `bookworm` (os-release(5))."""
    try:
        text = _OS_RELEASE.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    match = re.search(r"(?m)^VERSION_CODENAME=[\"']?([a-z0-9-]+)[\"']?$", text)
    return (match[1],) if match else ()


def _from_suite(package: str, suite: str, archive: AptSource, request: Request, folder: Path) -> Obtained:
    apt = _PrivateApt(folder / "apt", request)
    apt.update(archive.source_stanza(suite))
    chosen = choose(parse_source_files(apt.show_source(package), package), request)
    request.report(f"Debian source package {package}: {suite} has {chosen.version}")
    downloads = folder / "download"
    with writing(downloads):
        downloads.mkdir(exist_ok=True)
    apt.download(package, chosen.version, downloads)
    path = downloads / chosen.name
    if not path.is_file():
        raise SourceError(f"apt-get source did not bring {chosen.name}")
    return Obtained(path, f"Debian source package {package} {chosen.version} ({suite})")


class _PrivateApt:
    """apt with its own sources, lists and caches; works for any user."""

    def __init__(self, folder: Path, request: Request) -> None:
        self._folder = folder
        self._request = request
        self._configuration = folder / "apt.conf"

    def update(self, stanza: str) -> None:
        """Fetch the package lists of one entry; what was there of another is dropped."""
        shutil.rmtree(self._folder, ignore_errors=True)
        with writing(self._folder):
            for name in ("state/lists/partial", "cache/archives/partial", "sources.list.d"):
                (self._folder / name).mkdir(parents=True)
            (self._folder / "state" / "status").touch()
            (self._folder / "sources.list.d" / "minios.sources").write_text(stanza, encoding="utf-8")
            text = _CONFIGURATION.format(folder=self._folder.resolve())
            self._configuration.write_text(text, encoding="utf-8")
        done = self._run(("apt-get", "update"), self._folder, _UPDATE_SECONDS)
        # Lists that were not there are only a warning to some versions of apt.
        if done.code or "W: Failed to fetch" in done.errors:
            raise self._failure("update", done)

    def show_source(self, package: str) -> str:
        """What the lists say about a source package; empty when they do not have it."""
        return self._run(("apt-cache", "showsrc", package), self._folder, _QUERY_SECONDS).output

    def download(self, package: str, version: str, folder: Path) -> None:
        """Download a source package's tarballs into a folder."""
        command = ("apt-get", "source", "--download-only", "--tar-only", f"{package}={version}")
        done = self._run(command, folder, _DOWNLOAD_SECONDS)
        if done.code:
            raise self._failure("source", done)

    def _failure(self, verb: str, done: child.Finished) -> SourceError:
        if os.strerror(errno.ENOSPC) in done.errors:
            hint = "free some space, then run again"
            return StorageError(f"cannot write {self._folder}: the disk is full", hint=hint)
        return SourceError(f"apt-get {verb}: {_complaint(done)}")

    def _run(self, command: Sequence[str], folder: Path, seconds: float) -> child.Finished:
        return child.run(
            (command[0], "-q", "-c", str(self._configuration.resolve()), *command[1:]),
            folder=folder,
            environment={"DEBIAN_FRONTEND": "noninteractive"},
            seconds=seconds,
            cancelled=self._request.cancelled,
        )


def _complaint(done: child.Finished) -> str:
    """The first thing apt complained about."""
    lines = done.errors.splitlines()
    found = (line.removeprefix(mark) for mark in ("E: ", "W: ") for line in lines if line.startswith(mark))
    return next(found, f"exit status {done.code}")[:300]
