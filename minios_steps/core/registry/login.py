"""The `Authorization` of one registry: Basic, or tokens by scope (distribution, "Token Authentication")."""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from minios_steps.core.registry.challenge import Challenge, parse_challenges
from minios_steps.core.web.failures import WebError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from minios_steps.core.registry.credentials import Credentials

CLIENT = "minios"
TOKEN_SECONDS = 60
"""How long a token lasts that does not say (distribution, "Token Response Fields")."""
_EARLY_SECONDS = 5
_SENDABLE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class TokenRequest:
    """What to ask a token server for.

    Args:
        realm: its URL.
        url: the realm with the query, for GET.
        authorization: the header's value, for the realm's own host only; empty for none.
        form: to be POSTed to the realm instead; empty for GET.
    """

    realm: str
    url: str
    authorization: str = field(repr=False)
    form: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class _Token:
    text: str = field(repr=False)
    until: float


class Login:
    """Knows what the registry asked for, and holds the tokens it takes.

    Args:
        credentials: None to go on without a name.
        fetch: gets a token server's answer; its errors are raised as they are.
    """

    def __init__(self, credentials: Credentials | None, fetch: Callable[[TokenRequest], bytes]) -> None:
        self.credentials = credentials
        self._fetch = fetch
        self._challenge: Challenge | None = None
        self._scopes: dict[frozenset[str], frozenset[str]] = {}
        self._tokens: dict[frozenset[str], _Token] = {}
        self._lock = threading.Lock()

    def header(self, scopes: Collection[str]) -> str:
        """The header's value for a request that needs these scopes; empty while nothing was asked for.

        Raises:
            WebError: the token server refuses, or cannot be reached.
        """
        with self._lock:
            if self._challenge is None:
                return ""
            if self._challenge.scheme == "basic":
                return self.credentials.basic if self.credentials else ""
            key = frozenset(scopes)
            token = self._tokens.get(key)
            if token is None or time.monotonic() >= token.until:
                token = self._tokens[key] = self._get_token(self._scopes.get(key, key))
            return f"Bearer {token.text}"

    def learn(self, header: str, scopes: Collection[str]) -> None:
        """Take in the `WWW-Authenticate` of a 401: what was held for these scopes is no longer good."""
        known = {challenge.scheme: challenge for challenge in reversed(parse_challenges(header))}
        key = frozenset(scopes)
        with self._lock:
            self._tokens.pop(key, None)
            bearer = known.get("bearer")
            if bearer and bearer.parameters.get("realm"):
                self._challenge = bearer
                self._scopes[key] = key | set(bearer.parameters.get("scope", "").split())
            elif "basic" in known:
                self._challenge = known["basic"]

    def _get_token(self, scopes: frozenset[str]) -> _Token:
        parameters = self._challenge.parameters if self._challenge else {}
        realm = parameters["realm"]
        service = {"service": parameters["service"]} if parameters.get("service") else {}
        asked = sorted(scopes)
        began = time.monotonic()
        if self.credentials and self.credentials.identity_token:
            form = {
                **service,
                "grant_type": "refresh_token",
                "client_id": CLIENT,
                "scope": " ".join(asked),
                "refresh_token": self.credentials.identity_token,
            }
            request = TokenRequest(realm, realm, "", form)
        else:
            query = urlencode([*service.items(), *(("scope", scope) for scope in asked)])
            url = f"{realm}{'&' if '?' in realm else '?'}{query}" if query else realm
            request = TokenRequest(realm, url, self.credentials.basic if self.credentials else "", {})
        return _read_token(self._fetch(request), began)


def _read_token(body: bytes, began: float) -> _Token:
    try:
        told: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise WebError("the token server's answer is not JSON") from None
    text = (told.get("token") or told.get("access_token")) if isinstance(told, dict) else None
    if not isinstance(text, str) or not _SENDABLE.fullmatch(text):
        raise WebError("the token server's answer has no token")
    lasts = told.get("expires_in")
    if not isinstance(lasts, int) or isinstance(lasts, bool) or lasts <= 0:
        lasts = TOKEN_SECONDS
    # A token that ends while a request is under way would cost one more round trip.
    return _Token(text, began + lasts - min(_EARLY_SECONDS, lasts / 10))
