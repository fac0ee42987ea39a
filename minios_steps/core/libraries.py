"""Which libraries a dynamic program needs, all the way down.

A pure state machine: it says what to ask a compiler for and judges what comes back, so
that the asking can happen on any machine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from minios_steps.core.elf import ET_DYN, ElfInfo, check_machine, read_elf
from minios_steps.core.errors import RootfsError

if TYPE_CHECKING:
    from minios_steps.core.config.arch import Arch

MAX_LIBRARIES = 64
"""Libraries a program may need; BusyBox with glibc needs 4."""
MAX_BYTES = 64 << 20
"""Bytes they may have together; those of glibc have 4 million."""

# musl's loader is its C library, and takes this name for itself without opening a file (ldso/dynlink.c,
# load_library); not every build of it has the name as its soname.
_MUSL_LOADER = "ld-musl-"
_MUSL_LIBC = "libc.so"
# A name goes into a worker's command line and into the image, and comes from an untrusted ELF file.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+~-]{0,127}")
# Where a loader may be, so that an ELF file cannot put a file anywhere else.
_LOADER = re.compile(r"/(?:usr/)?lib[a-z0-9_]{0,16}(?:/[A-Za-z0-9_][A-Za-z0-9_.+~-]{0,127}){1,3}")


@dataclass(frozen=True)
class StagedLibrary:
    """A shared library, or the loader, as the image holds it: a plain file name and the bytes."""

    name: str
    data: bytes


class LibraryClosure:
    """The loader and every `DT_NEEDED` library of a program, and of those libraries in turn.

    Ask for each of `wanted()`, give `add()` the bytes or tell `missing()`, until nothing
    is wanted any more.

    Args:
        arch: the CPU every library must be for.
        program: what the program's ELF header says.
        name: how to call the program in messages.

    Raises:
        RootfsError: the program names no loader, or one outside the library folders; a
            needed name is no plain file name.
    """

    def __init__(self, arch: Arch, program: ElfInfo, name: str = "bin/busybox") -> None:
        self._arch = arch
        self._needed_by: dict[str, str] = {}
        self._found: dict[str, StagedLibrary] = {}
        self._bytes = 0
        self.loader = program.interpreter
        if program.interpreter or program.needed:
            check_loader(program.interpreter, name)
            self._need(self.loader_name, name)
        # The loader is loaded already when a library asks for it by its soname.
        self._loader_soname = ""
        for needed in program.needed:
            self._need(needed, name)

    @property
    def loader_name(self) -> str:
        """The loader's file name; empty for a static program."""
        return self.loader.rpartition("/")[2]

    def wanted(self) -> tuple[str, ...]:
        """The names still to be found, the loader first, each once."""
        found = {*self._found, self._loader_soname}
        if self.loader_name.startswith(_MUSL_LOADER):
            found.add(_MUSL_LIBC)
        return tuple(name for name in self._needed_by if name not in found)

    def add(self, name: str, data: bytes) -> None:
        """Take a library's bytes, and want what it needs.

        Raises:
            ElfError: it is no ELF file, or one for another machine.
            RootfsError: it was not asked for, is no shared object, needs what is no plain
                file name, or is over a limit.
        """
        if name not in self.wanted():
            raise RootfsError(f"{name[:200]!r} was not asked for")
        self._bytes += len(data)
        if self._bytes > MAX_BYTES:
            raise RootfsError(f"the libraries have more than the {MAX_BYTES:,} bytes allowed, at {name}")
        info = read_elf(data, name)
        check_machine(info, self._arch, name)
        if info.type != ET_DYN:
            raise RootfsError(f"{name} is no shared library: needed by {self._needed_by[name]}")
        if name == self.loader_name:
            self._loader_soname = info.soname
        self._found[name] = StagedLibrary(name, data)
        for needed in info.needed:
            self._need(needed, name)

    def missing(self, name: str) -> NoReturn:
        """Tell that a library is nowhere to be found; raises `RootfsError` naming who needs it."""
        raise RootfsError(
            f"{name} is missing: needed by {self._needed_by.get(name, 'nothing')}",
            hint="install the library for the arch's compiler, or leave out what needs it",
        )

    def libraries(self) -> tuple[StagedLibrary, ...]:
        """All of them with the loader, by name.

        Raises:
            RootfsError: some are still wanted.
        """
        for name in self.wanted():
            self.missing(name)
        return tuple(self._found[name] for name in sorted(self._found))

    def _need(self, name: str, who: str) -> None:
        if not _NAME.fullmatch(name):
            raise RootfsError(f"{who} needs {name[:200]!r}, which is no plain file name")
        self._needed_by.setdefault(name, who)
        if len(self._needed_by) > MAX_LIBRARIES:
            raise RootfsError(f"more than the {MAX_LIBRARIES} libraries allowed, at {name}: needed by {who}")


def check_library_name(name: str) -> None:
    """Make sure a library's name is a plain file name; raises `RootfsError` when it is not."""
    if not _NAME.fullmatch(name):
        raise RootfsError(f"not a library's file name: {name[:200]!r}")


def check_loader(path: str, who: str) -> None:
    """Make sure a loader's path is in a library folder.

    Raises:
        RootfsError: it is not, or there is none.
    """
    if not path:
        raise RootfsError(f"{who} needs libraries but names no loader")
    if not _LOADER.fullmatch(path):
        raise RootfsError(
            f"{who} names the loader {path[:200]!r}, which is in no library folder",
            hint="a loader is below /lib*, or /usr/lib*",
        )
