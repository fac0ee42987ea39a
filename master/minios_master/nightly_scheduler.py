"""`NightlyScheduler`: starts a build at the times of a crontab(5) line, but never a second one beside it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from buildbot.schedulers.timed import Timed
from croniter import croniter
from twisted.internet import defer
from twisted.python import log

_AHEAD = 3600.0
"""Seconds that the last time may be ahead of the clock: a timer may be a little early."""


class NightlyScheduler(Timed):  # type: ignore[misc]
    """A time that comes while an earlier build is queued or runs is passed over, and logged.

    Args:
        cron: minute, hour, day of the month, month, day of the week, in the master's local time.

    Of the times that pass while no master runs, one is made up for. Where clocks change, a time that they
    show twice counts once, and one that they leap over is as much later. Buildbot's own `Nightly` queues
    builds behind each other, is an hour off after a change of the clocks, and has another form for the
    time.
    """

    compare_attrs = ("cron",)

    def checkConfig(self, builderNames: list[str], cron: str, **kwargs: Any) -> None:  # noqa: ARG002, N803
        """Nothing can be wrong: the configuration was checked when it was read."""
        super().checkConfig(builderNames=builderNames, **kwargs)

    async def reconfigService(self, builderNames: list[str], cron: str, **kwargs: Any) -> None:  # noqa: N803
        """Take a configuration, and wait for its next time."""
        self.cron = cron
        await super().reconfigService(builderNames=builderNames, **kwargs)
        if self.active:
            await self.scheduleNextBuild()

    def getNextBuildTime(self, lastActuated: float | None) -> Any:  # noqa: N803
        """The first time after the last one, in seconds since 1970."""
        start = lastActuated or self.now()
        if start > self.now() + _AHEAD:
            # The clock was wrong then, and went back since: nobody shall wait until it is there again.
            start = self.now()
        # What the clock on the wall shows has no zone: counted so, a time keeps its hour when the offset
        # changes.
        shown = dt.datetime.fromtimestamp(start, dt.timezone.utc).astimezone().replace(tzinfo=None)
        wall = croniter(self.cron, shown)
        found = start
        while found <= start:  # the second time of an hour that the clock shows twice
            found = wall.get_next(dt.datetime).timestamp()
        return defer.succeed(found)

    async def startBuild(self) -> None:
        """Queue a build, unless one is there already."""
        for name in self.builderNames:
            builder = await self.master.data.updates.findBuilderId(name)
            if await self.master.db.buildrequests.getBuildRequests(builderid=builder, complete=False):
                log.msg(f"{self.name}: not started, the one before has not ended")
                return
        await super().startBuild()
