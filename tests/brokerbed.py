"""A worker's end of a connection and the master's, in memory: what the worker sends can be anything."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from minios_master.remote.broker import Bounds, WorkerBroker
from twisted.internet.error import ConnectionAborted
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.spread import pb


class Root(pb.Root):  # type: ignore[misc]
    """What the master shows: it keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def remote_tell(self, what: Any) -> int:
        self.told.append(what)
        return len(self.told)

    def remote_fail(self) -> None:
        raise ValueError("as asked")


class Bot(pb.Referenceable):  # type: ignore[misc]
    """What the worker shows; a hung one answers nothing."""

    def __init__(self) -> None:
        self.printed: list[str] = []

    def remote_print(self, message: str) -> None:
        self.printed.append(message)


class Line:
    """A connection: `client` is the worker's broker, `server` the master's.

    `pump` carries bytes; while `hung` the worker's end neither reads nor writes.
    """

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.clock = Clock()
        self.worker = SimpleNamespace(conn=None, lost_because="")
        self.server = WorkerBroker(
            "s390x-1", bounds or Bounds(), lambda: self.worker, self.clock, isClient=False
        )
        self.client = pb.Broker(isClient=True)
        self.root, self.bot = Root(), Bot()
        self.hung = False
        self.ends = (StringTransport(), StringTransport())
        for broker in (self.server, self.client):
            broker.factory = SimpleNamespace(clientConnectionMade=lambda _: None, unsafeTracebacks=False)
        self.server.setNameForLocal("root", self.root.rootObject(self.server))
        self.server.makeConnection(self.ends[0])
        self.client.makeConnection(self.ends[1])
        self.pump()

    @property
    def is_cut(self) -> bool:
        """Whether the master has ended it."""
        return bool(self.ends[0].disconnected)

    def pump(self) -> None:
        """Carry bytes until none are left."""
        moved = True
        while moved and not self.hung:
            moved = False
            for mine, other in ((self.ends[0], self.client), (self.ends[1], self.server)):
                data = mine.value()
                mine.clear()
                if data and not self.is_cut:
                    moved = True
                    other.dataReceived(data)

    def attach(self) -> None:
        """The worker has become Buildbot's."""
        self.client.setNameForLocal("bot", self.bot)
        mind = self.server.remoteForName("bot")
        self.worker.conn = SimpleNamespace(
            mind=mind, remotePrint=lambda message: mind.callRemote("print", message)
        )

    def call(self, method: str, *args: Any) -> list[Any]:
        """What the worker gets for a call of the master's root, once it is there."""
        answers: list[Any] = []
        self.client.remoteForName("root").callRemote(method, *args).addBoth(answers.append)
        self.pump()
        return answers

    def send(self, expression: Any) -> None:
        """Send any expression; whatever the answer is, nobody hears it."""
        self.client.sendEncoded(expression)
        data = self.ends[1].value()
        self.ends[1].clear()
        self.server.dataReceived(data)
        self.ends[0].clear()

    def pass_time(self, seconds: float, step: float = 1.0) -> None:
        """Let time pass, and what is sent meanwhile arrive."""
        for _ in range(int(seconds / step)):
            self.clock.advance(step)
            self.pump()

    def close(self) -> None:
        """The connection is gone for both."""
        self.server.connectionLost(Failure(ConnectionAborted()))
