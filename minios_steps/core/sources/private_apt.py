"""apt with state of its own, so that the machine's is neither read nor changed.

sources.list(5), apt.conf(5), apt-get(8), apt-cache(8).
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from minios_steps.core.errors import SourceError
from minios_steps.core.sources import child
from minios_steps.core.sources.apt_sources import AptSource, debian_archives, read_apt_sources
from minios_steps.core.sources.storage import StorageError, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

APT_TOOLS = ("apt-get", "apt-cache", "apt-config")
_UPDATE_SECONDS = 180
_DOWNLOAD_SECONDS = 300
_QUERY_SECONDS = 60
_OS_RELEASE = Path("/etc/os-release")

# Hooks of the machine would run with its own state in mind, and fail without root.
# A default release that the private sources do not have is an error for apt.
CONFIGURATION = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Default-Release "";
#clear APT::Architectures;
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


def machine_archives(
    suites: Sequence[str], folder: Path, cancelled: Callable[[], bool]
) -> tuple[AptSource, ...]:
    """The Debian archives that this machine's apt knows, the likeliest first.

    Args:
        suites: what is wanted of them.
        folder: where apt is run.
        cancelled: asked often.

    Raises:
        SourceError: there is no apt here, or it names no Debian archive.
        CancelledError: cancelled.
    """
    missing = [tool for tool in APT_TOOLS if not shutil.which(tool)]
    if missing:
        raise SourceError(f"needs apt, and there is no {missing[0]} on this machine")
    command = (
        "apt-config", "shell", "LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d",
    )  # fmt: skip
    told = child.run(command, folder=folder, environment={}, seconds=_QUERY_SECONDS, cancelled=cancelled)
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


class PrivateApt:
    """apt with its own sources, lists and caches; works for any user.

    Args:
        folder: where they are; `update` empties it.
        architecture: Debian's name of the CPU whose packages are wanted; empty for this machine's.
        cancelled: asked often; when it says yes, apt is stopped.

    What a method raises: `SourceError` with apt's own complaint, `StorageError` when the disk is
    full, `CancelledError`.
    """

    def __init__(self, folder: Path, *, architecture: str = "", cancelled: Callable[[], bool]) -> None:
        self._folder = folder
        self._architecture = architecture
        self._cancelled = cancelled
        self._configuration = folder / "apt.conf"

    def update(self, stanza: str) -> None:
        """Fetch the package lists of one entry; what was there of another is dropped."""
        shutil.rmtree(self._folder, ignore_errors=True)
        with writing(self._folder):
            for name in ("state/lists/partial", "cache/archives/partial", "sources.list.d"):
                (self._folder / name).mkdir(parents=True)
            (self._folder / "state" / "status").touch()
            (self._folder / "sources.list.d" / "minios.sources").write_text(stanza, encoding="utf-8")
            text = CONFIGURATION.format(folder=self._folder.resolve())
            if self._architecture:
                text += f'APT::Architecture "{self._architecture}";\n'
            self._configuration.write_text(text, encoding="utf-8")
        done = self._run(("apt-get", "update"), self._folder, _UPDATE_SECONDS)
        # Lists that were not there are only a warning to some versions of apt.
        if done.code or "W: Failed to fetch" in done.errors:
            raise self._failure("update", done)

    def show_source(self, package: str) -> str:
        """What the lists say about a source package; empty when they do not have it."""
        return self._run(("apt-cache", "showsrc", package), self._folder, _QUERY_SECONDS).output

    def download(self, packages: Sequence[str], folder: Path) -> None:
        """Download the newest of some binary packages; apt checks each against the signed list."""
        done = self._run(("apt-get", "download", *packages), folder, _DOWNLOAD_SECONDS)
        if done.code:
            raise self._failure("download", done)

    def download_source(self, package: str, version: str, folder: Path) -> None:
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
            cancelled=self._cancelled,
        )


def _complaint(done: child.Finished) -> str:
    """The first thing apt complained about."""
    lines = done.errors.splitlines()
    found = (line.removeprefix(mark) for mark in ("E: ", "W: ") for line in lines if line.startswith(mark))
    return next(found, f"exit status {done.code}")[:300]
