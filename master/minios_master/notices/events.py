"""From what happened to what people are told: once for each event, whatever repeats. No side effects."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from minios_steps.core.cell_result import GOOD
from minios_steps.core.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_BAD = ("failed", "timed-out", "refused")
_RUN = "the matrix itself"


@dataclass(frozen=True)
class Notice:
    """One message.

    Args:
        event: `first-failure`, `recovery`, `missing-worker`, `worker-back`, `worker-paused`,
            `new-release`, `bad-release`, `release-waits`, `release-published` or `nightly-report`.
        subject: one line.
        lines: the details, for people.
        data: the same, for programs.
        occurrence: what makes this event another one than the same later.
    """

    event: str
    subject: str
    lines: tuple[str, ...]
    data: Mapping[str, Any]
    occurrence: str

    @property
    def identity(self) -> str:
        """A name that no other event has: a receiver that gets it twice has one message."""
        return Digest.of(f"{self.event} {self.occurrence} {self.subject}".encode()).hex[:32]

    @property
    def text(self) -> str:
        """All of it for people."""
        return "\n".join((self.subject, "", *self.lines)) + "\n"


@dataclass(frozen=True)
class Told:
    """What people were told and what is still so; `as_json` and `from_json` keep it.

    Args:
        failing: why each cell is not good, by cell.
        missing: the workers, and arches without one, that are missing.
        published: the index of each version and variant.
        releases: upstream's releases that were told, good ones as `VERSION`, bad ones as
            `VERSION PLACE REASON`, waiting ones as `VERSION waits`.
    """

    failing: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    published: Mapping[str, str] = field(default_factory=dict)
    releases: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """A mapping of plain types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> Told:
        """What `as_json` gave; nothing of anything else."""
        try:
            return cls(
                {str(key): str(value) for key, value in data["failing"].items()},
                tuple(map(str, data["missing"])),
                {str(key): str(value) for key, value in data["published"].items()},
                tuple(map(str, data["releases"])),
            )
        except (KeyError, TypeError, AttributeError):
            return cls()


Judged = tuple[Told, list[Notice]]
"""What is told now, and the messages to send."""


def matrix_ended(
    told: Told, build: str, properties: Mapping[str, Any], problem: str, role: Callable[[str], str]
) -> Judged:
    """A build of the matrix has ended, and was not cancelled.

    Args:
        told: what was told before.
        build: the build's own name, such as its URL.
        properties: of the build: `cells`, `releases`, `waiting`.
        problem: why it has no cells, where it has none.
        role: the role of an arch.
    """
    notices: list[Notice] = []
    for judge in (_cells, _published, _waiting):
        told, more = judge(told, build, properties)
        notices += more
    if "cells" not in properties:
        now = dict(told.failing)
        notices += _outcome("first-failure", "failed", _fail(_RUN, problem, now), build)
        told = dataclasses.replace(told, failing=now)
    told, more = _workers(told, build, properties, role)
    return told, [*notices, *more]


def worker_missing(told: Told, name: str, since: str) -> Judged:
    """A worker that should be connected has not been for its time limit."""
    if name in told.missing:
        return told, []
    notice = Notice(
        "missing-worker", f"worker {name} is missing", (f"since {since}",), {"worker": name}, since
    )
    return dataclasses.replace(told, missing=(*told.missing, name)), [notice]


def worker_connected(told: Told, name: str, when: str) -> Judged:
    """A worker has connected; only of one that was missing people want to hear."""
    if name not in told.missing:
        return told, []
    left = tuple(other for other in told.missing if other != name)
    notice = Notice("worker-back", f"worker {name} is there again", (), {"worker": name}, when)
    return dataclasses.replace(told, missing=left), [notice]


def worker_paused(told: Told, name: str, reason: str, when: str) -> Judged:
    """A worker gets no more builds, since it was lost in too many."""
    lines = (reason, f"minios worker resume {name}")
    data = {"worker": name, "reason": reason}
    return told, [Notice("worker-paused", f"worker {name} is paused", lines, data, when)]


def release_found(told: Told, version: str, comments: str, properties: Mapping[str, Any]) -> Judged:
    """Upstream has a new release, which was verified."""
    subject, *lines = comments.splitlines()
    data = {"version": version, **properties}
    return _once(told, version, Notice("new-release", subject, tuple(lines[1:]), data, version))


