"""A YAML file as plain data, with the line of every key and item kept for error messages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from minios_steps.core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

Location = tuple[str | int, ...]
"""Where a value is: keys and list positions from the top."""

SIZE_LIMIT = 1 << 20
"""Bytes a configuration file may have."""

_SECRET_KEY = re.compile(r"passw|secret|token|credential|api_?key|private", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"://[^/\s]*@|-----BEGIN ")
_SECRET_LENGTH = 4
_TOP = "(top)"


class _Loader(yaml.SafeLoader):
    """YAML with JSON's scalar types: `no`, `on`, `12:30` and dates stay texts."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Refuse aliases: a few lines of them can stand for gigabytes, or for themselves."""
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not supported", mark)
        return super().compose_node(parent, index)


for _tag, _form, _first in (
    ("bool", r"true|false", "tf"),
    ("null", r"|~|null", ["", "~", "n"]),
    ("int", r"[-+]?(0|[1-9][0-9_]*)|0x[0-9a-fA-F_]+", "-+0123456789"),
    ("float", r"[-+]?[0-9]+\.[0-9]+", "-+0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_form})\\Z"), list(_first))


@dataclass(frozen=True)
class YamlFile:
    """A file that was read.

    Args:
        path: the file, as it is shown to people.
        data: mappings, lists, texts, numbers, booleans and None.
        lines: the line, from 1, of every key and list item.
    """

    path: Path
    data: Any
    lines: Mapping[Location, int]

    def line(self, at: Location) -> int:
        """The line of a value, or of the nearest thing around it that is there."""
        return next((self.lines[at[:end]] for end in range(len(at), -1, -1) if at[:end] in self.lines), 1)

    def problem(self, at: Location, what: str) -> str:
        """A message `FILE:LINE: KEY: what`; the values of secret-looking keys are taken out of `what`."""
        for secret in sorted(_secrets(self.data), key=len, reverse=True):
            # Nothing that short is a secret, and taking it out would garble the message.
            if len(secret) >= _SECRET_LENGTH:
                what = what.replace(secret, "***")
        return f"{self.path}:{self.line(at)}: {dotted(at)}: {what}"


def dotted(at: Location) -> str:
    """A location as people write it: `mirrors[0].url`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in at)
    return text.removeprefix(".") or _TOP


def read_yaml(path: Path) -> YamlFile:
    """Read a file whose top is a mapping.

    Raises:
        ConfigError: the file is missing, empty, too large, not UTF-8 or not YAML, its top is
            not a mapping, or a key is there twice. All duplicate keys are in `details`.
    """
    return parse_yaml(path, read_yaml_text(path))


def parse_yaml(path: Path, text: str) -> YamlFile:
    """Read a file's text, as `read_yaml`; the path is for messages.

    Raises:
        ConfigError: as `read_yaml`.
    """
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                raise ConfigError(f"{path}:1: {_TOP}: the file is empty")
            lines: dict[Location, int] = {(): node.start_mark.line + 1}
            problems: list[str] = []
            _walk(path, node, (), lines, problems)
            if problems:
                raise ConfigError(problems[0], details="\n".join(problems))
            data = loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        # The parser's own text quotes the line, which may hold a secret.
        mark = error.problem_mark or error.context_mark
        where = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{where}: not YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{path}: not YAML: {error.__class__.__name__}") from None
    if not isinstance(data, Mapping):
        raise ConfigError(f"{path}:{lines[()]}: {_TOP}: should be keys and values")
    return YamlFile(path, data, lines)


def read_yaml_text(path: Path) -> str:
    """The text of a file, for `parse_yaml`.

    Raises:
        ConfigError: it is missing, too large, or not UTF-8.
    """
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise ConfigError(f"{path}: larger than {SIZE_LIMIT} bytes")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: the file is missing") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def _walk(path: Path, node: yaml.Node, at: Location, lines: dict[Location, int], problems: list[str]) -> None:
    """Record the line of everything below `node`, and every key that is there twice."""
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*at, index)] = item.start_mark.line + 1
            _walk(path, item, (*at, index), lines, problems)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*at, str(key.value))
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                problems.append(f"{path}:{line}: {dotted(at)}: a key should be a text")
                continue
            # Otherwise `1.38` would be a number, and 1.380 the same one.
            key.tag = "tag:yaml.org,2002:str"
            if here in lines:
                problems.append(f"{path}:{line}: {dotted(here)}: is there twice, first in line {lines[here]}")
            lines.setdefault(here, line)
            _walk(path, value, here, lines, problems)


def _secrets(data: Any, key: str = "") -> set[str]:
    """Every text that looks like a secret by its key or its form."""
    if isinstance(data, Mapping):
        return {found for name, value in data.items() for found in _secrets(value, f"{key}.{name}")}
    if isinstance(data, list):
        return {found for value in data for found in _secrets(value, key)}
    text = "" if data is None or isinstance(data, bool) else str(data)
    return {text} if text and (_SECRET_KEY.search(key) or _SECRET_VALUE.search(text)) else set()
