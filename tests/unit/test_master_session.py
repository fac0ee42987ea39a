from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from masterbed import wait_for
from minios_master import session
from minios_master.session import kill_session, members

if TYPE_CHECKING:
    from collections.abc import Iterator

FAMILY = "set -m; sleep 60 & sleep 60 & echo ready; wait"
"""A shell whose children have process groups of their own, as a worker's commands have."""


@pytest.fixture
def family() -> Iterator[subprocess.Popen[bytes]]:
    command = ["sh", "-c", FAMILY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as shell:
        assert shell.stdout is not None
        assert shell.stdout.readline() == b"ready\n"
        wait_for(lambda: len(members(shell.pid)) == 3)
        try:
            yield shell
        finally:
            shell.kill()


def test_whole_session_is_killed_when_its_leader_is_gone(family: subprocess.Popen[bytes]) -> None:
    family.kill()
    family.wait()
    assert len(members(family.pid)) == 2
    kill_session(family.pid)
    assert members(family.pid) == ()


def test_session_that_has_ended() -> None:
    with subprocess.Popen(["true"], start_new_session=True) as child:
        child.wait()
    kill_session(child.pid)


def test_own_session_is_never_killed(family: subprocess.Popen[bytes]) -> None:
    assert os.getpid() in members(os.getsid(0))
    kill_session(os.getsid(0))
    assert len(members(family.pid)) == 3


def test_process_that_cannot_be_killed_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_pid: int, _number: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    waits: list[float] = []
    monkeypatch.setattr(session, "members", lambda _leader: (1,))
    monkeypatch.setattr("minios_master.session.os.kill", refuse)
    monkeypatch.setattr("minios_master.session.time.sleep", waits.append)
    kill_session(1 << 30)
    assert sum(waits) <= 1.01
