"""HTTP with one registry: login, redirects, errors in its own words, and nothing that waits for ever."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError
from urllib3.util.ssl_ import create_urllib3_context

from minios_steps.core.cancel import stop_if
from minios_steps.core.registry.errors import ERROR_LIMIT, RegistryError, read_error
from minios_steps.core.registry.login import CLIENT, Login, TokenRequest
from minios_steps.core.web.failures import TransientError, WebError, from_exception, from_status
from minios_steps.core.web.url import check_url, host_of, origin_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from minios_steps.core.registry.credentials import Credentials
    from minios_steps.core.registry.endpoint import Endpoint

_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_REDIRECTS = 5
_TOKEN_LIMIT = 1 << 20
_SEND_BLOCK = 256 << 10
_HOW_TO_TRUST = "name a file of its authority's certificates, or allow plain http if it speaks no TLS"
_ALLOW_HTTP = "plain http must be allowed for this registry"


@dataclass(frozen=True)
class Ask:
    """One request to the registry.

    Args:
        method: of HTTP.
        url: absolute.
        scopes: what a token must allow, such as `repository:NAME:pull`.
        good: the statuses that are no error.
        headers: further ones.
        body: gives the body anew for each time it is sent.
    """

    method: str
    url: str
    scopes: tuple[str, ...]
    good: Collection[int]
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Callable[[], Any] | None = None


class RefusedError(WebError):
    """An answer that is final, in the server's own words."""

    def __init__(self, what: str, *, code: str, status: int, hint: str = "") -> None:
        super().__init__(what, hint=hint)
        self.code = code
        self.status = status


class BusyError(TransientError):
    """An answer that may be another one next time, in the server's own words."""

    def __init__(self, what: str, *, code: str, status: int, wait: float | None) -> None:
        super().__init__(what, wait=wait)
        self.code = code
        self.status = status


class Wire:
    """The connections to one registry.

    Args:
        endpoint: the registry.
        credentials: None to go on without a name.
        cancelled: asked before every request and every block.
        report: called with lines for people.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        credentials: Credentials | None,
        cancelled: Callable[[], bool],
        report: Callable[[str], None],
    ) -> None:
        self.endpoint = endpoint
        self.cancelled = cancelled
        self.report = report
        self.session = requests.Session()
        context = _trust(endpoint)
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, _Adapter(context))
        self._login = Login(credentials, self._fetch_token)
        self._origin = origin_of(endpoint.url)

    def attempt(self, ask: Ask) -> requests.Response:
        """Send a request once, and once more when it needed another login.

        Returns:
            The answer, its body not read yet; the caller closes it.

        Raises:
            WebError: it failed; `TransientError` when the next try may be good.
            CancelledError: cancelled.
        """
        sent = self._login.header(ask.scopes)
        response = self._send(ask, sent, self._origin)
        if response.status_code == HTTPStatus.UNAUTHORIZED and origin_of(response.url) == self._origin:
            self._login.learn(response.headers.get("WWW-Authenticate", ""), ask.scopes)
            fresh = self._login.header(ask.scopes)
            # The same once more would only count as one more wrong password.
            if fresh != sent:
                response.close()
                response = self._send(ask, fresh, self._origin)
        if response.status_code in ask.good:
            return response
        raise self._refusal(response)

    def _send(self, ask: Ask, authorization: str, home: tuple[str, str, int]) -> requests.Response:
        """Send, follow redirects of what only reads; the authorization goes to `home` and nowhere else."""
        patience = self.endpoint.patience
        url, before = ask.url, ""
        for _ in range(_MAX_REDIRECTS + 1):
            check_url(url, insecure=self.endpoint.plain_http, before=before, hint=_ALLOW_HTTP)
            stop_if(self.cancelled)
            try:
                response = self.session.request(
                    ask.method,
                    url,
                    data=ask.body() if ask.body else None,
                    # Compressed on the way, the digests would be of other bytes.
                    headers={"Accept-Encoding": "identity", "User-Agent": CLIENT, **ask.headers},
                    auth=_Header(authorization if origin_of(url) == home else ""),
                    stream=True,
                    allow_redirects=False,
                    # urllib3 sends under the first of the two, and a registry's disk may be slow.
                    timeout=(patience.read if ask.body else patience.connect, patience.read),
                )
            except (requests.exceptions.RequestException, HTTPError) as error:
                failed = from_exception(error)
                if isinstance(error, requests.exceptions.SSLError):
                    failed.hint = _HOW_TO_TRUST
                raise failed from error
            if response.status_code not in _REDIRECTS or ask.method not in ("GET", "HEAD"):
                return response
            before, url = url, urljoin(url, response.headers.get("Location", ""))
            response.close()
        raise WebError(f"more than {_MAX_REDIRECTS} redirects")

    def _fetch_token(self, request: TokenRequest) -> bytes:
        method = "POST" if request.form else "GET"
        body = (lambda: dict(request.form)) if request.form else None
        ask = Ask(method, request.url, (), (HTTPStatus.OK,), body=body)
        response = self._send(ask, request.authorization, origin_of(request.realm))
        if response.status_code != HTTPStatus.OK:
            raise self._refusal(response, f"token server {host_of(request.realm)}: ")
        with response:
            return read_body(response, _TOKEN_LIMIT)

    def _refusal(self, response: requests.Response, who: str = "") -> WebError:
        """The error for an answer that is no success; closes it."""
        with response:
            try:
                code, message = read_error(read_body(response, ERROR_LIMIT))
            except WebError:
                code, message = "", ""
        plain = from_status(response.status_code, response.headers)
        what = who + ": ".join(part for part in (plain.what, code, message) if part)
        if isinstance(plain, TransientError):
            return BusyError(what, code=code, status=response.status_code, wait=plain.wait)
        hint = ""
        if response.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            known = self._login.credentials
            hint = (
                f"check the user name, the password and what {known.username or 'this user'} may do"
                if known
                else f"log in: docker login {self.endpoint.host}"
            )
        return RefusedError(what, code=code, status=response.status_code, hint=hint)


def read_body(response: requests.Response, limit: int) -> bytes:
    """A body that is small.

    Raises:
        WebError: it is longer than `limit` bytes; `TransientError` when it was cut off.
    """
    data = b""
    try:
        while block := response.raw.read(limit + 1 - len(data), decode_content=False):
            data += block
            if len(data) > limit:
                raise WebError(f"it sent more than the {limit:,} bytes allowed")
    except (requests.exceptions.RequestException, HTTPError, OSError) as error:
        raise from_exception(error) from error
    return data


class _Header(AuthBase):
    """Sets the header, or none; either way `requests` does not look into `~/.netrc`."""

    def __init__(self, value: str) -> None:
        self.value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.value:
            request.headers["Authorization"] = self.value
        return request


class _Adapter(HTTPAdapter):
    """Sends large blocks, and trusts a registry's own authorities beside the usual ones."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **extra: Any) -> None:  # noqa: FBT001, FBT002  # its own signature
        if self._context:
            extra["ssl_context"] = self._context
        super().init_poolmanager(connections, maxsize, block, blocksize=_SEND_BLOCK, **extra)


def _trust(endpoint: Endpoint) -> ssl.SSLContext | None:
    if endpoint.ca is None:
        return None
    context = create_urllib3_context()
    context.load_default_certs()
    try:
        context.load_verify_locations(endpoint.ca)
    except (OSError, ssl.SSLError) as error:
        raise RegistryError(
            f"{endpoint.ca}: cannot be read as certificates: {error.strerror or error}"
        ) from error
    return context
