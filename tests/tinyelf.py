"""Made-up ELF files and arches for tests: as small as they can be, for any machine."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from minios_steps.core.config.arch import Arch

if TYPE_CHECKING:
    from collections.abc import Sequence

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_SONAME = 0, 1, 5, 14


def make_elf(
    machine: int = 62,
    *,
    bits: int = 64,
    data: str = "little",
    kind: int = 3,
    flags: int = 0,
    interpreter: str = "",
    needed: Sequence[str] = (),
    soname: str = "",
) -> bytes:
    """An ELF file of a header, program headers, and the strings that they lead to."""
    order = "<" if data == "little" else ">"
    wide = bits == 64
    header_size, segment_size = (64, 56) if wide else (52, 32)
    word = "Q" if wide else "L"
    dynamic = bool(needed or soname)
    count = 1 + bool(interpreter) + dynamic
    body = header_size + count * segment_size

    strings = b"\0"
    tags = []
    for tag, text in [(_DT_NEEDED, name) for name in needed] + ([(_DT_SONAME, soname)] if soname else []):
        tags.append((tag, len(strings)))
        strings += text.encode() + b"\0"
    path = interpreter.encode() + b"\0"
    table = body + len(path)
    tags += [(_DT_STRTAB, table), (_DT_NULL, 0)]
    packed = b"".join(struct.pack(f"{order}2{word}", *tag) for tag in tags)
    at = table + len(strings)
    total = at + len(packed)

    def segment(what: int, offset: int, size: int) -> bytes:
        if wide:
            return struct.pack(f"{order}2L6Q", what, 4, offset, offset, offset, size, size, 1)
        return struct.pack(f"{order}8L", what, offset, offset, offset, size, size, 4, 1)

    segments = segment(_PT_LOAD, 0, total)
    if interpreter:
        segments += segment(_PT_INTERP, body, len(path))
    if dynamic:
        segments += segment(_PT_DYNAMIC, at, len(packed))
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if data == "little" else 2, 1]) + bytes(9)
    header = struct.pack(
        f"{order}2HL3{word}L6H",
        kind, machine, 1, 0, header_size, 0, flags, header_size, segment_size, count, 0, 0, 0,
    )  # fmt: skip
    return ident + header + segments + path + strings + packed


def make_arch(name: str = "x86_64", machines: Sequence[int] = (62,), **more: Any) -> Arch:
    """An arch; `bits`, `data`, `architecture` and `variant` go where they belong."""
    return Arch.model_validate(
        {
            "name": name,
            "platform": {
                "architecture": more.pop("architecture", "amd64"),
                "variant": more.pop("variant", ""),
            },
            "elf": {
                "class": more.pop("bits", 64),
                "data": more.pop("data", "little"),
                "machines": list(machines),
            },
            "uname": [name],
            "gnu_prefix": f"{name}-linux-gnu-",
            **more,
        }
    )
