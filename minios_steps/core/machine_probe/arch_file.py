"""An arch's file written from a probe: what was measured, and what a person must decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from minios_steps.core.elf import machine_name
from minios_steps.core.errors import MiniosError
from minios_steps.core.machine_probe.goarch import go_name, numbers_of
from minios_steps.core.machine_probe.script import emulators_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from minios_steps.core.machine_probe.facts import Machine, ProbeRecord, Program

_SMALLEST_PAGE, _LARGEST_PAGE = 4096, 1 << 20
_NATIVE = ("gcc", "cc")


def arch_text(name: str, record: ProbeRecord) -> str:
    """The text of `arches/NAME.yaml` for the machine of a probe.

    Args:
        name: of the arch.
        record: the probe.

    Raises:
        MiniosError: the machine cannot build anything: no compiler, nothing that it links, or a C
            library that minios does not know.
    """
    return _Draft.of(name, record).text()


@dataclass(frozen=True)
class _Draft:
    """What goes into the file. `prefix` is empty when the machine compiles for itself."""

    name: str
    record: ProbeRecord
    machine: Machine
    linked: tuple[str, ...]
    program: Program
    prefix: str

    @classmethod
    def of(cls, name: str, record: ProbeRecord) -> _Draft:
        machine = record.machine
        if not machine.compiler_path:
            raise MiniosError(
                f"{record.worker} has no compiler: {machine.compiler} is not there",
                hint=f"install one there, then: minios worker probe {record.worker}",
            )
        linked = tuple(
            kind
            for kind, found in (("static", machine.static), ("dynamic", machine.dynamic))
            if not found.problem
        )
        if not linked:
            raise MiniosError(
                f"the compiler of {record.worker} links no program: {machine.dynamic.problem}",
                hint=f"install a C library there, then: minios worker probe {record.worker}",
            )
        if machine.libc.partition(" ")[0] not in ("glibc", "musl"):
            raise MiniosError(
                f"{record.worker} links {machine.libc or 'an unknown C library'}: glibc or musl is needed"
            )
        program = machine.dynamic if "dynamic" in linked else machine.static
        prefix = "" if machine.compiler in _NATIVE else machine.compiler.removesuffix("gcc")
        return cls(name, record, machine, linked, program, prefix)

    def text(self) -> str:
        parts = (
            self._head(),
            self._platform(),
            self._elf(),
            self._names(),
            self._pages(),
            self._links(),
            self._run(),
        )
        return "\n".join("".join(f"{line}\n" for line in part) for part in parts)

    def _head(self) -> Iterator[str]:
        machine = self.machine
        yield f"# Measured on the worker {self.record.worker}, {self.record.probed}:"
        yield f"#   {_comment(machine.uname_a)}"
        compiler = f"{machine.compiler_version} ({machine.target}), {machine.libc}, {machine.linker}"
        yield f"#   {_comment(compiler)}"
        yield "# What a machine cannot tell is marked `decide`. Go through it, then commit this file."
        yield f"name: {_scalar(self.name)}"
        yield "# decide: the CPU's name as people know it."
        yield f"description: {_scalar(self.name)}"

    def _platform(self) -> Iterator[str]:
        known = go_name(self.program, self.machine.uname)
        architecture, variant = known or (self.name, "")
        yield "platform:"
        if known is None:
            yield "  # decide: a guess. It is Go's name of the CPU, which `uname` and GNU may call otherwise."
        else:
            yield f"  # Go's name of the CPU with ELF machine {machine_name(self.program.machine)}."
        yield f"  architecture: {_scalar(architecture)}"
        if variant:
            yield f"  variant: {variant}"

    def _elf(self) -> Iterator[str]:
        numbers = numbers_of(self.program.machine)
        yield "elf:"
        yield "  # Read from the bytes of a program that its compiler linked."
        yield f"  class: {self.program.bits}"
        yield f"  data: {self.program.data}"
        told = " or ".join(machine_name(number) for number in numbers)
        yield f"  # {told}"
        yield f"  machines: [{', '.join(map(str, numbers))}]"

    def _names(self) -> Iterator[str]:
        cpu = self.machine.target.partition("-")[0]
        if self.prefix:
            yield "# decide: a guess from the compiler's target. That machine cross-compiles; its own is"
            yield f"# {_comment(self.machine.uname)}."
            yield f"uname: [{_scalar(cpu)}]"
        else:
            yield f"uname: [{_scalar(self.machine.uname)}]"
        yield f"gnu_prefix: {_scalar(f'{self.machine.target}-')}"
        if self.prefix:
            yield f"cross_prefix: {_scalar(self.prefix)}"
        else:
            yield "# decide: cross_prefix, where there is a cross compiler for it."

    def _pages(self) -> Iterator[str]:
        measured = 0 if self.prefix else self.machine.page_size
        page = max(_SMALLEST_PAGE, measured, self.program.alignment)
        told = f"{measured} were measured" if measured else "none were measured"
        yield f"# decide: bytes of the largest pages that any kernel of this CPU uses: {told};"
        yield f"# its linker aligns programs for {self.program.alignment} by itself."
        yield f"page_size: {min(_LARGEST_PAGE, 1 << (page - 1).bit_length())}"

    def _links(self) -> Iterator[str]:
        machine = self.machine
        loader = machine.dynamic.interpreter
        if loader:
            yield f"loader: [{_scalar(loader)}]"
        yield f"libc: {machine.libc.partition(' ')[0]}"
        for kind, found in (("static", machine.static), ("dynamic", machine.dynamic)):
            if found.problem:
                yield f"# {kind} is not there: {_comment(found.problem)}"
            elif found.exit not in ("", "0"):
                how = f"under {_comment(machine.emulator)} " if self.prefix else ""
                yield f"# decide: {kind} was linked, but did not run {how}there (exit {found.exit})."
        good = [kind for kind in self.linked if getattr(machine, kind).exit in ("", "0")]
        yield f"variants: [{', '.join(good or self.linked)}]"

    def _run(self) -> Iterator[str]:
        if not self.prefix:
            yield "# decide: user-mode emulators that other machines may run its programs with."
            yield "emulator: []"
            return
        found = _comment(self.machine.emulator) or "none"
        yield f"# decide: what runs its programs where the CPU is another one; there it was: {found}."
        yield f"emulator: [{', '.join(emulators_of(self.prefix))}]"


def _scalar(value: Any) -> str:
    """A text as YAML, in quotes where it needs them."""
    told: str = yaml.safe_dump(value, width=1 << 16, allow_unicode=True)
    return told.removesuffix("...\n").strip()


def _comment(text: str) -> str:
    """A worker's words for a comment: none of them may end the line, as YAML counts lines."""
    return "".join(c if c.isprintable() else "?" for c in text)
