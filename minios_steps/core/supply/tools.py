"""What a toolchain's identity says about the parts that end up in an image, and about those that made it.

An identity is `Toolchain.identity`: the lines of `cc -v` and lines that begin with what they tell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_COMPILER = re.compile(r"\b(gcc|clang|icx|tcc)\b.*?\bversion (\d[\w.+-]*)", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:\.\d+)+[\w.]*")
_FILE = re.compile(r"(\S+) ([0-9a-f]{64})")

LICENCES = {
    # Each project's own COPYING file; SPDX identifiers and expressions.
    "glibc": "LGPL-2.1-or-later",
    "musl": "MIT",
    "uclibc": "LGPL-2.1-or-later",
    "libgcc": "GPL-3.0-or-later WITH GCC-exception-3.1",
}
VENDORS = {"glibc": "gnu", "gcc": "gnu", "musl": "musl-libc", "uclibc": "uclibc", "binutils": "gnu"}
"""The vendor in the CPE of a tool or library (NVD's dictionary)."""


@dataclass(frozen=True)
class Tool:
    """A program or library by its name and version; either may be empty where it is not known."""

    name: str
    version: str = ""


@dataclass(frozen=True)
class ToolFacts:
    """What took part in a build.

    `libc_files` are the C library's own files, each with its sha256 in hexadecimal.
    """

    compiler: Tool
    linker: Tool
    libc: Tool
    linux_headers: str
    target: str
    libc_files: tuple[tuple[str, str], ...]

    @property
    def runtime(self) -> Tool | None:
        """The compiler's runtime library, which a static link takes code from."""
        return Tool("libgcc", self.compiler.version) if self.compiler.name == "gcc" else None


def read_identity(identity: str) -> ToolFacts:
    """Take an identity apart; what it does not say is empty."""
    compiler = _COMPILER.search(identity)
    told: dict[str, str] = {}
    files = []
    for line in identity.splitlines():
        for fact in ("target", "libc", "linux headers", "linker"):
            if line.startswith(f"{fact} "):
                told[fact] = line.removeprefix(f"{fact} ").strip()
        if match := _FILE.fullmatch(line.strip()):
            files.append((match[1], match[2]))
    libc, _, version = told.get("libc", "").partition(" ")
    return ToolFacts(
        compiler=Tool(compiler[1].lower(), compiler[2]) if compiler else Tool(""),
        linker=_linker(told.get("linker", "")),
        libc=Tool(libc, version),
        linux_headers=told.get("linux headers", ""),
        target=told.get("target", ""),
        libc_files=tuple(sorted(files)),
    )


def _linker(told: str) -> Tool:
    """`GNU ld (GNU Binutils for Debian) 2.40` is binutils 2.40; others by their own first word."""
    if not told:
        return Tool("")
    numbers = _NUMBER.findall(told)
    name = "binutils" if "binutils" in told.lower() else told.split(maxsplit=1)[0].lower()
    return Tool(name, numbers[-1] if numbers else "")
