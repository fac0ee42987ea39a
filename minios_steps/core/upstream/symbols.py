"""The kconfig symbols of a release, read from its source without configuring it.

BusyBox keeps them in `Config.in` and `Config.src` files and in the `//config:` lines of its C
files (scripts/gen_build_files.sh puts these together). They are the same for every CPU.
"""

from __future__ import annotations

import re
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_EMBEDDED = "//config:"
_FILES = frozenset({"Config.in", "Config.src"})
_ENTRY = re.compile(r"(?:menu)?config\s+(\w+)\s*")
_KIND = re.compile(r"\s+(?:def_)?(bool|tristate|int|hex|string)\b(?:\s+\"((?:[^\"\\]|\\.)*)\")?.*")
_PROMPT = re.compile(r"\s+prompt\s+\"((?:[^\"\\]|\\.)*)\".*")
_END = re.compile(r"\s*(?:menu|endmenu|choice|endchoice|if|endif|source|comment|mainmenu)\b.*")
# The size of an applet is part of its prompt, and changes with every release.
_SIZE = re.compile(r"\s*\(\d+(?:\.\d+)? ?(?:k?b|bytes)\)", re.IGNORECASE)


@dataclass(frozen=True)
class Symbol:
    """A symbol.

    Args:
        name: without `CONFIG_`.
        kind: `bool`, `int`, `hex` or `string`; empty where the source does not say.
        prompt: what people are asked, without the applet's size; empty when they are not.
        file: where it is, below the release's top folder.
    """

    name: str
    kind: str
    prompt: str
    file: str


def read_symbols(tarball: Path) -> Mapping[str, Symbol]:
    """Every symbol of a release, by name.

    Args:
        tarball: the release, with any compression; it is not unpacked.

    Raises:
        SourceError: it cannot be read, or has no symbol.
    """
    found: dict[str, Symbol] = {}
    try:
        with tarfile.open(tarball) as tar:
            for member in tar:
                file = member.name.partition("/")[2]
                name = file.rpartition("/")[2]
                stream = tar.extractfile(member) if name in _FILES or name.endswith(".c") else None
                if stream is None:
                    continue
                # Only ASCII matters here, and authors' names are in any encoding.
                lines = stream.read().decode("latin-1").splitlines()
                if name not in _FILES:
                    lines = [line.removeprefix(_EMBEDDED) for line in lines if line.startswith(_EMBEDDED)]
                for symbol in parse_symbols(lines, file):
                    # One that is there twice, for two cases, is one symbol.
                    if symbol.name not in found or not found[symbol.name].prompt:
                        found[symbol.name] = symbol
    except (OSError, EOFError, tarfile.TarError) as error:
        raise SourceError(f"{tarball.name}: cannot be read as a BusyBox source: {error}") from error
    if not found:
        raise SourceError(f"{tarball.name}: holds no BusyBox: it has no kconfig symbol")
    return found


def parse_symbols(lines: Iterable[str], file: str) -> list[Symbol]:
    """The symbols in kconfig's language (BusyBox's docs/Kconfig-language.txt)."""
    entries: list[dict[str, str]] = []
    within = False
    for line in lines:
        if match := _ENTRY.fullmatch(line):
            entries.append({"name": match[1], "kind": "", "prompt": "", "file": file})
            within = True
        elif within and (match := _KIND.fullmatch(line)) and not entries[-1]["kind"]:
            entries[-1]["kind"] = match[1]
            entries[-1]["prompt"] = _SIZE.sub("", match[2] or "")
        elif within and (match := _PROMPT.fullmatch(line)):
            entries[-1]["prompt"] = _SIZE.sub("", match[1])
        elif _END.fullmatch(line) or line.strip() in ("help", "---help---"):
            # What follows is a text, in which anything may stand.
            within = False
    return [Symbol(**entry) for entry in entries]
