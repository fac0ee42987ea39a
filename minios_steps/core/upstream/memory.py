"""What the watch remembers from one look to the next, and across restarts."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

LONGEST = 24 * 3600.0
"""Seconds until something that keeps failing is tried again, at most."""


@dataclass(frozen=True)
class Backoff:
    """Something that failed.

    Args:
        failures: how often in a row.
        until: when it may be tried again, in seconds since 1970.
        why: the last failure.
    """

    failures: int
    until: float
    why: str

    def holds(self, now: float) -> bool:
        """Whether it is too early to try again; a clock that went back must not make it late for ever."""
        return now < self.until <= now + LONGEST

    @classmethod
    def after(cls, before: Backoff | None, now: float, interval: float, why: str) -> Backoff:
        """One failure more: the wait is the interval, doubled for each further failure."""
        failures = before.failures + 1 if before else 1
        # A look that comes a little early by the clock must not be lost.
        wait = min(LONGEST, interval * 2.0 ** min(failures - 1, 16)) - interval / 2
        return cls(failures, now + max(wait, 0.0), why)


@dataclass(frozen=True)
class Memory:
    """The watch's memory; `as_json` and `from_json` keep it.

    Args:
        announced: the sha256 of each release that was announced, by version.
        seen: the newest version that each place had, by place.
        places: places that could not be asked.
        bad: copies of releases that were bad, by `VERSION PLACE`; each was told once.
        waiting: since when a release lacks a file, by version.
        unsigned: releases that were told to have no signature.
    """

    announced: Mapping[str, str] = field(default_factory=dict)
    seen: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, Backoff] = field(default_factory=dict)
    bad: Mapping[str, Backoff] = field(default_factory=dict)
    waiting: Mapping[str, float] = field(default_factory=dict)
    unsigned: tuple[str, ...] = ()

    def announce(self, version: str, sha256: str) -> Memory:
        """The same, with a release announced: nothing else of it needs to be remembered."""
        return dataclasses.replace(
            self,
            announced={**self.announced, version: sha256},
            bad={key: value for key, value in self.bad.items() if key.split(" ")[0] != version},
            waiting=without(self.waiting, version),
            unsigned=tuple(name for name in self.unsigned if name != version),
        )

    def known(self, versions: Container[str]) -> Memory:
        """The same, where only these count as announced."""
        announced = {version: sha256 for version, sha256 in self.announced.items() if version in versions}
        return dataclasses.replace(self, announced=announced)

    def as_json(self) -> dict[str, Any]:
        """A mapping of plain types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> Memory:
        """What `as_json` gave. Of anything else, what was announced is kept and the rest forgotten."""
        told = data if isinstance(data, dict) else {}
        announced = _texts(told.get("announced"))
        try:
            return cls(
                announced,
                _texts(told.get("seen")),
                {name: Backoff(**item) for name, item in told["places"].items()},
                {name: Backoff(**item) for name, item in told["bad"].items()},
                {name: float(since) for name, since in told["waiting"].items()},
                tuple(map(str, told["unsigned"])),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            return cls(announced)


def without(mapping: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A copy of a mapping that lacks one name."""
    return {key: value for key, value in mapping.items() if key != name}


def _texts(data: Any) -> dict[str, str]:
    return {str(key): str(value) for key, value in data.items()} if isinstance(data, dict) else {}
