"""Made-up ELF files with sections, for the tests of their comparison."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_PROGBITS, _STRTAB, _NOBITS = 1, 3, 8
_HEADER, _ENTRY = 64, 64


def make_sections(
    sections: Sequence[tuple[str, bytes | int]], *, machine: int = 62, tail: bytes = b"", address: int = 0
) -> bytes:
    """A little-endian 64-bit ELF file; a section that is a number has that size and no bytes (`.bss`)."""
    names = b"\0"
    body = b""
    headers = [bytes(_ENTRY)]
    for name, data in [*sections, (".shstrtab", b"")]:
        at = len(names)
        names += name.encode() + b"\0"
        held = names if name == ".shstrtab" else data if isinstance(data, bytes) else b""
        size = data if isinstance(data, int) else len(held)
        kind = _STRTAB if name == ".shstrtab" else _NOBITS if isinstance(data, int) else _PROGBITS
        headers.append(struct.pack("<2L4Q2L2Q", at, kind, 0, address, _HEADER + len(body), size, 0, 0, 1, 0))
        body += held
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = struct.pack(
        "<2HL3QL6H", 2, machine, 1, 0, 0, _HEADER + len(body), 0, _HEADER, 56, 0, _ENTRY, len(headers),
        len(headers) - 1,
    )  # fmt: skip
    return ident + header + body + b"".join(headers) + tail
