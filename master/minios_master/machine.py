"""What this machine can build: compilers, emulators, tools, and what is missing for more."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from minios_steps.core.errors import MiniosError
from minios_steps.core.musl.kit import FETCH_TOOLS, cached_kit
from minios_steps.core.toolchain import compiler_prefix

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from minios_steps.core.config.arch import Arch
    from minios_steps.core.config.base import Role
    from minios_steps.core.config.project import Project
    from minios_steps.core.musl.kit import MuslKit

GENERAL_TOOLS = {"sh": "dash", "make": "make", "tar": "tar", "gzip": "gzip", "bzip2": "bzip2", "git": "git"}
"""Commands every build needs, with their Debian packages; git applies the patches."""

_PROBE_SECONDS = 60
_STDERR = 2


@dataclass(frozen=True)
class ArchSupport:
    """What this machine has for one CPU.

    `how` it compiles for it, with `compiler` (the command) and `emulator` (a path; empty when
    there is none or none is needed); `packages` are Debian packages that would add what is
    missing; `note` says in words what is missing; `libc` is the C library that gets linked, with
    its version where the project itself put it there already.
    """

    name: str
    role: Role
    how: Literal["native", "cross", "none"]
    compiler: str
    emulator: str
    packages: tuple[str, ...]
    note: str
    libc: str = "glibc"

    @property
    def builds(self) -> bool:
        """Whether it can be compiled for."""
        return self.how != "none"


@dataclass(frozen=True)
class Survey:
    """What this machine has: its `uname -m`, each arch, and general tools that are missing."""

    uname: str
    arches: tuple[ArchSupport, ...]
    missing_tools: tuple[str, ...]
    packages: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether every required arch can be built."""
        return not self.missing_tools and all(a.builds for a in self.arches if a.role == "required")


def local_arches(project: Project) -> tuple[str, ...]:
    """The arches that local workers are for: as listed, or all that have a compiler here."""
    listed = project.workers.local.arches
    if listed != "auto":
        return tuple(name for name in listed if name in project.nightly_arches)
    uname = platform.machine()
    return tuple(name for name in project.nightly_arches if _compiles(project.arches[name], uname))


def survey(project: Project, cache: Path) -> Survey:
    """Look for everything the configuration's arches need.

    `packages` are those of the arches with a role; a candidate's are listed with it alone.

    Args:
        project: the configuration.
        cache: the master's cache folder, where a musl may be that was fetched before.
    """
    uname = platform.machine()
    arches = tuple(
        _support(project.arches[name], project.role(name), uname, cache) for name in project.nightly_arches
    )
    missing = tuple(tool for tool in GENERAL_TOOLS if not shutil.which(tool))
    wanted = [GENERAL_TOOLS[tool] for tool in missing]
    wanted += [name for arch in arches if arch.role != "candidate" for name in arch.packages]
    return Survey(uname, arches, missing, tuple(dict.fromkeys(wanted)))


def install_line(packages: Iterable[str]) -> str:
    """The command that installs Debian packages; empty where nothing is missing or apt is not."""
    names = " ".join(packages)
    if not names or not shutil.which("apt-get"):
        return ""
    return f"{'' if os.geteuid() == 0 else 'sudo '}apt-get install -y --no-install-recommends {names}"


def install(packages: Iterable[str]) -> None:
    """Install Debian packages, with fresh package lists where the ones here do not do.

    What apt says goes to standard error.

    Raises:
        MiniosError: not root, no apt, or apt failed; the hint is the line to run by hand.
    """
    names = tuple(packages)
    if not names:
        return
    line = install_line(names)
    if not line:
        raise MiniosError(f"no apt-get here to install {' '.join(names)}")
    if os.geteuid() != 0:
        raise MiniosError("only root can install packages", hint=line)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for attempt in ("with the lists as they are", "with new lists"):
        if attempt == "with new lists":
            subprocess.run(("apt-get", "update"), check=False, env=environment, stdout=_STDERR)
        if subprocess.run(line.split(), check=False, env=environment, stdout=_STDERR).returncode == 0:
            return
    raise MiniosError("apt-get could not install everything", hint=line)


def _compiles(arch: Arch, uname: str) -> bool:
    return not _compiler_problem(arch, uname)


def _compiler_problem(arch: Arch, uname: str) -> str:
    """Why this machine cannot compile for an arch; empty when it can."""
    prefix = compiler_prefix(arch, uname)
    if not prefix and uname not in arch.uname:
        return "no cross compiler is known"
    for command in dict.fromkeys((f"{prefix}gcc", "gcc")):
        if not shutil.which(command):
            return f"{command} was not found"
        if not _has_libc(command):
            return f"{command} has no C library to link with"
    return ""


def _has_libc(command: str) -> bool:
    """Whether a compiler finds the C library's start file; gcc echoes the name of one it does not find."""
    try:
        answer = subprocess.run(
            (command, "-print-file-name=crt1.o"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PROBE_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.stdout.startswith("/")


def _support(arch: Arch, role: Role, uname: str, cache: Path) -> ArchSupport:
    native = uname in arch.uname
    problem = _compiler_problem(arch, uname)
    kit = cached_kit(arch, cache / "musl")
    found = (shutil.which(name) for name in arch.emulator)
    emulator = "" if native else next((path for path in found if path), "")
    notes: list[str] = []
    wanted: list[str] = []
    if problem:
        packages = arch.debian.native if native else arch.debian.cross
        notes.append(problem if packages or not arch.attach else f"{problem}: {arch.attach}")
        wanted += packages
    if missing := _musl_problem(arch, kit):
        notes.append(missing)
        problem = problem or missing
    if not native and not emulator and (not problem or arch.debian.cross):
        notes.append("no emulator: its images are not run here")
        wanted += arch.debian.emulator
    return ArchSupport(
        name=arch.name,
        role=role,
        how="none" if problem else "native" if native else "cross",
        compiler="" if problem else f"{compiler_prefix(arch, uname)}gcc",
        emulator=emulator,
        packages=_not_installed(dict.fromkeys(wanted)),
        note="; ".join(notes),
        libc=kit.libc if kit else arch.libc,
    )


def _musl_problem(arch: Arch, kit: MuslKit | None) -> str:
    """Why a musl that is not here yet cannot be fetched; empty when it can, or need not be."""
    if kit is not None or arch.musl is None or arch.libc != "musl":
        return ""
    missing = [tool for tool in FETCH_TOOLS if not shutil.which(tool)]
    if not missing:
        return ""
    return f"musl cannot be fetched without {missing[0]}: write `libc: glibc` in arches/{arch.name}.yaml"


def _not_installed(packages: Iterable[str]) -> tuple[str, ...]:
    """Those of some Debian packages that dpkg does not have; all where there is no dpkg."""
    wanted = tuple(packages)
    if not wanted or not shutil.which("dpkg-query"):
        return wanted
    # A name dpkg has never heard of makes it end with 1 and say the rest all the same.
    answer = subprocess.run(
        ("dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *wanted),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    installed = {line.split()[0] for line in answer.stdout.splitlines() if line.endswith(" installed")}
    return tuple(name for name in wanted if name not in installed)
