"""`KeptReporter`: a reporter whose messages wait in the outbox until they arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.reporters.base import ReporterBase
from twisted.internet import defer
from twisted.python import log

from minios_steps.core.cancel import CancelledError
from minios_steps.core.errors import MiniosError

if TYPE_CHECKING:
    from .events import Notice
    from .generator import NoticeGenerator
    from .outbox import Outbox

FIRST_WAIT = 60.0
"""Seconds until a message that could not be sent is tried again; doubled each time."""
LONGEST_WAIT = 3600.0
"""Seconds between two tries, at most."""


class UnwantedError(MiniosError):
    """Who gets the messages was reached, and refused this one: it is of no use to try again."""


class KeptReporter(ReporterBase):  # type: ignore[misc]
    """Sends one message after the other, in order, and again until it arrives, also by the next master.

    Nothing but a message waits for a server that is slow or away. It has one generator, a
    `NoticeGenerator`; a subclass has `deliver`.
    """

    outbox: Outbox
    _waits = 0
    _sending = False
    _wanted = False
    _stopping = False
    _call: Any = None
    _delivery: Any = None

    async def reconfigService(self, *args: Any, **kwargs: Any) -> None:
        """Take a configuration, and try again at once what could not be sent by the one before."""
        generator: NoticeGenerator
        [generator] = kwargs["generators"]
        # Whatever changes, there is one that writes.
        self.outbox = generator.outbox = getattr(self, "outbox", generator.outbox)
        await super().reconfigService(*args, **kwargs)
        self._stop_waiting()
        self._wake()

    async def stopService(self) -> None:
        """Stop; what waits is sent by the next master."""
        self._stopping = True
        self._stop_waiting()
        if self._delivery is not None:
            self._delivery.cancel()
        await super().stopService()

    async def sendMessage(self, reports: list[dict[str, Any]]) -> None:  # noqa: ARG002  # they are kept
        """Send what waits, unless that is being done."""
        self._stop_waiting()
        await self._send()

    async def deliver(self, notices: list[Notice]) -> None:
        """Send one message.

        Raises:
            UnwantedError: it was refused, and would be again.
            Exception: it did not arrive.
        """
        raise NotImplementedError

    def _wake(self) -> None:
        self._call = None
        defer.ensureDeferred(self._send()).addErrback(_log_error)

    async def _send(self) -> None:
        self._wanted = True
        if self._sending:
            return
        self._sending = True
        try:
            while self._wanted and not self._stopping:
                self._wanted = False
                await self._send_all()
        finally:
            self._sending = False

    async def _send_all(self) -> None:
        while notices := await self.outbox.first(self.master):
            self._delivery = defer.ensureDeferred(self.deliver(notices))
            try:
                await self._delivery
            except (CancelledError, defer.CancelledError):
                return
            except UnwantedError as error:
                self._log(notices, f"is refused, and given up: {error}")
            except Exception as error:  # noqa: BLE001  # whatever it is, the message is still to be sent
                wait = min(LONGEST_WAIT, FIRST_WAIT * 2.0**self._waits)
                self._waits += 1
                self._log(notices, f"is not delivered, and tried again in {wait:.0f} s: {_words(error)}")
                self._stop_waiting()
                self._call = self.master.reactor.callLater(wait, self._wake)
                return
            self._waits = 0
            await self.outbox.done(self.master, notices)

    def _log(self, notices: list[Notice], what: str) -> None:
        for notice in notices:
            log.msg(f"{self.name}: {notice.event} {notice.identity} {what}")

    def _stop_waiting(self) -> None:
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None


def _words(error: Exception) -> str:
    # What others say may hold all that was sent, a password too.
    return str(error) if isinstance(error, MiniosError) else type(error).__name__


def _log_error(failure: Any) -> None:
    log.err(failure, "while sending notices")  # type: ignore[no-untyped-call]
