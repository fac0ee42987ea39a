"""Who is told, made up: a web server that takes signed messages, and a mail server."""

from __future__ import annotations

import json
import socketserver
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from minios_steps.core.web.webhook import DELIVERY, EVENT, SIGNATURE, sign

if TYPE_CHECKING:
    from email.message import Message

SECRET = "made up for a test"


class Hook(ThreadingHTTPServer):
    """Takes messages whose signature is right; answers `statuses` first, one per request.

    `body_bytes` are announced of an answer, and never come.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _HookHandler)
        self.statuses: list[int] = []
        self.body_bytes = 0
        self.told: list[dict[str, Any]] = []
        self.deliveries: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"

    @property
    def events(self) -> list[str]:
        return [told["event"] for told in self.told]


class _HookHandler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.statuses.pop(0) if self.server.statuses else 204
        self.server.deliveries.append(self.headers[DELIVERY])
        if self.headers[SIGNATURE] != sign(SECRET, body):
            status = 403
        if status == 204:
            told = json.loads(body)
            assert (told["event"], told["id"]) == (self.headers[EVENT], self.headers[DELIVERY])
            self.server.told.append(told)
        self.send_response(status)
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.send_header("Content-Length", str(self.server.body_bytes))
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Quiet."""


class Postbox(socketserver.ThreadingTCPServer):
    """As much of SMTP (RFC 5321) as takes a mail."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _PostHandler)
        self.mails: list[Message] = []
        self.recipients: list[str] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails]


class _PostHandler(socketserver.StreamRequestHandler):
    server: Postbox

    def handle(self) -> None:
        self._say("220 made up")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"QUIT":
                self._say("221 bye")
                return
            if verb == b"DATA":
                self._say("354 go on")
                lines = []
                while (text := self.rfile.readline()) != b".\r\n":
                    lines.append(text)
                self.server.mails.append(message_from_bytes(b"".join(lines)))
            if verb == b"RCPT":
                self.server.recipients.append(line.decode().partition("<")[2].partition(">")[0])
            self._say("250 good")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())
