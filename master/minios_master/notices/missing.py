"""`MissingWatch`: since when workers are away, and an event for every one that stays away for too long.

Buildbot has one too, but only for workers whose own configuration names somebody to be told, and
not for one that a restarted master waits for in vain.
"""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any

from buildbot.util.service import BuildbotService
from twisted.internet import defer
from twisted.python import log

MISSING = ("minios", "workers", "missing")
"""The event: `name` of the worker, and `since` when it is away."""
MISSING_SECONDS = 600
"""How long a worker may be away before it is missing."""

_NAME = "missing-workers"
_CLASS = "minios.MissingWatch"
_STATE = "seen"
_AWAY = "away"


async def away_since(master: Any) -> dict[str, str]:
    """Since when workers are away, ISO 8601 in UTC, by name; of those that were connected once.

    Args:
        master: Buildbot's.
    """
    number = await master.db.state.getObjectId(_NAME, _CLASS)
    found: dict[str, str] = await master.db.state.getState(number, _AWAY, {})
    return found


class MissingWatch(BuildbotService):  # type: ignore[misc]
    """Waits for workers that were connected once.

    Args:
        seconds: how long one may be away.
    """

    name = _NAME

    def checkConfig(self, seconds: float = MISSING_SECONDS) -> None:
        """Nothing can be wrong."""

    async def reconfigService(self, seconds: float = MISSING_SECONDS) -> None:
        """Take a configuration; who is waited for already keeps its time."""
        self._seconds = seconds

    async def startService(self) -> None:
        """Start to listen, and wait for those that are not back since the last master."""
        await super().startService()
        self._waiting: dict[str, Any] = {}
        self._number = await self.master.db.state.getObjectId(self.name, _CLASS)
        self._seen = set(await self.master.db.state.getState(self._number, _STATE, []))
        self._away = await away_since(self.master)
        self._consumers = [
            await self.master.mq.startConsuming(self._consume, ("workers", None, event))
            for event in ("connected", "disconnected")
        ]
        for worker in await self.master.data.get(("workers",)):
            if worker["name"] in self._seen and not worker["connected_to"]:
                await self._leave(worker["name"])
            elif worker["connected_to"]:
                await self._come(worker["name"])

    async def stopService(self) -> None:
        """Stop: workers that go with their master are not missing."""
        for consumer in self._consumers:
            await defer.maybeDeferred(consumer.stopConsuming)
        for name in list(self._waiting):
            self._stop_waiting(name)
        await super().stopService()

    def _consume(self, key: Any, worker: Any) -> Any:
        return defer.ensureDeferred(self._event(key, worker))

    async def _event(self, key: Any, worker: Any) -> None:
        name = worker["name"]
        if key[-1] == "disconnected":
            await self._leave(name)
            return
        await self._come(name)
        if name not in self._seen:
            self._seen.add(name)
            await self.master.db.state.setState(self._number, _STATE, sorted(self._seen))

    async def _leave(self, name: str) -> None:
        self._stop_waiting(name)
        now = dt.datetime.fromtimestamp(self.master.reactor.seconds(), dt.timezone.utc)
        # One that was away when an earlier master stopped still is.
        since = self._away.get(name) or now.isoformat(timespec="seconds")
        self._waiting[name] = self.master.reactor.callLater(self._seconds, partial(self._late, name, since))
        if name not in self._away:
            self._away[name] = since
            await self.master.db.state.setState(self._number, _AWAY, self._away)

    async def _come(self, name: str) -> None:
        self._stop_waiting(name)
        if self._away.pop(name, None) is not None:
            await self.master.db.state.setState(self._number, _AWAY, self._away)

    def _stop_waiting(self, name: str) -> None:
        call = self._waiting.pop(name, None)
        if call is not None and call.active():
            call.cancel()

    def _late(self, name: str, since: str) -> None:
        self._waiting.pop(name, None)
        defer.ensureDeferred(self._tell(name, since)).addErrback(_log_error)

    async def _tell(self, name: str, since: str) -> None:
        found = [one for one in await self.master.data.get(("workers",)) if one["name"] == name]
        # One that nobody expects any more was taken out of the configuration.
        if any(worker["configured_on"] and not worker["connected_to"] for worker in found):
            self.master.mq.produce(MISSING, {"name": name, "since": since})


def _log_error(failure: Any) -> None:
    log.err(failure, "while telling of a missing worker")  # type: ignore[no-untyped-call]
