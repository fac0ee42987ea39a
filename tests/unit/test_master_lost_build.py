"""`CellBuild`: a worker that is lost in the middle costs a try, and there are only so many."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from buildbed import BRID, Ends, made_request
from buildbot.db.model import Model
from buildbot.process.factory import BuildFactory
from buildbot.process.results import CANCELLED, FAILURE, RETRY, SUCCESS
from buildbot.test import fakedb
from buildbot.test.fake import fakemaster
from buildbot.test.reactor import TestReactorMixin
from minios_master.lost_build import BUILD_ENDED, LOST, TRIES, CellBuild
from stepbed import make_tables
from twisted.internet import defer
from twisted.trial import unittest


class Lost(TestReactorMixin, unittest.TestCase):  # type: ignore[misc]
    """Builds of one request, whose end is played."""

    @defer.inlineCallbacks
    def setUp(self) -> Any:  # type: ignore[override]
        self.patch(Model, "upgrade", make_tables)
        self.setup_test_reactor()
        self.master = yield fakemaster.make_master(self, wantDb=True, wantData=True, wantMq=True)
        self.master.botmaster.shuttingDown = False
        self.master.mq.verifyMessages = False
        yield self.master.db.insert_test_data(
            [
                fakedb.Master(id=self.master.masterid),
                fakedb.Builder(id=77, name="x86_64"),
                fakedb.Worker(id=3, name="one"),
                fakedb.Buildset(id=1),
                fakedb.BuildRequest(id=BRID, buildsetid=1, builderid=77),
            ]
        )

    async def build(self, lost_because: str = "") -> Any:
        """A build in the middle of a step."""
        builder = Ends(self.master)
        builder.worker.lost_because = lost_because
        build = CellBuild([made_request()], builder)
        build.setStepFactories(BuildFactory().steps)
        build.results, build.conn = SUCCESS, None
        build.workername = "one"
        build._lost_worker = builder.worker
        build.workerforbuilder = builder
        build.currentStep = SimpleNamespace(results=None, interrupt=lambda _reason: None)
        build.stopBuildConsumer = SimpleNamespace(stopConsuming=lambda: None)
        build.buildid, build.number = await self.master.data.updates.addBuild(
            builderid=77, buildrequestid=BRID, workerid=3
        )
        return build

    async def end(self, build: Any, results: int) -> list[Any]:
        """Its end; returns what is told of it."""
        self.master.mq.clearProductions()
        await build.buildFinished(["the", "end"], results)
        return [message for key, message in self.master.mq.productions if key == BUILD_ENDED]

    async def told(self, build: Any, name: str) -> Any:
        properties = await self.master.data.get(("builds", build.buildid, "properties"))
        return properties[name][0] if name in properties else None

    async def test_tries_have_an_end(self) -> None:
        for number in range(1, TRIES + 1):
            build = await self.build("no answer for 40 s")
            build.lostRemote()
            ended = {"worker": "one", "lost": True, "reason": "no answer for 40 s"}
            assert await self.end(build, RETRY) == [ended]
            assert await self.told(build, LOST) == "one: no answer for 40 s"
            assert build.results == (RETRY if number < TRIES else FAILURE)
        problem = "its worker was lost 3 times, the last time one: no answer for 40 s"
        assert await self.told(build, "problem") == problem
        row = await self.master.data.get(("builds", build.buildid))
        assert (row["results"], row["state_string"]) == (FAILURE, problem)

    async def test_nobody_knows_why(self) -> None:
        build = await self.build()
        build.lostRemote()
        await self.end(build, RETRY)
        assert await self.told(build, LOST) == "one: its connection broke"
        build = await self.build()
        await self.end(build, RETRY)
        assert await self.told(build, LOST) == "one: it did not answer when the build began"

    async def test_good_and_bad_ends_are_told(self) -> None:
        for results in (SUCCESS, FAILURE):
            assert await self.end(await self.build(), results) == [
                {"worker": "one", "lost": False, "reason": ""}
            ]

    async def test_cancelled_stays_cancelled(self) -> None:
        """Without this, a connection that breaks while a build is being cancelled starts it again."""
        build = await self.build()
        build.stopBuild("somebody pressed stop")
        build.lostRemote()
        assert await self.end(build, RETRY) == []
        assert build.results == CANCELLED

    async def test_the_masters_own_end_is_no_loss(self) -> None:
        self.master.botmaster.shuttingDown = True
        for _ in range(TRIES + 1):
            build = await self.build()
            build.stopBuild("Master Shutdown", RETRY)
            build.lostRemote()
            assert await self.end(build, RETRY) == []
            assert build.results == RETRY
            assert await self.told(build, LOST) is None

    async def test_a_database_that_is_away_ends_it_all_the_same(self) -> None:
        build = await self.build()
        build.lostRemote()
        self.patch(build, "_judge", self.broken)
        await self.end(build, RETRY)
        assert build.results == RETRY
        assert len(self.flushLoggedErrors(RuntimeError)) == 1

    async def broken(self) -> str:
        raise RuntimeError("the database is away")
