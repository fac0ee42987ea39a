"""`NoticeMail`: notices by mail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildbot.reporters.mail import MailNotifier
from twisted.internet import defer
from twisted.mail.smtp import SMTPClientError, SMTPDeliveryError

from minios_steps.core.errors import MiniosError

from .delivery import KeptReporter, UnwantedError
from .generator import report_of

if TYPE_CHECKING:
    from .events import Notice

SECONDS = 120
"""How long a mail server may take."""

_REFUSED = range(500, 600)


class NoticeMail(KeptReporter, MailNotifier):  # type: ignore[misc]
    """Buildbot's `MailNotifier`, whose mails wait for a server that is away. Takes its arguments."""

    async def deliver(self, notices: list[Notice]) -> None:
        """Send one mail.

        Raises:
            UnwantedError: the server refuses it for good (RFC 5321, section 4.2.1).
            MiniosError: the server does not take it.
            Exception: it was not sent.
        """
        sending = defer.ensureDeferred(MailNotifier.sendMessage(self, [report_of(notices)]))
        # Twisted waits for ever for a server that takes the connection and says nothing.
        sending.addTimeout(SECONDS, self.master.reactor)
        try:
            await sending
        except SMTPClientError as error:
            # Its text is all that was said, the log-in included.
            told = f"the mail server says {error.code}"
            refused = isinstance(error, SMTPDeliveryError) and error.code in _REFUSED
            raise (UnwantedError(told) if refused else MiniosError(told)) from None
