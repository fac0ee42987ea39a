"""A machine held against an arch's file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from probebed import DYNAMIC, STATIC, foreign, machine
from tinyelf import make_arch

from minios_steps.core.machine_probe.judge import Mismatch, judge, table_text

if TYPE_CHECKING:
    from minios_steps.core.config.arch import Arch

LOADER = "/lib64/ld-linux-x86-64.so.2"
KIT = {"libc": "musl", "musl": {"debian": "amd64"}}
"""An arch for which the project brings the C library."""


def arch(**changes: Any) -> Arch:
    return make_arch(**{"loader": [LOADER], **changes})


def cross(**changes: Any) -> Arch:
    told = {"architecture": "s390x", "cross_prefix": "s390x-linux-gnu-", **changes}
    return make_arch("s390x", (22,), data="big", **told)


def cross_machine(**changes: Any) -> Any:
    elf = {"machine": 22, "data": "big"}
    told: dict[str, Any] = {
        "compiler": "s390x-linux-gnu-gcc",
        "target": "s390x-linux-gnu",
        "static": {**STATIC, **elf},
        "dynamic": {**DYNAMIC, **elf, "interpreter": "/lib/ld64.so.1"},
    }
    return machine(**{**told, **changes})


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (machine(), arch()),
        (machine(), arch(loader=["ld-linux-x86-64.so.2"])),
        (machine(), arch(loader=[])),
        (machine(page_size=4096, byte_order=""), arch()),
        # Another C library is brought, so what the machine has of its own may be incomplete.
        (machine(static={"problem": "cannot find -lc"}), arch(**KIT)),
        (machine(libc="musl", dynamic={**DYNAMIC, "interpreter": "/lib/ld-musl-x86_64.so.1"}), arch(**KIT)),
        (machine(dynamic={"problem": "no"}), arch(variants=["static"])),
        # The pages and the byte order of a machine that cross-compiles are not the target's.
        (cross_machine(page_size=65536), cross()),
        (foreign(0x9916, uname="sw_64"), make_arch("sw_64", (0x9916, 268), architecture="sw64")),
    ],
)
def test_fits(found: Any, expected: Arch) -> None:
    assert judge(found, expected) == ()


@pytest.mark.parametrize(
    ("found", "expected", "mismatch"),
    [
        (machine(), cross(cross_prefix=""), ("uname -m", "s390x", "x86_64")),
        (machine(byte_order="big"), arch(), ("byte order", "little", "big")),
        (machine(page_size=65536), arch(), ("page size", "at most 4096", "65536")),
        (machine(), cross(), ("compiler", "s390x-linux-gnu-gcc", "gcc was probed: probe it again")),
        (machine(compiler_path=""), arch(), ("compiler", "gcc", "it is not there")),
        (
            machine(target="i686-linux-gnu"),
            arch(),
            ("compiler's target", "x86_64-linux-gnu", "i686-linux-gnu"),
        ),
        (machine(libc="musl"), arch(), ("C library", "glibc", "musl")),
        (machine(libc="uclibc"), arch(libc="musl"), ("C library", "musl", "uclibc")),
        (
            machine(tools=("make", "tar", "gcc")),
            arch(),
            ("tools", "make, tar, gzip, bzip2, gcc", "no gzip, bzip2"),
        ),
        (machine(disk_free=5_000_000), arch(), ("free disk", "at least 200 MB", "5 MB")),
        (machine(static={"problem": "no libc.a"}), arch(), ("static program", "linked", "no libc.a")),
        (
            machine(static={"problem": "a"}, dynamic={"problem": "b"}),
            arch(**KIT, variants=["static"]),
            ("static program", "linked", "a"),
        ),
        (
            machine(static={**STATIC, "bits": 32}, dynamic={**DYNAMIC, "bits": 32}),
            arch(),
            ("ELF class", "64", "32"),
        ),
        (machine(static={**STATIC, "data": "big"}), arch(), ("ELF data", "little", "big")),
        (
            machine(dynamic={**DYNAMIC, "machine": 183}),
            arch(),
            ("ELF machine", "62 (x86-64)", "183 (AArch64)"),
        ),
        (
            machine(dynamic={**DYNAMIC, "interpreter": "/lib/ld.so"}),
            arch(),
            ("loader", LOADER, "/lib/ld.so"),
        ),
        (machine(dynamic={**DYNAMIC, "interpreter": ""}), arch(), ("loader", LOADER, "none")),
    ],
)
def test_does_not_fit(found: Any, expected: Arch, mismatch: tuple[str, str, str]) -> None:
    assert judge(found, expected)[0] == Mismatch(*mismatch)


def test_every_mismatch_is_told_once() -> None:
    found = judge(foreign(183, uname="x86_64", data="big", page_size=65536), arch())
    assert [one.what for one in found] == ["byte order", "page size", "ELF data", "ELF machine", "loader"]


def test_table() -> None:
    told = table_text([Mismatch("page size", "at most 4096", "65536"), Mismatch("libc", "glibc", "musl")])
    assert told.splitlines() == [
        "what       expected      found",
        "page size  at most 4096  65536",
        "libc       glibc         musl",
    ]
