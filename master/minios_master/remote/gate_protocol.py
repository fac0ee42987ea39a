"""One connection at the gate: a line of JSON, an answer, then Buildbot's protocol or nothing.

What comes in is from anybody: its size, its time and its number are bounded.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from twisted.internet import defer, protocol
from twisted.python import log

from minios_steps.core.errors import MiniosError

from .roster import RefusedError

if TYPE_CHECKING:
    from .gate import Gate

LONGEST = 4096
"""Bytes of a request."""
SECONDS = 15.0
"""How long a connection may take to say what it wants."""

CLOSING_SECONDS = 5.0
"""How long the other side may take to close a connection that Buildbot has closed."""


class _Insisting:
    """A transport whose end does not depend on the other side agreeing to it.

    Buildbot waits for the end of a connection when it removes a worker, and with TLS that end
    is a question that a hung or hostile worker never answers.
    """

    def __init__(self, transport: Any, reactor: Any) -> None:
        self._transport = transport
        self._reactor = reactor
        self._insist: Any = None

    def loseConnection(self) -> None:
        """Ask, then insist."""
        if self._insist is None:
            self._transport.loseConnection()
            self._insist = self._reactor.callLater(CLOSING_SECONDS, self._transport.abortConnection)

    def ended(self) -> None:
        """It is closed."""
        if self._insist is not None and self._insist.active():
            self._insist.cancel()

    def __getattr__(self, name: str) -> Any:
        """All else is the transport's."""
        return getattr(self._transport, name)


class GateProtocol(protocol.Protocol):
    """One connection."""

    transport: Any

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._line = b""
        self._asked = False
        self._inner: Any = None
        self._limit: Any = None

    def connectionMade(self) -> None:
        """Wait for a request, but not for long and not with everybody."""
        self.transport = _Insisting(self.transport, self._gate.reactor)
        if not self._gate.has_room(self):
            self.transport.abortConnection()
            return
        self._limit = self._gate.reactor.callLater(SECONDS, self._too_late)

    def dataReceived(self, data: bytes) -> None:
        """A part of the request, or of what Buildbot is to hear."""
        if self._inner is not None:
            self._inner.dataReceived(data)
            return
        self._line += data
        if len(self._line) > LONGEST or self._asked:
            self._refuse(RefusedError("that is no request"))
        elif b"\n" in self._line:
            self._asked = True
            self._stop_limit()
            defer.ensureDeferred(self._answer(self._line.partition(b"\n")[0]))

    def connectionLost(self, reason: Any = protocol.connectionDone) -> None:
        """The other side is gone."""
        self._gate.forget(self)
        self._stop_limit()
        self.transport.ended()
        if self._inner is not None:
            self._inner.connectionLost(reason)

    async def _answer(self, line: bytes) -> None:
        try:
            request = _request(line)
            answer = await self._gate.answer(request)
        except RefusedError as error:
            self._refuse(error)
        except MiniosError as error:
            log.msg(f"gate: {error}")
            self._refuse(RefusedError("the master cannot answer now; its log says why", final=False))
        except Exception as error:  # noqa: BLE001  # whatever it is, the other side must not hang
            log.err(error, "gate: while answering")  # type: ignore[no-untyped-call]
            self._refuse(RefusedError("the master cannot answer now; its log says why", final=False))
        else:
            self._say({"ok": True, **answer})
            if request["do"] == "attach":
                self._hand_over(request["name"])
            else:
                self.transport.loseConnection()

    def _hand_over(self, name: str) -> None:
        """From now on the connection is Buildbot's, as if it had come to its own port."""
        self._gate.forget(self)
        self._inner = self._gate.broker(name, self.transport.getPeer())
        self._inner.makeConnection(self.transport)

    def _refuse(self, error: RefusedError) -> None:
        peer = self.transport.getPeer()
        log.msg(f"gate: refused {getattr(peer, 'host', '?')}: {error}")
        self._say({"ok": False, "why": str(error), "final": error.final})
        self.transport.loseConnection()

    def _say(self, answer: dict[str, Any]) -> None:
        self.transport.write(json.dumps(answer).encode("ascii") + b"\n")

    def _too_late(self) -> None:
        self._limit = None
        self.transport.abortConnection()

    def _stop_limit(self) -> None:
        limit, self._limit = self._limit, None
        if limit is not None:
            limit.cancel()


def _request(line: bytes) -> dict[str, Any]:
    """The request in a line, its texts texts.

    Raises:
        RefusedError: it is none.
    """
    try:
        told = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RefusedError("that is no request") from error
    texts = {"authority": (), "redeem": ("name", "secret", "password"), "attach": ("name", "password")}
    if not isinstance(told, dict) or not isinstance(told.get("do"), str) or told["do"] not in texts:
        raise RefusedError("that is no request")
    if not all(isinstance(told.get(key), str) for key in texts[told["do"]]):
        raise RefusedError("that is no request")
    return told
