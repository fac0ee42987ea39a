"""Buildbot's side of a remote worker's connection, with bounds on what the worker may do to the master.

Perspective Broker lets the other side send as much as it likes, name an object twice so that it
grows without end when it is copied, and leave every question without an answer. Here all that
ends with the connection, and Buildbot gives the build to another worker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.internet.protocol import connectionDone
from twisted.internet.task import LoopingCall
from twisted.python import log
from twisted.spread import pb

from minios_master.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass(frozen=True)
class Bounds:
    """What a worker may do. A hung one is cut off at the latest after `beat + answer + tick` seconds: 55.

    Args:
        beat: seconds between two questions to a worker, so that silence is noticed at all.
        answer: seconds in which each question must be answered; any byte from a slow line counts
            as a sign of life.
        patience: seconds in which it must be answered although bytes do come.
        attach: seconds in which a connection must have become Buildbot's worker.
        tick: seconds between two looks at the clock.
        message: bytes of one message; a block of a file has 512 KiB.
        depth: how deep lists may be nested in a message.
        rate: messages a second, over a tick; a worker at work sends some hundred.
        failures: calls of the master that may fail in the life of a connection.
    """

    beat: float = 10.0
    answer: float = 40.0
    patience: float = 300.0
    attach: float = 60.0
    tick: float = 5.0
    message: int = 2 << 20
    depth: int = 32
    rate: int = 2000
    failures: int = 50


# Twisted's names for an object that stands in two places of a message. No worker sends one, and a
# chain of them is small on the wire and endless in memory.
_SHARED = (b"reference", b"dereference")
_LONGEST_NAME = 64


class WorkerBroker(pb.Broker):
    """Perspective Broker for one connection of a remote worker.

    Args:
        name: the worker's.
        bounds: what it may do.
        worker: gives Buildbot's worker of that name; None when there is none any more.
        clock: the reactor, for the time.
        **kwargs: what the factory gives every broker.
    """

    def __init__(
        self, name: str, bounds: Bounds, worker: Callable[[], Any], clock: Any, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self._name = name
        self._bounds = bounds
        self._worker = worker
        self._clock = clock
        self._is_cut = False
        self._pending = 0
        self._messages = 0
        self._failures = 0
        self._unanswered: dict[int, float] = {}
        self._heard = self._begun = self._beaten = self._ticked = clock.seconds()
        self._watch = LoopingCall(self._look)
        self._watch.clock = clock

    def connectionMade(self) -> None:
        """Begin, and watch."""
        super().connectionMade()  # type: ignore[no-untyped-call]
        self._watch.start(self._bounds.tick, now=False)

    def connectionLost(self, reason: Any = connectionDone) -> None:
        """Tell everybody who waits for an answer."""
        if self._watch.running:
            self._watch.stop()
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def dataReceived(self, chunk: bytes) -> None:
        """Take bytes from the worker; what breaks the protocol ends the connection."""
        if self._is_cut:
            return
        self._heard = self._clock.seconds()
        self._pending += len(chunk)
        try:
            super().dataReceived(chunk)  # type: ignore[no-untyped-call]
        except Exception as error:  # noqa: BLE001  # whatever the other side has made of the protocol
            self.cut(f"it broke the protocol: {type(error).__name__}: {error}")
            return
        if self._pending > self._bounds.message:
            self.cut(f"it sent a message of more than {self._bounds.message:,} bytes")

    def callExpressionReceived(self, obj: Any) -> None:
        """A whole message has come."""
        self._pending = 0
        self._messages += 1
        _check(obj, self._bounds.depth)
        super().callExpressionReceived(obj)  # type: ignore[no-untyped-call]

    def proto_didNotUnderstand(self, command: Any) -> None:
        """A worker understands what a master says."""
        raise pb.ProtocolError(f"it did not understand {str(command)[:40]!r}")

    def proto_message(
        self,
        requestID: Any,  # noqa: N803
        objectID: Any,  # noqa: N803
        message: Any,
        answerRequired: Any,  # noqa: N803
        netArgs: Any,  # noqa: N803
        netKw: Any,  # noqa: N803
    ) -> None:
        """A call of one of the master's objects; its answer is wanted, so that failures are counted."""
        if not answerRequired or len(message) > _LONGEST_NAME:
            raise pb.ProtocolError("a call that no worker makes")
        super().proto_message(  # type: ignore[no-untyped-call]
            requestID, objectID, message, answerRequired, netArgs, netKw
        )

    def _sendError(self, fail: Any, requestID: Any) -> None:  # noqa: N803
        self._failures += 1
        if self._failures > self._bounds.failures:
            self.cut(f"more than {self._bounds.failures} of its calls failed")
        elif not self._is_cut:
            super()._sendError(fail, requestID)  # type: ignore[no-untyped-call]

    def cut(self, why: str) -> None:
        """End the connection at once; the reason is logged and told to Buildbot's worker."""
        if self._is_cut:
            return
        self._is_cut = True
        why = printable(why)[:200]
        log.msg(f"gate: {self._name} is cut off: {why}")
        worker = self._worker()
        if self._is_attached(worker):
            worker.lost_because = why
        self.transport.abortConnection()  # type: ignore[union-attr]

    def _is_attached(self, worker: Any) -> bool:
        """Whether Buildbot's worker works through this very connection."""
        mind = getattr(getattr(worker, "conn", None), "mind", None)
        return mind is not None and mind.broker is self

    def _look(self) -> None:
        """One tick: ask, then judge what was asked before."""
        bounds, now = self._bounds, self._clock.seconds()
        if now - self._ticked > bounds.answer:
            # The master itself stood still, as machines do that sleep; answers are waiting to be read.
            self._unanswered.clear()
            self._heard = now
        self._ticked = now
        worker = self._worker()
        attached = self._is_attached(worker)
        if attached and now - self._beaten >= bounds.beat:
            self._beaten = now
            worker.conn.remotePrint("ping").addErrback(lambda _failure: None)
        asked: Iterable[int] = self.waitingForAnswers or ()
        self._unanswered = {number: self._unanswered.get(number, now) for number in asked}
        waits = now - min(self._unanswered.values(), default=now)
        silent = now - self._heard
        if waits > bounds.patience or min(waits, silent) >= bounds.answer:
            self.cut(f"no answer for {waits:.0f} s")
        elif not attached and now - self._begun > bounds.attach:
            self.cut(f"not attached within {bounds.attach:.0f} s")
        elif self._messages > bounds.rate * bounds.tick:
            self.cut(f"more than {bounds.rate:,} messages a second")
        self._messages = 0


def _check(expression: Any, depth: int) -> None:
    """Refuse a message that unfolds to more than it is; no recursion, as that is what it is about.

    Raises:
        ProtocolError: lists are nested too deep, or an object stands in two places.
    """
    level = [expression]
    for _ in range(depth):
        lists = [item for item in level if isinstance(item, list)]
        if not lists:
            return
        if any(item and isinstance(item[0], bytes) and item[0] in _SHARED for item in lists):
            raise pb.ProtocolError("a message with an object in two places")
        level = [inner for item in lists for inner in item]
    raise pb.ProtocolError(f"a message nested more than {depth} deep")
