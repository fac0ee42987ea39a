"""One master per state folder: a lock that lives as long as whoever holds it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from minios_steps.core.errors import MiniosError

if TYPE_CHECKING:
    from pathlib import Path

_TRIES = 5
_PAUSE = 0.02


class InUseError(MiniosError):
    """Somebody else uses the state folder now."""


@dataclass(frozen=True)
class Run:
    """Who holds a state folder.

    Args:
        kind: `matrix` or `up`.
        pid: of the command for `matrix`, of the master for `up`.
        url: the web address.
        started: ISO time.
        config: the configuration folder.
        out: where releases go: an OCI layout's folder, or a registry's repository.
    """

    kind: str
    pid: int
    url: str
    started: str
    config: str
    out: str


class StateLock:
    """The lock of a state folder.

    The kernel drops it with the last process that holds the descriptor, so a killed
    process leaves no stale lock. A master inherits the descriptor from who started it.
    """

    def __init__(self, state: Path) -> None:
        self.state = state
        self._path = state / "lock"
        self._run = state / "run.json"
        self.descriptor = -1

    def acquire(self) -> None:
        """Take the lock; raises `InUseError` naming the holder when it is taken."""
        self.state.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if not _lock(descriptor):
            os.close(descriptor)
            raise InUseError(
                self.who(),
                hint="wait for it, stop what is up with `minios down`, or use another --state folder",
            )
        self.descriptor = descriptor
        self._run.unlink(missing_ok=True)

    def release(self) -> None:
        """Give the lock up, unless a master inherited it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def announce(self, run: Run) -> None:
        """Write down who runs here, for `status`, `down` and the error message."""
        temporary = self._run.with_suffix(".tmp")
        temporary.write_text(json.dumps(asdict(run)), "utf-8")
        temporary.replace(self._run)

    def forget(self) -> None:
        """Nobody runs here any more; does nothing without the lock: what is written is another's then."""
        if self.descriptor >= 0:
            self._run.unlink(missing_ok=True)

    def holder(self) -> Run | None:
        """Who runs here now; None when the lock is free or its holder is still starting."""
        if not self.is_held():
            return None
        try:
            return Run(**json.loads(self._run.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def is_held(self) -> bool:
        """Whether somebody has the lock now."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            # Shared: two who look at the same time do not see each other.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def who(self) -> str:
        """Who holds the lock, in words."""
        run = self.holder()
        if run is None:
            return f"another minios is starting in {self.state}"
        return f"another minios ({run.kind}, pid {run.pid}, since {run.started}) uses {self.state}"


def _lock(descriptor: int) -> bool:
    """Take the lock, also when somebody is just looking whether it is free, which needs it for a moment."""
    for attempt in range(_TRIES):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if attempt < _TRIES - 1:
            time.sleep(_PAUSE)
    return False
