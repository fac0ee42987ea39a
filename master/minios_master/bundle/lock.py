"""The lock files of the worker bundle: which packages, for which versions of Python."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Release = tuple[int, int]
"""A version of Python: 3.7 is `(3, 7)`."""

_PYTHON = re.compile(r"(\d+)\.(\d+)(?:\.\d+)?")
_RANGE = re.compile(r"^# python: (\S+) below (\S+)$", re.MULTILINE)
_WORDS = r"^# {}: (.*)$"
_PIN = re.compile(r"(?P<name>[a-z0-9.-]+)==(?P<version>[\w.]+) --hash=sha256:(?P<hash>[0-9a-f]{64})")


@dataclass(frozen=True)
class Pin:
    """One package: its name in lower case with dashes, its version, and the digest of its wheel."""

    name: str
    version: str
    digest: Digest


@dataclass(frozen=True)
class Lock:
    """A lock file.

    Args:
        path: the file, which is also a pip requirements file.
        oldest: the first version of Python it is for.
        below: the first one it is not for.
        stand_ins: what the packages ask for and a stand-in of ours takes the place of.
        not_needed: what they ask for and never import.
        pins: the packages by name.
    """

    path: Path
    oldest: Release
    below: Release
    stand_ins: tuple[str, ...]
    not_needed: tuple[str, ...]
    pins: Mapping[str, Pin]


def parse_python(text: str) -> Release:
    """`3.7` or `3.7.3` as `(3, 7)`.

    Raises:
        ConfigError: it is neither.
    """
    match = _PYTHON.fullmatch(text)
    if not match:
        raise ConfigError(f"{text!r} is not a version of Python such as 3.7")
    return int(match[1]), int(match[2])


def read_lock(path: Path) -> Lock:
    """Read one lock file.

    Raises:
        ConfigError: a line of it is neither a comment nor a pinned package with its hash.
    """
    text = path.read_text("utf-8")
    told = _RANGE.search(text)
    if not told:
        raise ConfigError(f"{path}: the line `# python: OLDEST below NEWEST` is missing")
    pins: dict[str, Pin] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        match = _PIN.fullmatch(line)
        if not match:
            raise ConfigError(f"{path}:{number}: should be NAME==VERSION --hash=sha256:HEX")
        name = match["name"].replace(".", "-")
        pins[name] = Pin(name, match["version"], Digest(match["hash"]))
    return Lock(
        path,
        parse_python(told[1]),
        parse_python(told[2]),
        _words(text, "stand-ins"),
        _words(text, "not needed"),
        pins,
    )


def choose_lock(folder: Path, python: str) -> Lock:
    """The lock for a version of Python: the newest whose range it is in.

    Raises:
        ConfigError: the version is none, or no lock is for it.
    """
    wanted = parse_python(python)
    locks = sorted((read_lock(path) for path in folder.glob("*.lock")), key=lambda lock: lock.oldest)
    fitting = [lock for lock in locks if lock.oldest <= wanted < lock.below]
    if not fitting:
        ranges = ", ".join(f"{dotted(lock.oldest)} to below {dotted(lock.below)}" for lock in locks)
        raise ConfigError(f"no worker bundle for Python {python}: there are some for {ranges}")
    return fitting[-1]


def dotted(release: Release) -> str:
    """`(3, 7)` as `3.7`."""
    return ".".join(map(str, release))


def _words(text: str, key: str) -> tuple[str, ...]:
    match = re.search(_WORDS.format(key), text, re.MULTILINE)
    return tuple(match[1].split()) if match else ()
