"""`MissingWatch`: an event for every worker that stays away for too long.

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

_CLASS = "minios.MissingWatch"
_STATE = "seen"


class MissingWatch(BuildbotService):  # type: ignore[misc]
    """Waits for workers that were connected once.

    Args:
        seconds: how long one may be away.
    """

    name = "missing-workers"

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
        self._consumers = [
            await self.master.mq.startConsuming(self._consume, ("workers", None, event))
            for event in ("connected", "disconnected")
        ]
        for worker in await self.master.data.get(("workers",)):
            if worker["name"] in self._seen and not worker["connected_to"]:
                self._wait(worker["name"])

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
            self._wait(name)
            return
        self._stop_waiting(name)
        if name not in self._seen:
            self._seen.add(name)
            await self.master.db.state.setState(self._number, _STATE, sorted(self._seen))

    def _wait(self, name: str) -> None:
        self._stop_waiting(name)
        since = dt.datetime.fromtimestamp(self.master.reactor.seconds(), dt.timezone.utc)
        told = partial(self._late, name, since.isoformat(timespec="seconds"))
        self._waiting[name] = self.master.reactor.callLater(self._seconds, told)

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