def release_bad(told: Told, version: str, place: str, reason: str) -> Judged:
    """Upstream's release must not be built."""
    subject = f"BusyBox {version} at {place} is bad and is not built"
    data = {"version": version, "place": place, "reason": reason}
    key = f"{version} {place} {reason}"
    return _once(told, key, Notice("bad-release", subject, (reason,), data, key))


def _cells(told: Told, build: str, properties: Mapping[str, Any]) -> Judged:
    """The cells that began to fail, and those that are good again."""
    now = dict(told.failing)
    fresh: dict[str, str] = {}
    good: dict[str, str] = {}
    if "cells" in properties and now.pop(_RUN, None) is not None:
        good[_RUN] = ""
    for cell in properties.get("cells", []):
        name = f"{cell['arch']} {cell['version']} {cell['variant']}"
        if cell["outcome"] in _BAD:
            fresh |= _fail(name, f"{cell['outcome']}: {cell['reason']}", now)
        elif cell["outcome"] in GOOD and now.pop(name, None) is not None:
            good[name] = ""
    notices = _outcome("first-failure", "failed", fresh, build) + _outcome(
        "recovery", "good again", good, build
    )
    return dataclasses.replace(told, failing=now), notices


def _fail(name: str, why: str, now: dict[str, str]) -> dict[str, str]:
    """Note a failure; the answer holds it when it is the first."""
    first = name not in now
    now[name] = why
    return {name: why} if first else {}


def _outcome(event: str, what: str, cells: Mapping[str, str], build: str) -> list[Notice]:
    """One message for all cells of a build: ten that fail together are one event."""
    if not cells:
        return []
    subject = f"{next(iter(cells))}{f' and {len(cells) - 1} more' if len(cells) > 1 else ''}: {what}"
    lines = [f"{name}: {why}" if why else name for name, why in cells.items()]
    return [Notice(event, subject, (*lines, build), {"cells": dict(cells), "build": build}, build)]


def _workers(told: Told, build: str, properties: Mapping[str, Any], role: Callable[[str], str]) -> Judged:
    """The required arches that lost their worker, and those that have one again."""
    missing = dict.fromkeys(told.missing)
    notices = []
    for cell in properties.get("cells", []):
        arch, lacking = cell["arch"], f"a worker for {cell['arch']}"
        if cell["outcome"] != "no-worker" and lacking in missing:
            del missing[lacking]
            notices.append(Notice("worker-back", f"{lacking} is there again", (), {"arch": arch}, build))
        elif cell["outcome"] == "no-worker" and role(arch) == "required" and lacking not in missing:
            missing[lacking] = None
            subject = f"{lacking}, which is required, is missing"
            data = {"arch": arch, "attach": cell["attach"]}
            notices.append(Notice("missing-worker", subject, (cell["attach"], build), data, build))
    return dataclasses.replace(told, missing=tuple(missing)), notices


def _published(told: Told, build: str, properties: Mapping[str, Any]) -> Judged:
    published = dict(told.published)
    notices = []
    reports: Sequence[Mapping[str, Any]] = properties.get("releases", [])
    for report in reports:
        name = f"{report['version']} {report['variant']}"
        index = f"{report['index']} {' '.join(report['tags'])}"
        # A candidate is no release: when it has passed, that is told.
        if report["outcome"] == "released" and not report.get("candidate") and published.get(name) != index:
            published[name] = index
            tags = ", ".join(report["tags"])
            lines = (f"tags: {tags}", f"index: {report['index']}", build)
            subject = f"BusyBox {name} is released as {tags}"
            notices.append(Notice("release-published", subject, lines, dict(report), index))
    return dataclasses.replace(told, published=published), notices


def _waiting(told: Told, build: str, properties: Mapping[str, Any]) -> Judged:
    notices = []
    for version in properties.get("waiting", []):
        subject = f"BusyBox {version} is good on every required arch and waits to be approved"
        lines = (f"minios release approve {version}", build)
        notice = Notice("release-waits", subject, lines, {"version": version}, version)
        told, more = _once(told, f"{version} waits", notice)
        notices += more
    return told, notices


def _once(told: Told, key: str, notice: Notice) -> Judged:
    if key in told.releases:
        return told, []
    return dataclasses.replace(told, releases=(*told.releases, key)), [notice]
