"""The documents' fenced blocks and commands, as the tests of the documents read them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from configbed import ROOT

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_BLOCK = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the line it begins in, its text."""

    language: str
    line: int
    text: str

    @property
    def commands(self) -> list[str]:
        """What a reader types: the lines that begin with a dollar."""
        return [line.removeprefix("$ ") for line in self.text.splitlines() if line.startswith("$ ")]


def blocks(document: Path) -> list[Block]:
    """The fenced blocks of a document, in order."""
    text = document.read_text("utf-8")
    return [
        Block(match[1], text.count("\n", 0, match.start()) + 1, match[2]) for match in _BLOCK.finditer(text)
    ]


def prose(document: Path) -> str:
    """A document without its fenced blocks."""
    return _BLOCK.sub("", document.read_text("utf-8"))
