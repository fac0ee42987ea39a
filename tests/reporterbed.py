"""A fake master whose builds end, for what tells of them."""

from __future__ import annotations

from typing import Any

from buildbot.db.model import Model
from buildbot.process.results import SUCCESS
from buildbot.test import fakedb
from buildbot.test.fake import fakemaster
from buildbot.test.reactor import TestReactorMixin
from minios_master.notices.generator import NoticeGenerator
from stepbed import make_tables
from twisted.internet import defer
from twisted.trial import unittest


class ReporterCase(TestReactorMixin, unittest.TestCase):
    """A fake master with a real database; builder 1 is the matrix, 3 the nightly, 2 another."""

    @defer.inlineCallbacks
    def setUp(self) -> Any:
        self.patch(Model, "upgrade", make_tables)
        self.setup_test_reactor()
        self.master = yield fakemaster.make_master(self, wantDb=True, wantData=True, wantMq=True)
        rows = [fakedb.Master(id=1), fakedb.Worker(id=1, name="w")]
        for number, name in ((1, "matrix"), (2, "x86_64"), (3, "nightly")):
            rows += [
                fakedb.Builder(id=number, name=name),
                fakedb.Buildset(id=number),
                fakedb.BuildRequest(id=number, buildsetid=number, builderid=number),
            ]
        yield self.master.db.insert_test_data(rows)
        self.built = 0

    def generator(self, channel: str = "mail") -> NoticeGenerator:
        return NoticeGenerator(channel, "matrix", {"x86_64": "required"}, "nightly")

    async def finish(self, generator: Any, *, builder: int = 1, results: int = SUCCESS, **said: Any) -> Any:
        """A build ends; returns the report."""
        self.built += 1
        number = self.built
        row = {"builderid": builder, "buildrequestid": builder, "workerid": 1, "masterid": 1}
        await self.master.db.insert_test_data(
            [
                fakedb.Build(id=number, number=number, results=results, state_string="it broke", **row),
                *(
                    fakedb.BuildProperty(buildid=number, name=name, value=value)
                    for name, value in said.items()
                ),
            ]
        )
        build = await self.master.data.get(("builds", number))
        return await generator.generate(self.master, None, ("builds", str(number), "finished"), build)
