"""What an ELF file says about itself: machine, loader, needed libraries.

Layout: System V gABI, chapters 4 and 5. The structures come from pyelftools; the walk is
ours, because every count, offset and string here was chosen by an untrusted machine and
must cost a bounded amount of time and memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from elftools.common.exceptions import ELFError
from elftools.common.utils import struct_parse
from elftools.construct import ConstructError
from elftools.elf.elffile import ELFFile

from minios_steps.core.errors import ElfError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from minios_steps.core.config.arch import Arch

ET_EXEC = 2
ET_DYN = 3
_TYPES = {
    0: "no type",
    1: "a relocatable object",
    ET_EXEC: "a program",
    ET_DYN: "a shared object",
    4: "a core dump",
}
# Names for people only: what is accepted stands in the arch's file.
_MACHINES = {
    3: "80386",
    8: "MIPS",
    20: "PowerPC",
    21: "PowerPC64",
    22: "IBM S/390",
    40: "ARM",
    50: "IA-64",
    62: "x86-64",
    183: "AArch64",
    243: "RISC-V",
    258: "LoongArch",
    268: "SW64",
    0x9026: "Alpha",
    0x9916: "SW64, number used by its older toolchains",
}
_MAX_SEGMENTS = 512
_MAX_TAGS = 4096
_MAX_STRING = 4096
# What pyelftools is seen to raise on damaged files: its own errors, its parser's, and those
# of seeking to an absurd offset or decoding an absurd string.
PARSE_ERRORS = (ELFError, ConstructError, ValueError, OverflowError, LookupError, TypeError, AttributeError)


@dataclass(frozen=True)
class ElfInfo:
    """The header of an ELF file and what its dynamic section asks for.

    `bits` 32 or 64; `machine` the number in `e_machine`; `type` the number in `e_type`;
    `flags` those of `e_flags`; `interpreter` the loader's path, empty when there is none;
    `needed` the `DT_NEEDED` names in order; `soname` empty when there is none; `alignment` the
    largest of its loaded segments, which is the largest page its linker knows of.
    """

    bits: int
    data: Literal["little", "big"]
    machine: int
    type: int
    flags: int
    interpreter: str
    needed: tuple[str, ...]
    soname: str
    alignment: int = 0


def read_elf(source: bytes | Path, name: str = "") -> ElfInfo:
    """Read an ELF file.

    Args:
        source: its bytes, or where it is.
        name: how to call it in a message; the path, when not given.

    Raises:
        ElfError: the file is no ELF file, is cut short, is malformed, or cannot be read.
    """
    label = name or ("the file" if isinstance(source, bytes) else str(source))
    try:
        if isinstance(source, bytes):
            return _read(BytesIO(source))
        with source.open("rb") as stream:
            return _read(stream)
    except OSError as error:
        raise ElfError(f"{label}: cannot be read: {error.strerror}") from error
    except PARSE_ERRORS as error:
        raise ElfError(f"{label}: not an ELF file, or a damaged one", details=str(error)) from error


def check_machine(info: ElfInfo, arch: Arch, name: str) -> None:
    """Make sure a file is a program or library for a CPU.

    Args:
        info: what the file says.
        arch: the CPU it must be for.
        name: how to call the file in the message.

    Raises:
        ElfError: class, byte order, machine or file type differ; both sides are named.
    """
    spec = arch.elf
    if (info.bits, info.data) != (spec.bits, spec.data) or info.machine not in spec.machines:
        wanted = " or ".join(machine_name(number) for number in spec.machines)
        raise ElfError(
            f"{name}: expected {spec.bits}-bit {spec.data}-endian machine {wanted},"
            f" found {info.bits}-bit {info.data}-endian machine {machine_name(info.machine)}",
            hint=f"is the compiler one for {arch.name}?",
        )
    if info.type not in (ET_EXEC, ET_DYN):
        found = _TYPES.get(info.type, f"type {info.type}")
        raise ElfError(f"{name}: expected a program or a shared object, found {found}")


def machine_name(number: int) -> str:
    """A machine number with its name, where it has one."""
    return f"{number} ({_MACHINES.get(number, hex(number))})"


def _read(stream: BinaryIO) -> ElfInfo:
    elf = ELFFile(stream)
    order: Literal["little", "big"] = "little" if elf.little_endian else "big"
    # e_type and e_machine are read here: pyelftools gives a name or, for one it does not
    # know such as 0x9916, a number.
    stream.seek(16)
    kind, machine = (int.from_bytes(stream.read(2), order) for _ in range(2))
    segments = list(_segments(elf, stream))
    loader = _only(segments, "PT_INTERP")
    interpreter = _string(stream, loader["p_offset"]) if loader else ""
    dynamic = _only(segments, "PT_DYNAMIC")
    tags = list(_tags(elf, stream, dynamic)) if dynamic else []
    names: dict[str, list[str]] = {"DT_NEEDED": [], "DT_SONAME": []}
    for tag, value in tags:
        if tag in names:
            table = next((address for other, address in tags if other == "DT_STRTAB"), 0)
            names[str(tag)].append(_string(stream, _offset(segments, table) + value))
    soname = "".join(names["DT_SONAME"][:1])
    return ElfInfo(
        elf.elfclass,
        order,
        machine,
        kind,
        elf["e_flags"],
        interpreter,
        tuple(names["DT_NEEDED"]),
        soname,
        max((segment["p_align"] for segment in segments if segment["p_type"] == "PT_LOAD"), default=0),
    )


def _only(segments: list[Any], kind: str) -> Any:
    """The segment of a kind of which there may be one; `None` when there is none."""
    found = [segment for segment in segments if segment["p_type"] == kind]
    if len(found) > 1:
        raise ELFError(f"{len(found)} {kind} segments")
    return found[0] if found else None


def _segments(elf: ELFFile, stream: BinaryIO) -> Iterator[Any]:
    count, size = elf["e_phnum"], elf["e_phentsize"]
    if count > _MAX_SEGMENTS:
        raise ELFError(f"{count} program headers")
    if count and size != elf.structs.Elf_Phdr.sizeof():
        raise ELFError(f"program headers of {size} bytes")
    for index in range(count):
        yield struct_parse(elf.structs.Elf_Phdr, stream, elf["e_phoff"] + index * size)


def _tags(elf: ELFFile, stream: BinaryIO, segment: Any) -> Iterator[tuple[str | int, int]]:
    size = elf.structs.Elf_Dyn.sizeof()
    count = segment["p_filesz"] // size
    if count > _MAX_TAGS:
        raise ELFError(f"{count} dynamic tags")
    for index in range(count):
        entry = struct_parse(elf.structs.Elf_Dyn, stream, segment["p_offset"] + index * size)
        if entry["d_tag"] == "DT_NULL":
            return
        yield entry["d_tag"], entry["d_val"]


def _offset(segments: list[Any], address: int) -> int:
    """Where in the file the byte at a virtual address is."""
    for segment in segments:
        start: int = segment["p_vaddr"]
        if segment["p_type"] == "PT_LOAD" and start <= address < start + segment["p_filesz"]:
            return address - start + int(segment["p_offset"])
    raise ELFError(f"address {address:#x} is in no segment")


def _string(stream: BinaryIO, offset: int) -> str:
    stream.seek(offset)
    text, end, _ = stream.read(_MAX_STRING).partition(b"\0")
    if not end:
        raise ELFError(f"no end of the string at {offset:#x}")
    return text.decode("utf-8")
