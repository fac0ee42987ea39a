from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from configbed import write_config
from masterbed import BRID, CHILD, VERSION, cell, release
from minios_master import embedded, matrix_run
from minios_master.api import MasterApi
from minios_master.cli.main import run
from minios_master.cli.matrix import exit_code
from minios_master.embedded import EmbeddedMaster
from minios_master.live import LiveDisplay
from minios_master.matrix_run import Outcome
from minios_master.session import members
from minios_master.settings import Settings
from minios_master.state_lock import StateLock

from minios_steps.core.config.load import load_project
from minios_steps.core.config.minios import Web

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


@pytest.fixture(autouse=True)
def _child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The master that is started is a made-up one; nothing waits long."""
    monkeypatch.setattr(embedded, "_BUILDBOT", CHILD)
    monkeypatch.setattr(matrix_run, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(matrix_run, "SHOW_SECONDS", 0)
    monkeypatch.setattr(matrix_run, "STOP_SECONDS", 0)
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path / "config")


@pytest.fixture
def pids(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The pids of the masters that are started."""
    seen: list[int] = []
    start = EmbeddedMaster.start

    def noting(self: EmbeddedMaster, kind: str) -> MasterApi:
        api = start(self, kind)
        assert self.process is not None
        seen.append(self.process.pid)
        return api

    monkeypatch.setattr(EmbeddedMaster, "start", noting)
    return seen


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., EmbeddedMaster]]:
    """Brings up a master as `minios up` does."""
    made: list[EmbeddedMaster] = []

    def start(**settings: Any) -> EmbeddedMaster:
        chosen = {"config": tmp_path / "config", "out": tmp_path / "out" / "minios", **settings}
        made.append(EmbeddedMaster(Settings(state=tmp_path / ".state", **chosen), Web()))
        made[-1].start("up")
        return made[-1]

    yield start
    for master in made:
        master.stop()


def minios(*words: str) -> Any:
    with pytest.raises(SystemExit) as done:
        run(["matrix", "--config", "config", *words])
    return done.value.code


def nothing_is_left(tmp_path: Path, pids: Sequence[int]) -> bool:
    lock = StateLock(tmp_path / ".state")
    left = [pid for leader in pids for pid in members(leader)]
    return bool(pids) and not left and not lock.is_held() and not (tmp_path / ".state" / "run.json").exists()


def test_build_that_ends_well(tmp_path: Path, pids: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    assert minios() == 0
    said = capsys.readouterr()
    assert said.err == ""
    first, second, *rest = said.out.splitlines()
    assert first.startswith("master at http://127.0.0.1:")
    assert second == "[  42.0 s] x86_64 1.38.0 static  done: compile text"
    assert rest[0].split() == ["arch", "version", "variant", "outcome", "digest", "size", "time"]
    assert rest[2].startswith("1.38.0 static is released: index dddddddddddd at oci:out/minios:1.38.0")
    assert rest[3] == "0 s in all"
    assert nothing_is_left(tmp_path, pids)


def test_json_has_standard_output_for_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert minios("--json", "--out", "elsewhere") == 0
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert told["cells"] == [cell("x86_64")]
    assert told["releases"] == [release()]
    assert (told["exit"], told["out"], told["problem"]) == (0, str(tmp_path / "elsewhere"), "")
    assert "x86_64 1.38.0 static  done" in said.err


def test_into_a_registry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert minios("--registry", "127.0.0.1:5000/team/app") == 0
    assert "index dddddddddddd at 127.0.0.1:5000/team/app:1.38.0" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_two_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert minios("--registry", "127.0.0.1:5000/team/app", "--out", "here") == 2
    assert "releases go to one of them" in capsys.readouterr().err
    assert not (tmp_path / ".state").exists()


def test_wrong_words_start_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert minios("--arch", "vax") == 2
    assert capsys.readouterr().err.startswith("minios: unknown arch 'vax'")
    assert not (tmp_path / ".state").exists()


@pytest.mark.parametrize(
    ("backend", "why"),
    [
        ("podman", "minios: unknown backend 'podman': there are oci and docker"),
        ("docker", "minios: backend docker for x86_64: the worker's engine hands images over through a"),
    ],
)
def test_backend_that_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], backend: str, why: str
) -> None:
    assert minios("--backend", backend) == 2
    assert capsys.readouterr().err.startswith(why)
    assert not (tmp_path / ".state").exists()


