"""A message posted to a web server that can tell who sent it.

The signature is HMAC-SHA256 (RFC 2104) over the body's bytes, in hexadecimal behind `sha256=`.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

import requests
from urllib3.exceptions import HTTPError

from minios_steps.core.cancel import stop_if
from minios_steps.core.web.failures import TransientError, WebError, from_exception, from_status
from minios_steps.core.web.patience import Patience, Persistence
from minios_steps.core.web.url import check_url

if TYPE_CHECKING:
    from collections.abc import Callable

EVENT = "X-Minios-Event"
"""The header that says what happened."""
DELIVERY = "X-Minios-Delivery"
"""The header that is the same for every try of one message, and for no other message."""
SIGNATURE = "X-Minios-Signature"
"""The header with the signature."""

PATIENCE = Patience(total=300, tries=6, unreachable_tries=6, first_wait=1, longest_wait=60)

_REDIRECT = 300


class RefusedError(WebError):
    """The server was reached, and does not want the message."""


def sign(secret: str, body: bytes) -> str:
    """The value of the signature's header."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def deliver(
    url: str,
    body: bytes,
    *,
    event: str,
    delivery: str,
    secret: str,
    insecure: bool,
    patience: Patience = PATIENCE,
    tell: Callable[[TransientError, float], None],
    cancelled: Callable[[], bool],
) -> None:
    """Post a message, again and again until the server has it or it makes no sense.

    Blocks; call it from a thread. A redirect is a failure: a signed message goes to nobody else.

    Args:
        url: where to.
        body: JSON.
        event: what happened, in a word.
        delivery: the message's own name.
        secret: the key of the signature.
        insecure: whether plain http is allowed.
        patience: how long, and how often.
        tell: called before each wait with the failure and the seconds to wait.
        cancelled: asked often.

    Raises:
        RefusedError: the server refuses it.
        WebError: the server does not take it.
        CancelledError: cancelled.
    """
    check_url(url, insecure=insecure, hint="write `insecure: true` beside the URL to allow it")
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "minios",
        EVENT: event,
        DELIVERY: delivery,
        SIGNATURE: sign(secret, body),
    }

    def post() -> None:
        stop_if(cancelled)
        try:
            answer = requests.post(
                url,
                data=body,
                headers=headers,
                allow_redirects=False,
                # Nobody reads the answer's body, which might never end.
                stream=True,
                timeout=(patience.connect, patience.read),
            )
            answer.close()
        except (requests.exceptions.RequestException, HTTPError) as error:
            raise from_exception(error) from error
        if answer.status_code >= _REDIRECT:
            failure = from_status(answer.status_code, answer.headers)
            raise failure if isinstance(failure, TransientError) else RefusedError(failure.what)

    Persistence(patience, cancelled, tell).run(post)


__all__ = ["DELIVERY", "EVENT", "PATIENCE", "SIGNATURE", "RefusedError", "WebError", "deliver", "sign"]
