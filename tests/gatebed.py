"""A made-up master for the program on a vendor's machine: it gives the answers that it was told to."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minios_master.remote.authority import Authority


class Master:
    """A gate: TLS with a certificate, or not, and one answer for each connection.

    Args:
        answer: to the first that comes.
        authority: whose certificate it shows; None speaks no TLS.
        *more: answers to those that come then.
    """

    def __init__(self, answer: bytes, authority: Authority | None, *more: bytes) -> None:
        self._answers = (answer, *more)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if authority else None
        if self._context and authority:
            self._context.load_cert_chain(authority.gate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        self.asked: list[bytes] = []
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def requests(self) -> list[dict[str, Any]]:
        """What it was asked for, once all have come."""
        self.thread.join(10)
        return [json.loads(line) for line in self.asked]

    def _serve(self) -> None:
        with self._listener:
            for answer in self._answers:
                connection, _ = self._listener.accept()
                with connection:
                    self._say(connection, answer)

    def _say(self, connection: socket.socket, answer: bytes) -> None:
        try:
            wrap = self._context.wrap_socket if self._context else None
            stream = wrap(connection, server_side=True) if wrap else connection
            self.asked.append(stream.recv(4096))
            stream.sendall(answer)
            if wrap:
                stream.close()
        except OSError:
            pass
