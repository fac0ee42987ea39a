"""What a machine can compile with: the reader of what the probe (`probe_script`) prints.

The answer comes from a machine that is not trusted: every size is bounded, and control
characters are dropped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core.errors import MiniosError
from minios_steps.core.probe_script import PROBE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from minios_steps.core.config.arch import Arch
    from minios_steps.core.musl.kit import MuslKit

NEEDED_TOOLS = ("make", "tar", "gzip", "bzip2", "gcc")
"""Commands a build calls beside the compiler: BusyBox packs its usage texts with bzip2, and compiles
helpers for the machine itself with gcc (`HOSTCC`) also when it is cross-compiled."""

NEEDED_DISK = 200_000_000
"""Bytes: less free than this and a full build does not fit."""

_MAX_ANSWER = 256 * 1024
_MAX_LINE = 8192
_MAX_LINES_PER_KEY = 64
_MAX_NUMBER = 1 << 62
_MARK = "minios-probe"
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_COMPILER_VERSION = re.compile(r"\b(gcc|clang|icx|tcc)\b.*?\bversion (\d[\w.+-]*)", re.IGNORECASE)
_FIRST_NUMBER = re.compile(r"\d+(?:\.\d+)+\w*")
# How and where a compiler was found, and its offload plug-ins, do not change what it emits.
_NOT_IDENTITY = ("COLLECT_", "OFFLOAD_", "InstalledDir:", "Configuration file:", "Reading specs from ")


class ToolchainError(MiniosError):
    """A machine cannot compile for a CPU: no compiler, a wrong one, a missing tool, no room."""


@dataclass(frozen=True)
class Toolchain:
    """What the probe found. Empty texts and zero numbers mean "not known".

    `cc` is the command looked for, `prefix` what is before `gcc` in it, `cc_version` the whole
    `cc -v` text; `kit` the digests of the packages whose C library the project itself put beside
    the compiler; `disk_free` is in bytes; `engine` is the version of a Docker engine that
    answered; `libc_files` are `NAME CHECKSUM` lines of the C library that gets linked in;
    `tools` are those of `NEEDED_TOOLS` that exist; `emulator` is a path.
    """

    uname: str
    cc: str
    prefix: str = ""
    cc_path: str = ""
    cc_version: str = ""
    target: str = ""
    libc: str = ""
    kit: tuple[str, ...] = ()
    libc_files: tuple[str, ...] = ()
    linux_headers: str = ""
    linker: str = ""
    make: str = ""
    tools: tuple[str, ...] = ()
    ccache: str = ""
    docker: str = ""
    engine: str = ""
    emulator: str = ""
    system: str = ""
    kernel: str = ""
    cores: int = 1
    page_size: int = 0
    disk_free: int = 0

    @property
    def compiler(self) -> str:
        """The compiler's name and version, such as `gcc 12.2.0`."""
        if match := _COMPILER_VERSION.search(self.cc_version):
            return f"{match[1].lower()} {match[2]}"
        return self.cc

    @property
    def identity(self) -> str:
        """A stable text of all that can change the bytes it emits: part of a cell's key."""
        version = [line for line in self.cc_version.splitlines() if not line.startswith(_NOT_IDENTITY)]
        facts = (f"target {self.target}", f"libc {self.libc}", f"linux headers {self.linux_headers}")
        files = (*sorted(self.libc_files), *(f"package {digest}" for digest in self.kit))
        return "\n".join((*version, *facts, f"linker {self.linker}", *files)) + "\n"

    @property
    def summary(self) -> str:
        """One line for people."""
        engine = f"Docker {self.engine}" if self.engine else "no Docker"
        parts = (
            f"{self.compiler} ({self.target or 'unknown target'})",
            self.libc,
            f"make {self.make}" if self.make else "",
            f"{self.cores} core" + "s" * (self.cores != 1),
            f"{self.disk_free / 1e9:.0f} GB free" if self.disk_free else "",
            engine,
        )
        return ", ".join(part for part in parts if part)

    def check_against(self, arch: Arch) -> None:
        """Refuse a machine on which a build for `arch` cannot end well.

        Raises:
            ToolchainError: the compiler emits code for another CPU or another C library than
                `arch` says, a tool is missing, or the disk is nearly full.
        """
        if not fits_target(self.target, arch):
            raise ToolchainError(
                f"{self.cc} compiles for {self.target}, expected a compiler for {arch.name}",
                hint=_install_hint(arch, self.uname),
            )
        libc = self.libc.partition(" ")[0]
        if libc and libc != arch.libc:
            raise ToolchainError(
                f"{self.cc} links {self.libc}, but the configuration of {arch.name} says {arch.libc}",
                hint=f"write `libc: {libc}` in arches/{arch.name}.yaml, or use another compiler",
            )
        if missing := [name for name in NEEDED_TOOLS if name not in self.tools]:
            raise ToolchainError(
                f"missing on this machine: {', '.join(missing)}", hint="install these and retry"
            )
        if 0 < self.disk_free < NEEDED_DISK:
            raise ToolchainError(
                f"only {self.disk_free // 10**6} MB free in the build folder",
                hint=f"a build needs {NEEDED_DISK // 10**6} MB: free some disk space on this machine",
            )


def fits_target(target: str, arch: Arch) -> bool:
    """Whether a compiler's target names an arch's CPU; one that was not told does."""
    cpu = target.partition("-")[0]
    known = {arch.name, arch.gnu_prefix.partition("-")[0], *arch.uname}
    return not cpu or any(cpu.startswith(name) for name in known)


def compiler_prefix(arch: Arch, machine_uname: str) -> str:
    """What goes before `gcc` on a machine whose `uname -m` is `machine_uname`: nothing when native."""
    return "" if machine_uname in arch.uname else arch.cross_prefix


