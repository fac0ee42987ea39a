from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from masterbed import CHILD
from minios_master import detached, embedded
from minios_master.detached import attach, stop_detached
from minios_master.embedded import EmbeddedMaster
from minios_master.session import members
from minios_master.settings import Settings
from minios_master.state_lock import InUseError, Run, StateLock

from minios_steps.core.config.minios import Web
from minios_steps.core.errors import MiniosError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

RUN = Run("up", 1 << 30, "http://127.0.0.1:1/", "now", "/config", "/out")


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[StateLock]:
    """A lock that this test holds, as another command would."""
    held = StateLock(tmp_path)
    held.acquire()
    yield held
    held.release()


@pytest.fixture
def up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Brings up a made-up master as `minios up` does; returns its process."""
    monkeypatch.setattr(embedded, "_BUILDBOT", CHILD)
    made: list[subprocess.Popen[bytes]] = []

    def start(how: str = "") -> subprocess.Popen[bytes]:
        monkeypatch.setenv("STUB", how)
        master = EmbeddedMaster(Settings(tmp_path / "config", tmp_path), Web())
        master.start("up")
        master.detach()
        assert master.process is not None
        made.append(master.process)
        return master.process

    yield start
    for process in made:
        process.kill()
        process.wait()


def test_nothing_to_stop(tmp_path: Path) -> None:
    assert stop_detached(StateLock(tmp_path)) is None
    assert stop_detached(StateLock(tmp_path / "nowhere")) is None


def test_what_is_still_starting_cannot_be_stopped_yet(lock: StateLock) -> None:
    with pytest.raises(InUseError, match="another minios is starting in ") as caught:
        stop_detached(StateLock(lock.state))
    assert caught.value.hint == "try again in a moment"


def test_matrix_is_not_stopped(lock: StateLock) -> None:
    lock.announce(Run("matrix", os.getpid(), "", "now", "", ""))
    with pytest.raises(MiniosError, match=rf"^a minios matrix \(pid {os.getpid()}\) runs here"):
        stop_detached(StateLock(lock.state))


def test_master_is_attached_to_and_stopped(
    up: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    process = up()
    state = StateLock(tmp_path)
    run = state.holder()
    assert run is not None
    assert attach(state, run).builder_names()
    assert stop_detached(state) == run
    assert process.wait(5) == -signal.SIGTERM
    assert not state.is_held()
    assert not (tmp_path / "run.json").exists()
    assert stop_detached(state) is None


def test_master_that_ignores_the_wish_is_killed(
    up: Callable[..., subprocess.Popen[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = up("deaf")
    monkeypatch.setattr(detached, "STOP_SECONDS", 0.05)
    stop_detached(StateLock(tmp_path))
    assert process.wait(5) == -signal.SIGKILL
    assert not StateLock(tmp_path).is_held()


@pytest.mark.parametrize("how", ["building", "hoarding"])
def test_commands_of_the_master_end_with_it(
    how: str,
    up: Callable[..., subprocess.Popen[bytes]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process = up(how)
    monkeypatch.setattr(detached, "STOP_SECONDS", 0.2)
    assert len(members(process.pid)) == 2
    stop_detached(StateLock(tmp_path))
    process.wait(5)
    assert members(process.pid) == ()


def test_one_that_is_just_starting_is_waited_for(
    up: Callable[..., subprocess.Popen[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    up()
    state = StateLock(tmp_path)
    run = state.holder()
    assert run is not None
    answers = [False, False, True]
    monkeypatch.setattr("minios_master.api.MasterApi.is_ready", lambda _self: answers.pop(0))
    monkeypatch.setattr(embedded, "POLL_SECONDS", 0)
    assert attach(state, run).url == run.url
    assert answers == []


def test_one_that_ended_meanwhile(lock: StateLock) -> None:
    with pytest.raises(MiniosError, match=r"^the master \(pid \d+\) has ended "):
        attach(lock, RUN)


def test_pid_that_is_gone_although_the_lock_is_held(lock: StateLock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detached, "STOP_SECONDS", 0)
    lock.announce(RUN)
    with pytest.raises(MiniosError, match="does not stop") as caught:
        stop_detached(StateLock(lock.state))
    assert caught.value.hint == f"kill -9 {RUN.pid}"


def test_another_users_master(lock: StateLock, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_pid: int, _number: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("minios_master.detached.os.kill", refuse)
    lock.announce(RUN)
    with pytest.raises(MiniosError, match="is another user's"):
        stop_detached(StateLock(lock.state))
