"""Workers that lose builds are paused, and what a worker says of itself is checked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from buildbot.db.model import Model
from buildbot.test import fakedb
from buildbot.test.fake import fakemaster
from buildbot.test.reactor import TestReactorMixin
from buildbot.worker import Worker
from minios_master.lost_build import BUILD_ENDED
from minios_master.remote.losses import LOSSES, PAUSED, LossWatch, steadiest
from minios_master.remote.member_workers import MemberWorker, checked_info
from stepbed import make_tables
from twisted.internet import defer
from twisted.spread import pb
from twisted.trial import unittest


class Losing(TestReactorMixin, unittest.TestCase):  # type: ignore[misc]
    @defer.inlineCallbacks
    def setUp(self) -> Any:  # type: ignore[override]
        self.patch(Model, "upgrade", make_tables)
        self.setup_test_reactor()
        self.master = yield fakemaster.make_master(self, wantDb=True, wantData=True, wantMq=True)
        self.master.mq.verifyMessages = False
        yield self.master.db.insert_test_data([fakedb.Worker(id=3, name="one")])
        self.paused: list[tuple[str, str]] = []
        self.workers = {}
        for name in ("one", "two"):
            worker = MemberWorker(name, "password")
            worker.pause = lambda reason, name=name: self.paused.append((name, reason))
            self.workers[name] = worker
        self.workers["local"] = SimpleNamespace(name="local")
        self.master.workers = SimpleNamespace(workers=self.workers)

    async def watch(self, **options: Any) -> Any:
        watch = LossWatch(**options)
        await watch.setServiceParent(self.master)
        await watch.reconfigService(**options)
        if not watch.running:
            await watch.startService()
        return watch

    async def end(self, watch: Any, worker: str, *, lost: bool) -> None:
        await watch._consume(BUILD_ENDED, {"worker": worker, "lost": lost, "reason": "it hung"})

    async def test_three_in_a_row(self) -> None:
        watch = await self.watch()
        for lost in (True, True, False, True, True):
            await self.end(watch, "one", lost=lost)
            await self.end(watch, "two", lost=True) if self.workers["two"].losses < 2 else None
        assert self.paused == []
        assert self.workers["one"].losses == 2
        self.master.mq.clearProductions()
        await self.end(watch, "one", lost=True)
        reason = "lost 3 builds in a row, the last because it hung"
        assert self.paused == [("one", reason)]
        assert self.master.mq.productions == [(PAUSED, {"name": "one", "reason": reason})]
        # Who lets it go on gives it as many again.
        for _ in range(LOSSES - 1):
            await self.end(watch, "one", lost=True)
        assert len(self.paused) == 1
        # This machine's own workers, and those that were revoked, are not counted.
        for _ in range(LOSSES):
            await self.end(watch, "local", lost=True)
            await self.end(watch, "gone", lost=True)
        assert len(self.paused) == 1

    async def test_over_restarts(self) -> None:
        first = await self.watch(losses=2)
        await self.end(first, "one", lost=True)
        await first.disownServiceParent()
        for worker in (self.workers["one"], self.workers["two"]):
            worker.losses = 0
        second = await self.watch(losses=2)
        assert self.workers["one"].losses == 1
        await self.end(second, "one", lost=True)
        assert [name for name, _reason in self.paused] == ["one"]

    def test_the_steadiest_is_first(self) -> None:
        free = [SimpleNamespace(worker=SimpleNamespace(losses=number)) for number in (2, 0, 1, 0)]
        free.append(SimpleNamespace(worker=SimpleNamespace()))
        chosen = {id(steadiest(None, free, None)) for _ in range(200)}
        assert chosen == {id(free[1]), id(free[3]), id(free[4])}

    async def test_a_paused_worker_keeps_its_reason(self) -> None:
        """Buildbot's own comes back from a restart paused, but nobody knows why."""
        await self.master.data.updates.set_worker_paused(3, paused=True, pause_reason="lost 3 builds")
        found = []
        for kind in (Worker, MemberWorker):
            worker = kind("one", "password")
            worker.parent = SimpleNamespace(master=self.master)
            worker.workerid = 3
            await worker._getWorkerInfo()
            found.append((worker._paused, worker._pause_reason))
        # When the first fails, Buildbot has mended it.
        assert found == [(True, None), (True, "lost 3 builds")]


class Builders(unittest.TestCase):
    """What a worker answers when it is told its builders: a reconfiguration waits for it."""

    async def told(self, answer: Any, *, raises: Exception | None = None) -> MemberWorker:
        self.aborted = 0

        def abort() -> None:
            self.aborted += 1

        async def set_builders(builders: Any) -> Any:  # noqa: ARG001
            if raises is not None:
                raise raises
            conn.builders = answer
            return answer

        transport = SimpleNamespace(abortConnection=abort)
        mind = SimpleNamespace(broker=SimpleNamespace(transport=transport))
        conn = SimpleNamespace(mind=mind, builders=None)
        conn.remoteSetBuilderList = lambda builders: defer.ensureDeferred(set_builders(builders))
        worker = MemberWorker("one", "password")
        botmaster = SimpleNamespace(getBuildersForWorker=lambda _name: [], builders={})
        worker.parent = SimpleNamespace(master=SimpleNamespace(botmaster=botmaster))
        worker.conn = conn
        await worker.updateWorker()
        return worker

    async def test_references(self) -> None:
        await self.told({"x86_64": pb.RemoteReference(None, None, 1, 0)})
        assert self.aborted == 0

    async def test_anything_else(self) -> None:
        for answer in ({"x86_64": 5}, {5: None}, 7, "x86_64", None, [["x86_64"]]):
            worker = await self.told(answer)
            assert (self.aborted, worker.lost_because) == (1, "it did not take its builders")

    async def test_no_answer(self) -> None:
        """Without this a worker that hangs holds up `minios worker invite` for all others."""
        await self.told(None, raises=pb.PBConnectionLost("cut off"))
        assert self.aborted == 1


@pytest.mark.parametrize("told", [None, 5, "x", [], {1: 2}, {b"version": b"1"}, {"version": ["x"] * 9}])
def test_info_that_is_none(told: Any) -> None:
    assert checked_info(told) == {"worker_commands": {}}


def test_info_is_cut_to_size() -> None:
    commands = {"shell": "3.3", "evil": "1; rm", 5: "1", "list": ["1"], "old": "1" * 80}
    told = {
        "version": "4.3.0",
        "admin": "x" * 5000,
        "host": "a\nb",
        "basedir": "/srv/w",
        "system": 7,
        "numcpus": 10**30,
        "environ": {"SECRET": "x"},
        "os_id": "y",
        "worker_commands": {**commands, **{f"c{n}": "1" for n in range(1000)}},
    }
    info = checked_info(told)
    assert {key: info[key] for key in info if key != "worker_commands"} == {
        "version": "4.3.0",
        "basedir": "/srv/w",
        "numcpus": 1024,
    }
    assert info["worker_commands"]["shell"] == "3.3"
    assert len(info["worker_commands"]) <= 100
    assert not {"evil", "list", "old"} & set(info["worker_commands"])
