"""Buildbot's workers for those on the roster."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

from buildbot.plugins import worker

from .standing import standing_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from minios_steps.core.config.project import Project

    from .folders import RemoteFolder
    from .roster import Member

WORKER_JOBS = "worker_jobs"
"""The property of a worker with its own `make -j`."""


def member_worker(member: Member, inner_key: bytes) -> Any:
    """A worker that one cell at a time is given to.

    Its password is Buildbot's formality, the same after each reconfiguration; the real one is
    asked for at the gate.
    """
    password = hmac.new(inner_key, member.name.encode("utf-8"), hashlib.sha256).hexdigest()
    return worker.Worker(member.name, password, max_builds=1, properties={WORKER_JOBS: member.jobs})


def working(members: Iterable[Member], arch: str, project: Project, folder: RemoteFolder) -> list[Member]:
    """Those that cells of an arch may be given to: attached, and their machine is one of the arch.

    Raises:
        MiniosError: the record of a probe is damaged.
    """
    return [
        member
        for member in members
        if member.arch == arch
        and member.may_work
        and standing_of(member, project, folder).verdict == "passed"
    ]
