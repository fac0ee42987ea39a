"""The processes of one session: what a master that was killed leaves running."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

_ROUNDS = 50
_PAUSE = 0.02
_ENDED = "ZX"


def members(leader: int) -> tuple[int, ...]:
    """The running processes of the session that process `leader` began.

    Source: proc(5), `/proc/PID/stat`: after the command's name in brackets come the state, the
    parent, the process group and the session. Empty where there is no such file system.
    """
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text("latin-1").rpartition(")")[2].split()
        except OSError:
            # It ended meanwhile.
            continue
        if fields[0] not in _ENDED and int(fields[3]) == leader:
            found.append(int(stat.parent.name))
    return tuple(found)


def kill_session(leader: int) -> None:
    """Kill what is left of a session, and wait until it is gone, at most a second.

    A worker's commands have process groups of their own, but not sessions. The kernel gives
    nobody else the number of a session that still has members.
    """
    if leader == os.getsid(0):
        return
    for _ in range(_ROUNDS):
        left = members(leader)
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_PAUSE)
