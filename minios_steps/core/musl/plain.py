"""Objects that an older linker can read: without debug sections and build attributes.

A linker of 2023 crashes on RISC-V attributes and relocations of debug sections that an assembler
of 2025 writes. Neither is needed to link. A section header's type becomes SHT_NULL, which every
linker passes over (System V gABI, chapter 4, "Sections"); no byte moves.
"""

from __future__ import annotations

from io import BytesIO

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from minios_steps.core.errors import SourceError

_HINTS = (b".debug_", b".riscv.attributes")
_DROPPED = (".debug_", ".rela.debug_", ".rel.debug_", ".riscv.attributes")
_ELF = b"\x7fELF"
_ARCHIVE = b"!<arch>\n"
_HEADER = 60  # ar(5): name 16, time 12, owner 6, group 6, mode 8, size 10, and two bytes at its end
_SIZE = slice(48, 58)
_TYPE_OFFSET = 4  # of sh_type in a section header, four bytes


def plain_objects(data: bytes, name: str) -> bytes:
    """The same file with the sections dropped in every object of it.

    Args:
        data: an object, or an archive of objects (ar(5)); anything else comes back as it is.
        name: how to call it in messages.

    Raises:
        SourceError: it begins like one and cannot be read.
    """
    result = bytearray(data)
    try:
        if data.startswith(_ELF):
            _drop(result, 0, len(data))
        elif data.startswith(_ARCHIVE):
            at = len(_ARCHIVE)
            while at + _HEADER <= len(data):
                size = int(data[at : at + _HEADER][_SIZE])
                start = at + _HEADER
                if data.startswith(_ELF, start):
                    _drop(result, start, start + size)
                # Members begin at even places.
                at = start + size + size % 2
    except (ELFError, ValueError, UnicodeDecodeError) as error:
        raise SourceError(f"{name} cannot be read: {error}") from error
    return bytes(result)


def _drop(data: bytearray, start: int, end: int) -> None:
    whole = bytes(data[start:end])
    # Most objects have neither, and are not worth a parser's time.
    if not any(hint in whole for hint in _HINTS):
        return
    elf = ELFFile(BytesIO(whole))
    for number in range(elf.num_sections()):
        if elf.get_section(number).name.startswith(_DROPPED):
            at = start + elf.header.e_shoff + number * elf.header.e_shentsize + _TYPE_OFFSET
            data[at : at + 4] = bytes(4)
