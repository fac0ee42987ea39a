"""Arches for unit tests, and answers of the toolchain probe."""

from __future__ import annotations

from typing import Any

from minios_steps.core.config.arch import Arch

AARCH64: dict[str, Any] = {
    "name": "aarch64",
    "platform": {"architecture": "arm64", "variant": "v8"},
    "elf": {"class": 64, "data": "little", "machines": [183]},
    "uname": ["aarch64"],
    "gnu_prefix": "aarch64-linux-gnu-",
    "cross_prefix": "aarch64-linux-gnu-",
    "emulator": ["qemu-aarch64-static", "qemu-aarch64"],
    "debian": {
        "native": ["gcc", "libc6-dev"],
        "cross": ["gcc", "gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
        "emulator": ["qemu-user-static"],
    },
}

ANSWER = """\
minios-probe\t1
uname\tx86_64
system\tLinux
kernel\t6.1.0
cores\t2
page_size\t4096
disk_kb\tAvailable
disk_kb\t80000000
make\t/usr/bin/make
tar\t/usr/bin/tar
gzip\t/usr/bin/gzip
bzip2\t/usr/bin/bzip2
gcc\t/usr/bin/gcc
ccache\t
docker\t
make_version\tGNU Make 4.3
emulator\t/usr/bin/qemu-aarch64-static
cc\taarch64-linux-gnu-gcc
cc_path\t/usr/bin/aarch64-linux-gnu-gcc
cc_v\tUsing built-in specs.
cc_v\tCOLLECT_GCC=aarch64-linux-gnu-gcc
cc_v\tTarget: aarch64-linux-gnu
cc_v\tgcc version 12.2.0 (Debian 12.2.0-14)
target\taarch64-linux-gnu
libc_macros\t2 36 __UCLIBC__
linux_headers\t393476
linker\tGNU ld (GNU Binutils for Debian) 2.40
libc_file\tlibc.a 8e5252c4  -
libc_file\tcrt1.o 4b46dce5  -
"""
"""What the probe prints about `AARCH64` on an x86_64 machine with Debian's cross compiler."""


def make_arch(**changes: Any) -> Arch:
    """The model of `AARCH64` with some keys replaced."""
    return Arch.model_validate({**AARCH64, **changes})


def answer(**changes: str | None) -> str:
    """`ANSWER` with the last line of some keys replaced, or all of them gone (None)."""
    lines = ANSWER.splitlines()
    for key, value in changes.items():
        found = [number for number, line in enumerate(lines) if line.partition("\t")[0] == key]
        if value is None:
            lines = [line for line in lines if line.partition("\t")[0] != key]
        elif found:
            lines[found[-1]] = f"{key}\t{value}"
        else:
            lines.append(f"{key}\t{value}")
    return "\n".join(lines) + "\n"
