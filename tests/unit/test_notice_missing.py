"""`MissingWatch`: a worker that stays away is told of, once."""

from __future__ import annotations

from typing import Any

from buildbot.test import fakedb
from minios_master.notices.missing import MISSING, MISSING_SECONDS, MissingWatch, away_since
from reporterbed import ReporterCase
from twisted.internet import defer


class TestMissingWatch(ReporterCase):
    @defer.inlineCallbacks
    def setUp(self) -> Any:
        yield super().setUp()
        self.missing: list[Any] = []
        self.patch(self.master.mq, "produce", lambda key, told: self.missing.append((key, told["name"])))
        yield self.master.db.insert_test_data(
            [
                fakedb.BuilderMaster(id=1, builderid=1, masterid=self.master.masterid),
                fakedb.ConfiguredWorker(id=1, workerid=1, buildermasterid=1),
            ]
        )
        yield self.start()

    async def start(self) -> None:
        self.watch = MissingWatch()
        await self.watch.setServiceParent(self.master)
        await self.watch.startService()

    async def stop(self) -> None:
        await self.watch.stopService()
        await self.watch.disownServiceParent()

    async def event(self, name: str) -> None:
        await self.watch._event(("workers", "1", name), {"name": "w"})

    async def test_worker_that_stays_away(self) -> None:
        await self.event("connected")
        await self.event("disconnected")
        self.reactor.advance(MISSING_SECONDS - 1)
        assert self.missing == []
        self.reactor.advance(1)
        assert self.missing == [(MISSING, "w")]
        await self.stop()

    async def test_worker_that_comes_back(self) -> None:
        for _ in range(3):
            await self.event("disconnected")
            self.reactor.advance(MISSING_SECONDS - 1)
            await self.event("connected")
        self.reactor.advance(MISSING_SECONDS)
        assert self.missing == []
        await self.stop()

    async def test_master_that_restarts(self) -> None:
        await self.event("connected")
        await self.event("disconnected")
        await self.stop()
        self.reactor.advance(MISSING_SECONDS)
        assert self.missing == []
        await self.start()
        self.reactor.advance(MISSING_SECONDS)
        assert self.missing == [(MISSING, "w")]
        await self.stop()

    async def test_since_when_a_worker_is_away_survives_the_master(self) -> None:
        assert await away_since(self.master) == {}
        await self.event("connected")
        await self.event("disconnected")
        since = await away_since(self.master)
        assert since == {"w": "1970-01-01T00:00:00+00:00"}
        self.reactor.advance(3600)
        await self.stop()
        await self.start()
        assert await away_since(self.master) == since
        await self.event("connected")
        assert await away_since(self.master) == {}
        await self.event("disconnected")
        assert await away_since(self.master) == {"w": "1970-01-01T01:00:00+00:00"}
        await self.stop()
        # It came while no master listened for it.
        await self.master.data.updates.workerConnected(1, self.master.masterid, {})
        await self.start()
        assert await away_since(self.master) == {}
        await self.stop()

    async def test_what_is_told_is_since_when_it_is_really_away(self) -> None:
        told: list[str] = []
        self.patch(self.master.mq, "produce", lambda _key, message: told.append(message["since"]))
        await self.event("connected")
        await self.event("disconnected")
        self.reactor.advance(MISSING_SECONDS - 1)
        await self.stop()
        self.reactor.advance(3600)
        await self.start()
        self.reactor.advance(MISSING_SECONDS)
        assert told == ["1970-01-01T00:00:00+00:00"]
        await self.stop()

    async def test_worker_that_never_came_is_not_missing(self) -> None:
        self.reactor.advance(MISSING_SECONDS)
        assert self.missing == []
        await self.stop()

    async def test_worker_that_was_taken_out(self) -> None:
        await self.event("connected")
        await self.event("disconnected")
        await self.master.db.workers.deconfigureAllWorkersForMaster(self.master.masterid)
        self.reactor.advance(MISSING_SECONDS)
        assert self.missing == []
        await self.stop()
