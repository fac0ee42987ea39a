"""Buildbot's workers for those on the roster."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

from buildbot.plugins import worker

if TYPE_CHECKING:
    from collections.abc import Iterable

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


def working(members: Iterable[Member], arch: str) -> list[Member]:
    """Those that may work for an arch."""
    return [member for member in members if member.arch == arch and member.may_work]
