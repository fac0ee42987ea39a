"""What the fetcher asks of every kind of mirror, and what it gets back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from minios_steps.core.digest import Digest
    from minios_steps.core.version import Version


@dataclass(frozen=True)
class Request:
    """A release that is wanted.

    Args:
        version: the release.
        digest: of its `.tar.bz2`.
        max_bytes: how large the file may be.
        config_root: the folder that relative paths start from.
        report: called with lines for people, without a line end.
        cancelled: asked often, from the fetching thread.
    """

    version: Version
    digest: Digest
    max_bytes: int
    config_root: Path
    report: Callable[[str], None]
    cancelled: Callable[[], bool]

    def fill(self, pattern: str) -> str:
        """A mirror's URL or path: `{version}` filled in; a folder ending in `/` gets upstream's file name."""
        if pattern.endswith("/"):
            pattern += "busybox-{version}.tar.bz2"
        return pattern.replace("{version}", str(self.version))


@dataclass(frozen=True)
class Obtained:
    """A file that a mirror gave; nobody has looked at its bytes yet.

    Args:
        path: the file.
        origin: where exactly it came from, for people.
        resumed: some of its bytes came with an earlier try, and may be another file's.
    """

    path: Path
    origin: str
    resumed: bool = False
