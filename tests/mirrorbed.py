"""What the tests of web mirrors share.

A real web server on the loopback that misbehaves as it is told, one behaviour per
request, and a client that downloads from it.
"""

from __future__ import annotations

import contextlib
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import servebed

from minios_steps.core.config.sources import HttpsMirror
from minios_steps.core.digest import Digest
from minios_steps.core.sources import https
from minios_steps.core.sources.cache import SourceCache
from minios_steps.core.sources.request import Obtained, Request
from minios_steps.core.version import Version

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping

    Behaviour = Callable[["Handler"], None]


BODY = bytes(range(256)) * 1024
FAST = https.Patience(connect=2, read=0.3, total=20, first_wait=0.001, longest_wait=1)


class Client:
    def __init__(self, root: Path) -> None:
        self.cache = SourceCache(root)
        self.lines: list[str] = []
        self.max_bytes = 1 << 20
        self.cancelled = lambda: False

    def mirror(self, url: str, *, insecure: bool = True) -> HttpsMirror:
        return HttpsMirror(kind="https", url=url, insecure=insecure)

    @property
    def request(self) -> Request:
        return Request(
            Version.parse("1.38.0"),
            Digest.of(BODY),
            self.max_bytes,
            Path(),
            self.lines.append,
            self.cancelled,
        )

    def get(self, url: str, *, insecure: bool = True, patience: https.Patience = FAST) -> Obtained:
        return https.obtain(self.mirror(url, insecure=insecure), self.request, self.cache, patience=patience)

    def part(self, url: str) -> Path:
        return self.cache.partial(Digest.of(BODY), self.request.fill(url))


class Handler(BaseHTTPRequestHandler):
    server: WebServer

    def do_GET(self) -> None:
        self.server.seen.append(dict(self.headers.items()))
        behaviours = self.server.behaviours
        behaviour = behaviours.pop(0) if len(behaviours) > 1 else behaviours[0]
        with contextlib.suppress(ConnectionError):
            behaviour(self)

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class WebServer(ThreadingHTTPServer):
    daemon_threads = True
    behaviours: list[Behaviour]
    seen: list[dict[str, str]]

    def url(self, path: str = "busybox-{version}.tar.bz2", scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.server_address[1]}/{path}"


@contextmanager
def serving(*behaviours: Behaviour, certificate: Path | None = None) -> Iterator[WebServer]:
    """Answer the requests with the behaviours, in order; the last is kept up."""
    server = WebServer(("127.0.0.1", 0), Handler)
    server.behaviours = list(behaviours)
    server.seen = []
    with servebed.serving(server, certificate):
        yield server


def whole(body: bytes, *, etag: str = "", modified: str = "") -> Behaviour:
    """A good server: ranges, and `If-Range` when it has a validator."""

    def behave(handler: Handler) -> None:
        headers = {}
        if etag:
            headers["ETag"] = etag
        if modified:
            headers["Last-Modified"] = modified
        wanted = handler.headers.get("Range", "")
        condition = handler.headers.get("If-Range")
        if wanted and condition in (None, etag, modified):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                handler.answer(416, {"Content-Range": f"bytes */{len(body)}", "Content-Length": "0"})
                return
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            headers["Content-Length"] = str(len(body) - start)
            handler.answer(206, headers, body[start:])
        else:
            handler.answer(200, {**headers, "Content-Length": str(len(body))}, body)

    return behave


def cut_off(body: bytes, after: int, *, etag: str = "") -> Behaviour:
    """Promises the whole body and closes the connection after some bytes."""

    def behave(handler: Handler) -> None:
        headers = {"Content-Length": str(len(body)), **({"ETag": etag} if etag else {})}
        handler.answer(200, headers, body[:after])

    return behave


def cut_off_chunked(body: bytes) -> Behaviour:
    """Sends one chunk and closes the connection before the last."""

    def behave(handler: Handler) -> None:
        handler.protocol_version = "HTTP/1.1"
        chunk = f"{len(body):x}\r\n".encode() + body + b"\r\n"
        handler.answer(200, {"Transfer-Encoding": "chunked", "Connection": "close"}, chunk)

    return behave


def status(code: int, headers: Mapping[str, str] | None = None) -> Behaviour:
    """An answer without a body."""
    return lambda handler: handler.answer(code, {"Content-Length": "0", **(headers or {})})


def endless(handler: Handler) -> None:
    """Streams for ever, without a length."""
    handler.answer(200, {})
    while True:
        handler.wfile.write(b"x" * 65536)


def claims(size: int) -> Behaviour:
    """Announces a size and sends nothing."""
    return lambda handler: handler.answer(200, {"Content-Length": str(size)})


def silent(release: threading.Event) -> Behaviour:
    """Sends headers and then nothing, until the test is over."""

    def behave(handler: Handler) -> None:
        handler.answer(200, {"Content-Length": "100"})
        release.wait(10)

    return behave
