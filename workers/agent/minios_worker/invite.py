"""An invite: the one string that the operator of a master hands to the person at this machine."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from typing import Any, NamedTuple

from minios_worker.problem import WorkerError

MARK = "minios1"
_CHECK = 8
_LONGEST = 4096
_PORT_LIMIT = 65535
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_HOST = re.compile(r"[A-Za-z0-9.:_-]{1,255}")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_SECRET = re.compile(r"[A-Za-z0-9_-]{32,128}")


class Invite(NamedTuple):
    """What an invite says.

    `host` and `port` take TLS; `tunnel_port` is the plain one that only the master's own
    machine reaches; `fingerprint` is the sha256 of the master's authority, in hexadecimal.
    """

    host: str
    port: int
    tunnel_port: int
    fingerprint: str
    name: str
    secret: str


def parse(text: str) -> Invite:
    """Read an invite; white space inside, as from a wrapped line in a mail, does no harm.

    Raises:
        WorkerError: it is none, or a part of it is missing.
    """
    mark, _, rest = "".join(text[:_LONGEST].split()).partition(".")
    body, _, check = rest.partition(".")
    if mark != MARK:
        raise WorkerError(f"this is not an invite: it should start with {MARK}.")
    if hashlib.sha256(body.encode("ascii", "replace")).hexdigest()[:_CHECK] != check:
        raise WorkerError("the invite is damaged: copy the whole string")
    try:
        told = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return _checked(told)
    except (ValueError, binascii.Error, KeyError, TypeError) as error:
        raise WorkerError("the invite is from another version of minios: ask for one of yours") from error


def _checked(told: Any) -> Invite:
    """The parts, each of the kind it should be; raises ValueError, KeyError or TypeError."""
    port, tunnel_port = int(told["port"]), int(told["tunnel_port"])
    parts = ((_HOST, "host"), (_FINGERPRINT, "fingerprint"), (_NAME, "name"), (_SECRET, "secret"))
    if not all(pattern.fullmatch(told[key]) for pattern, key in parts):
        raise ValueError("a part of the wrong kind")
    if not (0 < port <= _PORT_LIMIT and 0 < tunnel_port <= _PORT_LIMIT):
        raise ValueError("not a port")
    return Invite(told["host"], port, tunnel_port, told["fingerprint"], told["name"], told["secret"])
