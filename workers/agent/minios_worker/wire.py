"""Talking to the master's gate: one line of JSON there, one line back, over TLS that is pinned.

Over TLS the master must show a certificate of the authority whose fingerprint is in the invite.
Through a tunnel the connection is plain, ends at the master's own loopback, and the tunnel has
made sure who is there.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
from typing import TYPE_CHECKING, Any

from minios_worker.problem import WorkerError

if TYPE_CHECKING:
    from pathlib import Path
    from ssl import SSLContext

SERVER_NAME = "minios-master"
"""The name in the master's certificate: what it is, not where it is."""
TIMEOUT = 30
"""Seconds to wait for an answer."""
LONGEST = 65536
"""Bytes of an answer."""
WRONG_CERTIFICATE = (
    "the machine that answers is not the master of the invite: its certificate is of another authority. "
    "Ask the operator for a new invite, by a way you trust"
)


def has_tls() -> bool:
    """Whether this Python can speak TLS."""
    try:
        import ssl  # noqa: F401, PLC0415  # some Pythons are built without it
    except ImportError:
        return False
    return True


def pinned(authority: Path) -> SSLContext:
    """A context that accepts the master with a certificate of this authority, and nobody else."""
    import ssl  # noqa: PLC0415

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(str(authority))
    return context


def unpinned() -> SSLContext:
    """A context for the one question whose answer is proven by the invite's fingerprint."""
    import ssl  # noqa: PLC0415

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def ask(address: tuple[str, int], request: dict[str, Any], context: SSLContext | None) -> dict[str, Any]:
    """Send one request and return the answer.

    Args:
        address: host and port.
        request: what to ask.
        context: for TLS; None for a tunnel's plain end.

    Raises:
        WorkerError: nobody answers, the wrong one does, or it says no.
    """
    where = "{}:{}".format(*address)
    try:
        with socket.create_connection(address, TIMEOUT) as plain:
            stream = context.wrap_socket(plain, server_hostname=SERVER_NAME) if context else plain
            stream.sendall(encode(request))
            return decode(_line(stream))
    except OSError as error:
        if is_wrong_certificate(error):
            raise WorkerError(WRONG_CERTIFICATE) from error
        raise WorkerError(f"the master at {where} does not answer: {error}", final=False) from error


def is_wrong_certificate(error: BaseException) -> bool:
    """Whether an error of `ssl` says that the other side's certificate does not fit."""
    return getattr(error, "verify_code", 0) != 0 or type(error).__name__ == "SSLCertVerificationError"


def encode(request: dict[str, Any]) -> bytes:
    """A request as a line."""
    return json.dumps(request).encode("ascii") + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """The answer in a line.

    Raises:
        WorkerError: it is none, or it says no.
    """
    try:
        answer = json.loads(line.decode("utf-8"))
        good = answer["ok"]
    except (ValueError, TypeError, KeyError) as error:
        raise WorkerError("what answers there is not a minios master", final=False) from error
    if good is not True:
        raise WorkerError(f"the master refuses: {answer.get('why', '')}", final=answer.get("final") is True)
    found: dict[str, Any] = answer
    return found


def check_authority(pem: str, fingerprint: str) -> None:
    """Compare an authority's certificate with the invite.

    Raises:
        WorkerError: it is another one.
    """
    body = "".join(line for line in pem.split("\n") if "-----" not in line)
    try:
        found = hashlib.sha256(base64.b64decode(body, validate=True)).hexdigest()
    except ValueError as error:
        raise WorkerError("what answers there is not a minios master") from error
    if found != fingerprint:
        raise WorkerError(WRONG_CERTIFICATE)


def _line(stream: socket.socket) -> bytes:
    found = b""
    while not found.endswith(b"\n") and len(found) < LONGEST:
        more = stream.recv(4096)
        if not more:
            raise ConnectionError("it hung up")
        found += more
    return found
