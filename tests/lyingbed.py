"""A connection to a worker that lies, without a network."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from hostilebed import HANG_UP, Liar
from twisted.internet import defer
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

if TYPE_CHECKING:
    from random import Random

LIMIT = 1 << 20
"""Bytes an upload may have."""


class Connection:
    """A connection to a worker that lies.

    `sent` is what it has written to a file of the master, as far as that was written in order.
    """

    is_fake_test_connection = True

    def __init__(self, dice: Random) -> None:
        self.dice = dice
        self.mind = SimpleNamespace(broker=SimpleNamespace(transport=self))
        self.how = ""
        self.command: Any = None
        self.interrupted = False
        self.aborted = False
        self.closed = False
        self.completed = False
        self.sent = b""

    def remoteStartCommand(self, command: Any, *_: Any) -> Any:  # noqa: N802
        self.command = command
        self.how = Liar(self.dice, self.tell).play()
        if self.how == HANG_UP:
            self.abortConnection()
        return defer.succeed(None)

    def remoteInterruptCommand(self, *_: Any) -> Any:  # noqa: N802
        self.interrupted = True
        return defer.succeed(None)

    def abortConnection(self) -> None:  # noqa: N802
        self.aborted = True
        self.command.interrupt(Failure(ConnectionLost()))

    def tell(self, what: str, method: str, *args: Any) -> None:
        target = self.command if what == "command" else self.command.args.get(what)
        function = getattr(target, f"remote_{method}", None)
        if function is None:
            return
        try:
            function(*args)
        except Exception:  # noqa: BLE001  # Perspective Broker sends it back
            return
        if (what, method) == ("writer", "write") and isinstance(args[0], (str, bytes)) and not self.closed:
            self.sent += args[0].encode() if isinstance(args[0], str) else args[0]
        self.closed = self.closed or (what, method) == ("writer", "close")
        self.completed = self.completed or method == "complete"
