"""A command on this machine, with a time limit, that can be cancelled."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core.cancel import POLL_SECONDS, never, stop_if
from minios_steps.core.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_KEPT_OUTPUT = 4 << 20
_GRACE_SECONDS = 3


@dataclass(frozen=True)
class Finished:
    """How a command ended.

    Args:
        code: its exit status, negative for a signal.
        output: what it printed, at most 4 MiB.
        errors: what it printed to its error stream, likewise.
    """

    code: int
    output: str
    errors: str


def run(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str | None],
    seconds: float,
    cancelled: Callable[[], bool] = never,
) -> Finished:
    """Run a command and wait for it; when it is stopped, so is what it started.

    Args:
        command: the program and its arguments.
        folder: where it runs.
        environment: added to this process's own, with `LC_ALL=C`; `None` takes a name away.
        seconds: after which it is stopped.
        cancelled: asked often; when it says yes, the command is stopped.

    Raises:
        SourceError: there is no such program, or it took too long.
        CancelledError: cancelled.
    """
    added = {**os.environ, "LC_ALL": "C", **environment}
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        try:
            child = subprocess.Popen(
                command,
                cwd=folder,
                env={name: value for name, value in added.items() if value is not None},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                # A group of its own: apt's downloaders are stopped with it.
                start_new_session=True,
            )
        except OSError as error:
            raise SourceError(f"cannot run {command[0]}: {error.strerror}") from error
        try:
            _wait(child, command[0], time.monotonic() + seconds, cancelled)
        finally:
            _stop(child)
        texts = []
        for stream in (output, errors):
            stream.seek(0)
            texts.append(stream.read(_KEPT_OUTPUT).decode("utf-8", "replace"))
        return Finished(child.returncode, *texts)


def _wait(child: subprocess.Popen[bytes], name: str, deadline: float, cancelled: Callable[[], bool]) -> None:
    while True:
        with suppress(subprocess.TimeoutExpired):
            child.wait(POLL_SECONDS)
            return
        stop_if(cancelled)
        if time.monotonic() > deadline:
            raise SourceError(f"{name} did not end in time")


def _stop(child: subprocess.Popen[bytes]) -> None:
    """End a command that still runs: politely at first, then whatever is left of its group."""
    if child.poll() is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with suppress(subprocess.TimeoutExpired):
            child.wait(_GRACE_SECONDS)
