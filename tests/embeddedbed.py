"""Embedded masters whose Buildbot is a made-up one, and what is to be gone when they have stopped."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from masterbed import CHILD
from minios_master import embedded
from minios_master.embedded import EmbeddedMaster
from minios_master.session import members
from minios_master.settings import Settings
from minios_master.state_lock import StateLock

from minios_steps.core.config.minios import Web

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pytest

STUBBORN = "trap '' TERM; echo ready; exec sleep 60"


@contextmanager
def masters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., EmbeddedMaster]]:
    """Makes masters whose Buildbot is `masterbed.play`, and stops them."""
    monkeypatch.setattr(embedded, "_BUILDBOT", CHILD)
    made: list[EmbeddedMaster] = []

    def make(how: str = "", *, port: int = 0, **settings: Any) -> EmbeddedMaster:
        monkeypatch.setenv("STUB", how)
        state = settings.pop("state", tmp_path / "state")
        made.append(EmbeddedMaster(Settings(tmp_path / "config", state, **settings), Web(port=port)))
        return made[-1]

    yield make
    for master in made:
        if master.process is not None:
            master.process.kill()
        master.stop()


def pid_of(master: EmbeddedMaster) -> int:
    assert master.process is not None
    return master.process.pid


def nothing_is_left(master: EmbeddedMaster, pid: int) -> bool:
    assert not StateLock(master.settings.state).is_held()
    assert not (master.settings.state / "run.json").exists()
    return members(pid) == () and master.process is None


def stubborn(master: EmbeddedMaster) -> int:
    """Put a process that ignores SIGTERM in the master's place; returns its pid."""
    command = ["sh", "-c", STUBBORN]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    child.stdout.close()
    master.process = child
    return child.pid
