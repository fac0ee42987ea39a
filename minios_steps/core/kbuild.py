"""How many files BusyBox's own makefiles will compile for a configuration: a progress bar's total.

Follows scripts/gen_build_files.sh (a folder's Kbuild is its Kbuild.src with the `//kbuild:` lines
of its C files in place of INSERT) and scripts/Makefile.build and Makefile.lib (which objects of
`obj-y` and `lib-y` get compiled). Only what BusyBox uses of make's language is understood:
assignments, `$(NAME)`, and `ifeq`, `ifneq`, `ifdef`, `ifndef`, `else`, `endif`.
"""

from __future__ import annotations

import json
import re
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minios_steps.core.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_FORMAT = 1
_MAKEFILE = "Makefile"
_KBUILD_LINE = re.compile(r"^//kbuild:(.*)$", re.MULTILINE)
_ASSIGNMENT = re.compile(r"([A-Za-z0-9_.$()-]+)\s*(:=|\+=|\?=|=)\s*(.*)")
_CONDITION = re.compile(r"(ifn?eq)\s*\((.*),(.*)\)|(ifn?def)\s+(\S+)|(else|endif)\b.*")
_FOLDER = re.compile(r"[A-Za-z0-9_./-]+/")
_REFERENCE = re.compile(r"\$[({]([A-Za-z0-9_.-]+)[)}]")


@dataclass(frozen=True)
class KbuildRules:
    """The makefile lines that choose a release's objects.

    Args:
        folders: for each folder that make visits, the lines of its Kbuild, joined and without
            comments.
        assembler: objects that come from a `.S` file, as `FOLDER/NAME.o`.
    """

    folders: Mapping[str, tuple[str, ...]]
    assembler: frozenset[str]

    @classmethod
    def from_tarball(cls, path: Path) -> KbuildRules:
        """Read a release's tarball, with any compression, as upstream's or patched.

        Raises:
            SourceError: it cannot be read, or holds no BusyBox.
        """
        try:
            makefile, kbuilds, sources = _read_tarball(path)
        except (OSError, EOFError, tarfile.TarError, UnicodeDecodeError) as error:
            raise SourceError(f"{path.name}: cannot be read as a BusyBox source: {error}") from error
        visited = _visited(makefile)
        folders = {name: tuple(_logical_lines(kbuilds[name])) for name in visited if name in kbuilds}
        if not folders:
            raise SourceError(f"{path.name}: holds no BusyBox: its Makefile names no folder with a Kbuild")
        only_assembler = {name[:-2] for name in sources if name.endswith(".S")}
        only_assembler -= {name[:-2] for name in sources if name.endswith(".c")}
        return cls(folders, frozenset(f"{name}.o" for name in only_assembler))

    @classmethod
    def from_json(cls, text: str) -> KbuildRules:
        """Read what `to_json` wrote; raises `SourceError` for anything else."""
        try:
            data = json.loads(text)
            if data["format"] == _FORMAT:
                folders = {name: tuple(lines) for name, lines in data["folders"].items()}
                return cls(folders, frozenset(data["assembler"]))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise SourceError("the prepared source's kbuild rules are damaged") from error
        raise SourceError("the prepared source's kbuild rules are of another version")

    def to_json(self) -> str:
        """The rules as text, the same for the same rules."""
        data: dict[str, Any] = {
            "format": _FORMAT,
            "folders": {name: list(lines) for name, lines in self.folders.items()},
            "assembler": sorted(self.assembler),
        }
        return json.dumps(data, indent=1, sort_keys=True) + "\n"

    def objects(self, config: Mapping[str, str]) -> tuple[str, ...]:
        """The objects that make builds, as `FOLDER/NAME.o`, sorted.

        Args:
            config: symbols without `CONFIG_` and their values, as `kconfig.parse_dotconfig` gives.
        """
        start = {f"CONFIG_{symbol}": "" if value == "n" else value for symbol, value in config.items()}
        found: set[str] = set()
        for folder, lines in self.folders.items():
            variables = _evaluate(lines, start)
            chosen = f"{variables.get('obj-y', '')} {variables.get('lib-y', '')}".split()
            found.update(f"{folder}/{name}" for name in chosen if name.endswith(".o"))
        return tuple(sorted(found))

    def count(self, config: Mapping[str, str], *, assembler: bool = True) -> int:
        """How many lines `  CC      FILE` or `  AS      FILE` make prints for a clean build.

        Args:
            config: as in `objects`.
            assembler: count the `AS` lines too.
        """
        return sum(assembler or name not in self.assembler for name in self.objects(config))


