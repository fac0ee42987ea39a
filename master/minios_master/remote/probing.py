"""The builders that probe workers of other machines, and the service that starts them by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.plugins import schedulers, steps, util
from buildbot.process.results import FAILURE, SUCCESS
from buildbot.util.service import BuildbotService
from twisted.internet import defer
from twisted.python import log

from minios_master.stoppable_build import StoppableBuild
from minios_steps.core.config.arch_name import PROBE_PREFIX

from .folders import RemoteFolder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from minios_master.settings import Settings
    from minios_steps.core.config.project import Project

    from .member import Member

PROBE = "probe"
"""The name of the force scheduler of all probes."""
TAG = "probe"


def probe_builder(member: Member, project: Project, settings: Settings) -> Any:
    """The builder whose builds measure one worker's machine."""
    arch = project.arches.get(member.arch)
    factory = util.BuildFactory(
        [
            steps.ProbeMachine(
                arch_name=member.arch,
                arch=arch,
                cross_prefix=member.cross_prefix,
                attached=member.attached,
                records=RemoteFolder(settings.remote).probes.folder,
                work_root=settings.work,
                timeout_factor=arch.timeout_factor if arch else 1.0,
            )
        ]
    )
    factory.buildClass = StoppableBuild
    return util.BuilderConfig(
        name=PROBE_PREFIX + member.name,
        description=f"what the machine of {member.name} is",
        workernames=[member.name],
        factory=factory,
        tags=[TAG],
    )


def probe_scheduler(members: Iterable[Member]) -> Any:
    """What `minios worker probe` and the web interface ask for a probe."""
    return schedulers.ForceScheduler(
        name=PROBE,
        buttonName="Probe the machine",
        label="Probe the machine",
        builderNames=[PROBE_PREFIX + member.name for member in members],
        codebases=[util.CodebaseParameter("", hide=True)],
        properties=[],
    )


class FirstProbe(BuildbotService):  # type: ignore[misc]
    """Probes each worker that comes in for the first time, and has the master act on what was found.

    A worker that passed gets its cells by a reconfiguration, which leaves alone what is being built.

    Args:
        folder: where the roster and the probes' records are.
    """

    name = "first-probe"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder=folder)
        self._consumers: list[Any] = []

    def reconfigService(self, folder: Path) -> Any:
        """Take a configuration."""
        self._folder = RemoteFolder(folder)
        return defer.succeed(None)

    async def startService(self) -> None:
        """Start to listen."""
        await super().startService()
        for method, keys in (
            (self._connected, ("workers", None, "connected")),
            (self._finished, ("builds", None, "finished")),
        ):
            self._consumers.append(await self.master.mq.startConsuming(_watched(method), keys))

    async def stopService(self) -> None:
        """Stop to listen."""
        consumers, self._consumers = self._consumers, []
        for consumer in consumers:
            await defer.maybeDeferred(consumer.stopConsuming)
        await super().stopService()

    async def _connected(self, worker: Any) -> None:
        name = worker["name"]
        member = next((one for one in self._folder.roster.members() if one.name == name), None)
        if member is None:
            return
        record = self._folder.probes.read(name)
        if record is not None and record.attached == member.attached:
            return
        builder = await self.master.data.updates.findBuilderId(PROBE_PREFIX + name)
        waiting = await self.master.data.get(("builders", builder, "buildrequests"))
        if any(not request["complete"] for request in waiting):
            return
        await self.master.data.updates.addBuildset(
            waited_for=False,
            scheduler=PROBE,
            sourcestamps=[
                {"codebase": "", "repository": "", "project": "", "branch": None, "revision": None}
            ],
            reason="first contact",
            builderids=[builder],
        )

    async def _finished(self, build: Any) -> None:
        builder = await self.master.data.get(("builders", build["builderid"]))
        if builder["name"].startswith(PROBE_PREFIX) and build["results"] in (SUCCESS, FAILURE):
            await self.master.reconfig()


def _watched(method: Any) -> Any:
    """A consumer of messages whose failures are in the master's log."""

    def consume(_key: Any, message: Any) -> None:
        deferred = defer.ensureDeferred(method(message))
        deferred.addErrback(_log_error)

    return consume


def _log_error(failure: Any) -> None:
    log.err(failure, "while a worker is probed")  # type: ignore[no-untyped-call]
