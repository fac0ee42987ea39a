from __future__ import annotations

import json
import random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from minios_master.remote.broker import Bounds
from minios_master.remote.gate import BUILDBOT_PORT
from minios_master.remote.gate import Gate as RealGate
from minios_master.remote.gate_protocol import CLOSING_SECONDS, LONGEST, SECONDS, GateProtocol
from minios_master.remote.roster import RefusedError
from twisted.internet.error import ConnectionAborted
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from minios_steps.core.errors import MiniosError

if TYPE_CHECKING:
    from pathlib import Path

ATTACH = {"do": "attach", "name": "s390x-1", "password": "p"}


class Broker(Protocol):
    """Buildbot's side, which speaks first."""

    def __init__(self) -> None:
        self.heard = b""
        self.lost = 0

    def connectionMade(self) -> None:  # noqa: N802
        assert self.transport
        self.transport.write(b"pb")

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        self.heard += data

    def connectionLost(self, reason: Any = None) -> None:  # noqa: ARG002, N802
        self.lost += 1


class Gate:
    """A gate that answers as it was told, and notes what it was asked."""

    def __init__(self, answer: Any = None, room: int = 10) -> None:
        self.reactor = Clock()
        self.asked: list[dict[str, Any]] = []
        self.strangers: set[Any] = set()
        self.inner = Broker()
        self._answer = answer
        self._room = room

    def has_room(self, stranger: Any) -> bool:
        if len(self.strangers) >= self._room:
            return False
        self.strangers.add(stranger)
        return True

    def forget(self, stranger: Any) -> None:
        self.strangers.discard(stranger)

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(request)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer or {}

    def broker(self, name: str, _peer: Any) -> Broker:
        assert name == "s390x-1"
        return self.inner


def connect(gate: Any) -> tuple[GateProtocol, StringTransport]:
    made, transport = GateProtocol(gate), StringTransport()
    made.makeConnection(transport)
    return made, transport


def said(transport: StringTransport) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(transport.value().partition(b"\n")[0])
    return told


def test_a_worker_is_handed_to_buildbot() -> None:
    gate = Gate()
    made, transport = connect(gate)
    line = json.dumps(ATTACH).encode() + b"\n"
    made.dataReceived(line[:10])
    made.dataReceived(line[10:])
    assert transport.value() == b'{"ok": true}\npb'
    made.dataReceived(b"more")
    assert gate.inner.heard == b"more"
    assert not gate.strangers
    gate.reactor.advance(10 * SECONDS)
    assert not transport.disconnecting
    # Buildbot closes it; whoever does not agree is cut off.
    assert gate.inner.transport
    gate.inner.transport.loseConnection()
    assert transport.disconnecting
    assert not transport.disconnected
    gate.reactor.advance(CLOSING_SECONDS)
    assert transport.disconnected
    made.connectionLost()
    assert gate.inner.lost == 1


def test_a_worker_cannot_fill_the_master_with_connections(tmp_path: Path) -> None:
    gate = RealGate("127.0.0.1", 0, tmp_path)
    clock = Clock()
    known = SimpleNamespace(users={"s390x-1": ("", None)})
    gate.parent = SimpleNamespace(  # type: ignore[assignment]
        master=SimpleNamespace(
            reactor=clock,
            pbmanager=SimpleNamespace(dispatchers={BUILDBOT_PORT: known}),
            workers=SimpleNamespace(workers={}),
        )
    )
    gate._bounds = Bounds()
    gate._folder = SimpleNamespace(roster=SimpleNamespace(admit=lambda name, _: SimpleNamespace(name=name)))
    lines = [connect(gate) for _ in range(6)]
    for made, _ in lines:
        made.dataReceived(json.dumps(ATTACH).encode() + b"\n")
    answers = [said(transport) for _, transport in lines]
    assert [answer["ok"] for answer in answers] == [True] * 4 + [False] * 2
    assert answers[5] == {"ok": False, "why": "this worker has too many connections", "final": False}
    # None of them says anything more, so all end, and there is room again.
    for _ in range(20):
        clock.advance(5)
    assert all(transport.disconnected for _, transport in lines)
    for made, _ in lines:
        made.connectionLost(Failure(ConnectionAborted()))
    made, transport = connect(gate)
    made.dataReceived(json.dumps(ATTACH).encode() + b"\n")
    assert said(transport)["ok"]
    made.connectionLost(Failure(ConnectionAborted()))
    assert not clock.getDelayedCalls()


def test_other_questions_end_with_their_answer() -> None:
    gate = Gate({"authority": "PEM"})
    made, transport = connect(gate)
    made.dataReceived(b'{"do": "authority"}\n')
    assert said(transport) == {"ok": True, "authority": "PEM"}
    assert transport.disconnecting
    made.connectionLost()
    assert not gate.reactor.getDelayedCalls()


@pytest.mark.parametrize(
    ("error", "why", "final"),
    [
        (RefusedError("the invite was used already"), "the invite was used already", True),
        (RefusedError("later", final=False), "later", False),
        (MiniosError("/secret/place is damaged"), "the master cannot answer now; its log says why", False),
    ],
)
def test_refusals(error: Exception, why: str, *, final: bool) -> None:
    made, transport = connect(Gate(error))
    made.dataReceived(json.dumps(ATTACH).encode() + b"\n")
    assert said(transport) == {"ok": False, "why": why, "final": final}
    assert transport.disconnecting


def test_silence_and_crowds() -> None:
    gate = Gate(room=2)
    lines = [connect(gate) for _ in range(3)]
    assert [transport.disconnected for _, transport in lines] == [False, False, True]
    gate.reactor.advance(SECONDS)
    assert [transport.disconnected for _, transport in lines] == [True, True, True]
    for made, _ in lines:
        made.connectionLost()
    assert not gate.strangers
    assert not gate.asked


def test_endless_line() -> None:
    gate = Gate()
    made, transport = connect(gate)
    made.dataReceived(b"x" * (LONGEST + 1))
    assert said(transport)["why"] == "that is no request"
    assert transport.disconnecting
    assert not gate.asked


def test_nonsense_of_all_kinds_is_refused_in_the_same_words() -> None:
    seeded = random.Random(7)  # noqa: S311
    values: list[Any] = [None, 1, 1e400, True, [], {}, "", "attach", "\udc80", "x" * 200, {"a": [[]]}]
    for _ in range(2000):
        gate = Gate()
        made, transport = connect(gate)
        if seeded.random() < 0.5:
            data = seeded.randbytes(seeded.randrange(200)).replace(b"\n", b"")
        else:
            keys = seeded.sample(["do", "name", "password", "secret", "machine", ""], 3)
            told = {key: seeded.choice(values) for key in keys}
            data = json.dumps(seeded.choice([told, [told], told.get("do")])).encode()
        made.dataReceived(data + b"\n")
        answer = said(transport)
        if gate.asked:
            assert isinstance(gate.asked[0]["name"], str)
        else:
            assert answer == {"ok": False, "why": "that is no request", "final": True}
    deep = b"[" * LONGEST
    made, transport = connect(Gate())
    made.dataReceived(deep[:-1] + b"\n")
    assert said(transport)["why"] == "that is no request"
