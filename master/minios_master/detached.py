"""The master that `minios up` left running: used, and stopped, by other commands."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING

from minios_steps.core.errors import MiniosError

from .api import MasterApi
from .embedded import POLL_SECONDS, STOP_SECONDS, wait_until_ready
from .session import kill_session
from .state_lock import InUseError

if TYPE_CHECKING:
    from .state_lock import Run, StateLock


def attach(state: StateLock, run: Run) -> MasterApi:
    """The master that `up` left running, or is just starting, once it is ready.

    Raises:
        MiniosError: it has ended, or is not ready in time.
    """

    def check() -> None:
        if state.holder() != run:
            raise MiniosError(f"the master (pid {run.pid}) has ended", hint="start it with: minios up")

    api = MasterApi(run.url)
    wait_until_ready(api, check, "stop it with: minios down")
    return api


def stop_detached(state: StateLock) -> Run | None:
    """Stop the master that `up` left running; returns what it was, None when none runs.

    Raises:
        InUseError: something is starting here, and cannot be told to stop yet.
        MiniosError: what runs is a `minios matrix`, is another user's, or does not stop.
    """
    run = state.holder()
    if run is None:
        if state.is_held():
            raise InUseError(state.who(), hint="try again in a moment")
        return None
    if run.kind != "up":
        raise MiniosError(
            f"a minios matrix (pid {run.pid}) runs here, not a master that was brought up",
            hint="press Ctrl-C where it runs",
        )
    _send(run, signal.SIGTERM)
    if not _has_ended(state, run):
        _send(run, signal.SIGKILL)
    kill_session(run.pid)
    if not _has_ended(state, run):
        raise MiniosError(f"the master (pid {run.pid}) does not stop", hint=f"kill -9 {run.pid}")
    # Whoever takes the lock takes away what an earlier holder wrote.
    with contextlib.suppress(InUseError):
        state.acquire()
        state.release()
    return run


def _send(run: Run, number: signal.Signals) -> None:
    try:
        os.kill(run.pid, number)
    except ProcessLookupError:
        pass
    except PermissionError as error:
        raise MiniosError(f"the master (pid {run.pid}) is another user's") from error


def _has_ended(state: StateLock, run: Run) -> bool:
    deadline = time.monotonic() + STOP_SECONDS
    while state.holder() == run:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
