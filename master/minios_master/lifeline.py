"""The master of one command stops when that command is gone, however it went."""

from __future__ import annotations

from typing import Any

from buildbot.util.service import BuildbotService
from twisted.internet import stdio
from twisted.internet.protocol import Protocol


class _Watcher(Protocol):
    """Tells when the other end of standard input is closed."""

    def __init__(self, service: Lifeline) -> None:
        self._service = service

    def connectionLost(self, reason: Any = None) -> None:  # noqa: ARG002
        """The command that started this master has closed its end, or died."""
        self._service.cut()


class Lifeline(BuildbotService):  # type: ignore[misc]
    """Stops running builds and then the master when standard input ends."""

    name = "lifeline"

    def __init__(self) -> None:
        super().__init__()
        self._stdio: Any = None

    async def startService(self) -> None:
        """Start to listen."""
        await super().startService()
        self._stdio = stdio.StandardIO(  # type: ignore[no-untyped-call]
            _Watcher(self), reactor=self.master.reactor
        )

    def cut(self) -> None:
        """End the process; workers' commands are killed as their services stop."""
        if self.master is not None and self.master.reactor.running:
            self.master.reactor.callLater(0, self.master.reactor.stop)