def _read_tarball(path: Path) -> tuple[str, dict[str, str], set[str]]:
    """The top Makefile, each folder's Kbuild, and the names of all C and assembler files."""
    makefile = ""
    kbuilds: dict[str, str] = {}
    inserts: dict[str, dict[str, list[str]]] = {}
    sources: set[str] = set()
    with tarfile.open(path) as tar:
        for member in tar:
            folder, _, name = member.name.removeprefix("./").partition("/")[2].rpartition("/")
            wanted = name.endswith((".c", ".S")) or name in (_MAKEFILE, "Kbuild.src")
            stream = tar.extractfile(member) if wanted and member.isfile() else None
            if stream is None:
                continue
            # Only ASCII matters here, and authors' names are in any encoding.
            text = stream.read().decode("latin-1")
            if name == "Kbuild.src":
                kbuilds[folder] = text
            elif name != _MAKEFILE:
                sources.add(f"{folder}/{name}")
                inserts.setdefault(folder, {})[name] = _KBUILD_LINE.findall(text)
            elif not folder:
                makefile = text
    for folder, text in kbuilds.items():
        inserted = [line for _, lines in sorted(inserts.get(folder, {}).items()) for line in lines]
        lines = [part for line in text.splitlines() for part in (inserted if line == "INSERT" else [line])]
        kbuilds[folder] = "\n".join(lines)
    return makefile, kbuilds, sources


def _visited(makefile: str) -> list[str]:
    """The folders of `core-y` and `libs-y`, before the Makefile turns them into files."""
    matches = (_ASSIGNMENT.fullmatch(line) for line in _logical_lines(makefile))
    values = (match[3] for match in matches if match and match[1] in ("core-y", "libs-y"))
    return [word[:-1] for value in values for word in value.split() if _FOLDER.fullmatch(word)]


def _logical_lines(text: str) -> Iterator[str]:
    """The assignments and conditions of a makefile, one a line, without recipes and comments."""
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if line.startswith("\t"):
            continue
        bare = line.partition("#")[0].strip()
        if _CONDITION.fullmatch(bare) or _ASSIGNMENT.fullmatch(bare):
            yield " ".join(bare.split())


def _evaluate(lines: Iterable[str], start: Mapping[str, str]) -> dict[str, str]:
    """The variables after the lines were read; every value is expanded at once."""
    variables = dict(start)
    # One entry per open condition: whether its lines count.
    live: list[bool] = []
    for line in lines:
        if match := _CONDITION.fullmatch(line):
            _turn(match, live, variables)
        elif all(live) and (match := _ASSIGNMENT.fullmatch(line)):
            name, operator, value = _expand(match[1], variables), match[2], _expand(match[3], variables)
            if operator == "+=":
                variables[name] = f"{variables.get(name, '')} {value}".strip()
            elif operator != "?=" or name not in variables:
                variables[name] = value
    return variables


def _turn(match: re.Match[str], live: list[bool], variables: Mapping[str, str]) -> None:
    """Open, turn or close a condition."""
    compare, left, right, define, name, word = match.groups()
    if compare:
        same = _expand(left, variables).strip() == _expand(right, variables).strip()
        live.append(same == (compare == "ifeq"))
    elif define:
        live.append(bool(variables.get(name)) == (define == "ifdef"))
    elif live:
        last = live.pop()
        if word == "else":
            live.append(not last)


def _expand(text: str, variables: Mapping[str, str]) -> str:
    return _REFERENCE.sub(lambda match: variables.get(match[1], ""), text)