def probe_command(arch: Arch) -> tuple[str, ...]:
    """The command that runs the probe for `arch`, in the folder where the build will be."""
    return ("/bin/sh", "-c", PROBE, _MARK, " ".join(arch.uname), arch.cross_prefix, "", *arch.emulator)


def compiler_probe_command(compiler: str, emulators: Sequence[str] = ()) -> tuple[str, ...]:
    """The command that runs the probe for a compiler of that name, whatever the machine is."""
    return ("/bin/sh", "-c", PROBE, _MARK, "", "", compiler, *emulators)


def parse_probe(text: str, arch: Arch, kit: MuslKit | None = None) -> Toolchain:
    """Read what the probe printed.

    Args:
        text: its standard output; other lines between are ignored.
        arch: the CPU it was asked about.
        kit: whose C library was put beside the compiler that was asked.

    Raises:
        ToolchainError: there is no compiler for `arch`, or this is not the probe's output.
    """
    found = read_answers(text)
    uname = _one(found, "uname")
    if _MARK not in found or not uname:
        raise ToolchainError("the toolchain probe did not answer", hint="see the step's log on the worker")
    if not _one(found, "cc_path"):
        command = f"{compiler_prefix(arch, uname)}gcc"
        native = uname in arch.uname
        what = f"no compiler for {arch.name} on this {uname} machine"
        if native or arch.cross_prefix:
            what += f": {command} was not found"
        raise ToolchainError(what, hint=_install_hint(arch, uname))
    cc = _one(found, "cc")
    return _toolchain(found, cc.removesuffix("gcc") if kit else compiler_prefix(arch, uname), kit)


def read_probe(text: str) -> Toolchain:
    """Read what the probe printed, whether there is a compiler or not (`cc_path` is empty then).

    Raises:
        ToolchainError: this is not the probe's output.
    """
    found = read_answers(text)
    if _MARK not in found or not _one(found, "uname"):
        raise ToolchainError("the toolchain probe did not answer", hint="see the step's log on the worker")
    cc = _one(found, "cc")
    return _toolchain(found, cc.removesuffix("gcc") if cc.endswith("gcc") else "", None)


def _toolchain(found: dict[str, list[str]], prefix: str, kit: MuslKit | None) -> Toolchain:
    make = _FIRST_NUMBER.search(_one(found, "make_version"))
    libc = _libc(_one(found, "libc_macros"))
    return Toolchain(
        uname=_one(found, "uname"),
        cc=_one(found, "cc"),
        prefix=prefix,
        cc_path=_one(found, "cc_path"),
        cc_version="\n".join(found.get("cc_v", ())),
        target=_one(found, "target"),
        # musl tells nobody its version; the package does.
        libc=kit.libc if kit and libc == "musl" else libc,
        kit=kit.packages if kit else (),
        libc_files=tuple(line.removesuffix("-").rstrip() for line in found.get("libc_file", ())),
        linux_headers=_linux(_number(found, "linux_headers")),
        linker=_one(found, "linker"),
        make=make[0] if make else "",
        tools=tuple(name for name in NEEDED_TOOLS if _one(found, name)),
        ccache=_one(found, "ccache"),
        docker=_one(found, "docker"),
        engine=_one(found, "engine"),
        emulator=_one(found, "emulator"),
        system=_one(found, "system"),
        kernel=_one(found, "kernel"),
        cores=max(1, min(4096, _number(found, "cores"))),
        page_size=_number(found, "page_size"),
        disk_free=_number(found, "disk_kb") * 1024,
    )


def read_answers(text: str) -> dict[str, list[str]]:
    """What a script said in lines `KEY TAB VALUE`: the values of each key, in order, cut to size."""
    found: dict[str, list[str]] = {}
    for line in text[:_MAX_ANSWER].split("\n"):
        key, tab, value = line.partition("\t")
        lines = found.setdefault(key, []) if tab else []
        if len(lines) < _MAX_LINES_PER_KEY:
            lines.append(_UNPRINTABLE.sub(" ", value[:_MAX_LINE]).strip())
    return found


def _one(found: dict[str, list[str]], key: str) -> str:
    # The last one: `df` prints its heading first.
    return found[key][-1] if found.get(key) else ""


def _number(found: dict[str, list[str]], key: str) -> int:
    text = _one(found, key)
    return min(int(text), _MAX_NUMBER) if re.fullmatch(r"[0-9]{1,18}", text) else 0


def _libc(macros: str) -> str:
    """The C library from `__GLIBC__ __GLIBC_MINOR__ __UCLIBC__` as its features.h leaves them.

    uClibc defines glibc's names too; musl defines none of them, on purpose.
    """
    words = macros.split()
    match words:
        case [_, _, uclibc] if uclibc.isdigit():
            return "uclibc"
        case [major, minor, _] if major.isdigit() and minor.isdigit():
            return f"glibc {major}.{minor}"
        case [_, _, _]:
            return "musl"
    return ""


def _linux(code: int) -> str:
    """A `LINUX_VERSION_CODE` (linux/version.h) as `6.1.140`."""
    return f"{code >> 16}.{code >> 8 & 255}.{code & 255}" if code else ""


def _install_hint(arch: Arch, uname: str) -> str:
    native = uname in arch.uname
    packages = arch.debian.native if native else arch.debian.cross
    if packages:
        return f"on Debian: apt-get install --no-install-recommends {' '.join(packages)}"
    if native:
        return "install gcc and the C library's headers"
    return arch.attach or f"attach a {arch.name} machine as a worker: no cross compiler for it is known here"
