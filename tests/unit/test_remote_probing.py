"""Workers that come in are probed by themselves, once, and the master acts on what was found."""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buildbot.db.model import Model
from buildbot.mq.simple import SimpleMQ
from buildbot.process.results import CANCELLED, FAILURE, RETRY, SUCCESS
from buildbot.test import fakedb
from buildbot.test.fake import fakemaster
from buildbot.test.reactor import TestReactorMixin
from configbed import X86_64, write_config
from minios_master.remote.folders import RemoteFolder
from minios_master.remote.member_workers import working
from minios_master.remote.probing import FirstProbe
from minios_master.remote.standing import standing_of
from probebed import foreign, keep_probe, machine
from stepbed import make_tables
from twisted.internet import defer
from twisted.trial import unittest

from minios_steps.core.config.load import load_project

if TYPE_CHECKING:
    from minios_master.remote.roster import Roster

NOW = dt.datetime(2026, 1, 2, tzinfo=dt.timezone.utc)
LATER = NOW + dt.timedelta(hours=1)


def attach(roster: Roster, name: str, arch: str = "x86_64", when: dt.datetime = NOW) -> None:
    """Invite a worker, and exchange the invite."""
    _, secret = roster.invite(name, arch, 0, when, dt.timedelta(days=1))
    roster.redeem(name, secret, "p" * 43, {}, when)


def damage(folder: RemoteFolder, name: str) -> None:
    """Leave half of a probe's record."""
    keep_probe(folder, name)
    path = folder.probes.folder / f"{name}.json"
    path.write_bytes(path.read_bytes()[:100])


class Probed(TestReactorMixin, unittest.TestCase):
    """`FirstProbe` on a fake master with the worker `fast` on the roster."""

    @defer.inlineCallbacks
    def setUp(self) -> Any:
        self.patch(Model, "upgrade", make_tables)
        self.setup_test_reactor()
        self.path = Path(tempfile.mkdtemp(prefix="minios-probing-"))
        self.addCleanup(shutil.rmtree, self.path)
        self.folder = RemoteFolder(self.path)
        attach(self.folder.roster, "fast")
        self.master = yield fakemaster.make_master(self, wantData=True, wantDb=True, wantMq=True)
        # The fake one delivers nothing.
        self.master.mq = SimpleMQ()
        yield self.master.db.insert_test_data(
            [fakedb.Builder(id=3, name="probe-fast"), fakedb.Builder(id=4, name="x86_64")]
        )
        self.reconfigured = 0
        self.master.reconfig = self._reconfig
        self.service = FirstProbe(self.path)
        yield self.service.setServiceParent(self.master)
        yield self.service.reconfigService(self.path)
        yield self.master.startService()
        self.addCleanup(self.master.stopService)

    def _reconfig(self) -> Any:
        self.reconfigured += 1
        return defer.succeed(None)

    async def connect(self, name: str = "fast") -> None:
        self.master.mq.produce(("workers", "1", "connected"), {"name": name})
        await self.settle()

    async def finish(self, builder: int, results: int) -> None:
        self.master.mq.produce(("builds", "1", "finished"), {"builderid": builder, "results": results})
        await self.settle()

    async def settle(self) -> None:
        """Let what the messages began come to its end."""
        for _ in range(20):
            await self.master.data.get(("builders",))
            self.reactor.advance(0)

    async def asked(self) -> list[tuple[int, str]]:
        found = []
        for request in await self.master.data.get(("buildrequests",)):
            buildset = await self.master.data.get(("buildsets", request["buildsetid"]))
            found.append((request["builderid"], buildset["reason"]))
        return found

    async def test_first_contact(self) -> None:
        await self.connect()
        assert await self.asked() == [(3, "first contact")]
        # It comes back before it was probed: one request is enough.
        await self.connect()
        assert len(await self.asked()) == 1

    async def test_those_that_are_not_on_the_roster(self) -> None:
        for name in ("local-x86_64", "coordinator", "stranger"):
            await self.connect(name)
        assert await self.asked() == []

    async def test_probed_before(self) -> None:
        keep_probe(self.folder, "fast", foreign(183, uname="aarch64"))
        await self.connect()
        assert await self.asked() == []

    async def test_another_machine_by_the_same_name(self) -> None:
        keep_probe(self.folder, "fast")
        self.folder.roster.revoke("fast", NOW)
        attach(self.folder.roster, "fast", when=LATER)
        await self.connect()
        assert await self.asked() == [(3, "first contact")]

    async def test_master_reads_what_was_found(self) -> None:
        for count, (builder, results) in enumerate(((3, SUCCESS), (3, FAILURE)), 1):
            await self.finish(builder, results)
            assert self.reconfigured == count
        for builder, results in ((4, SUCCESS), (3, RETRY), (3, CANCELLED)):
            await self.finish(builder, results)
        assert self.reconfigured == 2

    async def test_damaged_record_is_replaced(self) -> None:
        damage(self.folder, "fast")
        await self.connect()
        assert await self.asked() == [(3, "first contact")]


def test_standing(tmp_path: Path) -> None:
    config = write_config(tmp_path / "config")
    project = load_project(config)
    folder = RemoteFolder(tmp_path / "remote")
    for name, arch in (("one", "x86_64"), ("two", "x86_64"), ("three", "x86_64"), ("vax", "vax")):
        attach(folder.roster, name, arch)
    keep_probe(folder, "two", machine(page_size=65536))
    keep_probe(folder, "three")
    keep_probe(folder, "vax", foreign(75, uname="vax"))

    def verdicts() -> dict[str, str]:
        members = folder.roster.members()
        return {one.name: standing_of(one, load_project(config), folder).verdict for one in members}

    assert verdicts() == {"one": "not probed", "two": "refused", "three": "passed", "vax": "no arch file"}
    members = folder.roster.members()
    assert [one.name for one in working(members, "x86_64", project, folder)] == ["three"]
    assert working(members, "vax", project, folder) == []
    damage(folder, "three")
    assert verdicts()["three"] == "not probed"
    assert working(members, "x86_64", project, folder) == []
    keep_probe(folder, "three")
    # The same probe is judged by what the file says now.
    (config / "arches" / "x86_64.yaml").write_text(f"{X86_64}page_size: 65536\n", "utf-8")
    assert verdicts()["two"] == "passed"
    # Of another machine that has the name now nothing is known.
    folder.roster.revoke("three", NOW)
    attach(folder.roster, "three", when=LATER)
    assert verdicts()["three"] == "not probed"
