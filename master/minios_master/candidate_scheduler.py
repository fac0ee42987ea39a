"""`CandidateScheduler`: a build for each Change, also for one that came just before the master died."""

from __future__ import annotations

from typing import Any

from buildbot.changes.changes import Change
from buildbot.changes.filter import ChangeFilter
from buildbot.data.resultspec import Filter
from buildbot.schedulers.basic import SingleBranchScheduler
from twisted.internet import defer
from twisted.python import log

_STATE = "handled"
_REMEMBERED = 100
"""Changes whose numbers are kept; upstream makes a few in a year."""
_LATEST = 200
"""Buildsets that are looked through: the one in question is among the last that were made."""


class CandidateScheduler(SingleBranchScheduler):  # type: ignore[misc]
    """Remembers the Changes it has queued builds for, and makes up for the others at its start.

    Buildbot tells its schedulers of a Change once: where the master dies before the build is queued, a
    release that was announced would never be built. What came while it was switched off is made up for
    in the same way.

    Args:
        category: of the Changes that it is for.
    """

    compare_attrs = ("category",)
    category = ""
    # Changes up to `since` are of before anything was remembered; of the later ones, `done` are queued.
    _since = 0
    _done: tuple[int, ...] = ()

    def checkConfig(self, *, category: str, **kwargs: Any) -> None:
        """Nothing else can be wrong than for the parent."""
        super().checkConfig(change_filter=ChangeFilter(category=category), **kwargs)

    async def reconfigService(self, *, category: str, **kwargs: Any) -> None:
        """Take a configuration."""
        self.category = category
        # Without a timer each Change gets a build of its own.
        wanted = ChangeFilter(category=category)
        await super().reconfigService(change_filter=wanted, treeStableTimer=None, **kwargs)

    def activate(self) -> Any:
        """Remember, listen, see what was missed; a Deferred, as Buildbot waits for nothing else here."""
        return defer.ensureDeferred(self._activate())

    async def _activate(self) -> None:
        await self._recall()
        await super().activate()
        if self.enabled:
            # No Change that comes meanwhile may be taken twice.
            await self._change_consumption_lock.run(self._catch_up)

    async def gotChange(self, change: Any, important: bool) -> None:  # noqa: FBT001
        """Queue a build for a Change, once."""
        if change.number in self._done:
            return
        await super().gotChange(change, important)
        await self._remember(change.number)

    async def _recall(self) -> None:
        told = await self.getState(_STATE, None)
        if told is None:
            # Of a database of before this was remembered: what is in it was queued then.
            self._since = max((one["changeid"] for one in await self._changes()), default=0)
            await self._store()
        else:
            self._since, self._done = told["since"], tuple(told["done"])

    async def _changes(self) -> list[dict[str, Any]]:
        """Those that are later than what counts as queued, the oldest first."""
        filters = [Filter("category", "eq", [self.category]), Filter("changeid", "gt", [self._since])]
        found = await self.master.data.get(("changes",), filters=filters)
        return sorted(found, key=lambda one: int(one["changeid"]))

    async def _catch_up(self) -> None:
        """Queue what was announced and never queued."""
        for one in await self._changes():
            if one["changeid"] in self._done:
                continue
            if await self._is_queued(one):
                await self._remember(one["changeid"])
                continue
            found = await self.master.db.changes.getChange(one["changeid"])
            await self.gotChange(await Change.fromChdict(self.master, found), important=True)
            log.msg(f"{self.name}: {one['revision']} was announced and not built; it is queued now")

    async def _is_queued(self, change: dict[str, Any]) -> bool:
        """Whether the master died between the build and the memory of it."""
        latest = await self.master.data.get(("buildsets",), order=("-bsid",), limit=_LATEST)
        wanted = change["sourcestamp"]["ssid"]
        return any(stamp["ssid"] == wanted for one in latest for stamp in one["sourcestamps"])

    async def _remember(self, number: int) -> None:
        self._done = tuple(sorted({*self._done, number}))
        for oldest in self._done[:-_REMEMBERED]:
            self._since = max(self._since, oldest)
        self._done = self._done[-_REMEMBERED:]
        await self._store()

    async def _store(self) -> None:
        await self.setState(_STATE, {"since": self._since, "done": list(self._done)})