def test_master_that_dies_in_the_middle(
    tmp_path: Path,
    pids: list[int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STUB", "killed")
    assert minios() == 2
    assert capsys.readouterr().err.splitlines() == [
        "minios: the master ended in the middle: it was ended by SIGKILL",
        f"  hint: see {tmp_path}/.state/master/twistd.log",
    ]
    assert nothing_is_left(tmp_path, pids)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
def test_signal_in_the_middle_stops_everything(
    number: int,
    code: int,
    tmp_path: Path,
    pids: list[int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STUB", "running")
    asked: list[str] = []
    control = MasterApi.control

    def noting(self: MasterApi, path: str, method: str, **params: Any) -> Any:
        asked.append(f"{method} {path}")
        return control(self, path, method, **params)

    monkeypatch.setattr(MasterApi, "control", noting)
    monkeypatch.setattr(LiveDisplay, "show", lambda *_: os.kill(os.getpid(), number))
    assert minios() == code
    assert asked == ["force forceschedulers/matrix", f"cancel buildrequests/{BRID}"]
    assert "Traceback" not in capsys.readouterr().err
    assert nothing_is_left(tmp_path, pids)


def test_signal_while_the_master_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MasterApi, "is_ready", lambda _self: os.kill(os.getpid(), signal.SIGTERM))
    assert minios() == 143
    assert not StateLock(tmp_path / ".state").is_held()
    assert not (tmp_path / ".state" / "run.json").exists()


def test_second_run_is_refused_and_harms_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = EmbeddedMaster(Settings(tmp_path / "config", tmp_path / ".state"), Web())
    first.start("matrix")
    try:
        assert minios() == 2
        assert capsys.readouterr().err.startswith(
            f"minios: another minios (matrix, pid {os.getpid()}, since 2"
        )
        assert StateLock(tmp_path / ".state").holder() is not None
        assert MasterApi(first.url).is_ready()
    finally:
        first.stop()


def test_running_master_is_used(
    up: Callable[..., EmbeddedMaster], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    master = up()
    assert minios() == 0
    assert "stops with this run" not in capsys.readouterr().out
    assert MasterApi(master.url).is_ready()
    assert StateLock(tmp_path / ".state").is_held()


def test_running_master_that_builds_something_else(
    up: Callable[..., EmbeddedMaster], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    up(config=tmp_path / "other")
    assert minios() == 2
    assert capsys.readouterr().err.startswith(
        f"minios: the running master builds what {tmp_path}/other says, not {tmp_path}/config\n"
    )


def test_running_master_that_writes_elsewhere(
    up: Callable[..., EmbeddedMaster], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    up()
    assert minios("--out", "elsewhere") == 2
    assert capsys.readouterr().err.startswith(
        f"minios: the running master writes to {tmp_path}/out/minios, not to {tmp_path}/elsewhere\n"
    )


BLOCKED = release("blocked", tags=[], index="")
CANDIDATE = cell("riscv64", "built")


@pytest.mark.parametrize(
    ("cells", "releases", "code"),
    [
        ([cell("x86_64"), cell("sw64")], [release()], 0),
        ([cell("x86_64", "reused")], [release("unchanged")], 0),
        ([cell("x86_64", "built")], [release("partial")], 0),
        # An optional arch never makes a run a failure, as long as anything is good.
        ([cell("x86_64"), cell("sw64", "no-worker")], [release()], 0),
        ([cell("x86_64"), cell("sw64", "failed")], [release()], 0),
        ([cell("x86_64"), cell("sw64", "timed-out")], [release()], 0),
        ([cell("x86_64"), cell("sw64", "refused")], [release()], 0),
        ([cell("x86_64"), cell("riscv64", "failed")], [release()], 0),
        ([CANDIDATE], [release("partial")], 0),
        # A required one does.
        ([cell("x86_64", "no-worker"), cell("sw64")], [release()], 1),
        ([cell("x86_64", "failed")], [BLOCKED], 1),
        ([cell("x86_64", "timed-out"), cell("sw64")], [release("partial")], 1),
        ([cell("x86_64", "refused"), cell("sw64")], [BLOCKED], 1),
        # Nothing good at all, or nothing written, or nothing said.
        ([cell("sw64", "no-worker")], [release("partial")], 1),
        ([cell("x86_64")], [BLOCKED], 1),
        ([cell("x86_64")], [release(), release("blocked", variant="dynamic")], 1),
        ([cell("x86_64")], [], 1),
        ([cell("x86_64"), cell("x86_64", version="1.35.0")], [release()], 1),
        ([], [], 1),
    ],
)
def test_exit_code(cells: list[Any], releases: list[Any], code: int, tmp_path: Path) -> None:
    project = load_project(tmp_path / "config")
    assert exit_code(project, Outcome(tuple(cells), tuple(releases), 1.0, "")) == code
    assert all(one["version"] in (VERSION, "1.35.0") for one in cells)


def test_running_master_releases_elsewhere(
    up: Callable[..., EmbeddedMaster], capsys: pytest.CaptureFixture[str]
) -> None:
    up(out=None, registry="127.0.0.1:5000/team/app")
    assert minios() == 0
    assert "at 127.0.0.1:5000/team/app:1.38.0" in capsys.readouterr().out
    assert minios("--registry", "127.0.0.1:5000/other") == 2
    said = capsys.readouterr().err
    assert "the running master writes to 127.0.0.1:5000/team/app, not to 127.0.0.1:5000/other" in said
