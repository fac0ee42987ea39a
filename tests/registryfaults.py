"""How the registry of `registrybed` can misbehave: each fault is played for one request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registrybed import Fault, Handler


def status(code: int, name: str = "UNKNOWN", headers: Mapping[str, str] | None = None) -> Fault:
    """An error in the registry's own form; the request's body is read."""
    return lambda handler: handler.refuse(code, name, headers)


def drop(handler: Handler) -> None:
    """Cuts the connection without a word."""
    handler.drop()


def cut_upload(keep: int) -> Fault:
    """Takes some bytes of a part into the upload, then cuts the connection."""

    def behave(handler: Handler) -> None:
        found = re.search(r"/uploads/(\w+)", handler.path)
        assert found
        handler.server.uploads[found[1]] += handler.rfile.read(keep)
        handler.drop()

    return behave


def done_but_cut(handler: Handler) -> None:
    """Does what was asked, and cuts the connection in place of an answer."""
    answer, handler.answer = handler.answer, lambda *_, **__: None  # type: ignore[method-assign]
    try:
        handler.route(urlsplit(handler.path).path)
    finally:
        handler.answer = answer  # type: ignore[method-assign]
    handler.drop()


def cut_blob(data: bytes, after: int) -> Fault:
    """Promises a whole blob and cuts the connection after some bytes."""

    def behave(handler: Handler) -> None:
        handler.answer(200, {"Content-Length": str(len(data))}, data[:after])
        handler.drop()

    return behave


def endless(handler: Handler) -> None:
    """Streams for ever, without a length."""
    handler.close_connection = True
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"x" * 65536)
