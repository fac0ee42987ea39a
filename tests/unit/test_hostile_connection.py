"""Hundreds of lying workers on real connections: Perspective Broker and Buildbot's commands, on loopback."""

from __future__ import annotations

import collections
from functools import partial
from types import SimpleNamespace
from typing import Any

from buildbot.test.fake.logfile import FakeLogFile
from buildbot.worker.protocols.pb import Connection
from hostilebed import HANG_UP, Liar, resident, seeded
from minios_master.remote.broker import Bounds, WorkerBroker
from twisted.internet import defer, endpoints, reactor, task
from twisted.internet.error import ConnectionLost
from twisted.python import log
from twisted.python.failure import Failure
from twisted.spread import pb
from twisted.trial import unittest

from minios_steps import worker_command
from minios_steps.transfer import BoundedStringWriter, StringReader
from minios_steps.worker_command import BoundedCommand, BoundedShellCommand

CASES = 500
LIMIT_SECONDS = 5.0
"""How long one case may take, where commands may take a twentieth of a second."""
GROWTH = 40 << 20
LIMIT = OUTPUT = 1 << 20
BOUNDS = Bounds(beat=0.2, answer=1.0, tick=0.1, attach=5.0)


class Entry(pb.Root):  # type: ignore[misc]
    """What a worker finds at the gate."""

    def __init__(self, arrived: Any) -> None:
        self.arrived = arrived

    def remote_attach(self, mind: Any) -> None:
        self.arrived(mind)


class Bot(pb.Referenceable):  # type: ignore[misc]
    """The worker's end."""

    number = 0

    def remote_print(self, message: str) -> None: ...

    def remote_interruptCommand(self, *_: Any) -> None: ...  # noqa: N802

    def remote_startCommand(self, command: Any, _number: Any, _name: Any, args: Any) -> None:  # noqa: N802
        def tell(what: str, method: str, *told: Any) -> None:
            target = command if what == "command" else args.get(what)
            if target is not None:
                target.callRemote(method, *told).addErrback(lambda _: None)

        try:
            how = Liar(seeded(self.number), tell, 2 * OUTPUT).play()
        except pb.DeadReferenceError:
            return
        if how == HANG_UP:
            command.broker.transport.abortConnection()


class OverTheWire(unittest.TestCase):
    """One worker that comes back each time it was cut off."""

    timeout = 120

    @defer.inlineCallbacks
    def setUp(self) -> Any:  # type: ignore[override]
        self.patch(worker_command, "GRACE_SECONDS", 0.05)
        # Where no log is written Twisted keeps what it is told, and with it all that was sent.
        for name in ("msg", "err"):
            self.patch(log, name, lambda *_told, **_more: None)
        self.worker = SimpleNamespace(
            conn=None, lost_because="", workername="one", messageReceivedFromWorker=lambda: None
        )
        self.master = SimpleNamespace(reactor=reactor)
        self.bot = Bot()
        self.brokers: list[WorkerBroker] = []
        self.arrived: Any = None
        self.command: Any = None
        factory = pb.PBServerFactory(Entry(self.attach))
        factory.protocol = self.broker
        self.port = yield endpoints.TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
        self.addCleanup(self.port.stopListening)

    def broker(self, **kwargs: Any) -> WorkerBroker:
        """The master's end of a connection."""
        self.brokers = [broker for broker in self.brokers if not broker.disconnected]
        self.brokers.append(WorkerBroker("one", BOUNDS, lambda: self.worker, reactor, **kwargs))
        return self.brokers[-1]

    def attach(self, mind: Any) -> None:
        """As Buildbot does it."""
        self.worker.lost_because = ""
        mind.broker.transport.setTcpNoDelay(True)
        self.worker.conn = Connection(self.master, self.worker, mind)
        self.worker.conn.builders = {"one": mind}
        # Buildbot's own makes commands wait for an exit code that comes late.
        self.worker.conn.is_fake_test_connection = True
        mind.broker.notifyOnDisconnect(partial(self.lost, self.worker.conn))
        self.arrived.callback(None)

    def lost(self, conn: Any) -> None:
        """As a build does it."""
        if conn is not self.worker.conn:
            return
        self.worker.conn = None
        if self.command is not None:
            self.command.interrupt(Failure(ConnectionLost()))

    async def connected(self) -> None:
        """Wait for a connection."""
        if self.worker.conn is not None:
            return
        self.arrived = defer.Deferred()
        factory = pb.PBClientFactory()
        where = endpoints.TCP4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port)
        (await where.connect(factory)).transport.setTcpNoDelay(True)
        root = await factory.getRootObject()
        root.callRemote("attach", self.bot).addErrback(lambda _: None)
        await self.arrived

    def made(self, kind: int) -> Any:
        """A command of one of the kinds."""
        if kind == 0:
            shell = BoundedShellCommand(
                workdir="build", command=["true"], max_time=1, max_lines=1000, collectStdout=True
            )
            shell.useLog(FakeLogFile("stdio"), False, "stdio")
            shell.bound(seconds=0.05, max_output=OUTPUT)
            return shell
        name, args = (
            ("mkdir", {"dir": "x"}),
            ("uploadFile", {"writer": BoundedStringWriter(LIMIT)}),
            ("downloadFile", {"reader": StringReader(b"text" * 1000)}),
        )[kind - 1]
        return BoundedCommand(name, args, seconds=0.05)

    async def test_hundreds_of_lies(self) -> None:
        step = SimpleNamespace(
            master=self.master,
            build=None,
            workerVersion=lambda *_: "3.3",
            workerVersionIsOlderThan=lambda *_: False,
        )
        ends: collections.Counter[str] = collections.Counter()
        before = 0
        for number in range(CASES):
            await self.connected()
            self.bot.number = number
            self.command = command = self.made(number % 4)
            command.worker = self.worker
            start = reactor.seconds()  # type: ignore[attr-defined]
            try:
                await command.run(step, self.worker.conn, "one")
            except ConnectionLost:
                ends["lost"] += 1
            except Exception as error:  # noqa: BLE001  # counted, by its name
                ends[type(error).__name__] += 1
            else:
                ends["bad" if command.problem or command.results() else "good"] += 1
            self.command = None
            # A connection that is lost tells so only when all who wait for an answer have been told.
            await task.deferLater(reactor, 0)
            assert reactor.seconds() - start < LIMIT_SECONDS  # type: ignore[attr-defined]
            if number == CASES // 4:
                before = resident()
        assert resident() - before < GROWTH
        # A failure of the worker's is the only exception besides the loss of it.
        assert set(ends) == {"lost", "bad", "good", "RemoteException"}, ends
        assert min(ends.values()) > CASES // 50, ends
        # Nothing is left of any connection.
        for broker in self.brokers:
            broker.transport.abortConnection()
        while not all(broker.disconnected for broker in self.brokers):
            await task.deferLater(reactor, 0.01)
        await task.deferLater(reactor, 0.05)
