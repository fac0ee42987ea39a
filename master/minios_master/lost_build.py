"""A cell's build that is given to another worker when its own is lost, but not for ever."""

from __future__ import annotations

from typing import Any

from buildbot.process.results import CANCELLED, FAILURE, RETRY, SUCCESS, WARNINGS, worst_status
from twisted.internet import defer
from twisted.python import log

from .stoppable_build import StoppableBuild

TRIES = 3
"""How many workers may be lost under one build request; Buildbot's own tries have no end."""
LOST = "lost"
"""The property of a build whose worker was lost: why."""
BUILD_ENDED = ("minios", "builds", "ended")
"""The event after each build of a cell: `worker`, whether it was `lost`, and `reason`."""
_JUDGED = (SUCCESS, WARNINGS, FAILURE)


class CellBuild(StoppableBuild):
    """A build whose request fails, with the reason, after `TRIES` workers were lost."""

    results: int
    _lost_worker: Any = None
    _lost_because = ""
    _unwanted = False

    @defer.inlineCallbacks
    def startBuild(self, workerforbuilder: Any) -> Any:
        """Start as the parent does; the worker is remembered, for when it is gone."""
        self._lost_worker = workerforbuilder.worker
        yield super().startBuild(workerforbuilder)

    def lostRemote(self, conn: Any = None) -> None:
        """The worker is gone; whoever cut it off has told it why."""
        self._lost_because = getattr(self._lost_worker, "lost_because", "") or "its connection broke"
        super().lostRemote(conn)

    def stopBuild(self, reason: str = "<no reason given>", results: int = CANCELLED) -> Any:
        """Stop as the parent does: for good, or, where the master stops, until there is another one."""
        self._unwanted = self._unwanted or results == CANCELLED
        return super().stopBuild(reason, results)

    @defer.inlineCallbacks
    def buildFinished(self, text: Any, results: int) -> Any:
        """Judge the loss of a worker, then end as the parent does."""
        lost = worst_status(self.results, results) == RETRY
        if lost and self._unwanted:
            # A connection that broke meanwhile must not bring it back.
            lost, self.results, results = False, CANCELLED, CANCELLED
        elif lost and self.master.botmaster.shuttingDown:
            # The master goes, not the worker.
            lost = False
        elif lost:
            try:
                problem = yield defer.ensureDeferred(self._judge())
            except Exception as error:  # noqa: BLE001  # the parent never throws
                log.err(error, "while counting lost workers")  # type: ignore[no-untyped-call]
                problem = ""
            if problem:
                self.results = results = FAILURE
                text = [problem]
        yield super().buildFinished(text, results)
        if lost or self.results in _JUDGED:
            ended = {"worker": self.workername, "lost": lost, "reason": self._lost_because}
            self.master.mq.produce(BUILD_ENDED, ended)

    async def _judge(self) -> str:
        """Note the loss; returns what to say when it was one too many."""
        updates, data = self.master.data.updates, self.master.data
        told = f"{self.workername}: {self._lost_because or 'it did not answer when the build began'}"
        self.setProperty(LOST, told, "Build")
        losses = []
        for build in await data.get(("buildrequests", self.requests[0].id, "builds")):
            if build["buildid"] != self.buildid:
                properties = await data.get(("builds", build["buildid"], "properties"))
                losses += [properties[LOST][0]] if LOST in properties else []
        problem = ""
        if len(losses) + 1 >= TRIES:
            problem = f"its worker was lost {len(losses) + 1} times, the last time {told}"
            self.setProperty("problem", problem, "Build")
        await updates.setBuildProperties(self.buildid, self)
        return problem
