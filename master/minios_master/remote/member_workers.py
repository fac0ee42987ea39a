"""Buildbot's workers for those on the roster: what they say of themselves is checked before it is used."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING, Any

from buildbot.worker import Worker
from twisted.internet import defer
from twisted.python import log
from twisted.spread import pb

from .standing import standing_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from minios_steps.core.config.project import Project

    from .folders import RemoteFolder
    from .member import Member

WORKER_JOBS = "worker_jobs"
"""The property of a worker with its own `make -j`."""

_TEXTS = ("admin", "host", "access_uri", "version", "basedir", "system")
_LONGEST = 1024
_VERSION = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6}){0,4}")
_COMMANDS = 100


class MemberWorker(Worker):  # type: ignore[misc]
    """A worker of another machine.

    `lost_because` is why its connection was cut off, empty when it was not; `losses` is how many
    builds in a row ended with its loss.
    """

    lost_because = ""
    losses = 0

    @defer.inlineCallbacks
    def _getWorkerInfo(self) -> Any:
        """Buildbot forgets why a worker is paused when the master starts again."""
        yield super()._getWorkerInfo()
        told = yield self.master.data.get(("workers", self.workerid))
        self._pause_reason = told["pause_reason"]

    @defer.inlineCallbacks
    def attached(self, conn: Any) -> Any:
        """It has connected; of what it says only what has the right form is taken."""
        self.lost_because = ""
        conn.info = checked_info(conn.info)
        yield super().attached(conn)

    @defer.inlineCallbacks
    def sendBuilderList(self) -> Any:
        """Tell it its builders. One that cannot answer is cut off: a reconfiguration waits for this."""
        conn = self.conn
        try:
            yield super().sendBuilderList()
            good = _are_builders(conn.builders)
        except Exception as error:  # noqa: BLE001  # whatever it has answered
            log.msg(f"{self.name} does not take its builders: {type(error).__name__}")
            good = False
        if not good and conn is self.conn and conn.mind is not None:
            self.lost_because = "it did not take its builders"
            conn.mind.broker.transport.abortConnection()


def checked_info(told: Any) -> dict[str, Any]:
    """What a worker says of itself, cut to what Buildbot needs and to the form that it must have."""
    if not isinstance(told, dict):
        told = {}
    info: dict[str, Any] = {
        key: value
        for key in _TEXTS
        if isinstance(value := told.get(key), str) and len(value) <= _LONGEST and value.isprintable()
    }
    if type(told.get("numcpus")) is int:
        info["numcpus"] = max(0, min(told["numcpus"], _LONGEST))
    commands = told.get("worker_commands")
    pairs = list(commands.items())[:_COMMANDS] if isinstance(commands, dict) else []
    info["worker_commands"] = {
        name: version
        for name, version in pairs
        if isinstance(name, str) and isinstance(version, str) and _VERSION.fullmatch(version)
    }
    return info


def _are_builders(told: Any) -> bool:
    return isinstance(told, dict) and all(
        isinstance(name, str) and isinstance(reference, pb.RemoteReference)
        for name, reference in told.items()
    )


def member_worker(member: Member, inner_key: bytes) -> Any:
    """A worker that one cell at a time is given to.

    Its password is Buildbot's formality, the same after each reconfiguration; the real one is
    asked for at the gate.
    """
    password = hmac.new(inner_key, member.name.encode("utf-8"), hashlib.sha256).hexdigest()
    return MemberWorker(member.name, password, max_builds=1, properties={WORKER_JOBS: member.jobs})


def working(members: Iterable[Member], arch: str, project: Project, folder: RemoteFolder) -> list[Member]:
    """Those that cells of an arch may be given to: attached, and their machine is one of the arch."""
    return [
        member
        for member in members
        if member.arch == arch
        and member.may_work
        and standing_of(member, project, folder).verdict == "passed"
    ]
