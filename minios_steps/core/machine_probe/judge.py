"""A machine held against an arch's file: everything that does not fit, as expected and found."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from minios_steps.core.elf import machine_name
from minios_steps.core.toolchain import NEEDED_DISK, NEEDED_TOOLS, compiler_prefix, fits_target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from minios_steps.core.config.arch import Arch
    from minios_steps.core.machine_probe.facts import Machine, Program

HEADING = ("what", "expected", "found")


@dataclass(frozen=True)
class Mismatch:
    """One thing that is not as the arch's file says."""

    what: str
    expected: str
    found: str


def judge(machine: Machine, arch: Arch) -> tuple[Mismatch, ...]:
    """What of a machine does not fit an arch's file; empty when it may build for the arch."""
    # Both programs tell of the same wrong compiler.
    return tuple(dict.fromkeys((*_machine(machine, arch), *_tools(machine), *_programs(machine, arch))))


def table_text(mismatches: Iterable[Mismatch]) -> str:
    """The mismatches as lines in columns, with a heading."""
    rows = [HEADING, *(astuple(one) for one in mismatches)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADING) - 1)]
    lines = ("  ".join((row[0].ljust(widths[0]), row[1].ljust(widths[1]), row[2])) for row in rows)
    return "\n".join(lines) + "\n"


def _machine(machine: Machine, arch: Arch) -> Iterator[Mismatch]:
    native = machine.uname in arch.uname
    if not native and not arch.cross_prefix:
        yield Mismatch("uname -m", " or ".join(arch.uname), machine.uname)
        return
    # Of a machine that cross-compiles, the CPU is another one anyway.
    if native and machine.byte_order not in ("", arch.elf.data):
        yield Mismatch("byte order", arch.elf.data, machine.byte_order)
    if native and machine.page_size > arch.page_size:
        yield Mismatch("page size", f"at most {arch.page_size}", str(machine.page_size))
    compiler = f"{compiler_prefix(arch, machine.uname)}gcc"
    if machine.compiler != compiler:
        yield Mismatch("compiler", compiler, f"{machine.compiler} was probed: probe it again")
    elif not machine.compiler_path:
        yield Mismatch("compiler", compiler, "it is not there")
    elif not fits_target(machine.target, arch):
        yield Mismatch("compiler's target", arch.gnu_prefix.rstrip("-"), machine.target)
    libc = machine.libc.partition(" ")[0]
    if libc and libc != arch.libc and not _brings_libc(arch):
        yield Mismatch("C library", arch.libc, machine.libc)


def _tools(machine: Machine) -> Iterator[Mismatch]:
    if missing := [name for name in NEEDED_TOOLS if name not in machine.tools]:
        yield Mismatch("tools", ", ".join(NEEDED_TOOLS), f"no {', '.join(missing)}")
    if 0 < machine.disk_free < NEEDED_DISK:
        wanted, found = (f"{size // 10**6} MB" for size in (NEEDED_DISK, machine.disk_free))
        yield Mismatch("free disk", f"at least {wanted}", found)


def _programs(machine: Machine, arch: Arch) -> Iterator[Mismatch]:
    if not machine.compiler_path:
        return
    programs = {"static": machine.static, "dynamic": machine.dynamic}
    linked = {name: program for name, program in programs.items() if not program.problem}
    for name in arch.variants:
        # What the machine lacks of its own C library does not matter where another one is brought.
        if name not in linked and not (linked and _brings_libc(arch)):
            yield Mismatch(f"{name} program", "linked", programs[name].problem)
    for program in linked.values():
        yield from _header(program, arch)
    dynamic = linked.get("dynamic")
    if dynamic and "dynamic" in arch.variants and machine.libc.startswith("glibc"):
        yield from _loader(dynamic, arch)


def _header(program: Program, arch: Arch) -> Iterator[Mismatch]:
    spec = arch.elf
    if program.bits != spec.bits:
        yield Mismatch("ELF class", str(spec.bits), str(program.bits))
    if program.data != spec.data:
        yield Mismatch("ELF data", spec.data, program.data)
    if program.machine not in spec.machines:
        expected = " or ".join(machine_name(number) for number in spec.machines)
        yield Mismatch("ELF machine", expected, machine_name(program.machine))


def _loader(program: Program, arch: Arch) -> Iterator[Mismatch]:
    """The file's names are paths or the last part of one; without any, every loader will do."""
    known = {program.interpreter, program.interpreter.rpartition("/")[2]}
    if arch.loader and not known & set(arch.loader):
        yield Mismatch("loader", " or ".join(arch.loader), program.interpreter or "none")


def _brings_libc(arch: Arch) -> bool:
    """Whether the project puts the C library beside the compiler itself."""
    return arch.libc == "musl" and arch.musl is not None
