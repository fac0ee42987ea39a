"""The one string that carries an invite. The attach program in `workers/` reads it."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import asdict, dataclass

MARK = "minios1"
_CHECK = 8


@dataclass(frozen=True)
class Invite:
    """What a worker must know to come in for the first time.

    Args:
        host: the master's name or address, as the worker reaches it.
        port: the gate's port for TLS.
        tunnel_port: the gate's plain port on the master's loopback.
        fingerprint: sha256 of the master's authority, hexadecimal.
        name: the worker's.
        secret: good for one exchange.
    """

    host: str
    port: int
    tunnel_port: int
    fingerprint: str
    name: str
    secret: str

    def __str__(self) -> str:
        """`minios1.BODY.CHECK`: letters, digits, dots, dashes, so no shell and no mail program changes it."""
        told = json.dumps(asdict(self), separators=(",", ":"))
        body = base64.urlsafe_b64encode(told.encode("utf-8")).decode("ascii").rstrip("=")
        return f"{MARK}.{body}.{hashlib.sha256(body.encode('ascii')).hexdigest()[:_CHECK]}"
