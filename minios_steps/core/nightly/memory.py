"""What one nightly leaves to the next."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Failure:
    """A cell that failed.

    Args:
        since: the start of the first nightly that found it so, ISO 8601 in UTC.
        reason: of the last failure that really happened, one line.
        key: of the cell then, `sha256:HEX`; empty when it was not worked out.
        sure: the same inputs would fail again.
    """

    since: str
    reason: str
    key: str = ""
    sure: bool = False


@dataclass(frozen=True)
class Known:
    """A cell that was good.

    Args:
        key: of the cell.
        size: bytes of manifest, config and compressed layer.
        toolchain: the compiler's identity.
        prefix: the compiler's prefix.
    """

    key: str
    size: int
    toolchain: str = ""
    prefix: str = ""


@dataclass(frozen=True)
class Memory:
    """The nightly's memory; `as_json` and `from_json` keep it.

    Args:
        failing: the cells that failed when they were tried last, by name.
        missing: since when a worker, or an arch without one, is missing.
        known: each cell as it was when it was good last.
        checked: when kept objects of a cell were last compared with a clean build.
    """

    failing: Mapping[str, Failure] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    known: Mapping[str, Known] = field(default_factory=dict)
    checked: Mapping[str, str] = field(default_factory=dict)

    @property
    def sure(self) -> dict[str, str]:
        """Why and since when, by key, of the cells that would fail again with the same inputs."""
        return {
            one.key: f"{one.reason} (since {one.since})"
            for one in self.failing.values()
            if one.sure and one.key
        }

    def as_json(self) -> dict[str, Any]:
        """A mapping of plain types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> Memory:
        """What `as_json` gave; nothing of anything else: then this night is the first."""
        try:
            return cls(
                {str(name): Failure(**one) for name, one in data["failing"].items()},
                {str(name): str(since) for name, since in data["missing"].items()},
                {str(name): Known(**one) for name, one in data["known"].items()},
                {str(name): str(when) for name, when in data["checked"].items()},
            )
        except (KeyError, TypeError, AttributeError):
            return cls()
