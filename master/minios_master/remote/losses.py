"""`LossWatch`: a worker that is lost in build after build gets no more of them until somebody has looked."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from buildbot.util.service import BuildbotService
from twisted.internet import defer

from minios_master.lost_build import BUILD_ENDED

from .member_workers import MemberWorker

if TYPE_CHECKING:
    from collections.abc import Sequence

PAUSED = ("minios", "workers", "paused")
"""The event: `name` of the worker, and `reason`."""
LOSSES = 3
"""How many builds in a row may end with the loss of a worker."""

_CLASS = "minios.LossWatch"
_STATE = "losses"


class LossWatch(BuildbotService):  # type: ignore[misc]
    """Counts, over restarts of the master too, and pauses.

    Args:
        losses: how many builds in a row a worker may lose before it is paused.
    """

    name = "losses"
    _losses = LOSSES

    def checkConfig(self, losses: int = LOSSES) -> None:
        """Nothing can be wrong."""

    async def reconfigService(self, losses: int = LOSSES) -> None:
        """Take a configuration; what was counted stays."""
        self._losses = losses

    async def startService(self) -> None:
        """Start to listen."""
        await super().startService()
        # Builds may end at the same time, and each count is read before it is written.
        self._lock = defer.DeferredLock()
        self._number = await self.master.db.state.getObjectId(self.name, _CLASS)
        self._counts = dict(await self.master.db.state.getState(self._number, _STATE, {}))
        for worker in self.master.workers.workers.values():
            if isinstance(worker, MemberWorker):
                worker.losses = self._counts.get(worker.name, 0)
        self._consumer = await self.master.mq.startConsuming(self._consume, BUILD_ENDED)

    async def stopService(self) -> None:
        """Stop: what is lost with its master is not counted."""
        await defer.maybeDeferred(self._consumer.stopConsuming)
        await super().stopService()

    def _consume(self, _key: Any, ended: Any) -> Any:
        return self._lock.run(lambda: defer.ensureDeferred(self._count(ended)))

    async def _count(self, ended: Any) -> None:
        worker = self.master.workers.workers.get(ended["worker"])
        if not isinstance(worker, MemberWorker):
            return
        before = self._counts.get(worker.name, 0)
        now = before + 1 if ended["lost"] else 0
        if now >= self._losses:
            reason = f"lost {now} builds in a row, the last because {ended['reason']}"
            worker.pause(reason)
            self.master.mq.produce(PAUSED, {"name": worker.name, "reason": reason})
            # Whoever lets it go on has looked at it.
            now = 0
        worker.losses = now
        if now != before:
            self._counts[worker.name] = now
            await self.master.db.state.setState(self._number, _STATE, self._counts)


def steadiest(_builder: Any, workers: Sequence[Any], _request: Any) -> Any:
    """Buildbot's `nextWorker`: of the free workers, any of those that lost the fewest builds in a row."""
    fewest = min(getattr(one.worker, "losses", 0) for one in workers)
    return random.choice([one for one in workers if getattr(one.worker, "losses", 0) == fewest])  # noqa: S311
