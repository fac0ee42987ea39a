"""What is told of remote workers: the roster, the running master, their probes."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Any

from minios_master.api import MasterApi
from minios_master.projects import open_project
from minios_master.remote.folders import RemoteFolder
from minios_master.remote.standing import standing_of
from minios_master.settings import Settings
from minios_master.state_lock import StateLock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from minios_master.remote.member import Member
    from minios_master.remote.standing import Standing

    from .output import CliContext

_SECRETS = ("invite", "password")


def told_workers(context: CliContext, name: str = "") -> Iterator[tuple[dict[str, Any], Standing]]:
    """Every remote worker, or the one of a name, as data without its hashes, and how it stands.

    `connected`, `paused` and `cells` (whether the master gives it cells) are None when no master runs.

    Raises:
        MiniosError: there is none of this name, its file is damaged, or the configuration is wrong.
    """
    settings = Settings(context.config, context.state)
    folder = RemoteFolder(settings.remote)
    members = (folder.roster.find(name),) if name else folder.roster.members()
    if not members:
        return
    project = open_project(settings)
    live = _Live.of(context)
    for member in members:
        standing = standing_of(member, project, folder)
        yield {**_roster(member, standing), **live.told(member)}, standing


def _roster(member: Member, standing: Standing) -> dict[str, Any]:
    told = {key: value for key, value in dataclasses.asdict(member).items() if key not in _SECRETS}
    state = member.state(dt.datetime.now(dt.timezone.utc))
    told["probe"] = standing.verdict
    told["state"] = "refused" if state == "attached" and standing.verdict == "refused" else state
    return told


@dataclasses.dataclass(frozen=True)
class _Live:
    """What the running master says of its workers and builders; None when none runs."""

    workers: dict[str, dict[str, Any]] | None
    builders: dict[int, str]

    @classmethod
    def of(cls, context: CliContext) -> _Live:
        run = StateLock(context.state).holder()
        if run is None:
            return cls(None, {})
        api = MasterApi(run.url)
        return cls({worker["name"]: worker for worker in api.get("workers")["workers"]}, api.builder_names())

    def told(self, member: Member) -> dict[str, Any]:
        worker = (self.workers or {}).get(member.name, {})
        on = [self.builders.get(place["builderid"]) for place in worker.get("configured_on", ())]
        known = self.workers is not None
        return {
            "connected": bool(worker.get("connected_to")) if known else None,
            "cells": member.arch in on if known else None,
            "paused": bool(worker.get("paused")) if known else None,
            "pause_reason": worker.get("pause_reason") or "",
        }
