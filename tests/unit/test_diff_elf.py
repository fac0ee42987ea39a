from __future__ import annotations

import pytest
from sectionelf import make_sections
from tinyelf import make_elf

from minios_steps.core.diff.elf import compare_elf, first_difference, read_sections
from minios_steps.core.errors import ElfError

TEXT = bytes(range(256)) * 40


def told(before: bytes, after: bytes) -> list[str]:
    return [str(difference) for difference in compare_elf(before, after, "bin/busybox")]


def overlapping() -> bytes:
    """Every section is the whole file."""
    data = bytearray(make_sections([(f".{n}", b"") for n in range(4)]))
    start = int.from_bytes(data[0x28:0x30], "little")
    for header in range(start + 64, start + 64 * 5, 64):
        data[header + 24 : header + 40] = bytes(8) + len(data).to_bytes(8, "little")
    return bytes(data)


def test_sections_by_name() -> None:
    data = make_sections([(".text", b"abc"), (".note", b"1"), (".note", b"2"), (".bss", 4096)])
    found = read_sections(data, "it")
    names = [".text", ".note", ".note (2)", ".bss", ".shstrtab", "ELF header", "program headers"]
    assert list(found) == names
    assert (found[".text"].data, found[".note (2)"].data, found[".bss"].size) == (b"abc", b"2", 4096)
    assert found[".bss"].data == b""


def test_one_byte_of_one_section() -> None:
    changed = bytearray(TEXT)
    changed[0x1F40] ^= 0xFF
    before = make_sections([(".text", TEXT), (".data", b"same")])
    after = make_sections([(".text", bytes(changed)), (".data", b"same")])
    assert told(before, after) == [
        "bin/busybox: section .text: 10,240 bytes, at 0x1f40 40 → 10,240 bytes, at 0x1f40 bf"
    ]
    assert told(before, before) == []


def test_sizes_and_sections_that_come_and_go() -> None:
    before = make_sections([(".text", TEXT), (".comment", b"GCC"), (".bss", 8)])
    after = make_sections([(".text", TEXT + b"\1"), (".bss", 16), (".note", b"")])
    assert told(before, after)[:-2] == [
        "bin/busybox: section .text: 10,240 bytes, at 0x2800 the end → 10,241 bytes, at 0x2800 01",
        "bin/busybox: section .comment: 3 bytes → -",
        "bin/busybox: section .bss: 8 bytes → 16 bytes",
        "bin/busybox: section .shstrtab: 31 bytes, at 0x8 63 → 28 bytes, at 0x8 62",
    ]


def test_machine_address_and_what_is_in_no_section() -> None:
    plain = make_sections([(".text", b"abc")])
    assert told(plain, make_sections([(".text", b"abc")], machine=183)) == [
        "bin/busybox: ELF header: 64 bytes, at 0x12 3e → 64 bytes, at 0x12 b7"
    ]
    assert told(plain, make_sections([(".text", b"abc")], tail=b"x")) == [
        f"bin/busybox: outside of all sections: at {len(plain):#x} the end → at {len(plain):#x} 78"
    ]
    [moved, _] = told(plain, make_sections([(".text", b"abc")], address=0x1000))
    assert moved == "bin/busybox: section .text: address 0x0 → address 0x1000"


def test_file_without_sections() -> None:
    [found] = told(make_elf(needed=["libm.so"]), make_elf(needed=["libc.so"]))
    assert "outside of all sections" in found


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"#!/bin/sh\n", id="script"),
        pytest.param(make_sections([(".text", TEXT)])[:-100], id="cut"),
        pytest.param(make_sections([(f".{n}", b"") for n in range(5000)]), id="many"),
        pytest.param(overlapping(), id="overlapping"),
    ],
)
def test_malformed(data: bytes) -> None:
    with pytest.raises(ElfError, match="bin/busybox: its sections cannot be read"):
        read_sections(data, "bin/busybox")


def test_first_difference() -> None:
    assert first_difference(b"", b"") == 0
    assert first_difference(b"abc", b"abd") == 2
    assert first_difference(b"abc", b"abcd") == 3
    assert first_difference(TEXT, TEXT[:5000] + b"!" + TEXT[5001:]) == 5000
