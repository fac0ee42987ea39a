"""Sections that older linkers cannot read, dropped from made-up objects and archives."""

from __future__ import annotations

import struct
from io import BytesIO

import pytest
from elftools.elf.elffile import ELFFile

from minios_steps.core.errors import SourceError
from minios_steps.core.musl.plain import plain_objects


def make_object(*sections: str) -> bytes:
    """A relocatable RISC-V object of a header and of empty sections with some names."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in (*sections, ".shstrtab"))
    start = 64 + len(names) + -len(names) % 8
    table = bytes(64)
    for name in sections:
        table += struct.pack(
            "<2L6Q", *(names.index(b"\0" + name.encode() + b"\0") + 1, 1), *(0, 0, 64, 0, 0, 0)
        )[:40]
        table += bytes(24)
    at = names.index(b"\0.shstrtab\0") + 1
    table += struct.pack("<2L4Q2L2Q", at, 3, 0, 0, 64, len(names), 0, 0, 1, 0)
    count = len(sections) + 2
    header = b"\x7fELF\2\1\1" + bytes(9)
    header += struct.pack("<2HL3QL6H", 1, 243, 1, 0, 0, start, 0, 64, 0, 0, 64, count, count - 1)
    return header + names.ljust(start - 64, b"\0") + table


def make_archive(*members: bytes) -> bytes:
    packed = b"!<arch>\n"
    for number, data in enumerate(members):
        packed += f"{number}.o/".ljust(48).encode() + str(len(data)).ljust(10).encode() + b"`\n" + data
        packed += b"\n" * (len(data) % 2)
    return packed


def kinds(data: bytes) -> dict[str, str]:
    elf = ELFFile(BytesIO(data))
    names = elf.get_section(elf.header.e_shstrndx)
    found = (elf._get_section_header(number) for number in range(1, elf.num_sections() - 1))
    return {names.get_string(header.sh_name): str(header.sh_type) for header in found}


OBJECT = make_object(".text", ".debug_line", ".riscv.attributes", ".rela.debug_line", ".note.debug_x")
DROPPED = {
    ".text": "SHT_PROGBITS",
    ".debug_line": "SHT_NULL",
    ".riscv.attributes": "SHT_NULL",
    ".rela.debug_line": "SHT_NULL",
    ".note.debug_x": "SHT_PROGBITS",
}


def test_sections_of_an_object() -> None:
    plain = plain_objects(OBJECT, "crt1.o")
    assert kinds(plain) == DROPPED
    assert len(plain) == len(OBJECT)


def test_every_object_of_an_archive() -> None:
    without = make_object(".text")
    packed = plain_objects(make_archive(b"//", OBJECT, b"odd", without, OBJECT), "libc.a")
    plain = plain_objects(OBJECT, "x")
    assert packed == make_archive(b"//", plain, b"odd", without, plain)


@pytest.mark.parametrize("data", [b"", b"!<arch>\n", b"/* a linker script */", make_object(".text")])
def test_what_stays_as_it_is(data: bytes) -> None:
    assert plain_objects(data, "x") == data


@pytest.mark.parametrize(
    "data", [b"\x7fELF.debug_", OBJECT[:200], b"!<arch>\n" + b"x" * 60, make_archive(OBJECT)[:300]]
)
def test_damaged(data: bytes) -> None:
    with pytest.raises(SourceError, match=r"crt1\.o cannot be read"):
        plain_objects(data, "crt1.o")
