"""`minios arch`: a file out of a probe, and the way from candidate to required and back."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import signal
from typing import TYPE_CHECKING, Any

import pytest
import typer
from configbed import MINIOS, write_config
from minios_master.cli import arch_new, arch_roles
from minios_master.cli.main import run
from minios_master.projects import open_project
from minios_master.remote.folders import RemoteFolder
from minios_master.settings import Settings
from minios_master.state_lock import Run
from probebed import foreign, keep_probe, machine
from releasebed import cell, put_candidate

from minios_steps.core.candidates import CandidateStore
from minios_steps.core.config.load import load_project

if TYPE_CHECKING:
    from pathlib import Path

RUN = Run("up", 1, "http://127.0.0.1:1/", "now", "config", "out")
SKELETON = 'directories:\n  - {path: bin, mode: "0755", owner: 0:0}\n'
S390X = foreign(22, uname="s390x", data="big")


class Cli:
    """`minios arch`, in this process."""

    def __init__(self, folder: Path, capsys: Any) -> None:
        self.config = write_config(folder / "config", {"rootfs/skeleton.yaml": SKELETON})
        self.settings = Settings(self.config, folder / "state")
        self.remote = RemoteFolder(self.settings.remote)
        self._capsys = capsys

    def __call__(self, *words: str, code: int = 0) -> tuple[str, str]:
        with pytest.raises(SystemExit) as done:
            run(["--config", str(self.config), "--state", str(self.settings.state), "arch", *words])
        told: tuple[str, str] = self._capsys.readouterr()
        assert (done.value.code or 0) == code, told
        return told

    def attach(self, name: str, arch: str, found: Any = None) -> None:
        """A worker that was attached and, when `found` says what, probed."""
        now = dt.datetime.now(dt.timezone.utc)
        _, secret = self.remote.roster.invite(name, arch, 0, now, dt.timedelta(days=1))
        self.remote.roster.redeem(name, secret, "p" * 43, {}, now)
        if found is not None:
            keep_probe(self.remote, name, found)

    def candidate(self, arch: str, outcome: str = "passed") -> None:
        """A candidate in the store."""
        store = CandidateStore(self.settings.store)
        record = put_candidate(store, open_project(self.settings), cell(arch=arch))
        store.record(dataclasses.replace(record, smoke=({"name": "echo", "outcome": outcome},)))

    def role(self, arch: str) -> str:
        return load_project(self.config).role(arch)


@pytest.fixture
def cli(tmp_path: Path, capsys: Any) -> Cli:
    return Cli(tmp_path, capsys)


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """A master is up; what is sent to it is noted."""
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr("minios_master.reload.os.kill", lambda *told: sent.append(told))
    for module in (arch_new, arch_roles):
        monkeypatch.setattr(module.StateLock, "holder", lambda _self: RUN)
    return sent


def test_new(cli: Cli) -> None:
    cli.attach("s390x-1", "s390x", S390X)
    out, _ = cli("new", "s390x", "--from-worker", "s390x-1")
    path = cli.config / "arches" / "s390x.yaml"
    assert f"wrote {path}: go through what is marked `decide`" in out
    assert "next: minios worker reload, then: minios matrix --arch s390x" in out
    project = load_project(cli.config)
    assert project.arches["s390x"].elf.machines == (22,)
    assert project.role("s390x") == "candidate"
    # What somebody may have changed by hand is never written over.
    before = path.read_text("utf-8")
    assert "is there already" in cli("new", "s390x", "--from-worker", "s390x-1", code=2)[1]
    assert path.read_text("utf-8") == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("s390x", "--from-worker", "nobody"), "no remote worker 'nobody'"),
        (("s390x", "--from-worker", "other"), "worker 'other' was invited for vax, not for s390x"),
        (("s390x", "--from-worker", "fresh"), "the machine of 'fresh' was not probed yet"),
        (("s390x", "--from-worker", "away"), "worker 'away' has not attached yet"),
        (("s390x", "--from-worker", "late"), "worker 'late' did not use its invite in time"),
        (("s390x", "--from-worker", "late"), "hint: invite it again: minios worker invite s390x --name late"),
        (("s390x", "--from-worker", "gone"), "worker 'gone' was revoked"),
        (
            ("s390x", "--from-worker", "wrong"),
            "the machine of 'wrong' is a x86_64, and its gcc compiles for that",
        ),
        (("s390x", "--from-worker", "bare"), "bare has no compiler: gcc is not there"),
        (("s390x", "--from-worker", "fresh", "--build"), "no master runs here to build it"),
        (("S390", "--from-worker", "fresh"), "'S390' is not an arch's name"),
        (("s390.x", "--from-worker", "fresh"), "'s390.x' is not an arch's name"),
        (("probe-x", "--from-worker", "taken"), "'probe-x' is a name of the master's own"),
        (("second", "--from-worker", "twin"), "linux/sw64 is the platform of second too"),
    ],
)
def test_new_refused(cli: Cli, words: tuple[str, ...], told: str) -> None:
    cli.attach("other", "vax", S390X)
    cli.attach("fresh", "s390x")
    now = dt.datetime.now(dt.timezone.utc)
    cli.remote.roster.invite("away", "s390x", 0, now, dt.timedelta(days=1))
    cli.remote.roster.invite("late", "s390x", 0, now, dt.timedelta())
    cli.attach("gone", "s390x")
    cli.remote.roster.revoke("gone", now)
    cli.attach("wrong", "s390x", machine())
    cli.attach("bare", "s390x", foreign(22, uname="s390x", compiler_path=""))
    cli.attach("taken", "probe-x", S390X)
    cli.attach("twin", "second", foreign(268, uname="sw_64_6"))
    before = sorted(cli.config.rglob("*"))
    out, err = cli("new", *words, code=2)
    assert told in err
    assert out == ""
    assert sorted(cli.config.rglob("*")) == before


class Told:
    """What the master says of the worker, one answer after the other."""

    def __init__(self, *answers: tuple[bool, tuple[Any, ...]]) -> None:
        self.answers = list(answers)

    def __call__(self, _context: Any, _worker: str) -> Any:
        cells, mismatches = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        standing = type("Standing", (), {"mismatches": mismatches})
        return iter([({"cells": cells, "arch": "s390x"}, standing)])


@pytest.mark.parametrize("good", [True, False])
def test_new_and_build(cli: Cli, signals: list[Any], monkeypatch: pytest.MonkeyPatch, *, good: bool) -> None:
    cli.attach("s390x-1", "s390x", S390X)
    asked = []

    def build(_ctx: Any, *, arch: list[str]) -> None:
        asked.append(arch)
        if good:
            monkeypatch.setitem(put_candidate.__globals__["MACHINES"], "s390x", 22)
            cli.candidate("s390x")
        raise typer.Exit(0)

    monkeypatch.setattr(arch_new, "matrix", build)
    monkeypatch.setattr(arch_new, "told_workers", Told((False, ()), (True, ())))
    out, _ = cli("new", "s390x", "--from-worker", "s390x-1", "--build", code=0 if good else 1)
    assert signals == [(1, signal.SIGHUP)]
    assert asked == [["s390x"]]
    assert ("next: minios arch promote s390x" in out) == good


def test_new_and_build_without_cells(cli: Cli, signals: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    cli.attach("s390x-1", "s390x", S390X)
    monkeypatch.setattr(arch_new, "told_workers", Told((False, ())))
    monkeypatch.setattr(arch_new, "_CELLS_SECONDS", -1)
    _, err = cli("new", "s390x", "--from-worker", "s390x-1", "--build", code=2)
    assert "worker 's390x-1' gets no cells" in err
    assert len(signals) == 1


def test_up_and_down(cli: Cli, signals: list[Any]) -> None:
    assert "no candidate of a configured version" in cli("promote", "sw64", code=2)[1]
    cli.candidate("sw64")
    out, err = cli("promote", "sw64")
    assert [line for line in out.splitlines() if line[:1] in "+-"] == [
        "--- a/config/minios.yaml",
        "+++ b/config/minios.yaml",
        "-  sw64: optional",
        "+  sw64: required",
    ]
    assert "sw64 was optional and is required: commit" in err
    assert "the running master reads it" in err
    assert signals == [(1, signal.SIGHUP)]
    assert cli.role("sw64") == "required"
    assert "first: minios arch demote sw64" in cli("retire", "sw64", code=2)[1]
    for words, role in ((("demote",), "optional"), (("demote",), "candidate"), (("retire",), "retired")):
        cli(*words, "sw64")
        assert cli.role("sw64") == role
    cli("promote", "sw64")
    assert (cli.config / "minios.yaml").read_text("utf-8") == MINIOS.replace(
        "sw64: optional", "sw64: candidate"
    )


def test_nobody_to_tell(cli: Cli) -> None:
    _, err = cli("demote", "sw64")
    assert "the running master" not in err
    assert "unknown arch 'vax': the configuration has sw64, x86_64" in cli("demote", "vax", code=2)[1]
    # A wrong configuration is not made worse.
    (cli.config / "workers.yaml").write_text("colour: blue\n", "utf-8")
    before = (cli.config / "minios.yaml").read_text("utf-8")
    assert "unknown key" in cli("retire", "sw64", code=2)[1]
    assert (cli.config / "minios.yaml").read_text("utf-8") == before


def test_list_and_show(cli: Cli) -> None:
    cli.attach("fast", "x86_64", machine())
    cli.attach("fake", "x86_64", S390X)
    cli.candidate("x86_64")
    out, _ = cli("list", "--json")
    told = {one["name"]: one for one in json.loads(out)}
    assert told["x86_64"]["workers"] == {"fake": "refused", "fast": "passed"}
    assert [(one["version"], one["smoke"]) for one in told["x86_64"]["candidates"]] == [("1.38.0", "passed")]
    assert told["sw64"]["candidates"] == []
    text = cli("list")[0]
    assert "fake (refused), fast (passed)" in text
    assert "1.38.0 static" in text
    shown = cli("show", "x86_64")[0]
    assert "candidate: 1.38.0 static, " in shown
    assert "role: required" in shown
    assert "candidate: none" in cli("show", "sw64")[0]
    assert json.loads(cli("show", "sw64", "--json")[0]) == told["sw64"]
    assert "unknown arch" in cli("show", "vax", code=2)[1]
