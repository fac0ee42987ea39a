"""Which sections of two ELF files differ, and where.

Layout: System V gABI, chapter 4, "Sections". As in `core.elf`, the structures come from
pyelftools and the walk is ours: the files are of machines that are not trusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from elftools.common.utils import struct_parse
from elftools.elf.elffile import ELFFile

from minios_steps.core.diff.model import Difference
from minios_steps.core.elf import PARSE_ERRORS
from minios_steps.core.errors import ElfError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_SECTIONS = 4096
"""Sections that are looked at; a stripped BusyBox has some 25."""

_MAX_NAME = 256
_BLOCK = 4096
_OVERLAP = 2  # times its own size: what all sections of a file may have together
# Without bytes in the file (`.bss`).
_NO_BITS = "SHT_NOBITS"
_HEADER = "ELF header"
_SEGMENTS = "program headers"


@dataclass(frozen=True)
class Section:
    """A section: `size` and `address` as its header says, and its bytes in the file."""

    size: int
    address: int
    data: bytes


def read_sections(data: bytes, name: str) -> dict[str, Section]:
    """The sections of an ELF file by their names, in its order.

    The ELF header and the program headers count as sections too, the last ones; a name that is there twice
    has its number behind it the second time: `.note (2)`.

    Args:
        data: the file's bytes.
        name: how to call it in a message.

    Raises:
        ElfError: it is no ELF file, is malformed, or has more than `MAX_SECTIONS`.
    """
    try:
        return dict(_named(data))
    except PARSE_ERRORS as error:
        raise ElfError(f"{name}: its sections cannot be read", details=str(error)) from error


def compare_elf(before: bytes, after: bytes, name: str) -> list[Difference]:
    """What differs between two ELF files, section by section.

    Args:
        before: the first file's bytes.
        after: the second one's.
        name: what the differences are of.

    Raises:
        ElfError: see `read_sections`.
    """
    old, new = read_sections(before, name), read_sections(after, name)
    found = list(_differences(old, new, name))
    if not found and before != after:
        at = first_difference(before, after)
        found = [Difference(name, "outside of all sections", _byte(before, at), _byte(after, at))]
    return found


def first_difference(before: bytes, after: bytes) -> int:
    """The offset of the first byte that is not the same; where one ends first, its length."""
    common = min(len(before), len(after))
    for start in range(0, common, _BLOCK):
        one, other = before[start : start + _BLOCK], after[start : start + _BLOCK]
        if one[: common - start] != other[: common - start]:
            pairs = enumerate(zip(one, other, strict=False))
            return next(start + index for index, (left, right) in pairs if left != right)
    return common


def _differences(old: Mapping[str, Section], new: Mapping[str, Section], name: str) -> Iterator[Difference]:
    for section in dict.fromkeys((*old, *new)):
        one, other = old.get(section), new.get(section)
        what = section if section in (_HEADER, _SEGMENTS) else f"section {section}"
        if one is None or other is None:
            yield Difference(name, what, *(f"{s.size:,} bytes" if s else "-" for s in (one, other)))
        elif (one.size, one.data) != (other.size, other.data):
            at = first_difference(one.data, other.data)
            yield Difference(name, what, _told(one, at), _told(other, at))
        elif one.address != other.address:
            yield Difference(name, what, f"address {one.address:#x}", f"address {other.address:#x}")


def _told(section: Section, at: int) -> str:
    size = f"{section.size:,} bytes"
    return f"{size}, {_byte(section.data, at)}" if section.data else size


def _byte(data: bytes, at: int) -> str:
    """The byte at an offset: `at 0x1f40 7f`."""
    return f"at {at:#x} {f'{data[at]:02x}' if at < len(data) else 'the end'}"


def _named(data: bytes) -> Iterator[tuple[str, Section]]:
    stream = BytesIO(data)
    elf = ELFFile(stream)
    count = elf["e_shnum"]
    if count > MAX_SECTIONS:
        raise ValueError(f"{count} sections")
    headers = [_header(elf, stream, index) for index in range(count)]
    names = headers[elf["e_shstrndx"]] if elf["e_shstrndx"] < count else None
    seen: dict[str, int] = {}
    left = _OVERLAP * len(data)
    # The first one is the undefined section, which is nothing.
    for header in headers[1:]:
        found = _name(data, names["sh_offset"] + header["sh_name"]) if names else ""
        seen[found] = seen.get(found, 0) + 1
        bits = b"" if header["sh_type"] == _NO_BITS else _bytes(data, header["sh_offset"], header["sh_size"])
        left -= len(bits)
        if left < 0:
            raise ValueError("its sections overlap")
        number = f" ({seen[found]})" if seen[found] > 1 else ""
        yield f"{found}{number}", Section(header["sh_size"], header["sh_addr"], bits)
    # What these say follows from the sections, so they come last.
    yield _HEADER, _part(data, 0, elf["e_ehsize"])
    yield _SEGMENTS, _part(data, elf["e_phoff"], elf["e_phnum"] * elf["e_phentsize"])


def _header(elf: ELFFile, stream: BytesIO, index: int) -> Any:
    return struct_parse(elf.structs.Elf_Shdr, stream, elf["e_shoff"] + index * elf["e_shentsize"])


def _part(data: bytes, offset: int, size: int) -> Section:
    return Section(size, 0, _bytes(data, offset, size))


def _bytes(data: bytes, offset: int, size: int) -> bytes:
    if offset + size > len(data):
        raise ValueError(f"{size} bytes at {offset:#x} are not in the file")
    return data[offset : offset + size]


def _name(data: bytes, offset: int) -> str:
    return data[offset : offset + _MAX_NAME].partition(b"\0")[0].decode("ascii", "replace")
