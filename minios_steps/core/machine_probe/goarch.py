"""What Go, and so OCI, calls a CPU (image-spec, config.md, "architecture": values of GOARCH).

Source: go.dev/src/internal/syslist/syslist.go for the names, elf.h for the numbers. `sw64` is the
name in Sunway's port of Go, `alpha` that of gccgo.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from minios_steps.core.machine_probe.facts import Program

_ANY = ""
_NAMES: Mapping[tuple[int, int, str], tuple[str, str]] = MappingProxyType(
    {
        (3, 32, _ANY): ("386", ""),
        (8, 32, "big"): ("mips", ""),
        (8, 32, "little"): ("mipsle", ""),
        (8, 64, "big"): ("mips64", ""),
        (8, 64, "little"): ("mips64le", ""),
        (20, 32, "big"): ("ppc", ""),
        (21, 64, "big"): ("ppc64", ""),
        (21, 64, "little"): ("ppc64le", ""),
        (22, 64, "big"): ("s390x", ""),
        (43, 64, "big"): ("sparc64", ""),
        (62, 64, "little"): ("amd64", ""),
        (183, 64, "little"): ("arm64", "v8"),
        (243, 64, "little"): ("riscv64", ""),
        (258, 64, "little"): ("loong64", ""),
        (268, 64, "little"): ("sw64", ""),
        (0x9026, 64, "little"): ("alpha", ""),
        (0x9916, 64, "little"): ("sw64", ""),
    }
)
_ARM = 40
_ARM_VARIANTS = MappingProxyType({"armv5": "v5", "armv6": "v6", "armv7": "v7"})
_SAME = MappingProxyType({268: (0x9916, 268), 0x9916: (0x9916, 268)})


def go_name(program: Program, uname: str) -> tuple[str, str] | None:
    """The OCI architecture and variant of a program's CPU; None for one that is not known here.

    Args:
        program: what was read of its ELF header.
        uname: of the machine, which tells 32-bit Arm's versions apart.
    """
    if program.machine == _ARM and program.data == "little":
        return "arm", _ARM_VARIANTS.get(uname[:5], "")
    found = _NAMES.get((program.machine, program.bits, program.data))
    return found or _NAMES.get((program.machine, program.bits, _ANY))


def numbers_of(machine: int) -> tuple[int, ...]:
    """Every `e_machine` that compilers for the CPU of one are known to write."""
    return _SAME.get(machine, (machine,))
