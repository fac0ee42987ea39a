"""The REST interface's answers, written where sockets are written."""

from __future__ import annotations

import threading
from typing import Any

from buildbot.www.rest import RestRootResource, V2RootResource

VERSION = 2
"""Of Buildbot's REST interface."""


class ReactorRest(V2RootResource):  # type: ignore[misc]
    """Buildbot's, which touches a connection in the reactor's thread only.

    Buildbot 4.3 makes the text of an answer in a thread of its own, and writes it there too. A
    connection that ends at that moment is then taken from the reactor's books by the one thread and
    put back by the other. From then on each new connection that gets its number is refused with
    `FileNotFoundError`; as numbers are given out lowest first, the master may never answer again.
    (Twisted's issue 11625 suspects the same.) The price: an answer to a browser
    is packed there too.
    """

    def renderRest(self, request: Any) -> Any:
        """Answer a GET; the Deferred fires when the answer is written."""
        kept = _Kept(request)
        return super().renderRest(kept).addCallback(lambda _: kept.send())


class _Kept:
    """A request that keeps what another thread writes, until the reactor's sends it."""

    def __init__(self, request: Any) -> None:
        self._request = request
        self._reactors = threading.get_ident()
        self._parts: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)

    def write(self, data: bytes) -> None:
        """Take a part of the answer, from whichever thread."""
        if threading.get_ident() == self._reactors:
            # A log may be longer than fits into the memory.
            self._request.write(data)
        else:
            self._parts.append(data)

    def send(self) -> None:
        """Write what was kept; to be called in the reactor's thread."""
        if self._parts:
            self._request.write(b"".join(self._parts))


def answer_in_reactor() -> None:
    """Have Buildbot answer so; to be called before its web server starts."""
    RestRootResource.addApiVersion(VERSION, ReactorRest)
