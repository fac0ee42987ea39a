from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from configbed import write_config
from masterbed import CHILD, fake_master, worker
from minios_master import embedded
from minios_master.api import MasterApi
from minios_master.cli.main import run
from minios_master.embedded import EmbeddedMaster
from minios_master.state_lock import Run, StateLock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NASTY = "error: [-Wx] :x: \x1b[2J"


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[Any]]:
    """The processes of the made-up masters that are started; they are reaped as nobody else does."""
    monkeypatch.setattr(embedded, "_BUILDBOT", CHILD)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path / "config")
    processes: list[Any] = []
    detach = EmbeddedMaster.detach

    def noting(self: EmbeddedMaster) -> None:
        processes.append(self.process)
        detach(self)

    monkeypatch.setattr(EmbeddedMaster, "detach", noting)
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def minios(*words: str) -> int:
    with pytest.raises(SystemExit) as done:
        run([*words, "--config", "config", "--state", "state"])
    return int(str(done.value.code))


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[StateLock]:
    """A lock that this test holds, as another command would."""
    held = StateLock(tmp_path / "state")
    held.acquire()
    yield held
    held.release()


def test_up_status_down(tmp_path: Path, started: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert minios("status") == 1
    assert minios("up", "--out", "elsewhere") == 0
    [process] = started
    url = json.loads((tmp_path / "state" / "run.json").read_text())["url"]
    assert minios("status") == 0
    assert minios("down") == 0
    assert process.wait(5) == -signal.SIGTERM
    assert minios("down") == 0
    said = capsys.readouterr()
    assert said.err == ""
    lines = [line.rstrip() for line in said.out.splitlines()]
    assert lines[:3] == [
        f"no master runs in {tmp_path}/state",
        f"the master is up: {url}",
        "stop it with: minios down",
    ]
    assert lines[3].startswith("up since 2")
    assert lines[3].endswith(f", pid {process.pid}, {url}")
    assert "nothing is being built" in lines
    assert lines[-2:] == [
        f"the master (pid {process.pid}) is stopped",
        f"no master runs in {tmp_path}/state",
    ]


def test_up_and_status_as_json(
    tmp_path: Path, started: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert minios("status", "--json") == 1
    assert json.loads(capsys.readouterr().out) == {"running": False}
    assert minios("up", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["pid"]) == ("up", started[0].pid)
    assert (told["config"], told["out"]) == (f"{tmp_path}/config", f"{tmp_path}/out/minios")
    assert minios("status", "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert again == {
        **told,
        "running": True,
        "workers": {"coordinator": True, "local-x86_64": True, "sw64-unattached": True},
        "building": [],
    }


def test_up_twice(started: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert minios("up") == 0
    assert minios("up") == 2
    assert capsys.readouterr().err.startswith(f"minios: another minios (up, pid {started[0].pid}, since ")
    assert started[0].poll() is None


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_up_that_is_interrupted_leaves_nothing(
    number: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MasterApi, "is_ready", lambda _self: os.kill(os.getpid(), number))
    assert minios("up") == code
    assert not StateLock(tmp_path / "state").is_held()
    assert not (tmp_path / "state" / "run.json").exists()


def test_what_is_just_starting(lock: StateLock, capsys: pytest.CaptureFixture[str]) -> None:
    assert lock.is_held()
    assert minios("status") == 1
    assert minios("down") == 2
    said = capsys.readouterr()
    assert said.out == f"another minios is starting in {lock.state}\n"
    assert said.err.startswith(f"minios: another minios is starting in {lock.state}\n")


def test_status_tells_what_is_built(lock: StateLock, capsys: pytest.CaptureFixture[str]) -> None:
    with fake_master() as master:
        lock.announce(Run("up", 1, master.url, "now", "/config", "/out"))
        master.answers["workers"] = {
            "workers": [worker("sw64-unattached", connected=False), worker("old", configured=False)]
        }
        building = [{"builderid": 1, "number": 7, "state_string": NASTY}]
        master.answers["builds"] = {"builds": [*building, {**building[0], "builderid": 9}]}
        assert minios("status") == 0
        said = capsys.readouterr().out
    assert "old" not in said
    assert ["sw64-unattached", "not", "connected"] in [line.split() for line in said.splitlines()]
    assert said.splitlines()[-2:] == ["x86_64 #7: error: [-Wx] :x: ?[2J", "? #7: error: [-Wx] :x: ?[2J"]


def test_status_of_a_master_that_hangs(
    lock: StateLock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("minios_master.api.TIMEOUT", 0.01)
    monkeypatch.setattr("minios_master.api._RETRY.wait", lambda _state: 0)
    with fake_master(serving=False) as master:
        lock.announce(Run("up", 4711, master.url, "now", "/config", "/out"))
        assert minios("status") == 2
    assert capsys.readouterr().err.startswith(
        f"minios: the master does not answer at {master.url} (up, pid 4711)\n"
    )
