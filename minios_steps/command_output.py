"""What a command on a worker said, for people: one short line of plain text."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

_ERRORS = 4096


@dataclass(frozen=True)
class CommandOutput:
    """How a command on the worker ended."""

    code: int
    stdout: str
    stderr: str
    timed_out: bool

    @property
    def last_line(self) -> str:
        """Why it failed, for an error message: its time limit, or the last line it printed."""
        if self.timed_out:
            return "it ran into its time limit"
        lines = [line.strip() for line in (self.stdout + "\n" + self.stderr).splitlines() if line.strip()]
        return plain(lines[-1])[:200] if lines else "it printed nothing"


def answer_of(remote: Any) -> str:
    """What the worker said of a failed command, in one short line; of mkdir it tells the error's number."""
    # Numbers of errors are small everywhere; what is none would be an error of our own.
    if remote.remote_command == "mkdir" and remote.rc and 0 < remote.rc < _ERRORS:
        return os.strerror(remote.rc)
    told = remote.stderr.strip() if getattr(remote, "stderr", "") else ""
    return plain(" ".join(told.split()))[:200] or f"exit {remote.rc}"


def plain(text: str) -> str:
    """A worker's text without what is more than text to a terminal or a database."""
    return "".join(char if char.isprintable() else "?" for char in text)
