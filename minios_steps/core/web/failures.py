"""What went wrong on the way to a web server: in words, and whether to try again."""

from __future__ import annotations

import email.utils
import math
import socket
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

import requests
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError, ReadTimeoutError

from minios_steps.core.errors import MiniosError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SERVER_ERRORS = 500
_MISSING = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)

# The first that fits, anywhere in the chain of causes: its words, and whether no word came back.
_WORDS: tuple[tuple[tuple[type[BaseException], ...], str, bool], ...] = (
    ((socket.gaierror, NameResolutionError), "host name not found", True),
    ((requests.exceptions.ConnectTimeout,), "no answer to the connection", True),
    ((requests.exceptions.Timeout, ReadTimeoutError), "it stopped sending", False),
    ((requests.exceptions.ProxyError,), "the proxy does not let it through", True),
    ((ConnectionRefusedError,), "connection refused", True),
    ((NewConnectionError,), "cannot be reached", True),
    ((requests.exceptions.ConnectionError, HTTPError), "the connection broke", False),
)


class WebError(MiniosError):
    """A request that failed; `what` names no server, which the caller knows."""


class MissingError(WebError):
    """The server has no such thing."""


class TransientError(WebError):
    """A failure that may be gone at the next try.

    Args:
        what: as in `MiniosError`.
        wait: seconds the server asked to wait, when it did.
        unreachable: no word came back from the server at all.
    """

    def __init__(self, what: str, *, wait: float | None = None, unreachable: bool = False) -> None:
        super().__init__(what)
        self.wait = wait
        self.unreachable = unreachable


def from_exception(error: Exception) -> WebError:
    """The error for something that `requests` or `urllib3` raised; never quotes a URL."""
    if isinstance(error, requests.exceptions.SSLError):
        return WebError(
            "its certificate is not trusted, or it speaks no TLS",
            hint="REQUESTS_CA_BUNDLE names a file with further authorities",
            details=str(error),
        )
    chain = tuple(_chain(error))
    for kinds, what, unreachable in _WORDS:
        if any(isinstance(cause, kinds) for cause in chain):
            return TransientError(what, unreachable=unreachable)
    return WebError(f"the request cannot be made: {type(error).__name__}")


def from_status(status: int, headers: Mapping[str, str]) -> WebError:
    """The error for an HTTP status that is no success (RFC 9110, section 15)."""
    try:
        name = f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        name = f"HTTP {status}"
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= _SERVER_ERRORS:
        wait = _retry_after(headers.get("Retry-After", ""))
        return TransientError(f"{name}, asks to wait {wait:.0f} s" if wait else name, wait=wait)
    return MissingError(name) if status in _MISSING else WebError(name)


def _retry_after(value: str) -> float | None:
    """Seconds to wait (RFC 9110, section 10.2.3): a number of seconds, or a date."""
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        moment = email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, math.ceil(moment - time.time()))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what caused it; urllib3 keeps causes in `reason`, requests in `args`."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        current = waiting.pop(0)
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        waiting += [current.__cause__, current.__context__, getattr(current, "reason", None), *current.args]
