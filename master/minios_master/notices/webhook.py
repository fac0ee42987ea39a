"""`SignedWebhook`: notices as JSON, posted and signed."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from twisted.internet import threads
from twisted.python import log

from minios_steps.core.web.webhook import PATIENCE, RefusedError, deliver

from .delivery import KeptReporter, UnwantedError

if TYPE_CHECKING:
    from minios_steps.core.errors import MiniosError
    from minios_steps.core.web.patience import Patience

    from .events import Notice


class SignedWebhook(KeptReporter):
    """Posts each notice to a URL.

    Args:
        url: where to.
        secret: the key of the signature: a renderable, such as `util.Secret(NAME)`.
        insecure: whether plain http is allowed.
        patience: how long and how often it is tried.
        generators: what makes the notices.

    The body is JSON: `event`, `id`, `subject`, `text` and `data`. What the server refuses is logged and
    given up; what it does not take, since it is away or broken, is kept.
    """

    secrets = ("secret",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stopped = threading.Event()

    def checkConfig(
        self,
        *,
        url: str,  # noqa: ARG002
        secret: Any,  # noqa: ARG002
        insecure: bool = False,  # noqa: ARG002
        patience: Patience = PATIENCE,  # noqa: ARG002
        generators: list[Any],
    ) -> None:
        """Check what can be checked before anything runs."""
        super().checkConfig(generators=generators)

    async def reconfigService(
        self,
        *,
        url: str,
        secret: Any,
        insecure: bool = False,
        patience: Patience = PATIENCE,
        generators: list[Any],
    ) -> None:
        """Take a configuration; the secret is a text by now."""
        self.url = url
        self.secret = secret
        self.insecure = insecure
        self.patience = patience
        await super().reconfigService(generators=generators)

    async def stopService(self) -> None:
        """Stop; the thread that waits for a server that does not answer ends soon."""
        self._stopped.set()
        await super().stopService()

    async def deliver(self, notices: list[Notice]) -> None:
        """Post each notice, one after the other.

        Raises:
            UnwantedError: the server refuses one.
            WebError: it does not take one.
            CancelledError: the master stops.
        """
        reactor = self.master.reactor
        for notice in notices:
            try:
                await threads.deferToThreadPool(reactor, reactor.getThreadPool(), self._post, notice)
            except RefusedError as error:
                raise UnwantedError(error.what) from error

    def _post(self, notice: Notice) -> None:
        data = {
            "event": notice.event,
            "id": notice.identity,
            "subject": notice.subject,
            "text": notice.text,
            "data": dict(notice.data),
        }
        deliver(
            self.url,
            json.dumps(data, sort_keys=True).encode(),
            event=notice.event,
            delivery=notice.identity,
            secret=self.secret,
            insecure=self.insecure,
            patience=self.patience,
            tell=self._tell,
            cancelled=self._stopped.is_set,
        )

    def _tell(self, error: MiniosError, wait: float) -> None:
        # Called in a thread; Twisted's log is written in the reactor's.
        self.master.reactor.callFromThread(log.msg, f"webhook: {error.what}; trying again in {wait:.0f} s")
