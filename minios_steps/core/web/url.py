"""Which URLs may be asked, and how they are shown."""

from __future__ import annotations

from urllib.parse import urlsplit

from minios_steps.core.web.failures import WebError


def check_url(url: str, *, insecure: bool, before: str = "", hint: str = "") -> None:
    """Refuse a URL that may not be used.

    Args:
        url: where the next request would go.
        insecure: whether plain http is allowed.
        before: the URL that redirects here; https never leads to http.
        hint: how a person allows plain http, where that is not allowed.

    Raises:
        WebError: the scheme is neither https nor an allowed http, or no host is named.
    """
    scheme, host = _split(url)
    if not host:
        raise WebError("not a URL with a host")
    if before and _split(before)[0] == "https" and scheme != "https":
        raise WebError(f"redirects from https to {scheme or 'nowhere'}, to {host}")
    if scheme != "https" and not (scheme == "http" and insecure):
        raise WebError(
            f"{scheme or 'a URL without a scheme'} is not allowed", hint=hint if scheme == "http" else ""
        )


def host_of(url: str) -> str:
    """The server a URL names, without what may be secret in it."""
    return _split(url)[1] or "a malformed URL"


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: what a secret may be sent to (RFC 6454); raises `WebError` when malformed."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme.lower(), 0)
    except ValueError as error:
        raise WebError("not a URL") from error
    return parts.scheme.lower(), (parts.hostname or "").lower(), port


def _split(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        return parts.scheme.lower(), f"{parts.hostname}{port}" if parts.hostname else ""
    except ValueError:
        return "", ""
