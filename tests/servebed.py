"""A server of a test's own, that answers from a thread while the test runs."""

from __future__ import annotations

import ssl
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from socketserver import TCPServer

S = TypeVar("S", bound="TCPServer")


@contextmanager
def serving(server: S, certificate: Path | None = None) -> Iterator[S]:
    """Let a server answer; over TLS where a certificate (with its key, PEM) is given."""
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
