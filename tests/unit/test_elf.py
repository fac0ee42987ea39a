from __future__ import annotations

import contextlib
import random
import struct
import sys
from pathlib import Path

import pytest
from tinyelf import make_arch, make_elf

from minios_steps.core.elf import check_machine, read_elf
from minios_steps.core.errors import ElfError

SW64 = make_arch("sw64", (0x9916, 268), architecture="sw64")
S390X = make_arch("s390x", (22,), architecture="s390x", data="big")


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("data", ["little", "big"])
@pytest.mark.parametrize("machine", [22, 62, 183, 268, 0x9026, 0x9916])
def test_reads_every_class_order_and_machine(bits: int, data: str, machine: int) -> None:
    info = read_elf(
        make_elf(
            machine,
            bits=bits,
            data=data,
            flags=5,
            interpreter="/lib/ld.so.1",
            needed=["libm.so.6.1", "libc.so.6.1"],
            soname="libx.so.1",
        )
    )
    assert (info.bits, info.data, info.machine, info.type, info.flags) == (bits, data, machine, 3, 5)
    assert info.interpreter == "/lib/ld.so.1"
    assert info.needed == ("libm.so.6.1", "libc.so.6.1")
    assert info.soname == "libx.so.1"


def test_static_program_asks_for_nothing() -> None:
    info = read_elf(make_elf(kind=2))
    assert (info.type, info.interpreter, info.needed, info.soname) == (2, "", (), "")


def test_reads_a_real_program() -> None:
    info = read_elf(Path(sys.executable).resolve())
    assert info.bits == struct.calcsize("P") * 8
    assert info.data == sys.byteorder


@pytest.mark.parametrize("machine", [0x9916, 268])
def test_both_numbers_of_sw64_are_good(machine: int) -> None:
    check_machine(read_elf(make_elf(machine)), SW64, "bin/busybox")


def test_big_endian_is_good_where_it_is_asked_for() -> None:
    check_machine(read_elf(make_elf(22, data="big")), S390X, "bin/busybox")


def test_wrong_machine_names_both_sides() -> None:
    aarch64 = make_arch("aarch64", (183,), architecture="arm64")
    with pytest.raises(ElfError) as caught:
        check_machine(read_elf(make_elf(62)), aarch64, "bin/busybox")
    assert caught.value.what == (
        "bin/busybox: expected 64-bit little-endian machine 183 (AArch64),"
        " found 64-bit little-endian machine 62 (x86-64)"
    )
    assert "aarch64" in caught.value.hint


def test_unknown_machine_is_named_by_its_number() -> None:
    with pytest.raises(ElfError, match=r"machine 39190 \(SW64.*\) or 268 \(SW64\), found .* 4660 \(0x1234\)"):
        check_machine(read_elf(make_elf(0x1234)), SW64, "x")


@pytest.mark.parametrize(("bits", "data"), [(32, "big"), (64, "little")])
def test_wrong_class_or_order_is_refused(bits: int, data: str) -> None:
    with pytest.raises(ElfError, match=f"expected 64-bit big-endian .* found {bits}-bit {data}-endian"):
        check_machine(read_elf(make_elf(22, bits=bits, data=data)), S390X, "x")


def test_object_file_is_refused() -> None:
    with pytest.raises(
        ElfError, match="x: expected a program or a shared object, found a relocatable object"
    ):
        check_machine(read_elf(make_elf(kind=1)), make_arch(), "x")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x7fELF",
        b"#!/bin/sh\n",
        b"/* GNU ld script */ GROUP ( libc.so.6 )",
        bytes(64),
        b"\x7fELF\x09\x01" + bytes(64),
    ],
)
def test_what_is_no_elf_is_refused(data: bytes) -> None:
    with pytest.raises(ElfError, match=r"^libc\.so: not an ELF file, or a damaged one$"):
        read_elf(data, "libc.so")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ElfError, match=r"nothing: cannot be read: No such file"):
        read_elf(tmp_path / "nothing")


@pytest.mark.parametrize("bits", [32, 64])
def test_every_truncation_is_refused_or_read(bits: int) -> None:
    whole = make_elf(bits=bits, interpreter="/lib64/ld.so", needed=["libc.so.6"])
    for end in range(len(whole)):
        with pytest.raises(ElfError):
            read_elf(whole[:end])


def test_damage_never_escapes_as_another_error() -> None:
    dice = random.Random(9)  # noqa: S311
    wholes = [
        make_elf(bits=b, data=d, interpreter="/l/d", needed=["a", "b"])
        for b in (32, 64)
        for d in ("little", "big")
    ]
    for _ in range(1000):
        damaged = bytearray(dice.choice(wholes))
        for _ in range(dice.randint(1, 6)):
            damaged[dice.randrange(4, len(damaged))] = dice.choice(
                (0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256))
            )
        with contextlib.suppress(ElfError):
            read_elf(bytes(damaged))


def test_names_that_never_end_are_refused() -> None:
    with pytest.raises(ElfError):
        read_elf(make_elf(interpreter="/lib/" + "x" * 5000))


def test_two_loaders_are_refused() -> None:
    whole = bytearray(make_elf(interpreter="/lib/ld.so", needed=["libc.so.6"]))
    struct.pack_into("<L", whole, 64 + 2 * 56, 3)  # the dynamic segment becomes a second loader
    with pytest.raises(ElfError) as caught:
        read_elf(bytes(whole))
    assert "2 PT_INTERP" in caught.value.details
