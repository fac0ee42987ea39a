from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from embeddedbed import masters, nothing_is_left, pid_of, stubborn
from minios_master import embedded
from minios_master.api import MasterApi, NoAnswerError
from minios_master.session import members
from minios_master.state_lock import StateLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from minios_master.embedded import EmbeddedMaster

GONE = NoAnswerError("the master at http://x/ does not answer", details="connection refused")


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., EmbeddedMaster]]:
    with masters(tmp_path, monkeypatch) as made:
        yield made


def test_detached_master_keeps_the_lock(make: Callable[..., EmbeddedMaster]) -> None:
    master = make()
    master.start("up")
    master.detach()
    assert StateLock(master.settings.state).is_held()
    assert MasterApi(master.url).is_ready()


def test_master_of_a_killed_command_ends(make: Callable[..., EmbeddedMaster]) -> None:
    master = make()
    master.start("matrix")
    process = master.process
    assert process is not None
    assert process.stdin is not None
    master.detach()
    # What the kernel does for a command that was killed.
    process.stdin.close()
    process.wait(5)
    assert not StateLock(master.settings.state).is_held()


def test_process_that_ignores_everything_is_killed(
    make: Callable[..., EmbeddedMaster], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "STOP_SECONDS", 0.05)
    monkeypatch.setattr(embedded, "_INSIST_SECONDS", 0.05)
    master = make()
    pid = stubborn(master)
    master.stop()
    assert members(pid) == ()


@pytest.mark.parametrize("impatience", [KeyboardInterrupt(), SystemExit(143)])
def test_impatient_stop_kills_at_once(
    impatience: BaseException, make: Callable[..., EmbeddedMaster], monkeypatch: pytest.MonkeyPatch
) -> None:
    master = make()
    master.lock.acquire()
    pid = stubborn(master)
    wait, interruptions = subprocess.Popen.wait, [impatience, impatience]

    def interrupted(child: Any, timeout: float | None = None) -> int:
        if interruptions:
            raise interruptions.pop()
        return wait(child, timeout)

    monkeypatch.setattr("minios_master.embedded.subprocess.Popen.wait", interrupted)
    with pytest.raises(type(impatience)):
        master.stop()
    assert nothing_is_left(master, pid)


def test_commands_of_a_killed_master_end_with_it(make: Callable[..., EmbeddedMaster]) -> None:
    master = make("building")
    api = master.start("matrix")
    pid, child = pid_of(master), api.get("child")["pid"]
    assert child in members(pid)
    os.kill(pid, signal.SIGKILL)
    assert master.explain(GONE).what == "the master ended in the middle: it was ended by SIGKILL"
    assert members(pid) == (child,)
    master.stop()
    assert nothing_is_left(master, pid)


def test_why_a_master_is_silent(make: Callable[..., EmbeddedMaster], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_DEATH_SECONDS", 0.01)
    master = make()
    assert master.explain(GONE).what == GONE.what
    master.start("matrix")
    told = master.explain(GONE)
    assert (told.what, told.hint, told.details) == (GONE.what, f"see {master.log}", GONE.details)
    pid = pid_of(master)
    os.kill(pid, signal.SIGTERM)
    assert master.process is not None
    master.process.wait()
    monkeypatch.setattr(master.process, "returncode", 0)
    assert master.explain(GONE).what == "the master ended in the middle: somebody stopped it"
