"""One master per state folder: a lock that lives as long as whoever holds it."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from minios_steps.core.errors import MiniosError

if TYPE_CHECKING:
    from pathlib import Path


class InUseError(MiniosError):
    """Somebody else uses the state folder now."""


@dataclass(frozen=True)
class Run:
    """Who holds a state folder: `kind` is `matrix` or `up`."""

    kind: str
    pid: int
    url: str
    started: str
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
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise InUseError(self._who(), hint="wait for it, or use another --state folder") from error
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
        """Nobody runs here any more."""
        self._run.unlink(missing_ok=True)

    def holder(self) -> Run | None:
        """Who runs here now; None when the lock is free or its holder is still starting."""
        if not self._is_held():
            return None
        try:
            return Run(**json.loads(self._run.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _is_held(self) -> bool:
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _who(self) -> str:
        run = self.holder()
        if run is None:
            return f"another minios is starting in {self.state}"
        return f"another minios ({run.kind}, pid {run.pid}, since {run.started}) uses {self.state}"
