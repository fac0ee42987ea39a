"""Which URLs may be asked, and how they are shown."""

from __future__ import annotations

from urllib.parse import urlsplit

from minios_steps.core.errors import SourceError


def check_url(url: str, *, insecure: bool, before: str = "") -> None:
    """Refuse a URL that may not be used.

    Args:
        url: where the next request would go.
        insecure: whether plain http is allowed.
        before: the URL that redirects here; https never leads to http.

    Raises:
        SourceError: the scheme is neither https nor an allowed http, or no host is named.
    """
    scheme, host = _split(url)
    if not host:
        raise SourceError("not a URL with a host")
    if before and _split(before)[0] == "https" and scheme != "https":
        raise SourceError(f"redirects from https to {scheme or 'nowhere'}, to {host}")
    if scheme != "https" and not (scheme == "http" and insecure):
        hint = "write `insecure: true` beside the URL to allow it" if scheme == "http" else ""
        raise SourceError(f"{scheme or 'a URL without a scheme'} is not allowed", hint=hint)


def host_of(url: str) -> str:
    """The server a URL names, without what may be secret in it."""
    return _split(url)[1] or "a malformed URL"


def _split(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        return parts.scheme.lower(), f"{parts.hostname}{port}" if parts.hostname else ""
    except ValueError:
        return "", ""
